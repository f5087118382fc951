//! What a request must be before anything else looks at it.
//!
//! Ambiguity between two programs about where a request ends or whom it addresses is how requests
//! are smuggled, so that an ambiguous request is refused rather than repaired.

use http::header::{HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Version};
use portcullis_model::{Limits, Reason};

use crate::fields::{self, Kind, Present};

/// Checks a request's head, and leaves exactly one `Host` field in it. Returns the length of the
/// host name there.
pub(crate) fn check(parts: &mut Parts, present: Present, limits: &Limits) -> Result<usize, Reason> {
    if parts.headers.len() > usize::from(limits.header_fields) {
        // The HTTP/1 library counts for itself. The crumbs of a cookie count one by one here, as
        // each costs its place (RFC 9113, section 8.2.3).
        return Err(Reason::HeaderTooLarge);
    }
    if !target_fits(parts, limits.target_bytes as usize) {
        return Err(Reason::TargetTooLong);
    }
    if has_authority(parts.version) && !is_fit_for_http_1(&parts.headers) {
        return Err(Reason::Malformed);
    }
    if parts.version == Version::HTTP_3 {
        // What the library for HTTP/2 sees to itself.
        if present.has(Kind::Connection) || present.has(Kind::Upgrade) {
            return Err(Reason::Malformed);
        }
    }
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Err(Reason::NotSupported);
    }
    if !parts.uri.path().starts_with('/') {
        // `*`, the target of an OPTIONS request about the server itself.
        return Err(if parts.uri.path() == "*" { Reason::NotSupported } else { Reason::Malformed });
    }
    if present.has(Kind::TransferEncoding) {
        transfer_coding(parts)?;
    }
    one_host(parts)
}

/// What the gate itself has put into the query does not count.
fn target_fits(parts: &Parts, limit: usize) -> bool {
    let length = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    length <= limit || {
        let rest = parts.uri.query().and_then(portcullis_gate::without_pass);
        parts.uri.path().len() + rest.map_or(0, |rest| rest.len() + 1) <= limit
    }
}

/// Whether a message of HTTP/2 says nothing that HTTP/1.1 could read in two ways: its values are
/// bare, and one length at most is among them, in digits. (Over HTTP/1.1 itself the frame has been read.)
fn is_fit_for_http_1(headers: &HeaderMap) -> bool {
    headers.values().all(is_bare) && fields::announced_length(headers).is_ok()
}

/// Without the white space around it that only HTTP/1 knows (RFC 9113, section 8.2.1).
fn is_bare(value: &HeaderValue) -> bool {
    let space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    !space(value.as_bytes().first()) && !space(value.as_bytes().last())
}

fn transfer_coding(parts: &Parts) -> Result<(), Reason> {
    let mut codings = parts.headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    if codings.next().is_some() || parts.version != Version::HTTP_11 {
        return Err(Reason::Malformed);
    }
    if coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        Ok(())
    } else {
        Err(Reason::NotSupported)
    }
}

fn one_host(parts: &mut Parts) -> Result<usize, Reason> {
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
        (Some(host), None) if !has_authority(parts.version) => valid(host),
        (Some(host), Some(authority)) => {
            let same = host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
            if same { valid(host) } else { Err(Reason::Malformed) }
        }
        (None, Some(authority)) if has_authority(parts.version) => {
            let host = field(authority).ok_or(Reason::Malformed)?;
            let length = valid(&host)?;
            parts.headers.insert(HOST, host);
            Ok(length)
        }
        _ => Err(Reason::Malformed),
    }
}

/// Versions whose requests name whom they address outside of their fields.
fn has_authority(version: Version) -> bool {
    version == Version::HTTP_2 || version == Version::HTTP_3
}

fn field(authority: &Authority) -> Option<HeaderValue> {
    HeaderValue::from_str(authority.as_str()).ok()
}

fn valid(host: &HeaderValue) -> Result<usize, Reason> {
    name_length(host.as_bytes()).ok_or(Reason::Malformed)
}

/// The host name that a checked request addresses, without its port.
pub(crate) fn host_name(parts: &Parts, length: usize) -> &str {
    let host = parts.headers.get(HOST).and_then(|host| host.as_bytes().get(..length));
    host.and_then(|host| core::str::from_utf8(host).ok()).unwrap_or("")
}

/// How long the name is in a registered name or address (RFC 3986, section 3.2.2, without the
/// exotic characters) and possibly a port; `None` if it is anything else.
fn name_length(host: &[u8]) -> Option<usize> {
    let length = if host.first() == Some(&b'[') {
        let end = memchr::memchr(b']', host)?;
        let address = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
        if end == 1 || !host[1..end].iter().all(address) {
            return None;
        }
        end + 1
    } else {
        let letter = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        let end = host.iter().position(|b| !letter(b)).unwrap_or(host.len());
        if end == 0 || end > 255 {
            return None;
        }
        end
    };
    let digits = match &host[length..] {
        [] => return Some(length),
        [b':', digits @ ..] => digits,
        _ => return None,
    };
    (digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit)).then_some(length)
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
        let present = Present::among(&parts.headers);
        let limits = Limits { header_fields: 5, target_bytes: 100, ..Limits::default() };
        check(&mut parts, present, &limits).map(|length| host_name(&parts, length).to_owned())
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
    fn heads_are_bounded_in_the_number_of_fields_and_the_length_of_the_target() {
        let crumbs = |count| {
            let mut fields = vec![("host", "example.org")];
            fields.extend(vec![("cookie", "a=1"); count]);
            judged(Version::HTTP_2, "https://example.org/", &fields)
        };
        assert!(crumbs(4).is_ok());
        assert_eq!(crumbs(5), Err(Reason::HeaderTooLarge));
        let target = |length: usize| {
            let uri = format!("https://example.org/?{}", "x".repeat(length - 2));
            judged(Version::HTTP_2, &uri, &[])
        };
        assert!(target(100).is_ok());
        assert_eq!(target(101), Err(Reason::TargetTooLong));
        let uri = format!("https://example.org/?{}&__portcullis=abcdefgh", "x".repeat(98));
        assert!(judged(Version::HTTP_2, &uri, &[]).is_ok());
    }

    #[test]
    fn space_around_a_value_is_no_http_2() {
        for value in [" a", "a ", "\ta", "a\t", " "] {
            let fields = [("host", "example.org"), ("x", value)];
            let judged = |version, uri| judged(version, uri, &fields);
            let uri = "https://example.org/";
            assert_eq!(judged(Version::HTTP_2, uri), Err(Reason::Malformed), "{value:?}");
            assert!(judged(Version::HTTP_11, "/").is_ok());
        }
        let inside = [("host", "example.org"), ("x", "a b"), ("y", "")];
        assert!(judged(Version::HTTP_2, "https://example.org/", &inside).is_ok());
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
