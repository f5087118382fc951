//! Header fields that a proxy must take out, rewrite or add (RFC 9110, section 7.6).

use http::HeaderMap;
use portcullis_gate::{COOKIE as GATE_COOKIE, Field, Head, HeaderKind, HeaderPresence, items};

use crate::header_block::{HeaderBlock, put_field};

/// Fields of a trailer section that could be taken for a part of the head (RFC 9110, section 6.5.1).
const FORBIDDEN_TRAILERS: [&str; 12] = [
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "host",
    "max-forwards",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
];

/// Writes the fields that the origin gets of a visitor's, but for `Host`, for who asked, and for
/// what frames the message.
pub(crate) fn for_origin(
    head: &Head<'_>,
    present: HeaderPresence,
    upgrade: bool,
    out: &mut Vec<u8>,
) {
    let listed = if present.has(HeaderKind::Connection) { listed(head.fields) } else { Vec::new() };
    let ours = present.has(HeaderKind::Cookie) && rewrites_cookies(head);
    for field in head.fields {
        let passes = match HeaderKind::of(field.name) {
            None | Some(HeaderKind::Range) => true,
            Some(HeaderKind::Cookie) => !ours,
            Some(_) => false,
        };
        if passes && (listed.is_empty() || !is_listed(&listed, field.name)) {
            put_field(out, field.name, field.value);
        }
    }
    if ours {
        put_cookies(head, out);
    }
    if upgrade {
        // The gate's own fields: the visitor may have requested more than that.
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
    } else if present.has(HeaderKind::Te) && head.lists("te", "trailers") {
        out.extend_from_slice(b"te: trailers\r\nconnection: te\r\n");
    }
}

/// An origin's fields, fit for the visitor, without what frames the message; and whether it is
/// dated.
pub(crate) fn for_visitor(fields: &[Field<'_>], upgraded: bool) -> (HeaderBlock, bool) {
    let listed = listed(fields);
    let bytes: usize = fields.iter().map(|field| field.name.len() + field.value.len() + 4).sum();
    // With space for the gate's cookie.
    let mut lines = HeaderBlock::with_capacity(bytes + 256);
    let mut dated = false;
    for field in fields {
        let passes = match field.name {
            // The last of them would lead around the gate.
            "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding"
            | "content-length" | "alt-svc" => false,
            "upgrade" => upgraded,
            _ => true,
        };
        if passes && (listed.is_empty() || !is_listed(&listed, field.name)) {
            dated |= field.name == "date";
            lines.put(field.name, field.value);
        }
    }
    (lines, dated)
}

/// Whether a field of this name may be passed on behind a body.
pub(crate) fn is_allowed_trailer(name: &str) -> bool {
    HeaderKind::of(name).is_none() && !FORBIDDEN_TRAILERS.contains(&name)
}

/// Writes the trailer fields that may be passed on.
pub(crate) fn put_trailers(out: &mut Vec<u8>, trailers: &HeaderMap) {
    for (name, value) in trailers.iter().filter(|(name, _)| is_allowed_trailer(name.as_str())) {
        put_field(out, name.as_str(), value.as_bytes());
    }
}

/// Whether the visitor asks for a WebSocket on this connection, which is all that is upgraded to.
pub(crate) fn is_websocket_upgrade(head: &Head<'_>, present: HeaderPresence) -> bool {
    present.has(HeaderKind::Upgrade)
        && head.lists("upgrade", "websocket")
        && head.lists("connection", "upgrade")
}

/// What `Connection` names. What frames or addresses the message cannot be named away.
fn listed<'a>(fields: &[Field<'a>]) -> Vec<&'a [u8]> {
    let mut named = Vec::new();
    for field in fields.iter().filter(|field| field.name == "connection") {
        // Nearly always a single word that names no field.
        if !matches!(field.value, b"keep-alive" | b"Keep-Alive" | b"close") {
            named.extend(items(field.value));
        }
    }
    named
}

fn is_listed(listed: &[&[u8]], name: &str) -> bool {
    name != "upgrade" && listed.iter().any(|item| item.eq_ignore_ascii_case(name.as_bytes()))
}

/// Whether there are crumbs to join (RFC 9113, section 8.2.3), or a cookie of the gate's to take out.
fn rewrites_cookies(head: &Head<'_>) -> bool {
    let mut lines = head.all("cookie");
    let first = lines.next();
    lines.next().is_some() || first.is_some_and(|line| pairs(line).any(is_gate_cookie))
}

/// Joins the crumbs and leaves the gate's own cookie out.
fn put_cookies(head: &Head<'_>, out: &mut Vec<u8>) {
    let mut joined = Vec::new();
    for pair in
        head.all("cookie").flat_map(pairs).filter(|pair| !pair.is_empty() && !is_gate_cookie(pair))
    {
        if !joined.is_empty() {
            joined.extend_from_slice(b"; ");
        }
        joined.extend_from_slice(pair);
    }
    if !joined.is_empty() {
        put_field(out, "cookie", &joined);
    }
}

fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| *b == b';').map(<[u8]>::trim_ascii)
}

fn is_gate_cookie(pair: impl AsRef<[u8]>) -> bool {
    pair.as_ref()
        .strip_prefix(GATE_COOKIE.as_bytes())
        .is_some_and(|rest| rest.first() == Some(&b'='))
}

#[cfg(test)]
mod tests {
    use http::Version;

    use super::*;
    use portcullis_gate::RequestTarget;

    type Pairs = [(&'static str, &'static str)];

    fn fields(pairs: &Pairs) -> Vec<Field<'static>> {
        pairs.iter().map(|(name, value)| Field { name, value: value.as_bytes() }).collect()
    }

    fn for_origin_of(pairs: &Pairs, version: Version, upgrade: bool) -> String {
        let fields = fields(pairs);
        let target = RequestTarget::parse("GET", "/").expect("a target");
        let head = Head { version, method: "GET", target, fields: &fields };
        let mut out = Vec::new();
        for_origin(&head, HeaderPresence::from_fields(&fields), upgrade, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn fields_of_one_hop_stay_on_that_hop() {
        let sent = for_origin_of(
            &[
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
            ],
            Version::HTTP_11,
            false,
        );
        assert_eq!(sent, "accept: */*\r\nte: trailers\r\nconnection: te\r\n");
    }

    #[test]
    fn a_websocket_request_keeps_what_it_needs() {
        let pairs = [
            ("connection", "keep-alive, Upgrade, HTTP2-Settings"),
            ("upgrade", "h2c, websocket"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
            ("sec-websocket-key", "abc"),
        ];
        let fields = fields(&pairs);
        let target = RequestTarget::parse("GET", "/").expect("a target");
        let head = Head { version: Version::HTTP_11, method: "GET", target, fields: &fields };
        assert!(is_websocket_upgrade(&head, HeaderPresence::from_fields(&fields)));
        let sent = for_origin_of(&pairs, Version::HTTP_11, true);
        let expected = "sec-websocket-key: abc\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
        assert_eq!(sent, expected);
    }

    #[test]
    fn claims_about_the_visitor_are_removed() {
        let sent = for_origin_of(
            &[
                ("x-forwarded-for", "1.1.1.1"),
                ("x-forwarded-for", "2.2.2.2"),
                ("x-forwarded-port", "1"),
                ("x-real-ip", "1.1.1.1"),
                ("forwarded", "for=1.1.1.1"),
                ("x_forwarded-for", "1.1.1.1"),
                ("content_length", "5"),
                ("client-ip", "1.1.1.1"),
                ("client_ip", "1.1.1.1"),
                ("true-client-ip", "1.1.1.1"),
                ("cf-connecting-ip", "1.1.1.1"),
                ("x-cluster-client-ip", "1.1.1.1"),
                ("x-original-url", "/admin"),
                ("x-rewrite-url", "/admin"),
                ("x_rewrite_url", "/admin"),
                ("x-original-host", "admin"),
                ("x-host", "admin"),
                ("x-http-method-override", "DELETE"),
                ("x-http-method", "DELETE"),
                ("x-method-override", "DELETE"),
                ("proxy", "http://evil.example"),
                ("front-end-https", "on"),
                ("x-url-scheme", "https"),
                ("remote-user", "admin"),
            ],
            Version::HTTP_2,
            false,
        );
        assert_eq!(sent, "");
    }

    #[test]
    fn the_gates_cookie_does_not_reach_the_origin_and_all_others_do() {
        let sent = |pairs: &Pairs| for_origin_of(pairs, Version::HTTP_2, false);
        let one = [("cookie", "a=1; portcullis=token; portcullisx=2; b=3")];
        assert_eq!(sent(&one), "cookie: a=1; portcullisx=2; b=3\r\n");
        assert_eq!(sent(&[("cookie", "portcullis=token")]), "");
        let crumbs = [("cookie", "a=1"), ("cookie", "portcullis=x"), ("cookie", "b=2")];
        assert_eq!(sent(&crumbs), "cookie: a=1; b=2\r\n");
    }

    #[test]
    fn what_frames_an_answer_or_is_for_one_hop_does_not_reach_the_visitor() {
        let fields = fields(&[
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("upgrade", "h2"),
            ("alt-svc", "h3=\":8443\""),
            ("date", "now"),
        ]);
        let (lines, dated) = for_visitor(&fields, false);
        assert_eq!((lines.as_bytes(), dated), (&b"date: now\r\n"[..], true));
    }

    #[test]
    fn trailers_cannot_say_what_only_a_head_may() {
        let mut trailers = HeaderMap::new();
        for name in ["x-sum", "content-length", "cookie", "forwarded", "host", "connection"] {
            trailers.append(name, http::HeaderValue::from_static("1"));
        }
        let mut out = Vec::new();
        put_trailers(&mut out, &trailers);
        assert_eq!(out, b"x-sum: 1\r\n");
    }
}
