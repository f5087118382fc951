//! The common and combined log formats of Nginx and Apache.

use core::time::Duration;
use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

use super::fields::{LoggedTarget, address, found, part, plausible, target, without_port};
use super::log_line::{LogLine, ParseError};
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
    let (first, rest) = word(line);
    let (second, after_second) = word(rest);
    // A virtual host comes first in some logs, and may itself be an address.
    let (host, source, rest) = match (address(first), address(second)) {
        (_, Some(source)) => {
            let host = without_port(String::from_utf8_lossy(first));
            (Some(host).filter(|host| host != "-"), source, after_second)
        }
        (Some(source), None) => (None, source, rest),
        (None, None) => return Err(ParseError::Address(found(line))),
    };
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
    let (status, rest) = word(answer);
    let (bytes, rest) = word(rest);
    let (Some(status), Some(bytes)) = (parse_status(status), parse_size(bytes)) else {
        return Err(ParseError::Status(found(answer)));
    };
    let (referer, rest) = field(rest);
    let (user_agent, rest) = field(rest);

    let spoke = !matches!(request.as_ref().trim_ascii(), "" | "-");
    let (method, asked) = request_line(&request).unwrap_or_default();
    Ok(LogLine {
        at,
        source,
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
        sent_bytes: spoke,
    })
}

/// The next word and what follows it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    text.split_at(memchr(b' ', text).unwrap_or(text.len()))
}

fn parse_status(word: &[u8]) -> Option<u16> {
    match word {
        b"-" => Some(0),
        [_, _, _] => number(word).map(|n| n as u16),
        _ => None,
    }
}

/// Nothing, where a log was cut off or leaves the size out, is no size.
fn parse_size(word: &[u8]) -> Option<u64> {
    match word {
        b"-" | b"" => Some(0),
        _ => number(word),
    }
}

fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() || word.len() > 18 {
        return None;
    }
    word.iter()
        .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

/// The next field in quotes, if there is one and it is not empty.
fn field(text: &[u8]) -> (Option<Cow<'_, str>>, &[u8]) {
    let text = text.trim_ascii_start();
    match quoted::take(text) {
        Some((value, rest)) => {
            (Some(value).filter(|value| !matches!(value.as_ref(), "" | "-")), rest)
        }
        None => (None, text),
    }
}

/// `METHOD target HTTP/1.1`. The target may hold spaces: servers log what they were sent.
fn request_line<'a>(text: &Cow<'a, str>) -> Option<(Cow<'a, str>, LoggedTarget<'a>)> {
    let line = text.as_ref();
    let space = memchr(b' ', line.as_bytes())?;
    let token = |b: u8| b.is_ascii_uppercase() || b == b'-' || b == b'_';
    if !(1..=32).contains(&space) || !line.as_bytes()[..space].iter().all(|b| token(*b)) {
        return None;
    }
    let end = match line.rfind(' ') {
        Some(last) if last > space && line[last + 1..].starts_with("HTTP/") => last,
        _ => line.len(),
    };
    let target = target(&part(text, space + 1..end))?;
    Some((part(text, 0..space), target))
}

/// The request's duration, where it follows the known fields and is plainly a number: seconds if
/// it has decimals (Nginx `$request_time`), microseconds if not (Apache `%D`). The first one with
/// decimals counts; without any, the only whole one: two are the sizes of Apache's `combinedio`.
fn latency(rest: &[u8]) -> Option<Duration> {
    let mut whole = None;
    let mut wholes = 0;
    for extra in rest.split(|b| *b == b' ').filter(|word| !word.is_empty()).take(16) {
        let extra = extra.strip_prefix(b"rt=").unwrap_or(extra);
        let extra = extra.strip_prefix(b"\"").and_then(|e| e.strip_suffix(b"\"")).unwrap_or(extra);
        if let Some(micros) = number(extra) {
            wholes += 1;
            whole = Some(Duration::from_micros(micros));
        } else if let Some(seconds) = decimal_seconds(extra) {
            return Some(seconds);
        }
    }
    whole.filter(|_| wholes == 1)
}

/// `1.234`, in seconds.
fn decimal_seconds(word: &[u8]) -> Option<Duration> {
    let dot = memchr(b'.', word)?;
    let seconds = number(&word[..dot]).filter(|n| *n < 1_000_000)?;
    let decimals = &word[dot + 1..];
    if !(1..=9).contains(&decimals.len()) {
        return None;
    }
    let nanos = number(decimals)? * 10u64.pow(9 - decimals.len() as u32);
    Some(Duration::new(seconds, nanos as u32))
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
        assert_eq!(read.source.to_string(), "192.0.2.7");
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
        assert_eq!(line(&read).source.to_string(), "192.0.2.7");
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
            assert_eq!(line(&text).source.to_string(), source);
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
        assert!(error("192.0.2.7 - - 17/May/2015").contains("a time in brackets"));
        assert!(error("192.0.2.7 - - [17/May/2015:10:05:03 +0000] GET /").contains("in quotes"));
        assert!(
            error(r#"192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /" ok 5"#)
                .contains("a status of three digits and a size after the request; found `ok 5`")
        );
    }
}
