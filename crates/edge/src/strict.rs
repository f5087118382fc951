//! What a request must be before anything else looks at it.
//!
//! Ambiguity between two programs about where a request ends or whom it addresses is how requests
//! are smuggled, so that an ambiguous request is refused rather than repaired.

use http::header::{HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Method, Version};
use portcullis_model::Reason;

/// Checks a request's head, and leaves exactly one `Host` field in it.
///
/// `conflict`: the head had both `Content-Length` and `Transfer-Encoding`.
pub(crate) fn check(parts: &mut Parts, conflict: bool) -> Result<(), Reason> {
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Err(Reason::NotSupported);
    }
    if !parts.uri.path().starts_with('/') {
        // `*`, the target of an OPTIONS request about the server itself.
        return Err(if parts.uri.path() == "*" { Reason::NotSupported } else { Reason::Malformed });
    }
    transfer_coding(parts, conflict)?;
    one_host(parts)
}

fn transfer_coding(parts: &Parts, conflict: bool) -> Result<(), Reason> {
    let mut codings = parts.headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    if conflict || codings.next().is_some() || parts.version != Version::HTTP_11 {
        return Err(Reason::Malformed);
    }
    if coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        Ok(())
    } else {
        Err(Reason::NotSupported)
    }
}

fn one_host(parts: &mut Parts) -> Result<(), Reason> {
    if let Some(scheme) = parts.uri.scheme_str()
        && scheme != "http"
        && scheme != "https"
    {
        return Err(Reason::Malformed);
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Reason::Malformed);
    }
    match (first, parts.uri.authority()) {
        (Some(host), None) if parts.version != Version::HTTP_2 => valid(host),
        (Some(host), Some(authority)) => {
            valid(host)?;
            let same = host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
            if same { Ok(()) } else { Err(Reason::Malformed) }
        }
        (None, Some(authority)) if parts.version == Version::HTTP_2 => {
            let host = field(authority).ok_or(Reason::Malformed)?;
            valid(&host)?;
            parts.headers.insert(HOST, host);
            Ok(())
        }
        _ => Err(Reason::Malformed),
    }
}

fn field(authority: &Authority) -> Option<HeaderValue> {
    HeaderValue::from_str(authority.as_str()).ok()
}

fn valid(host: &HeaderValue) -> Result<(), Reason> {
    match split(host.as_bytes()) {
        Some(_) => Ok(()),
        None => Err(Reason::Malformed),
    }
}

/// The host name that a request addresses, without its port; empty if it is not valid.
pub(crate) fn host_name(parts: &Parts) -> &str {
    parts.headers.get(HOST).and_then(|host| split(host.as_bytes())).unwrap_or("")
}

/// A registered name or address (RFC 3986, section 3.2.2, without the exotic characters), and
/// possibly a port.
fn split(host: &[u8]) -> Option<&str> {
    let text = core::str::from_utf8(host).ok()?;
    let (name, port) = if text.starts_with('[') {
        let end = text.find(']')?;
        let inner = text.get(1..end)?;
        let address = |b: u8| b.is_ascii_hexdigit() || b == b':' || b == b'.';
        if inner.is_empty() || !inner.bytes().all(address) {
            return None;
        }
        (&text[..=end], &text[end + 1..])
    } else {
        let end = text.find(':').unwrap_or(text.len());
        let name = &text[..end];
        let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if name.is_empty() || name.len() > 255 || !name.bytes().all(letter) {
            return None;
        }
        (name, &text[end..])
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    let valid = digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit());
    (valid && (port.is_empty() || port.starts_with(':'))).then_some(name)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn judged(version: Version, uri: &str, fields: &[(&str, &str)]) -> Result<String, Reason> {
        let mut builder = Request::builder().uri(uri).version(version);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        let (mut parts, ()) = builder.body(()).expect("request").into_parts();
        check(&mut parts, false).map(|()| host_name(&parts).to_owned())
    }

    #[test]
    fn exactly_one_valid_host_is_demanded() {
        let one = |host| judged(Version::HTTP_11, "/", &[("host", host)]);
        assert_eq!(one("example.org"), Ok("example.org".into()));
        assert_eq!(one("Example.org:8080"), Ok("Example.org".into()));
        assert_eq!(one("[::1]:80"), Ok("[::1]".into()));
        for bad in
            ["", "a b", "a@b", "a/b", "a:b", "a:1:2", "[::1", "[::1]x", "a,b", "ä.org", "a:123456"]
        {
            assert_eq!(one(bad), Err(Reason::Malformed), "{bad}");
        }
        assert_eq!(judged(Version::HTTP_11, "/", &[]), Err(Reason::Malformed));
        let two = [("host", "example.org"), ("host", "example.org")];
        assert_eq!(judged(Version::HTTP_11, "/", &two), Err(Reason::Malformed));
    }

    #[test]
    fn an_absolute_target_must_agree_with_host() {
        let with = |host| judged(Version::HTTP_11, "http://example.org/a", &[("host", host)]);
        assert_eq!(with("example.org"), Ok("example.org".into()));
        assert_eq!(with("other.org"), Err(Reason::Malformed));
        let scheme = judged(Version::HTTP_11, "ftp://example.org/a", &[("host", "example.org")]);
        assert_eq!(scheme, Err(Reason::Malformed));
    }

    #[test]
    fn http_2_may_leave_host_to_the_authority() {
        let uri = "https://example.org/a";
        assert_eq!(judged(Version::HTTP_2, uri, &[]), Ok("example.org".into()));
        let differing = judged(Version::HTTP_2, uri, &[("host", "other.org")]);
        assert_eq!(differing, Err(Reason::Malformed));
    }

    #[test]
    fn transfer_codings_other_than_chunked_are_not_supported() {
        let with =
            |coding| judged(Version::HTTP_11, "/", &[("host", "a"), ("transfer-encoding", coding)]);
        assert!(with("Chunked").is_ok());
        assert_eq!(with("gzip, chunked"), Err(Reason::NotSupported));
    }
}
