//! The form that a request must have before anything else is decided about it.
//!
//! Requests are smuggled where two programs disagree about where a request ends or which host it
//! addresses. A request that can be read in two ways is therefore refused, never repaired.

use http::Version;
use portcullis_model::{Limits, Reason};

use crate::head::Head;
use crate::header_kind::{HeaderKind, HeaderPresence};
use crate::token;

/// The host that a screened request addresses. Both parts are empty for a request by HTTP/1.0 that
/// names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    /// As it is written in the one `Host` field.
    pub field: &'a str,
    /// Without the port.
    pub name: &'a str,
}

/// Checks the form of a request. Returns the one host that it names.
///
/// # Errors
///
/// The reason of the first check that the request fails.
pub fn screen<'a>(
    head: &Head<'a>,
    present: HeaderPresence,
    limits: &Limits,
) -> Result<Host<'a>, Reason> {
    if head.fields.len() > usize::from(limits.max_header_fields) {
        // Each part of a split cookie counts, because each takes up memory (RFC 9113, section 8.2.3).
        return Err(Reason::HeaderTooLarge);
    }
    if !target_fits(head, limits.max_target_bytes as usize) {
        return Err(Reason::TargetTooLong);
    }
    if has_authority(head.version) && !is_fit_for_http_1(head) {
        return Err(Reason::Malformed);
    }
    if head.version == Version::HTTP_3 {
        // For HTTP/2, hyper checks this.
        if present.has(HeaderKind::Connection) || present.has(HeaderKind::Upgrade) {
            return Err(Reason::Malformed);
        }
    }
    if matches!(head.method, "CONNECT" | "TRACE") {
        return Err(Reason::NotSupported);
    }
    if !head.target.path.starts_with('/') {
        // `*`, the target of an OPTIONS request about the server itself.
        return Err(if head.target.path == "*" { Reason::NotSupported } else { Reason::Malformed });
    }
    if present.has(HeaderKind::TransferEncoding) {
        transfer_coding(head)?;
    }
    one_host(head)
}

/// The announced length of a body in bytes, from the values of its `Content-Length`.
///
/// # Errors
///
/// [`Reason::Malformed`] if there is more than one value, or one that is no number, or that another
/// server might read as octal.
pub fn content_length<'a>(
    mut lengths: impl Iterator<Item = &'a [u8]>,
) -> Result<Option<u64>, Reason> {
    let (first, second) = (lengths.next(), lengths.next());
    let Some(first) = first else { return Ok(None) };
    let digits = core::str::from_utf8(first).ok();
    let octal = |text: &str| text.len() > 1 && text.starts_with('0');
    let digits =
        digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()) && !octal(text));
    let length = digits.and_then(|digits| digits.parse().ok());
    if second.is_some() || length.is_none() { Err(Reason::Malformed) } else { Ok(length) }
}

/// The gate's own parameter in the query does not count.
fn target_fits(head: &Head<'_>, limit: usize) -> bool {
    let target = &head.target;
    target.length() <= limit || {
        let rest = target.query.and_then(token::strip_token_param);
        target.path.len() + rest.map_or(0, |rest| rest.len() + 1) <= limit
    }
}

/// Whether a request by HTTP/2 or HTTP/3 keeps its meaning in HTTP/1.1: no value has white space
/// around it, and there is at most one length, in digits. (For HTTP/1.1 the parser has checked this.)
fn is_fit_for_http_1(head: &Head<'_>) -> bool {
    head.fields.iter().all(|field| is_bare(field.value))
        && content_length(head.all("content-length")).is_ok()
}

/// Without the white space around it that only HTTP/1 knows (RFC 9113, section 8.2.1).
fn is_bare(value: &[u8]) -> bool {
    let space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    !space(value.first()) && !space(value.last())
}

fn transfer_coding(head: &Head<'_>) -> Result<(), Reason> {
    let mut codings = head.all("transfer-encoding");
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    if codings.next().is_some() || head.version != Version::HTTP_11 {
        return Err(Reason::Malformed);
    }
    if coding.eq_ignore_ascii_case(b"chunked") { Ok(()) } else { Err(Reason::NotSupported) }
}

fn one_host<'a>(head: &Head<'a>) -> Result<Host<'a>, Reason> {
    if let Some(scheme) = head.target.scheme
        && !scheme.eq_ignore_ascii_case("http")
        && !scheme.eq_ignore_ascii_case("https")
    {
        return Err(Reason::Malformed);
    }
    let mut hosts = head.all("host");
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(Reason::Malformed);
    }
    let old = head.version == Version::HTTP_10;
    let host = match (first, head.target.authority) {
        // Over HTTP/2, proxies that translate leave `Host` as it is (RFC 9113, section 8.3.1).
        (Some(host), None) => host,
        (Some(host), Some(authority)) if is_same_host(host, authority.as_bytes(), head) => host,
        (None, Some(authority)) if old || has_authority(head.version) => authority.as_bytes(),
        (None, None) if old => return Ok(Host { field: "", name: "" }),
        _ => return Err(Reason::Malformed),
    };
    self::host(host).ok_or(Reason::Malformed)
}

/// Whether `Host` and the authority of the target are the same, in any case, with or without the
/// default port of the scheme.
fn is_same_host(host: &[u8], authority: &[u8], head: &Head<'_>) -> bool {
    let https = head.target.scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let port: &[u8] = if https { b":443" } else { b":80" };
    host.eq_ignore_ascii_case(authority)
        || without(host, port).eq_ignore_ascii_case(without(authority, port))
}

fn without<'a>(host: &'a [u8], port: &[u8]) -> &'a [u8] {
    host.strip_suffix(port).unwrap_or(host)
}

/// Versions whose requests have an `:authority` apart from their fields.
fn has_authority(version: Version) -> bool {
    version == Version::HTTP_2 || version == Version::HTTP_3
}

/// The host in the value of a `Host` field; `None` if it is no host name or address.
pub fn host(host: &[u8]) -> Option<Host<'_>> {
    let length = name_length(host)?;
    let field = core::str::from_utf8(host).ok()?;
    Some(Host { field, name: field.get(..length)? })
}

/// The length of the name in a name or address, possibly with a port (RFC 3986, section 3.2.2,
/// without percent-encoding and sub-delimiters); `None` if it is anything else.
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
    use crate::head::fields_of;

    fn judged(version: Version, uri: &str, fields: &[(&str, &str)]) -> Result<String, Reason> {
        let mut builder = Request::builder().uri(uri).version(version);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        let (parts, ()) = builder.body(()).expect("request").into_parts();
        let fields = fields_of(&parts.headers);
        let limits = Limits { max_header_fields: 5, max_target_bytes: 100, ..Limits::default() };
        let host = screen(
            &Head::from_parts(&parts, &fields),
            HeaderPresence::from_fields(&fields),
            &limits,
        );
        host.map(|host| host.name.to_owned())
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
    fn the_default_port_of_the_scheme_makes_no_other_host() {
        for (target, host, same) in [
            ("http://example.org/a", "example.org:80", true),
            ("http://example.org:80/a", "Example.org", true),
            ("https://example.org/a", "example.org:443", true),
            ("https://example.org:443/a", "example.org", true),
            ("http://example.org:80/a", "example.org:80", true),
            ("http://example.org/a", "example.org:443", false),
            ("https://example.org/a", "example.org:80", false),
            ("http://example.org:8080/a", "example.org", false),
            ("http://example.org:80/a", "example.com", false),
        ] {
            for version in [Version::HTTP_11, Version::HTTP_2] {
                let judged = judged(version, target, &[("host", host)]);
                assert_eq!(judged.is_ok(), same, "{target} {host} {version:?}");
            }
        }
    }

    #[test]
    fn http_1_0_may_name_no_host() {
        assert_eq!(judged(Version::HTTP_10, "/", &[]), Ok(String::new()));
        assert_eq!(judged(Version::HTTP_10, "http://example.org/", &[]), Ok("example.org".into()));
        assert_eq!(judged(Version::HTTP_10, "/", &[("host", "")]), Err(Reason::Malformed));
        assert_eq!(judged(Version::HTTP_11, "/", &[]), Err(Reason::Malformed));
    }

    #[test]
    fn http_2_may_name_its_host_in_the_field_alone() {
        for version in [Version::HTTP_2, Version::HTTP_3] {
            let one = judged(version, "/a", &[("host", "example.org")]);
            assert_eq!(one, Ok("example.org".into()));
            assert_eq!(judged(version, "/a", &[]), Err(Reason::Malformed));
        }
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
