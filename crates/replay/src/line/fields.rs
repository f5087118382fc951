//! The parts of a line that every format shares.

use core::net::IpAddr;
use core::time::Duration;
use std::borrow::Cow;

/// The parts of a request line or a request target.
#[derive(Debug, Default)]
pub(super) struct LoggedTarget<'a> {
    pub(super) path: Cow<'a, str>,
    pub(super) query: Option<Cow<'a, str>>,
    pub(super) host: Option<Cow<'a, str>>,
}

/// Takes a request target apart: `/path?query`, `http://host/path?query` or `*`.
pub(super) fn target<'a>(text: &Cow<'a, str>) -> Option<LoggedTarget<'a>> {
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
pub(super) fn part<'a>(text: &Cow<'a, str>, range: core::ops::Range<usize>) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
        Cow::Owned(text) => Cow::Owned(text[range].to_owned()),
    }
}

/// A host without its port: `example.org:443`, `[2001:db8::1]:443`.
pub(super) fn without_port(host: Cow<'_, str>) -> Cow<'_, str> {
    let end = match host.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host.find(':').unwrap_or(host.len()),
    };
    let all = end == host.len();
    if all { host } else { part(&host, 0..end) }
}

/// An address as logs write them: plain, in brackets, with a zone, or with a port.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
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

/// A request does not take longer than a day: a larger number is something else.
const MAX_LATENCY: Duration = Duration::from_hours(24);

pub(super) fn plausible(latency: Duration) -> Option<Duration> {
    (latency <= MAX_LATENCY).then_some(latency)
}

/// The beginning of what was found instead, fit to be shown.
pub(super) fn found(bytes: &[u8]) -> String {
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
