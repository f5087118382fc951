//! `HAProxy`'s HTTP log (`option httplog`), without the prefix that syslog adds.

use core::time::Duration;
use std::borrow::Cow;

use memchr::{memchr, memmem};

use super::fields::{
    found, is_host_name, number, plausible, present, request_line, size, source, status, word,
};
use super::log_line::{LogLine, ParseError};
use super::quoted;
use super::timestamp::TimestampParser;

/// `client:port [time] frontend backend/server timers status bytes … {captured} {captured} "request"`.
pub(super) fn parse<'a>(
    line: &'a [u8],
    stamps: &mut TimestampParser,
) -> Result<LogLine<'a>, ParseError> {
    let (client, rest) = word(line);
    let source = source(client).ok_or_else(|| ParseError::Address(found(line)))?;
    let rest = rest.trim_ascii_start();
    let time = || ParseError::Time(found(rest));
    let inside = rest.strip_prefix(b"[").ok_or_else(time)?;
    let close = memchr(b']', inside).ok_or_else(time)?;
    let at = stamps.read(&inside[..close]).ok_or_else(time)?;
    let rest = &inside[close + 1..];

    let (_frontend, rest) = word(rest);
    let (_backend, rest) = word(rest);
    let (timers, rest) = word(rest);
    let (answered, after) = word(rest);
    let (bytes, after) = word(after);
    // `-1`: the visitor left before there was an answer. `+`: logged before the end.
    let answered = if answered == b"-1" { b"-" } else { answered };
    let bytes = bytes.strip_prefix(b"+").unwrap_or(bytes);
    let no_status = || ParseError::Status(found(rest));
    if timers.iter().filter(|b| **b == b'/').count() < 3 {
        return Err(no_status());
    }
    let status = status(answered).ok_or_else(no_status)?;
    let bytes = size(bytes).ok_or_else(no_status)?;

    let quote = memmem::find(after, b" \"").ok_or_else(|| ParseError::Request(found(after)))?;
    let captured = captured(&after[..quote]);
    let (request, _) = quoted::take(&after[quote + 1..]).unwrap_or_default();
    let sent_bytes = !matches!(request.as_ref(), "" | "-");
    let (method, asked) = request_line(&request).unwrap_or_default();
    Ok(LogLine {
        at,
        source,
        forwarded: None,
        method,
        path: asked.path,
        query: asked.query,
        status,
        bytes,
        referer: None,
        user_agent: captured.user_agent,
        accept: None,
        language: None,
        host: asked.host.or(captured.host),
        latency: total(timers).and_then(plausible),
        sent_bytes,
    })
}

/// What can be recognised of the captured request header fields: the log does not name them.
#[derive(Default)]
struct Captured<'a> {
    host: Option<Cow<'a, str>>,
    user_agent: Option<Cow<'a, str>>,
}

fn captured(text: &[u8]) -> Captured<'_> {
    let mut captured = Captured::default();
    let Some(open) = memchr(b'{', text) else { return captured };
    let inside = &text[open + 1..];
    // The first braces are the request's; a user agent may hold some itself.
    let close = memmem::find(inside, b"} {").or_else(|| inside.iter().rposition(|b| *b == b'}'));
    for field in inside[..close.unwrap_or(0)].split(|b| *b == b'|') {
        let text = || present(String::from_utf8_lossy(field));
        let host = field.split(|b| *b == b':').next().unwrap_or_default();
        if captured.host.is_none() && is_host_name(host) && host.contains(&b'.') {
            captured.host = present(String::from_utf8_lossy(host));
        } else if captured.user_agent.is_none() && (is_agent(field)) {
            captured.user_agent = text();
        }
    }
    captured
}

/// `product/1.0`, with or without more.
fn is_agent(field: &[u8]) -> bool {
    let (product, _) = word(field);
    let slash = memchr(b'/', product);
    !field.starts_with(b"http")
        && slash.is_some_and(|at| {
            at > 0 && product.get(at + 1).is_some_and(|b| b.is_ascii_digit() || *b == b'v')
        })
}

/// The last of the timers is the total, in milliseconds.
fn total(timers: &[u8]) -> Option<Duration> {
    let last = timers.rsplit(|b| *b == b'/').next()?;
    number(last.strip_prefix(b"+").unwrap_or(last)).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::LoggedSource;

    fn line(text: &str) -> LogLine<'_> {
        parse(text.as_bytes(), &mut TimestampParser::default()).expect(text)
    }

    const LINE: &str = r#"192.0.2.7:33317 [23/Nov/2026:12:14:14.655] web~ app/app1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {www.example.org|Mozilla/5.0 (X11; {Linux})|} {text/html} "GET /donate?a=5 HTTP/1.1""#;

    #[test]
    fn the_http_log_is_read() {
        let read = line(LINE);
        assert_eq!(read.at.to_string(), "2026-11-23T12:14:14.655Z");
        assert_eq!(read.source, LoggedSource::Address([192, 0, 2, 7].into()));
        assert_eq!((read.method.as_ref(), read.path.as_ref()), ("GET", "/donate"));
        assert_eq!(read.query.as_deref(), Some("a=5"));
        assert_eq!((read.status, read.bytes), (200, 2_750));
        assert_eq!(read.latency, Some(Duration::from_millis(109)));
        assert_eq!(read.host.as_deref(), Some("www.example.org"));
        assert_eq!(read.user_agent.as_deref(), Some("Mozilla/5.0 (X11; {Linux})"));
    }

    #[test]
    fn requests_that_were_none_or_had_no_answer_are_read() {
        let bad = LINE.replacen("GET /donate?a=5 HTTP/1.1", "<BADREQ>", 1);
        assert!(!line(&bad).is_request() && line(&bad).sent_bytes);
        let left = LINE.replacen("109 200 2750", "+109 -1 +0", 1);
        assert_eq!((line(&left).status, line(&left).bytes), (0, 0));
        let bare = r#"2001:db8::7:4711 [23/Nov/2026:12:14:14.655] web app/app1 0/0/0/1/1 200 5 - - ---- 1/1/1/1/0 0/0 "GET / HTTP/1.1""#;
        assert!(line(bare).user_agent.is_none());
    }

    #[test]
    fn messages_about_servers_are_no_requests() {
        let text = b"Server app/app1 is DOWN, reason: Layer4 timeout";
        assert!(parse(text, &mut TimestampParser::default()).is_err());
        let tcp = b"192.0.2.7:33317 [23/Nov/2026:12:14:14.655] tcp app/app1 0/0/5007 212 -- 0/0/0/0/3 0/0";
        assert!(parse(tcp, &mut TimestampParser::default()).is_err());
    }
}
