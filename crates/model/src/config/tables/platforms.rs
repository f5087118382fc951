//! The tables of platforms, their origins and their activities.

use core::time::Duration;

use super::super::keys::{DefaultValue, KeySpec, TableSpec, ValueType};
use super::super::ranges::{ACTIVITIES, DAY, HOUR, MINUTE, secs};
use super::super::settings::{Config, OriginConfig};
use super::super::value::Value;
use super::protocols::{RESPONSE_IDLE_WHY, TUNNEL_AGE, TUNNEL_AGE_WHY, TUNNEL_IDLE_WHY};

pub(super) static PLATFORM: TableSpec = TableSpec {
    heading: "[[platforms]]",
    about: "A site that is protected. At least one.",
    keys: &[
        KeySpec {
            name: "name",
            kind: ValueType::Text,
            absent: DefaultValue::Required("name = \"campaign\""),
            about: "Its name in reports and in the ledger; no other platform has it.",
            why: "",
        },
        KeySpec {
            name: "hosts",
            kind: ValueType::List(1, 256),
            absent: DefaultValue::Required("hosts = [\"example.org\", \"www.example.org\"]"),
            about: "Its host names, without port. `[\"*\"]` takes every host that no other platform \
                    names; that platform comes last.",
            why: "a platform without hosts would never be reached",
        },
        KeySpec {
            name: "origin",
            kind: ValueType::Origin(&ORIGIN),
            absent: DefaultValue::Required("origin = \"http://127.0.0.1:3000\""),
            about: "The server that requests are forwarded to: its address, or a table.",
            why: "",
        },
        KeySpec {
            name: "allow_encoded_slashes",
            kind: ValueType::Flag,
            absent: DefaultValue::Value(|_| Value::Flag(false)),
            about: "`%2F` in a path is part of a segment for this origin. Set it to `true` only where the \
                    origin never reads it as a slash; otherwise such a path is refused.",
            why: "",
        },
        KeySpec {
            name: "allow_path_parameters",
            kind: ValueType::Flag,
            absent: DefaultValue::Value(|_| Value::Flag(false)),
            about: "A `;` in a path is an ordinary character for this origin. Otherwise a path is refused \
                    if it belongs to another activity without what follows the `;`.",
            why: "",
        },
        KeySpec {
            name: "allow_non_utf8_paths",
            kind: ValueType::Flag,
            absent: DefaultValue::Value(|_| Value::Flag(false)),
            about: "Escapes in paths need not be UTF-8: for sites with old addresses such as `/caf%E9`.",
            why: "",
        },
        KeySpec {
            name: "activities",
            kind: ValueType::Tables(&ACTIVITY, ACTIVITIES),
            absent: DefaultValue::Described("everything is one activity"),
            about: "What people do on it, first match first. Whatever matches none belongs to an \
                    activity called `everything else`.",
            why: "each has counters and baselines; fewer are easier to explain",
        },
    ],
};

static ORIGIN: TableSpec = TableSpec {
    heading: "[platforms.origin]",
    about: "The server that a platform's requests are forwarded to. \
            `origin = \"http://127.0.0.1:3000\"` is short for a table with `url` alone.",
    keys: &[
        KeySpec {
            name: "url",
            kind: ValueType::Text,
            absent: DefaultValue::Required("url = \"http://127.0.0.1:3000\""),
            about: "Its address: `http://`, a host name or address, and a port (80 if left out). \
                    No path. `https` to the origin is not supported yet.",
            why: "",
        },
        KeySpec {
            name: "max_connections",
            kind: ValueType::Count(1, 65_535),
            absent: DefaultValue::Value(|c| Value::Count(u64::from(defaults(c).max_connections))),
            about: "Connections to it at the same time, over all workers: the number of requests the \
                    origin can process concurrently. The gate has no more workers than this.",
            why: "zero would forward nothing; one address has no more ports than 65535",
        },
        KeySpec {
            name: "connect_timeout",
            kind: ValueType::Time(Duration::from_millis(100), MINUTE),
            absent: DefaultValue::Value(|c| Value::Time(defaults(c).connect_timeout)),
            about: "How long a connection may take to open.",
            why: "a request that waits a minute for a connection has lost its visitor",
        },
        KeySpec {
            name: "response_timeout",
            kind: ValueType::Time(Duration::from_millis(100), HOUR),
            absent: DefaultValue::Value(|c| Value::Time(defaults(c).response_timeout)),
            about: "How long a response may take to begin.",
            why: "reports may take minutes; an hour is a lost connection",
        },
        KeySpec {
            name: "queue_timeout",
            kind: ValueType::Time(Duration::ZERO, secs(300)),
            absent: DefaultValue::Value(|c| Value::Time(defaults(c).queue_timeout)),
            about: "How long a request may wait for a free connection.",
            why: "waiting requests hold memory, and people do not wait for five minutes",
        },
        KeySpec {
            name: "reuse_connections",
            kind: ValueType::Flag,
            absent: DefaultValue::Value(|_| Value::Flag(true)),
            about: "Whether a connection is used for more than one request. Set it to `false` for an origin \
                    that mixes up the requests of a connection; each request then opens one.",
            why: "",
        },
        KeySpec {
            name: "probe",
            kind: ValueType::Flag,
            absent: DefaultValue::Value(|c| Value::Flag(defaults(c).probe)),
            about: "Whether the gate itself sends a request while no visitor's shows whether the origin                     answers: after ten seconds without one, and each second while it fails. Without it, an                     outage at night is noticed with the first visitor.",
            why: "",
        },
        KeySpec {
            name: "probe_path",
            kind: ValueType::Text,
            absent: DefaultValue::Value(|c| Value::Text(defaults(c).probe_path.clone())),
            about: "The path of these requests, by GET. Any answer below 500 counts.",
            why: "",
        },
    ],
};

static ACTIVITY: TableSpec = TableSpec {
    heading: "[[platforms.activities]]",
    about: "Something people do on a platform, matched by method and path.",
    keys: &[
        KeySpec {
            name: "name",
            kind: ValueType::Text,
            absent: DefaultValue::Required("name = \"donate\""),
            about: "Its name in reports and in the ledger; no other activity of the platform has \
                    it. `everything else` is taken.",
            why: "",
        },
        KeySpec {
            name: "tier",
            kind: ValueType::Word(&["essential", "important", "optional"]),
            absent: DefaultValue::Value(|c| {
                Value::Text(c.platforms[0].activities[0].tier.as_str().to_owned())
            }),
            about: "Who is served first when not all can be. Essential activities are never shed; \
                    optional ones are shed first.",
            why: "",
        },
        KeySpec {
            name: "paths",
            kind: ValueType::List(1, 64),
            absent: DefaultValue::Required("paths = [\"/donate\", \"/donate/*\"]"),
            about: "Paths, without query. A `*` at the end matches any continuation; a method \
                    and a space may come before: `POST /donate/*`.",
            why: "an activity without paths would never be reached",
        },
        KeySpec {
            name: "challenge",
            kind: ValueType::Flag,
            absent: DefaultValue::Value(|c| Value::Flag(c.platforms[0].activities[0].challenge)),
            about: "Whether visitors may be challenged here. Say `false` for payment webhooks, \
                    feeds and other programs that cannot follow a redirect.",
            why: "",
        },
        KeySpec {
            name: "response_idle_timeout",
            kind: ValueType::Time(secs(1), DAY),
            absent: DefaultValue::Described("`limits.response_idle_timeout`"),
            about: "Longest silence of the origin within an answer. A stream of events may need \
                    hours.",
            why: RESPONSE_IDLE_WHY,
        },
        KeySpec {
            name: "tunnel_idle_timeout",
            kind: ValueType::Time(secs(1), DAY),
            absent: DefaultValue::Described("`limits.tunnel_idle_timeout`"),
            about: "Longest silence on a WebSocket.",
            why: TUNNEL_IDLE_WHY,
        },
        KeySpec {
            name: "max_tunnel_age",
            kind: ValueType::Time(secs(1), TUNNEL_AGE),
            absent: DefaultValue::Described("`limits.max_tunnel_age`"),
            about: "How long a WebSocket may last. A chat may need hours.",
            why: TUNNEL_AGE_WHY,
        },
    ],
};

/// The origin of a configuration that is all defaults: it has one platform.
fn defaults(config: &Config) -> &OriginConfig {
    &config.platforms[0].origin
}
