//! Envoy's default access log, and Istio's, which adds fields in the middle and at the end.

use memchr::memchr;

use super::fields::{
    first_forwarded, found, millis, number, present, request_line, source, status, without_port,
    word,
};
use super::log_line::{LogLine, LoggedSource, ParseError};
use super::quoted;
use super::timestamp::TimestampParser;

/// Words between the status and the numbers: flags, and with Istio two more.
const WORDS: usize = 6;

/// `[time] "request" status flags received sent duration upstream "forwarded" "user agent" "id"
/// "authority" "upstream" …`.
pub(super) fn parse<'a>(
    line: &'a [u8],
    stamps: &mut TimestampParser,
) -> Result<LogLine<'a>, ParseError> {
    let time = || ParseError::Time(found(line));
    let inside = line.strip_prefix(b"[").ok_or_else(time)?;
    let close = memchr(b']', inside).ok_or_else(time)?;
    let at = stamps.read(&inside[..close]).ok_or_else(time)?;
    let rest = inside[close + 1..].trim_ascii_start();
    let (request, rest) = quoted::take(rest).ok_or_else(|| ParseError::Request(found(rest)))?;
    let (answered, after) = word(rest);
    let no_status = || ParseError::Status(found(rest));
    let status = status(answered).ok_or_else(no_status)?;
    // The first three numbers in a row are bytes received, bytes sent and the duration.
    let mut after = after.trim_ascii_start();
    let mut numbers = None;
    for _ in 0..WORDS {
        if after.first() == Some(&b'"') {
            after = quoted::take(after).ok_or_else(no_status)?.1.trim_ascii_start();
            continue;
        }
        let (received, next) = word(after);
        if number(received).is_some() {
            let (sent, next) = word(next);
            let (duration, next) = word(next);
            let (_upstream, next) = word(next);
            numbers = Some((number(sent).ok_or_else(no_status)?, millis(duration)));
            after = next;
            break;
        }
        after = next.trim_ascii_start();
    }
    let (bytes, latency) = numbers.ok_or_else(no_status)?;
    let (forwarded, rest) = field(after);
    let (user_agent, rest) = field(rest);
    let (_id, rest) = field(rest);
    let (authority, rest) = field(rest);
    let (_upstream, rest) = field(rest);
    let by_proxy = forwarded.and_then(|list| first_forwarded(list.as_bytes()));
    let (method, asked) = request_line(&request).unwrap_or_default();
    Ok(LogLine {
        at,
        source: by_proxy.map_or_else(|| downstream(rest), LoggedSource::Address),
        forwarded: None,
        method,
        path: asked.path,
        query: asked.query,
        status,
        bytes,
        referer: None,
        user_agent: user_agent.and_then(present),
        accept: None,
        language: None,
        host: asked.host.or_else(|| authority.and_then(present).map(without_port)),
        latency,
        sent_bytes: true,
    })
}

fn field(text: &[u8]) -> (Option<std::borrow::Cow<'_, str>>, &[u8]) {
    let text = text.trim_ascii_start();
    quoted::take(text).map_or((None, text), |(value, rest)| (Some(value), rest))
}

/// With Istio: cluster, local address of the upstream connection, local and remote address of
/// the visitor's.
fn downstream(rest: &[u8]) -> LoggedSource {
    let mut words = rest.split(|b| *b == b' ').filter(|word| !word.is_empty());
    words.nth(3).and_then(source).unwrap_or(LoggedSource::Hidden)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn line(text: &str) -> LogLine<'_> {
        parse(text.as_bytes(), &mut TimestampParser::default()).expect(text)
    }

    const ENVOY: &str = r#"[2026-11-23T09:00:00.310Z] "GET /news?p=2 HTTP/2" 204 - 154 5120 226 100 "192.0.2.7, 10.0.35.28" "Mozilla/5.0 (X11)" "cc21d9b0-cf5c" "www.example.org" "10.0.0.3:2020""#;
    const ISTIO: &str = r#"[2026-11-23T09:00:00.310Z] "GET /news?p=2 HTTP/1.1" 503 UF upstream_reset - "delayed connect error: 111" 154 5120 226 - "-" "Mozilla/5.0 (X11)" "cc21d9b0-cf5c" "www.example.org:443" "10.0.0.3:2020" outbound|80||site - 10.0.0.9:80 192.0.2.7:4711 - default"#;

    #[test]
    fn envoy_and_istio_are_read() {
        for (text, status) in [(ENVOY, 204), (ISTIO, 503)] {
            let read = line(text);
            assert_eq!(read.at.to_string(), "2026-11-23T09:00:00.310Z");
            assert_eq!(read.source, LoggedSource::Address([192, 0, 2, 7].into()), "{text}");
            assert_eq!((read.path.as_ref(), read.query.as_deref()), ("/news", Some("p=2")));
            assert_eq!(read.host.as_deref(), Some("www.example.org"));
            assert_eq!((read.status, read.bytes), (status, 5_120));
            assert_eq!(read.latency, Some(Duration::from_millis(226)));
            assert_eq!(read.user_agent.as_deref(), Some("Mozilla/5.0 (X11)"));
        }
    }

    #[test]
    fn without_forwarded_for_the_source_is_hidden() {
        let text = ENVOY.replacen("192.0.2.7, 10.0.35.28", "-", 1);
        assert_eq!(line(&text).source, LoggedSource::Hidden);
    }
}
