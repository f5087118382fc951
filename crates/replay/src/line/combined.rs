//! The common and combined log formats of Nginx and Apache.

use core::time::Duration;
use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

use super::fields::{
    address, decimal_seconds, first_forwarded, found, is_private, number, plausible, present,
    request_line, size, source, status, without_port, word,
};
use super::log_line::{LogLine, LoggedSource, ParseError};
use super::quoted;
use super::timestamp::TimestampParser;

/// How many opening brackets may come before the one that begins the time: a user name may hold
/// some.
const BRACKETS: usize = 4;

/// `[host:port ]address ident user [time] "request" status bytes[ "referer" "user agent"[ …]]`.
pub(super) fn parse<'a>(
    line: &'a [u8],
    stamps: &mut TimestampParser,
) -> Result<LogLine<'a>, ParseError> {
    let (host, source, rest) = visitor(line).ok_or_else(|| ParseError::Address(found(line)))?;
    let (at, rest) = memchr_iter(b'[', rest)
        .take(BRACKETS)
        .find_map(|open| {
            let inside = &rest[open + 1..];
            let close = memchr(b']', inside)?;
            Some((stamps.read(&inside[..close])?, &inside[close + 1..]))
        })
        .ok_or_else(|| ParseError::Time(found(rest)))?;

    let rest = rest.trim_ascii_start();
    let (request, rest) = quoted::take(rest).ok_or_else(|| ParseError::Request(found(rest)))?;
    let answer = rest.trim_ascii_start();
    let (answered, rest) = word(answer);
    let (bytes, rest) = word(rest);
    let (Some(status), Some(bytes)) = (status(answered), size(bytes)) else {
        return Err(ParseError::Status(found(answer)));
    };
    let (referer, rest) = field(rest);
    let (user_agent, rest) = field(rest);

    let sent_bytes = !matches!(request.as_ref().trim_ascii(), "" | "-");
    let (method, asked) = request_line(&request).unwrap_or_default();
    Ok(LogLine {
        at,
        source,
        forwarded: forwarded(rest),
        method,
        path: asked.path,
        query: asked.query,
        status,
        bytes,
        referer,
        user_agent,
        accept: None,
        language: None,
        host: asked.host.or(host),
        latency: latency(rest).and_then(plausible),
        sent_bytes,
    })
}

type LineBegin<'a> = (Option<Cow<'a, str>>, LoggedSource, &'a [u8]);

/// The virtual host, if one comes first, and the source: an address, a list of X-Forwarded-For, a
/// host name or a placeholder.
fn visitor(line: &[u8]) -> Option<LineBegin<'_>> {
    if line.first() == Some(&b'"') {
        let (list, rest) = quoted::take(line)?;
        return Some((None, source(list.as_bytes())?, rest));
    }
    let (first, rest) = word(line);
    if first.ends_with(b",") {
        return forwarded_list(line);
    }
    let host = |text| Some(without_port(String::from_utf8_lossy(text))).filter(|host| host != "-");
    let (second, after_second) = word(rest);
    match (address(first), address(second)) {
        (Some(first), None) => Some((None, LoggedSource::Address(first), rest)),
        // Behind a proxy: the visitor, then the proxy.
        (Some(visitor), Some(proxy)) if is_private(proxy) && !has_port(first) => {
            Some((None, LoggedSource::Address(visitor), after_second))
        }
        // A virtual host comes first in some logs, and may itself be an address.
        (_, Some(_)) if second.ends_with(b",") => {
            let (_, source, rest) = forwarded_list(rest)?;
            Some((host(first), source, rest))
        }
        (_, Some(second)) => Some((host(first), LoggedSource::Address(second), after_second)),
        (None, None) => {
            let head = &rest[..memchr(b'[', rest)?];
            let words = head.split(|b| *b == b' ').filter(|word| !word.is_empty()).count();
            let (third, _) = word(after_second);
            // Host, source, identity and user, in place of the last three.
            if words >= 3
                && third == b"-"
                && let Some(source) = source(second)
                && source_or_host(first)
            {
                return Some((host(first), source, after_second));
            }
            // Anything else in front of a line is no name.
            if words > 2 && second != b"-" {
                return None;
            }
            Some((None, source(first)?, rest))
        }
    }
}

fn source_or_host(word: &[u8]) -> bool {
    source(without_port(String::from_utf8_lossy(word)).as_bytes()).is_some()
}

fn has_port(word: &[u8]) -> bool {
    word.ends_with(b":80") || word.ends_with(b":443") || word.contains(&b']')
}

/// `visitor, proxy, proxy`.
fn forwarded_list(line: &[u8]) -> Option<LineBegin<'_>> {
    let mut end = 0;
    loop {
        let (next, after) = word(&line[end..]);
        end = line.len() - after.len();
        if !next.ends_with(b",") {
            break;
        }
    }
    Some((None, LoggedSource::Address(first_forwarded(&line[..end])?), &line[end..]))
}

/// The next field in quotes, if there is one and it is not empty.
fn field(text: &[u8]) -> (Option<Cow<'_, str>>, &[u8]) {
    let text = text.trim_ascii_start();
    match quoted::take(text) {
        Some((value, rest)) => (present(value), rest),
        None => (None, text),
    }
}

/// A list of X-Forwarded-For where it is the first field after the known ones.
fn forwarded(rest: &[u8]) -> Option<core::net::IpAddr> {
    let (list, _) = quoted::take(rest.trim_ascii_start())?;
    first_forwarded(list.as_bytes())
}

/// The request's duration, where it follows the known fields and is plainly a number: milliseconds
/// if it says so (Traefik), seconds if it has decimals (Nginx `$request_time`), microseconds if not
/// (Apache `%D`). The first one with decimals counts; without any, the only whole one: two are the
/// sizes of Apache's `combinedio`.
fn latency(rest: &[u8]) -> Option<Duration> {
    let mut whole = None;
    let mut wholes = 0;
    for extra in rest.split(|b| *b == b' ').filter(|word| !word.is_empty()).take(16) {
        let extra = extra.strip_prefix(b"rt=").unwrap_or(extra);
        let extra = extra.strip_prefix(b"\"").and_then(|e| e.strip_suffix(b"\"")).unwrap_or(extra);
        if let Some(millis) = extra.strip_suffix(b"ms").and_then(number) {
            return Some(Duration::from_millis(millis));
        }
        if let Some(micros) = number(extra) {
            wholes += 1;
            whole = Some(Duration::from_micros(micros));
        } else if let Some(seconds) = decimal_seconds(extra) {
            return Some(seconds);
        }
    }
    whole.filter(|_| wholes == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> LogLine<'_> {
        parse(text.as_bytes(), &mut TimestampParser::default()).expect(text)
    }

    const COMMON: &str =
        r#"192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /a/b?q=1&r=%20 HTTP/1.1" 200 1234"#;

    #[test]
    fn the_common_format_is_read() {
        let read = line(COMMON);
        assert_eq!(read.at.to_string(), "2015-05-17T10:05:03.000Z");
        assert_eq!(read.source, LoggedSource::Address([192, 0, 2, 7].into()));
        assert_eq!((read.method.as_ref(), read.path.as_ref()), ("GET", "/a/b"));
        assert_eq!(read.query.as_deref(), Some("q=1&r=%20"));
        assert_eq!((read.status, read.bytes), (200, 1_234));
        assert_eq!((read.referer, read.user_agent, read.latency), (None, None, None));
        assert!(matches!(read.path, Cow::Borrowed(_)));
    }

    #[test]
    fn the_combined_format_is_read_with_what_may_follow() {
        let combined = format!(r#"{COMMON} "https://example.org/x" "Mozilla/5.0 (\"x\")""#);
        let read = line(&combined);
        assert_eq!(read.referer.as_deref(), Some("https://example.org/x"));
        assert_eq!(read.user_agent.as_deref(), Some(r#"Mozilla/5.0 ("x")"#));
        let latency = |extra: &str| line(&format!("{combined} {extra}")).latency;
        assert_eq!(latency("0.012"), Some(Duration::from_millis(12)));
        assert_eq!(latency("rt=1.500 urt=1.400"), Some(Duration::from_millis(1_500)));
        assert_eq!(latency(r#""198.51.100.4" 0.250"#), Some(Duration::from_millis(250)));
        assert_eq!(latency("4321"), Some(Duration::from_micros(4_321)));
        assert_eq!(latency("512 2048"), None, "sizes");
        assert_eq!(latency(r#""-""#), None);
    }

    #[test]
    fn a_virtual_host_may_come_first() {
        let read = format!("www.example.org:443 {COMMON}");
        assert_eq!(line(&read).host.as_deref(), Some("www.example.org"));
        let read = format!("[2001:db8::1]:443 {COMMON}");
        assert_eq!(line(&read).host.as_deref(), Some("[2001:db8::1]"));
        assert_eq!(line(&read).source, LoggedSource::Address([192, 0, 2, 7].into()));
    }

    #[test]
    fn addresses_of_every_kind_are_read() {
        for (text, source) in [
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("fe80::1%eth0", "fe80::1"),
            ("192.0.2.7:4711", "192.0.2.7"),
            ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ] {
            let text = COMMON.replacen("192.0.2.7", text, 1);
            assert_eq!(line(&text).source, LoggedSource::Address(source.parse().expect(source)));
        }
    }

    #[test]
    fn user_names_may_hold_spaces_and_brackets() {
        let text = COMMON.replacen("- -", "- Ada [dev] Lovelace", 1);
        assert_eq!(line(&text).path, "/a/b");
    }

    #[test]
    fn bytes_that_are_no_request_differ_from_silence() {
        let tls = COMMON.replacen("GET /a/b?q=1&r=%20 HTTP/1.1", r"\x16\x03\x01\x02", 1);
        assert!(!line(&tls).is_request() && line(&tls).sent_bytes);
        for nothing in ["", "-"] {
            let text = COMMON.replacen("GET /a/b?q=1&r=%20 HTTP/1.1", nothing, 1);
            assert!(!line(&text).is_request() && !line(&text).sent_bytes);
        }
    }

    #[test]
    fn unusual_targets_are_read() {
        let with = |request: &str| COMMON.replacen("GET /a/b?q=1&r=%20 HTTP/1.1", request, 1);
        let text = with("GET http://other.example:8080/x?y HTTP/1.1");
        let read = line(&text);
        assert_eq!((read.path.as_ref(), read.query.as_deref()), ("/x", Some("y")));
        assert_eq!(read.host.as_deref(), Some("other.example"));
        let text = with("OPTIONS * HTTP/1.1");
        assert_eq!(line(&text).path, "*");
        let text = with("GET /with space HTTP/1.1");
        assert_eq!(line(&text).path, "/with space");
        let text = with("GET /old");
        assert_eq!(line(&text).path, "/old");
        let text = with(r"GET /quote\x22 HTTP/1.1");
        assert_eq!(line(&text).path, "/quote\"");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = |text: &str| {
            parse(text.as_bytes(), &mut TimestampParser::default()).expect_err(text).to_string()
        };
        assert!(error("").contains("an address at the beginning"));
        assert!(error("#Fields: date time").contains("found `#Fields: date time`"));
        assert!(error("192.0.2.7 - - 17/May/2015").contains("a time, such as"));
        assert!(error("192.0.2.7 - - [17/May/2015:10:05:03 +0000] GET /").contains("in quotes"));
        assert!(
            error(r#"192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /" ok 5"#)
                .contains("a status of three digits and a size after the request; found `ok 5`")
        );
    }
}
