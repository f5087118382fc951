//! Verdicts, their reasons, and the outcomes of requests.

use serde::{Deserialize, Serialize};

/// The gate's decision on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Send it to the origin.
    Forward,
    /// Issue a challenge; browsers pass it without user interaction.
    Challenge,
    /// Answer with an error page, cheaply.
    Refuse,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident => $word:literal, $verdict:ident;)+) => {
        /// The cause of a verdict. Every verdict has exactly one, and the sum over reasons equals
        /// the number of requests.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// Every reason, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
            /// How many reasons there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The word in metrics, events and pages.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The verdict that this reason belongs to.
            pub const fn verdict(self) -> Verdict {
                match self { $(Self::$name => Verdict::$verdict,)+ }
            }
        }
    };
}

reasons! {
    /// Nothing spoke against it.
    Allowed => "allowed", Forward;
    /// A challenge was engaged, and the visitor held a token with budget left.
    TokenHeld => "token-held", Forward;
    /// A challenge was engaged, and this activity is exempt from challenges by configuration.
    Exempt => "exempt", Forward;
    /// A certificate authority requested its challenge (RFC 8555 section 8.3), and the gate
    /// responded in the origin's place.
    Acme => "acme", Forward;
    /// A challenge was engaged and the visitor held no token yet.
    ChallengeIssued => "challenge-issued", Challenge;
    /// The visitor passed a challenge and is redirected to the address that they requested.
    ChallengePassed => "challenge-passed", Challenge;
    /// The token's budget of requests is used up for the moment.
    TokenSpent => "token-spent", Refuse;
    /// An engaged signature matched.
    Signature => "signature", Refuse;
    /// The source sent more requests than its limit.
    SourceRate => "source-rate", Refuse;
    /// The activity is shed so that more important ones are served.
    Shed => "shed", Refuse;
    /// The limit of upgraded connections was reached: of the source, of all, or of the origin.
    TunnelLimit => "tunnel-limit", Refuse;
    /// No platform has this host name.
    UnknownHost => "unknown-host", Refuse;
    /// The request names another platform than its TLS handshake did, and the certificate that was shown is
    /// not for it (RFC 9110, section 15.5.20).
    Misdirected => "misdirected", Refuse;
    /// The path could be read in two ways ([`PathForm`](crate::PathForm)).
    AmbiguousPath => "ambiguous-path", Refuse;
    /// The request was ambiguous or malformed (for example Content-Length with Transfer-Encoding).
    Malformed => "malformed", Refuse;
    /// The request's header fields are too large, or too many.
    HeaderTooLarge => "header-too-large", Refuse;
    /// The request's target (path and query) is too long.
    TargetTooLong => "target-too-long", Refuse;
    /// The announced body is larger than the limit.
    BodyTooLarge => "body-too-large", Refuse;
    /// More ranges of a document were requested than are allowed, or some bytes twice.
    TooManyRanges => "too-many-ranges", Refuse;
    /// The method or upgrade is not one that Portcullis forwards (for example CONNECT).
    NotSupported => "not-supported", Refuse;
}

macro_rules! words {
    ($(#[$about:meta])* $set:ident { $($(#[$doc:meta])* $name:ident => $word:literal;)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[repr(u8)]
        pub enum $set { $($(#[$doc])* $name,)+ }

        impl $set {
            /// Every one, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The word in metrics and events.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

words! {
    /// Why a connection was closed without a response, before its first request or instead of it.
    ConnReason {
    /// The source held more connections than its limit.
    SourceConnections => "source-connections";
    /// The source's network held more connections than its limit.
    NetworkConnections => "network-connections";
    /// The limit of connections was reached, and none of them was idle.
    ConnectionLimit => "connection-limit";
    /// The request's headers did not arrive in time.
    HeaderTimeout => "header-timeout";
    /// More TLS handshakes were begun than may be, by the source or by all together.
    HandshakeRate => "handshake-rate";
    /// The limit of concurrent TLS handshakes was reached, and this one was new or the slowest.
    HandshakeConcurrency => "handshake-concurrency";
    /// The first message of the TLS handshake was too long, or in too many records.
    ClientHello => "client-hello";
    /// The TLS handshake did not finish in time, or failed.
    HandshakeFailed => "handshake-failed";
    /// The PROXY protocol header was missing or wrong on a listener that demands one.
    ProxyHeader => "proxy-header";
    }
}

words! {
    /// The outcome of a forwarded request.
    Outcome {
    /// The origin answered below 500.
    Served => "served";
    /// The origin answered 500 or above.
    OriginError => "origin-error";
    /// The origin's address refused the connection: nothing listens there.
    OriginRefused => "origin-refused";
    /// None of the origin's addresses accepted a connection in time.
    OriginConnectTimeout => "origin-connect-timeout";
    /// The origin could not be reached for another reason, or broke off.
    OriginUnreachable => "origin-unreachable";
    /// The origin did not answer in time.
    OriginTimeout => "origin-timeout";
    /// No connection to the origin became free in time.
    OriginBusy => "origin-busy";
    /// The request's body did not arrive in time, or grew beyond the limit.
    BodyAborted => "body-aborted";
    /// The visitor went away before the answer.
    VisitorDisconnected => "visitor-disconnected";
    }
}

words! {
    /// Why the gate ended an accepted connection, or one HTTP/2 or HTTP/3 stream of it. Earlier
    /// requests on it are counted under their reasons.
    Cut {
    /// No request arrived for too long.
    Idle => "idle";
    /// No request arrived for a while, and the slot was needed.
    Evicted => "evicted";
    /// It was as old as it may be, or had asked as often, and did not end when it was asked to.
    MaxAge => "max-age";
    /// The visitor took what was sent to it below the least rate, or not at all.
    SlowRead => "slow-read";
    /// The visitor sent a body below the least rate, or stopped.
    SlowBody => "slow-body";
    /// HTTP/1.1: the chunks of a request's body could be read in two ways.
    MalformedBody => "malformed-body";
    /// Nothing passed on an upgraded connection for too long.
    TunnelIdle => "tunnel-idle";
    /// An upgraded connection had lasted as long as it may.
    TunnelAge => "tunnel-age";
    /// HTTP/2, HTTP/3: streams were reset faster than people leave pages (CVE-2023-44487).
    ResetFlood => "reset-flood";
    /// HTTP/2: too many pings (CVE-2019-9512).
    PingFlood => "ping-flood";
    /// HTTP/2: too many settings (CVE-2019-9515).
    SettingsFlood => "settings-flood";
    /// HTTP/2: too many priorities (CVE-2019-9513).
    PriorityFlood => "priority-flood";
    /// HTTP/2: too many tiny window updates (CVE-2019-9511).
    WindowUpdateFlood => "window-update-flood";
    /// HTTP/2, HTTP/3: too much data without content (CVE-2019-9518).
    EmptyDataFlood => "empty-data-flood";
    /// HTTP/2, HTTP/3: a body in too many tiny frames (CVE-2019-9511).
    SmallDataFlood => "small-data-flood";
    /// HTTP/2: headers in too many frames (CVE-2024-27316).
    ContinuationFlood => "continuation-flood";
    /// HTTP/2, HTTP/3: too many frames that ask for nothing: of unknown kinds, or farewells.
    UnknownFrameFlood => "unknown-frame-flood";
    /// HTTP/2, HTTP/3: the visitor made us reset too many streams (CVE-2025-8671).
    ServerResetFlood => "server-reset-flood";
    /// HTTP/2, HTTP/3: a header block far above the limit, compressed or decoded.
    HeaderList => "header-list";
    /// HTTP/2, HTTP/3: the visitor kept its flow-control window closed.
    FlowControlStall => "flow-control-stall";
    /// HTTP/2 or HTTP/3 was chosen in the handshake and never begun.
    MissingPreface => "missing-preface";
    /// HTTP/2, HTTP/3: the visitor violated the protocol, so the connection had to end.
    ProtocolError => "protocol-error";
    }
}

impl Outcome {
    /// Who the outcome is about: the origin, which answered or failed, or the visitor.
    pub const fn origin_result(self) -> Option<OriginResult> {
        match self {
            Self::Served => Some(OriginResult::Served),
            Self::OriginError => Some(OriginResult::Error),
            Self::OriginRefused | Self::OriginConnectTimeout | Self::OriginUnreachable => {
                Some(OriginResult::Unreachable)
            }
            Self::OriginTimeout | Self::OriginBusy => Some(OriginResult::Late),
            Self::BodyAborted | Self::VisitorDisconnected => None,
        }
    }
}

/// What an outcome says about the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginResult {
    /// It answered below 500.
    Served,
    /// It answered 500 or above.
    Error,
    /// It could not be reached, or broke off.
    Unreachable,
    /// It did not answer in time, or no connection to it became free.
    Late,
}

/// Names of reasons, cuts and outcomes that leaves before version 3 carry, and their names of today.
const RENAMED: &[(&str, &str)] = &[
    ("ordinary", "allowed"),
    ("unproven", "challenge-issued"),
    ("answered", "challenge-passed"),
    ("connections", "connection-limit"),
    ("handshakes", "handshake-concurrency"),
    ("handshake", "handshake-failed"),
    ("ranges", "too-many-ranges"),
    ("tunnels", "tunnel-limit"),
    ("header-deadline", "header-timeout"),
    ("visitor-gone", "visitor-disconnected"),
    ("pressure", "evicted"),
    ("age", "max-age"),
    ("stall", "flow-control-stall"),
    ("preface", "missing-preface"),
    ("stray-frame-flood", "unknown-frame-flood"),
    ("refused-streams", "server-reset-flood"),
];

/// The name of today for the name of a reason, cut or outcome in a leaf of any version.
pub(crate) fn current_name(name: &str) -> &str {
    RENAMED.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new)
}

/// How an attack goes about it, as far as what was cut can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttackTechnique {
    /// Responses are read as slowly as possible, so that they must be stored.
    SlowReading,
    /// Bodies are sent as slowly as possible, so that the origin waits.
    SlowBodies,
    /// HTTP/2 or HTTP/3 itself is made to cost more than it asks for.
    Protocol,
    /// Requests are built so that two programs read them in two ways.
    Ambiguity,
}

impl AttackTechnique {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::SlowReading, Self::SlowBodies, Self::Protocol, Self::Ambiguity];
}

impl Cut {
    /// The attack technique that many cuts with this cause indicate; `None` if they also occur in normal
    /// traffic.
    pub const fn technique(self) -> Option<AttackTechnique> {
        match self {
            Self::Idle | Self::Evicted | Self::MaxAge | Self::TunnelIdle | Self::TunnelAge => None,
            Self::SlowRead | Self::FlowControlStall => Some(AttackTechnique::SlowReading),
            Self::SlowBody => Some(AttackTechnique::SlowBodies),
            Self::MalformedBody => Some(AttackTechnique::Ambiguity),
            Self::ResetFlood
            | Self::PingFlood
            | Self::SettingsFlood
            | Self::PriorityFlood
            | Self::WindowUpdateFlood
            | Self::EmptyDataFlood
            | Self::SmallDataFlood
            | Self::ContinuationFlood
            | Self::UnknownFrameFlood
            | Self::ServerResetFlood
            | Self::HeaderList
            | Self::MissingPreface
            | Self::ProtocolError => Some(AttackTechnique::Protocol),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_words_are_unique_and_match_their_serialised_form() {
        let mut words: Vec<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        for reason in Reason::ALL {
            let json = serde_json::to_string(reason).expect("serialises");
            assert_eq!(json, format!("\"{}\"", reason.as_str()));
        }
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Reason::COUNT);
    }

    #[test]
    fn cut_words_match_their_serialised_form() {
        for cut in Cut::ALL {
            let json = serde_json::to_string(cut).expect("serialises");
            assert_eq!(json, format!("\"{}\"", cut.as_str()));
        }
    }
}
