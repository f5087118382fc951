//! What every format of access log holds, and why a line is none.

use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use std::borrow::Cow;

use portcullis_model::{SourceKey, WallTime};

/// The longest line that is read: twice what common servers accept as a request, with space for
/// escapes. The rest of a longer one is skipped.
pub const LINE_BYTES: usize = 64 * 1024;

/// Where a request came from, as far as its line shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedSource {
    /// An address.
    Address(IpAddr),
    /// A host name that the server had looked up: its hash.
    Name(u64),
    /// The log hides it, or shows only the network.
    Hidden,
}

impl LoggedSource {
    /// The source as the gate counts it; `None` if the log hides it.
    pub fn key(self) -> Option<SourceKey> {
        match self {
            Self::Address(address) => Some(SourceKey::of(address)),
            Self::Name(hash) => Some(placeholder_source(hash)),
            Self::Hidden => None,
        }
    }
}

/// A key in `fd00::/8`, which no visitor from outside has.
pub(crate) fn placeholder_source(hash: u64) -> SourceKey {
    let bits = u128::from(0xfd << 56 | hash >> 8) << 64;
    SourceKey::of(IpAddr::V6(Ipv6Addr::from_bits(bits)))
}

/// One request of an access log. Text is borrowed from the line wherever nothing in it
/// had to be unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// When, to the precision of the log (most logs: a second).
    pub at: WallTime,
    /// Where the request came from.
    pub source: LoggedSource,
    /// The visitor that a proxy named in X-Forwarded-For, where the log records it apart from the
    /// address of the connection.
    pub forwarded: Option<IpAddr>,
    /// The method; empty if the visitor did not send HTTP.
    pub method: Cow<'a, str>,
    /// The path without its query; empty if the visitor did not send HTTP.
    pub path: Cow<'a, str>,
    /// The query, without the `?`.
    pub query: Option<Cow<'a, str>>,
    /// The status answered; zero if the log does not say.
    pub status: u16,
    /// Bytes sent.
    pub bytes: u64,
    /// The Referer field.
    pub referer: Option<Cow<'a, str>>,
    /// The User-Agent field.
    pub user_agent: Option<Cow<'a, str>>,
    /// The Accept field, which few logs record.
    pub accept: Option<Cow<'a, str>>,
    /// The Accept-Language field, which few logs record.
    pub language: Option<Cow<'a, str>>,
    /// The requested host, without port.
    pub host: Option<Cow<'a, str>>,
    /// How long the server took; absent if the log does not contain it, or if it is over a day.
    pub latency: Option<Duration>,
    /// Whether the visitor sent anything at all in place of a request.
    pub sent_bytes: bool,
}

impl LogLine<'_> {
    /// Whether the line is about a request, rather than about bytes that were none (a TLS
    /// handshake on a plain port, a connection that was closed without a word).
    pub fn is_request(&self) -> bool {
        !self.method.is_empty()
    }
}

/// Why a line is not one of an access log, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It does not begin with an address.
    #[error(
        "expected an address at the beginning, such as `192.0.2.7 - - [17/May/2015:10:05:03 +0000] \
         …` (or a host name and then an address); found `{0}`"
    )]
    Address(String),
    /// There is no time where it should be.
    #[error(
        "expected a time, such as `[17/May/2015:10:05:03 +0000]` or `2015-05-17T10:05:03Z`; found \
         `{0}`"
    )]
    Time(String),
    /// There is no request where it should be.
    #[error("expected the request in quotes, such as `\"GET / HTTP/1.1\"`; found `{0}`")]
    Request(String),
    /// There is no status where it should be.
    #[error("expected a status of three digits and a size after the request; found `{0}`")]
    Status(String),
    /// It is not JSON.
    #[error("expected one JSON object a line: {0}")]
    Json(String),
    /// It is JSON without what makes an access log.
    #[error("expected {0} in a JSON access log; this line has none")]
    Missing(&'static str),
    /// No `#Fields:` line names the columns, or it names no time or no request.
    #[error(
        "expected a line `#Fields: date time … cs-method cs-uri-stem …` before the first request"
    )]
    NoFields,
    /// It has not as many columns as the `#Fields:` line names.
    #[error("expected {expected} columns, as the `#Fields:` line names; found {found}")]
    Columns {
        /// Columns named.
        expected: usize,
        /// Columns found.
        found: usize,
    },
    /// It does not fit the pattern of `--format`.
    #[error("expected {0}, as the pattern of --format has it; found `{1}`")]
    Pattern(String, String),
    /// It lacks the prefix that the other lines have.
    #[error("expected {0} around the line, as the other lines of the file have it; found `{1}`")]
    Wrapper(&'static str, String),
    /// It is longer than any request that a server accepts.
    #[error("expected at most {} bytes in a line", LINE_BYTES)]
    TooLong,
}

impl ParseError {
    /// The kind, for counting: constant text.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Address(_) => "no address at the beginning",
            Self::Time(_) => "no time",
            Self::Request(_) => "no request",
            Self::Status(_) => "no status",
            Self::Json(_) => "no JSON object",
            Self::Missing(_) => "JSON that is no access log",
            Self::NoFields => "no #Fields line before it",
            Self::Columns { .. } => "another number of columns",
            Self::Pattern(..) => "another pattern",
            Self::Wrapper(..) => "another prefix",
            Self::TooLong => "too long",
        }
    }
}
