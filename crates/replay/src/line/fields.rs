//! The parts of a line that several formats share.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::borrow::Cow;

use memchr::memchr;

use super::log_line::LoggedSource;

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
    let absolute = ["http://", "https://", "ws://", "wss://"].iter().find_map(|scheme| {
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
    let query_at = memchr(b'?', &whole.as_bytes()[path_at..]).map(|n| path_at + n);
    let path = path_at..query_at.unwrap_or(whole.len());
    let query = query_at.map(|at| at + 1..whole.len());
    Some(LoggedTarget {
        path: if path.is_empty() { Cow::Borrowed("/") } else { part(text, path) },
        query: query.map(|range| part(text, range)),
        host: host.map(|range| without_port(part(text, range))),
    })
}

/// `METHOD target HTTP/1.1`. The target may hold spaces: servers log what they were sent.
pub(super) fn request_line<'a>(text: &Cow<'a, str>) -> Option<(Cow<'a, str>, LoggedTarget<'a>)> {
    let line = text.as_ref();
    let space = memchr(b' ', line.as_bytes())?;
    if !is_method(&line[..space]) {
        return None;
    }
    let end = version_at(line).filter(|last| *last > space).unwrap_or(line.len());
    let target = target(&part(text, space + 1..end))?;
    Some((part(text, 0..space), target))
}

/// Where ` HTTP/1.1` begins at the end of a line.
fn version_at(line: &str) -> Option<usize> {
    const USUAL: usize = " HTTP/1.1".len();
    let usual = line.len().checked_sub(USUAL);
    let begins = |at: usize| line.as_bytes()[at..].starts_with(b" HTTP/");
    usual.filter(|at| begins(*at)).or_else(|| line.rfind(' ').filter(|at| begins(*at)))
}

/// Whether it could be a method: letters in upper case.
pub(super) fn is_method(text: &str) -> bool {
    let token = |b: u8| b.is_ascii_uppercase() || b == b'-' || b == b'_';
    (1..=32).contains(&text.len()) && text.bytes().all(token)
}

/// A part of a text: borrowed if the text is.
pub(super) fn part<'a>(text: &Cow<'a, str>, range: core::ops::Range<usize>) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
        Cow::Owned(text) => Cow::Owned(text[range].to_owned()),
    }
}

/// Text without an end; `None` where the log writes `-` or nothing.
pub(super) fn present(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    Some(text).filter(|text| !matches!(text.as_ref(), "" | "-"))
}

/// The same for bytes.
pub(super) fn present_text(bytes: &[u8]) -> Option<Cow<'_, str>> {
    present(super::quoted::text(bytes))
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
    // The longest: an IPv6 address in full with zone, brackets and port.
    if text.len() > 80 || text.len() < 2 {
        return None;
    }
    if let Some(address) = ipv4(text) {
        return Some(IpAddr::V4(address));
    }
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
    if let Ok(socket) = text.parse::<core::net::SocketAddr>() {
        return Some(socket.ip());
    }
    // HAProxy and load balancers write an IPv6 address with its port but without brackets. Eight
    // groups and a ninth are certain; with `::` the last group could be either and is taken as the
    // address.
    let (head, port) = text.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    head.parse().ok()
}

/// A plain IPv4 address, in a third of the time that the general parser takes.
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut octets, mut at, mut digits, mut value) = ([0; 4], 0, 0, 0u16);
    for byte in text {
        match byte {
            b'0'..=b'9' if digits < 3 && !(digits > 0 && value == 0) => {
                value = value * 10 + u16::from(byte - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && at < 3 => {
                octets[at] = u8::try_from(value).ok()?;
                (at, digits, value) = (at + 1, 0, 0);
            }
            _ => return None,
        }
    }
    octets[at] = u8::try_from(value).ok()?;
    (at == 3 && digits > 0).then(|| Ipv4Addr::from(octets))
}

/// Addresses looked at in a list of X-Forwarded-For.
const FORWARDED: usize = 16;

/// The visitor in a list of X-Forwarded-For: its first address that is not one of a private
/// network, or else its first address. Proxies append, so that the visitor comes first.
pub(super) fn first_forwarded(list: &[u8]) -> Option<IpAddr> {
    let mut first = None;
    for entry in list.split(|b| *b == b',').take(FORWARDED) {
        let entry = entry.trim_ascii();
        let Some(address) = address(entry) else {
            if matches!(entry, b"unknown" | b"-" | b"") || entry.starts_with(b"_") {
                continue;
            }
            return None;
        };
        if !is_private(address) {
            return Some(address);
        }
        first = first.or(Some(address));
    }
    first
}

/// Whether an address is one that no visitor from outside has: of a private network, of this
/// machine, or of a link.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// The source in a separate field: an address, a host name, or a placeholder.
pub(super) fn source(text: &[u8]) -> Option<LoggedSource> {
    if let Some(address) = address(text) {
        return Some(LoggedSource::Address(address));
    }
    if text.contains(&b',') {
        return first_forwarded(text).map(LoggedSource::Address);
    }
    match text {
        b"" | b"-" | b"unknown" | b"unix:" | b"\"-\"" | b"(null)" => Some(LoggedSource::Hidden),
        // `192.0.2.xxx`: an address without its last octet.
        masked if masked[0].is_ascii_digit() && masked.to_ascii_lowercase().ends_with(b".xxx") => {
            Some(LoggedSource::Hidden)
        }
        name if is_host_name(name) => Some(LoggedSource::Name(name_hash(name))),
        _ => None,
    }
}

/// Whether it could be the name of a host: letters, digits, dots, hyphens. One letter at least,
/// or it would be a number.
pub(super) fn is_host_name(text: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (1..=253).contains(&text.len())
        && text.iter().all(allowed)
        && text.iter().any(u8::is_ascii_alphabetic)
}

/// FNV-1a over the name in lower case.
fn name_hash(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x100_0000_01b3)
    })
}

/// A status of three digits; `-` is none.
pub(super) fn status(word: &[u8]) -> Option<u16> {
    match word {
        b"-" | b"0" | b"000" => Some(0),
        [_, _, _] => number(word).map(|n| n as u16),
        _ => None,
    }
}

/// Nothing, where a log was cut off or leaves the size out, is no size.
pub(super) fn size(word: &[u8]) -> Option<u64> {
    match word {
        b"-" | b"" => Some(0),
        _ => number(word),
    }
}

/// A whole number of at most 18 digits.
pub(super) fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() || word.len() > 18 {
        return None;
    }
    word.iter()
        .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

/// `1.234`, in seconds.
pub(super) fn decimal_seconds(word: &[u8]) -> Option<Duration> {
    let dot = memchr(b'.', word)?;
    let seconds = number(&word[..dot]).filter(|n| *n < 1_000_000)?;
    let decimals = &word[dot + 1..];
    if !(1..=9).contains(&decimals.len()) {
        return None;
    }
    let nanos = number(decimals)? * 10u64.pow(9 - decimals.len() as u32);
    Some(Duration::new(seconds, nanos as u32))
}

/// `1.234` or `1`, in seconds.
pub(super) fn seconds(word: &[u8]) -> Option<Duration> {
    decimal_seconds(word).or_else(|| number(word).map(Duration::from_secs)).and_then(plausible)
}

/// Whole milliseconds.
pub(super) fn millis(word: &[u8]) -> Option<Duration> {
    number(word).map(Duration::from_millis).and_then(plausible)
}

/// A request does not take longer than a day: a larger number is something else.
const MAX_LATENCY: Duration = Duration::from_hours(24);

pub(super) fn plausible(latency: Duration) -> Option<Duration> {
    (latency <= MAX_LATENCY).then_some(latency)
}

/// The next word and what follows it.
pub(super) fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    text.split_at(memchr(b' ', text).unwrap_or(text.len()))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_quick_way_reads_the_addresses_that_the_general_one_reads(text in "[0-9.]{0,18}") {
            prop_assert_eq!(ipv4(text.as_bytes()), text.parse().ok());
        }

        #[test]
        fn every_address_is_read(address: [u8; 4]) {
            let address = Ipv4Addr::from(address);
            prop_assert_eq!(ipv4(address.to_string().as_bytes()), Some(address));
        }
    }

    #[test]
    fn a_list_of_forwarded_addresses_begins_with_the_visitor() {
        let first = |list: &str| first_forwarded(list.as_bytes()).map(|a| a.to_string());
        assert_eq!(first("192.0.2.7").as_deref(), Some("192.0.2.7"));
        assert_eq!(
            first("unknown, 10.0.0.3, 192.0.2.7, 198.51.100.1").as_deref(),
            Some("192.0.2.7")
        );
        assert_eq!(first("10.0.0.3, 10.0.0.4").as_deref(), Some("10.0.0.3"));
        assert_eq!(first("[2001:db8::7]:4711, 192.0.2.1").as_deref(), Some("2001:db8::7"));
        assert_eq!(first("-"), None);
        assert_eq!(first("Mozilla/5.0"), None);
    }
}
