//! One line of an access log.

mod combined;
mod json;
mod quoted;
mod timestamp;

use core::net::IpAddr;
use core::time::Duration;
use std::borrow::Cow;

use portcullis_model::WallTime;

pub(crate) use timestamp::{TimestampParser, parse_timestamp};

/// What an access log says of one request. Text is borrowed from the line wherever nothing in it
/// had to be unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// When, to the precision of the log (most logs: a second).
    pub at: WallTime,
    /// Where the request came from.
    pub source: IpAddr,
    /// The method; empty if the visitor did not speak HTTP.
    pub method: Cow<'a, str>,
    /// The path without its query; empty if the visitor did not speak HTTP.
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
    /// The host asked for, without port.
    pub host: Option<Cow<'a, str>>,
    /// How long the server took; absent if the log does not say, or says more than a day.
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
    #[error("expected at most {} bytes in a line", crate::recording::LINE_BYTES)]
    TooLong,
}

/// Reads lines, and remembers the last timestamp: most lines of a busy log share theirs with the
/// line before.
#[derive(Debug, Default)]
pub struct Parser {
    timestamps: TimestampParser,
}

impl Parser {
    /// Reads one line, without its line break. The format is told from the line itself: JSON if it
    /// begins with `{`, otherwise common or combined.
    pub fn parse<'a>(&mut self, line: &'a [u8]) -> Result<LogLine<'a>, ParseError> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
        if line.first() == Some(&b'{') {
            json::parse(line, &mut self.timestamps)
        } else {
            combined::parse(line, &mut self.timestamps)
        }
    }
}

/// Reads one line, without its line break; see [`Parser`] for many.
pub fn parse(line: &[u8]) -> Result<LogLine<'_>, ParseError> {
    Parser::default().parse(line)
}

/// The parts of a request line or a request target.
#[derive(Debug, Default)]
struct LoggedTarget<'a> {
    path: Cow<'a, str>,
    query: Option<Cow<'a, str>>,
    host: Option<Cow<'a, str>>,
}

/// Takes a request target apart: `/path?query`, `http://host/path?query` or `*`.
fn target<'a>(text: &Cow<'a, str>) -> Option<LoggedTarget<'a>> {
    let whole = text.as_ref();
    let absolute = ["http://", "https://"].iter().find_map(|scheme| {
        let head = whole.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(scheme.len())
    });
    let (host, path_at) = match absolute {
        Some(at) => {
            let end = whole[at..].find(['/', '?']).map_or(whole.len(), |n| at + n);
            (Some(at..end), end)
        }
        None if whole.starts_with('/') || whole == "*" => (None, 0),
        None => return None,
    };
    let query_at = memchr::memchr(b'?', &whole.as_bytes()[path_at..]).map(|n| path_at + n);
    let path = path_at..query_at.unwrap_or(whole.len());
    let query = query_at.map(|at| at + 1..whole.len());
    Some(LoggedTarget {
        path: if path.is_empty() { Cow::Borrowed("/") } else { part(text, path) },
        query: query.map(|range| part(text, range)),
        host: host.map(|range| without_port(part(text, range))),
    })
}

/// A part of a text: borrowed if the text is.
fn part<'a>(text: &Cow<'a, str>, range: core::ops::Range<usize>) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
        Cow::Owned(text) => Cow::Owned(text[range].to_owned()),
    }
}

/// A host without its port: `example.org:443`, `[2001:db8::1]:443`.
fn without_port(host: Cow<'_, str>) -> Cow<'_, str> {
    let end = match host.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host.find(':').unwrap_or(host.len()),
    };
    let all = end == host.len();
    if all { host } else { part(&host, 0..end) }
}

/// An address as logs write them: plain, in brackets, with a zone, or with a port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(text).ok()?;
    let text = text.strip_suffix(',').unwrap_or(text);
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if !text.contains(':') {
        return None;
    }
    if let Some((plain, _zone)) = text.split_once('%')
        && let Ok(address) = plain.parse()
    {
        return Some(address);
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return inner.parse().ok();
    }
    text.parse::<core::net::SocketAddr>().ok().map(|socket| socket.ip())
}

/// A request does not take longer than a day: what says so is something else.
const MAX_LATENCY: Duration = Duration::from_hours(24);

fn plausible(latency: Duration) -> Option<Duration> {
    (latency <= MAX_LATENCY).then_some(latency)
}

/// The beginning of what was found instead, fit to be shown.
fn found(bytes: &[u8]) -> String {
    const SHOWN: usize = 40;
    let cut = &bytes[..bytes.len().min(SHOWN)];
    let mut text: String = String::from_utf8_lossy(cut)
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if bytes.len() > SHOWN {
        text.push('…');
    } else if bytes.is_empty() {
        text.push_str("the end of the line");
    }
    text
}
