//! What every format of access log holds, and why a line is none.

use core::net::IpAddr;
use core::time::Duration;
use std::borrow::Cow;

use portcullis_model::WallTime;

/// The longest line that is read: twice what common servers accept as a request, with space for
/// escapes. The rest of a longer one is skipped.
pub const LINE_BYTES: usize = 64 * 1024;

/// One request of an access log. Text is borrowed from the line wherever nothing in it
/// had to be unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// When, to the precision of the log (most logs: a second).
    pub at: WallTime,
    /// Where the request came from.
    pub source: IpAddr,
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
    /// The Accept field, which only JSON logs record.
    pub accept: Option<Cow<'a, str>>,
    /// The Accept-Language field, which only JSON logs record.
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
        "expected a time in brackets after the address, such as `[17/May/2015:10:05:03 +0000]`; \
         found `{0}`"
    )]
    Time(String),
    /// There is no request where it should be.
    #[error(
        "expected the request in quotes after the time, such as `\"GET / HTTP/1.1\"`; found `{0}`"
    )]
    Request(String),
    /// There is no status where it should be.
    #[error("expected a status of three digits and a size after the request; found `{0}`")]
    Status(String),
    /// It begins with `{` and is not JSON.
    #[error("expected one JSON object a line, as Caddy writes it: {0}")]
    Json(String),
    /// It is JSON without what makes an access log.
    #[error("expected `{0}` in a JSON access log, as Caddy writes it; this line has none")]
    Missing(&'static str),
    /// It is longer than any request that a server accepts.
    #[error("expected at most {} bytes in a line", LINE_BYTES)]
    TooLong,
}
