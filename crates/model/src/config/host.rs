//! Host names, as a browser sends them.

use core::net::{IpAddr, Ipv6Addr};

use super::problem::{ValueError, quoted};

/// The longest name that DNS allows (RFC 1035, section 2.3.4, without the final dot).
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// A host name or IPv4 address in lower case, or the reason why it is none.
pub(super) fn host_name(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if !text.is_ascii() {
        return Err("it has letters outside ASCII; write its xn-- form, as browsers send it");
    }
    if text.len() > LONGEST_NAME {
        return Err("it is longer than 253 characters");
    }
    if text.ends_with('.') {
        return Err("leave out the final dot");
    }
    for label in text.split('.') {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if label.is_empty() {
            return Err("two dots follow each other, or it begins with one");
        }
        if label.len() > LONGEST_LABEL {
            return Err("a part between dots is longer than 63 characters");
        }
        if !label.bytes().all(plain) {
            return Err("only letters, digits, hyphens, underscores and dots belong in a name");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err("a part between dots begins or ends with a hyphen");
        }
    }
    // A name whose last part is a number is read as an IPv4 address by clients (WHATWG URL).
    let last = text.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) && !matches!(text.parse(), Ok(IpAddr::V4(_))) {
        return Err("it ends in a number but is not an IPv4 address");
    }
    Ok(text.to_ascii_lowercase())
}

/// An IPv6 address in brackets: `[::1]`.
pub(super) fn bracketed(text: &str) -> Option<Ipv6Addr> {
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// One entry of a platform's `hosts`, in the form in which it is compared: lower case, without
/// port; `*` for every host.
pub(super) fn parse_host(text: &str) -> Result<String, ValueError> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    if let Some(address) = bracketed(text) {
        return Ok(format!("[{address}]"));
    }
    let error = || {
        ValueError::new(
            format!("{} is not a host name", quoted(text)),
            "a name as in the browser's address bar, such as example.org, or * for \
             every host",
        )
    };
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(error().hint(format!("IPv6 addresses need brackets: [{text}]")));
    }
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        return Err(error().hint(match host_name(host) {
            Ok(host) => format!("write the name alone: {host}"),
            Err(_) => "write the name alone".into(),
        }));
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && let Ok(host) = host_name(host)
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(error().hint(format!("hosts match on every port: write {host}")));
    }
    if text.contains('*') {
        return Err(error().hint("name each host; `*` is only known alone, for every host"));
    }
    host_name(text).map_err(|why| error().hint(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_in_lower_case() {
        assert_eq!(parse_host("WWW.Example.org"), Ok("www.example.org".into()));
        assert_eq!(parse_host("[0:0::1]"), Ok("[::1]".into()));
        assert_eq!(parse_host("192.0.2.1"), Ok("192.0.2.1".into()));
        assert_eq!(parse_host("xn--bcher-kva.example"), Ok("xn--bcher-kva.example".into()));
    }

    #[test]
    fn what_is_more_than_a_name_gets_a_hint() {
        for (text, hint) in [
            ("https://example.org/donate", "write the name alone: example.org"),
            ("example.org:8080", "hosts match on every port: write example.org"),
            ("*.example.org", "name each host; `*` is only known alone"),
            ("bücher.example", "xn-- form"),
            ("example.org.", "leave out the final dot"),
            ("::1", "need brackets: [::1]"),
            ("", "it is empty"),
            ("a..b", "two dots"),
            ("300.1.1.1", "not an IPv4 address"),
        ] {
            let sentence = parse_host(text).expect_err(text).sentence();
            assert!(sentence.contains(hint), "{sentence}");
        }
    }
}
