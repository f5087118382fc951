//! Header fields that a proxy must take out, rewrite or add (RFC 9110, section 7.6).

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use portcullis_gate::{COOKIE as GATE_COOKIE, Fields};
use portcullis_model::Reason;

use crate::forwarded::X_FORWARDED_FOR;

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The header fields of a request, as the gate looks at them.
pub(crate) struct Arrived<'a>(pub(crate) &'a HeaderMap);

impl Fields for Arrived<'_> {
    fn each(&self, visit: &mut dyn FnMut(&str, &[u8])) {
        for (name, value) in self.0 {
            visit(name.as_str(), value.as_bytes());
        }
    }
}

/// How long a body is said to be. More than one length, or what is none, is malformed.
pub(crate) fn announced_length(headers: &HeaderMap) -> Result<Option<u64>, Reason> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let (first, second) = (lengths.next(), lengths.next());
    let Some(first) = first else { return Ok(None) };
    let digits = first.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let length = digits.and_then(|digits| digits.parse().ok());
    if second.is_some() || length.is_none() { Err(Reason::Malformed) } else { Ok(length) }
}

/// Makes a visitor's fields fit for the origin. What says who asked is set afterwards, by
/// [`tell`](crate::forwarded::tell).
pub(crate) fn for_origin(
    headers: &mut HeaderMap,
    present: Present,
    version: Version,
    upgrade: bool,
) {
    let trailers = present.has(Kind::Te) && has_token(headers, &TE, "trailers");
    if present.has(Kind::Connection) {
        remove_listed(headers);
    }
    if present.has(Kind::TransferEncoding) {
        headers.remove(TRANSFER_ENCODING);
    }
    if present.has(Kind::HopByHop) {
        for name in [&KEEP_ALIVE, &PROXY_CONNECTION, &PROXY_AUTHENTICATE, &PROXY_AUTHORIZATION] {
            headers.remove(name);
        }
        // The HTTP library has answered or will answer an expectation itself.
        headers.remove(EXPECT);
    }
    if present.has(Kind::Claim) {
        remove_claims(headers);
    }
    if upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    } else if present.has(Kind::Upgrade) {
        headers.remove(UPGRADE);
    }
    if present.has(Kind::Te) {
        headers.remove(TE);
        if trailers && !upgrade {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
    }
    if present.has(Kind::Cookie) {
        rewrite_cookies(headers);
    }
    let via = match version {
        Version::HTTP_3 => HeaderValue::from_static("3 portcullis"),
        Version::HTTP_2 => HeaderValue::from_static("2 portcullis"),
        Version::HTTP_10 => HeaderValue::from_static("1.0 portcullis"),
        _ => HeaderValue::from_static("1.1 portcullis"),
    };
    headers.append(VIA, via);
}

/// Makes an origin's fields fit for the visitor.
pub(crate) fn for_visitor(headers: &mut HeaderMap, upgraded: bool) {
    let present = Present::among(headers);
    if present.has(Kind::Connection) {
        remove_listed(headers);
    }
    if present.has(Kind::HopByHop) {
        headers.remove(&KEEP_ALIVE);
        headers.remove(&PROXY_CONNECTION);
    }
    if present.has(Kind::TransferEncoding) {
        headers.remove(TRANSFER_ENCODING);
        // The transfer coding says how long the body is; a length beside it is a lie.
        headers.remove(CONTENT_LENGTH);
    }
    if upgraded {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    } else if present.has(Kind::Upgrade) {
        headers.remove(UPGRADE);
    }
}

/// Whether the visitor asks for a WebSocket on this connection, which is all that is upgraded to.
pub(crate) fn asks_for_websocket(headers: &HeaderMap, present: Present) -> bool {
    present.has(Kind::Upgrade)
        && has_token(headers, &UPGRADE, "websocket")
        && has_token(headers, &CONNECTION, "upgrade")
}

/// Whether a list field names `token`.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|line| {
        line.as_bytes()
            .split(|b| *b == b',')
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

/// Which kinds of fields a message has that need work, found in one pass so that the common
/// message costs no more. One bit for each [`Kind`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Present(u8);

/// A kind of field that needs work.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Connection,
    HopByHop,
    TransferEncoding,
    Claim,
    Upgrade,
    Te,
    Cookie,
    Range,
}

impl Present {
    pub(crate) fn among(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for name in headers.keys() {
            let kind = match name.as_str() {
                "connection" => Kind::Connection,
                "transfer-encoding" => Kind::TransferEncoding,
                "keep-alive"
                | "proxy-connection"
                | "proxy-authenticate"
                | "proxy-authorization"
                | "expect" => Kind::HopByHop,
                "upgrade" => Kind::Upgrade,
                "te" => Kind::Te,
                "cookie" => Kind::Cookie,
                "range" => Kind::Range,
                name if is_claim(name) => Kind::Claim,
                _ => continue,
            };
            present.0 |= 1 << kind as u8;
        }
        present
    }

    pub(crate) const fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

/// Fields that say who asked. All are removed: those that are true are set anew.
fn is_claim(name: &str) -> bool {
    name.starts_with("x-forwarded-")
        || matches!(name, "x-real-ip" | "x-client-ip" | "true-client-ip" | "forwarded")
        || memchr::memchr(b'_', name.as_bytes()).is_some() && is_disguised(name)
}

/// Many applications see `_` where `-` stood (RFC 3875, section 4.1.18), so that a field spelt so
/// would pass there for one that the gate or the frame vouches for.
#[cold]
fn is_disguised(name: &str) -> bool {
    let plain = name.replace('_', "-");
    is_claim(&plain) || matches!(&*plain, "content-length" | "transfer-encoding")
}

#[cold]
fn remove_claims(headers: &mut HeaderMap) {
    let names: Vec<_> = headers
        .keys()
        .filter(|name| is_claim(name.as_str()) && **name != X_FORWARDED_FOR)
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
    headers.remove(&X_FORWARDED_FOR);
}

/// Removes `Connection` and every field it names. What frames or addresses the message cannot be
/// named away.
fn remove_listed(headers: &mut HeaderMap) {
    let mut named = Vec::new();
    for line in &headers.get_all(CONNECTION) {
        // Nearly always a single word that names no field.
        if !matches!(line.as_bytes(), b"keep-alive" | b"Keep-Alive" | b"close") {
            let items = line.as_bytes().split(|b| *b == b',');
            named.extend(items.filter_map(|item| HeaderName::from_bytes(item.trim_ascii()).ok()));
        }
    }
    headers.remove(CONNECTION);
    let kept =
        |name: &HeaderName| [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE, TE].contains(name);
    for name in named.into_iter().filter(|name| !kept(name)) {
        headers.remove(name);
    }
}

/// Joins the crumbs of HTTP/2 (RFC 9113, section 8.2.3) and takes the gate's own cookie out.
fn rewrite_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    let first = lines.next();
    let several = lines.next().is_some();
    let Some(first) = first else { return };
    if !several && !pairs(first.as_bytes()).any(is_ours) {
        return;
    }
    let mut joined = Vec::new();
    for line in headers.get_all(COOKIE) {
        for pair in pairs(line.as_bytes()).filter(|pair| !pair.is_empty() && !is_ours(pair)) {
            if !joined.is_empty() {
                joined.extend_from_slice(b"; ");
            }
            joined.extend_from_slice(pair);
        }
    }
    headers.remove(COOKIE);
    if !joined.is_empty()
        && let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(joined))
    {
        headers.insert(COOKIE, value);
    }
}

fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| *b == b';').map(<[u8]>::trim_ascii)
}

fn is_ours(pair: impl AsRef<[u8]>) -> bool {
    pair.as_ref()
        .strip_prefix(GATE_COOKIE.as_bytes())
        .is_some_and(|rest| rest.first() == Some(&b'='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    fn for_origin_of(map: &mut HeaderMap, version: Version, upgrade: bool) {
        let present = Present::among(map);
        for_origin(map, present, version, upgrade);
    }

    #[test]
    fn fields_of_one_hop_stay_on_that_hop() {
        let mut map = headers(&[
            ("host", "example.org"),
            ("connection", "keep-alive, X-Private, Host, content-length"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic abc"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("te", "trailers, deflate"),
            ("content-length", "3"),
            ("accept", "*/*"),
        ]);
        for_origin_of(&mut map, Version::HTTP_11, false);
        let mut names: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "connection", "content-length", "host", "te", "via"]);
        assert_eq!(map["te"], "trailers");
        assert_eq!(map["connection"], "te");
        assert_eq!(map["via"], "1.1 portcullis");
    }

    #[test]
    fn a_websocket_request_keeps_what_it_needs() {
        let mut map = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "abc"),
        ]);
        assert!(asks_for_websocket(&map, Present::among(&map)));
        for_origin_of(&mut map, Version::HTTP_11, true);
        assert_eq!(map["connection"], "upgrade");
        assert_eq!(map["upgrade"], "websocket");
        assert_eq!(map["sec-websocket-key"], "abc");
    }

    #[test]
    fn claims_about_the_visitor_are_removed() {
        let mut map = headers(&[
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "2.2.2.2"),
            ("x-forwarded-port", "1"),
            ("x-real-ip", "1.1.1.1"),
            ("forwarded", "for=1.1.1.1"),
            ("x_forwarded-for", "1.1.1.1"),
            ("content_length", "5"),
        ]);
        for_origin_of(&mut map, Version::HTTP_2, false);
        assert_eq!(map.len(), 1);
        assert_eq!(map["via"], "2 portcullis");
    }

    #[test]
    fn the_gates_cookie_does_not_reach_the_origin_and_all_others_do() {
        let mut map = headers(&[("cookie", "a=1; portcullis=token; portcullisx=2; b=3")]);
        for_origin_of(&mut map, Version::HTTP_11, false);
        assert_eq!(map["cookie"], "a=1; portcullisx=2; b=3");
        let mut map = headers(&[("cookie", "portcullis=token")]);
        for_origin_of(&mut map, Version::HTTP_11, false);
        assert!(!map.contains_key("cookie"));
        let mut map = headers(&[("cookie", "a=1"), ("cookie", "portcullis=x"), ("cookie", "b=2")]);
        for_origin_of(&mut map, Version::HTTP_2, false);
        assert_eq!(map.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2"]);
    }

    #[test]
    fn an_answer_with_two_lengths_keeps_the_one_that_counts() {
        let mut map = headers(&[
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("upgrade", "h2"),
        ]);
        for_visitor(&mut map, false);
        assert!(map.is_empty());
    }
}
