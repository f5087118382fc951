//! The table of the access log.

use crate::config::keys::{DefaultValue, KeySpec, TableSpec, ValueType};
use crate::config::value::Value;

pub(super) static ACCESS_LOG: TableSpec = TableSpec {
    heading: "[access_log]",
    about: "One line for each request, in a file. Without this table there is none. SIGUSR1 opens the file \
            again, for `logrotate`. See [access-log.md](access-log.md).",
    keys: &[
        KeySpec {
            name: "file",
            kind: ValueType::Text,
            absent: DefaultValue::Required("file = \"/var/log/portcullis/access.log\""),
            about: "The file. Lines are added at its end.",
            why: "",
        },
        KeySpec {
            name: "format",
            kind: ValueType::Word(&["combined", "json"]),
            absent: DefaultValue::Value(|_| Value::Text("combined".to_owned())),
            about: "The combined format of Apache and nginx with the gate's reason at the end, or one JSON \
                    object in each line.",
            why: "",
        },
        KeySpec {
            name: "address",
            kind: ValueType::Word(&["full", "truncated", "pseudonym", "none"]),
            absent: DefaultValue::Value(|_| Value::Text("truncated".to_owned())),
            about: "How a visitor's address is written: whole; without its last part (a /24, or a /48 of \
                    IPv6); as a keyed hash that stays the same for an address; or not at all.",
            why: "",
        },
        KeySpec {
            name: "max_lines_per_second",
            kind: ValueType::Count(1, 1_000_000),
            absent: DefaultValue::Value(|_| Value::Count(2_000)),
            about: "Beyond this, lines are left out, and a line states how many.",
            why: "a flood must not fill the disk",
        },
    ],
};
