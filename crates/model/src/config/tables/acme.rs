//! The table `[acme]`.

use core::time::Duration;

use crate::config::acme_settings::{AcmeChallenge, AcmeConfig};
use crate::config::keys::{DefaultValue, KeySpec, TableSpec, ValueType};
use crate::config::ranges::ACME_HOSTS;
use crate::config::value::Value;

pub(super) static ACME: TableSpec = TableSpec {
    heading: "[acme]",
    about: "Certificates from an authority with ACME (RFC 8555), such as Let's Encrypt: one \
            for each host, got when it is missing and renewed at two thirds of its life. Every \
            listener with `tls = true` shows them. See [acme.md](acme.md).",
    keys: &[
        KeySpec {
            name: "terms_accepted",
            kind: ValueType::Flag,
            absent: DefaultValue::Required("terms_accepted = true, once you have read its terms"),
            about: "Whether you accept the authority's terms of service; only `true` is of use.",
            why: "",
        },
        KeySpec {
            name: "contact",
            kind: ValueType::Text,
            absent: DefaultValue::Described("the authority cannot write to you"),
            about: "Your address of e-mail. Only the authority receives it.",
            why: "",
        },
        KeySpec {
            name: "directory",
            kind: ValueType::Text,
            absent: DefaultValue::Value(|_| Value::Text(AcmeConfig::LETS_ENCRYPT.into())),
            about: "The address of the authority's directory. `\"staging\"` is the trial of Let's \
                    Encrypt: its certificates are refused by browsers, and its limits are wide, so \
                    that you can try whether all is well.",
            why: "",
        },
        KeySpec {
            name: "hosts",
            kind: ValueType::List(1, ACME_HOSTS),
            absent: DefaultValue::Described("every host that a platform names"),
            about: "What certificates are for.",
            why: "a certificate for no host is none; Let's Encrypt issues 50 a week for one domain",
        },
        KeySpec {
            name: "challenge",
            kind: ValueType::Word(&[
                AcmeChallenge::Http01.as_str(),
                AcmeChallenge::TlsAlpn01.as_str(),
            ]),
            absent: DefaultValue::Value(|_| Value::Text(AcmeChallenge::Http01.as_str().into())),
            about: "How the authority sees that a host is yours: `http-01` asks for a page on port \
                    80, `tls-alpn-01` checks a certificate on port 443.",
            why: "",
        },
        KeySpec {
            name: "folder",
            kind: ValueType::Text,
            absent: DefaultValue::Value(|_| Value::Text(AcmeConfig::FOLDER.into())),
            about: "The folder of the account and the certificates. It holds private \
                    keys: only the gate needs to read it.",
            why: "",
        },
        KeySpec {
            name: "root",
            kind: ValueType::Text,
            absent: DefaultValue::Described("the roots that browsers know"),
            about: "File with more root certificates (PEM), to recognise a private authority by.",
            why: "",
        },
        KeySpec {
            name: "retry",
            kind: ValueType::Time(Duration::from_secs(1), Duration::from_secs(86_400)),
            absent: DefaultValue::Value(|_| Value::Time(AcmeConfig::RETRY)),
            about: "How long to wait after a failure before the next attempt for the same host. It \
                    doubles with each failure in a row, up to a day, and is spread by a quarter \
                    each way.",
            why: "Let's Encrypt allows five failures an hour for one host, which the default keeps \
                  to; with a day between attempts a certificate may end first",
        },
    ],
};
