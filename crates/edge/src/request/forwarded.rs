//! Who a visitor is, and the fields that tell the origin.
//!
//! `X-Forwarded-*` and `Forwarded` (RFC 7239) are believed from trusted proxies alone. Addresses are
//! read from the right: the first one that is not itself a trusted proxy is the visitor. Everything
//! to the left of it was written by the visitor. If a trusted proxy sends both fields,
//! `X-Forwarded-For` counts, because proxies that set it commonly pass `Forwarded` through.
//!
//! Scheme, host and port are those that the visitor's connection had. A list of them that has as many
//! elements as there are addresses was written hop by hop, and the visitor's element counts;
//! otherwise the first element does, which the outermost proxy wrote.

use core::cell::RefCell;
use core::fmt::Write;
use core::net::{IpAddr, SocketAddr};

use portcullis_model::{IpNet, SourceKey};

use crate::header_block::put_field;
use portcullis_gate::Head;

/// Hops that are read, from the right. No legitimate chain is longer.
const MOST_HOPS: usize = 16;

/// Whose connection it is.
pub(crate) struct RemoteAddr {
    /// The address that connected, or that a PROXY header named.
    pub(crate) address: IpAddr,
    /// Its source.
    pub(crate) source: SourceKey,
    /// It is a trusted proxy, so that its requests name their visitors themselves.
    pub(crate) trusted: bool,
    /// The fields that were last sent to the origin, and their host.
    cached: RefCell<Option<Box<CachedFields>>>,
}

/// The forwarding fields for one host.
struct CachedFields {
    host: String,
    lines: Vec<u8>,
}

impl RemoteAddr {
    pub(crate) fn new(address: IpAddr, trusted: bool) -> Self {
        let address = address.to_canonical();
        Self { address, source: SourceKey::of(address), trusted, cached: RefCell::new(None) }
    }
}

/// Who sent one request.
pub(crate) struct VisitorAddr {
    /// Where it came from.
    pub(crate) source: SourceKey,
    /// Whether the visitor's own connection is encrypted.
    pub(crate) secure: bool,
    /// The chain that trusted proxies sent, if any did.
    forwarded: Option<ForwardedChain>,
}

impl VisitorAddr {
    /// The visitor's address; `remote` is the connection's.
    pub(crate) fn address(&self, remote: &RemoteAddr) -> IpAddr {
        let first = self.forwarded.as_ref().and_then(|forwarded| forwarded.chain.first());
        first.copied().unwrap_or(remote.address)
    }
}

struct ForwardedChain {
    /// The visitor, then the trusted proxies it came through.
    chain: Vec<IpAddr>,
    /// The host that the visitor named, according to a trusted proxy.
    host: Option<String>,
    /// The port that the visitor connected to, according to a trusted proxy.
    port: Option<u16>,
}

/// Finds out who sent a request.
pub(crate) fn visitor_of(
    identity: &RemoteAddr,
    secure: bool,
    trusted: &[IpNet],
    head: &Head<'_>,
) -> VisitorAddr {
    if !identity.trusted {
        return VisitorAddr { source: identity.source, secure, forwarded: None };
    }
    let standard: Vec<ForwardedElement> =
        texts(head, "forwarded").flat_map(forwarded_elements).collect();
    let addresses: Vec<&str> = if head.first("x-forwarded-for").is_some() {
        list(head, "x-forwarded-for")
    } else {
        standard.iter().map(|element| element.node.as_deref().unwrap_or("?")).collect()
    };
    let hops = hops(trusted, &addresses);
    // The visitor's place in lists that were written hop by hop.
    let place = addresses.len().checked_sub(hops.len().max(1));
    let element = place.and_then(|place| standard.get(place));
    let of_element = element.filter(|_| standard.len() == addresses.len()).or(standard.first());
    let own = |name| own_element(list(head, name), addresses.len(), place);
    let scheme = own("x-forwarded-proto")
        .and_then(is_secure)
        .or_else(|| is_secure(of_element?.scheme.as_deref()?));
    let host = own("x-forwarded-host").map(str::to_owned).filter(|host| is_host(host));
    let host = host.or_else(|| of_element?.host.clone().filter(|host| is_host(host)));
    let port = own("x-forwarded-port").and_then(|port| port.parse().ok()).filter(|port| *port > 0);
    let chain = if hops.is_empty() { vec![identity.address] } else { hops };
    VisitorAddr {
        source: SourceKey::of(chain[0]),
        secure: scheme.unwrap_or(secure),
        forwarded: Some(ForwardedChain { chain, host, port }),
    }
}

/// The element of a list that is about the visitor's own connection.
fn own_element(list: Vec<&str>, addresses: usize, place: Option<usize>) -> Option<&str> {
    let place = place.filter(|_| list.len() == addresses).unwrap_or(0);
    list.into_iter().nth(place)
}

/// Whether a scheme means that the visitor's connection was encrypted; `None` for an unknown one.
fn is_secure(scheme: &str) -> Option<bool> {
    let is = |known: [&str; 2]| known.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if is(["https", "wss"]) {
        Some(true)
    } else if is(["http", "ws"]) {
        Some(false)
    } else {
        None
    }
}

fn is_host(text: &str) -> bool {
    portcullis_gate::host(text.as_bytes()).is_some()
}

/// Writes the fields that name the visitor to the origin. Requests of one connection nearly always
/// name the same host, so that the last fields are cached.
pub(crate) fn write_forwarding_headers(
    out: &mut Vec<u8>,
    identity: &RemoteAddr,
    sender: &VisitorAddr,
    host: &str,
) {
    if let Some(forwarded) = &sender.forwarded {
        let mut chain = forwarded.chain.clone();
        chain.push(identity.address);
        write_fields(out, &chain, sender.secure, forwarded.host.as_deref().unwrap_or(host));
        if let Some(port) = forwarded.port {
            put_field(out, "x-forwarded-port", port.to_string().as_bytes());
        }
        return;
    }
    let mut last = identity.cached.borrow_mut();
    let last = match &mut *last {
        Some(last) if last.host == host => last,
        other => {
            let mut lines = Vec::with_capacity(192);
            write_fields(&mut lines, &[identity.address], sender.secure, host);
            other.insert(Box::new(CachedFields { host: host.to_owned(), lines }))
        }
    };
    out.extend_from_slice(&last.lines);
}

/// `chain`: the visitor, then the proxies that it came through.
fn write_fields(out: &mut Vec<u8>, chain: &[IpAddr], secure: bool, host: &str) {
    let mut all = String::new();
    let mut forwarded = String::with_capacity(96);
    for (at, hop) in chain.iter().enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        let _ = write!(all, "{separator}{hop}");
        forwarded.push_str(separator);
        element(&mut forwarded, *hop);
        if at == 0 {
            seen(&mut forwarded, secure, host);
        }
    }
    let scheme: &[u8] = if secure { b"https" } else { b"http" };
    put_field(out, "x-forwarded-for", all.as_bytes());
    put_field(out, "x-forwarded-proto", scheme);
    if !host.is_empty() {
        put_field(out, "x-forwarded-host", host.as_bytes());
    }
    put_field(out, "forwarded", forwarded.as_bytes());
}

fn element(out: &mut String, hop: IpAddr) {
    let _ = match hop {
        IpAddr::V4(v4) => write!(out, "for={v4}"),
        IpAddr::V6(v6) => write!(out, "for=\"[{v6}]\""),
    };
}

fn seen(out: &mut String, secure: bool, host: &str) {
    let scheme = if secure { "https" } else { "http" };
    // A host that needs escapes does not exist; one that tries is left out.
    let plain = |letter: char| matches!(letter, ' '..='~') && !matches!(letter, '"' | '\\');
    if !host.is_empty() && host.chars().all(plain) {
        let _ = write!(out, ";host=\"{host}\";proto={scheme}");
    } else {
        let _ = write!(out, ";proto={scheme}");
    }
}

/// The visitor, then the trusted proxies nearer to us. Empty if the last address makes no sense.
fn hops(trusted: &[IpNet], addresses: &[&str]) -> Vec<IpAddr> {
    let mut chain = Vec::new();
    for address in addresses.iter().rev().take(MOST_HOPS) {
        let Some(hop) = hop(address) else { break };
        chain.insert(0, hop);
        if !trusted.iter().any(|network| network.contains(hop)) {
            break;
        }
    }
    chain
}

/// The address of one hop: `192.0.2.7`, `192.0.2.7:80`, `2001:db8::7`, `[2001:db8::7]:4711`.
fn hop(node: &str) -> Option<IpAddr> {
    let address = node
        .parse::<IpAddr>()
        .or_else(|_| node.parse::<SocketAddr>().map(|socket| socket.ip()))
        .or_else(|error| match node.strip_prefix('[') {
            Some(rest) => rest.trim_end_matches(']').parse().map_err(|_| error),
            None => Err(error),
        });
    address.ok().map(|address| address.to_canonical())
}

/// One element of `Forwarded`.
#[derive(Debug, Default, PartialEq, Eq)]
struct ForwardedElement {
    node: Option<String>,
    scheme: Option<String>,
    host: Option<String>,
}

/// The elements of one line of `Forwarded` (RFC 7239, section 4). A line that is not in its form is one
/// element without content.
fn forwarded_elements(line: &str) -> Vec<ForwardedElement> {
    read_elements(line).unwrap_or_else(|| vec![ForwardedElement::default()])
}

fn read_elements(line: &str) -> Option<Vec<ForwardedElement>> {
    let mut elements = vec![ForwardedElement::default()];
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let end = rest.find([',', ';', '=']).unwrap_or(rest.len());
        let name = rest[..end].trim();
        rest = &rest[end..];
        if let Some(after) = rest.strip_prefix('=') {
            let (value, after) = read_value(after.trim_start())?;
            rest = after.trim_start();
            let element = elements.last_mut()?;
            let field = match name {
                name if name.eq_ignore_ascii_case("for") => Some(&mut element.node),
                name if name.eq_ignore_ascii_case("proto") => Some(&mut element.scheme),
                name if name.eq_ignore_ascii_case("host") => Some(&mut element.host),
                _ => None,
            };
            // No parameter occurs twice in an element.
            if let Some(field) = field
                && field.replace(value).is_some()
            {
                return None;
            }
        } else if !name.is_empty() {
            return None;
        }
        match rest.chars().next() {
            Some(',') => elements.push(ForwardedElement::default()),
            Some(';') | None => {}
            Some(_) => return None,
        }
        rest = rest.get(1..).unwrap_or_default().trim_start();
    }
    Some(elements)
}

/// A token or a quoted string at the beginning of `text`, and what follows it.
fn read_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ';']).unwrap_or(text.len());
        return Some((text[..end].trim_end().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            letter => value.push(letter),
        }
    }
    None
}

/// The elements of a list, over all lines of a field.
fn list<'a>(head: &Head<'a>, name: &'static str) -> Vec<&'a str> {
    let elements = texts(head, name).flat_map(|line| line.split(','));
    elements.map(|element| element.trim().trim_matches('"')).collect()
}

fn texts<'a>(head: &Head<'a>, name: &'static str) -> impl Iterator<Item = &'a str> {
    // What is not text is an element that makes no sense.
    head.all(name).map(|line| core::str::from_utf8(line).unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use http::Version;
    use proptest::prelude::*;

    use super::*;
    use portcullis_gate::Field;
    use portcullis_gate::RequestTarget;

    fn networks() -> Vec<IpNet> {
        ["10.0.0.0/8", "2001:db8:ffff::/48"].map(|text| text.parse().expect("network")).to_vec()
    }

    fn with_head<T>(fields: &[(&'static str, &str)], read: impl FnOnce(&Head<'_>) -> T) -> T {
        let mut all = vec![Field { name: "host", value: b"example.org" }];
        all.extend(fields.iter().map(|(name, text)| Field { name, value: text.as_bytes() }));
        let target = RequestTarget::parse("GET", "/").expect("a target");
        read(&Head { version: Version::HTTP_11, method: "GET", target, fields: &all })
    }

    fn visitor(peer: &str, fields: &[(&'static str, &str)]) -> SourceKey {
        let peer: IpAddr = peer.parse().expect("address");
        let networks = networks();
        let trusted = networks.iter().any(|network| network.contains(peer));
        let identity = RemoteAddr::new(peer, trusted);
        with_head(fields, |head| visitor_of(&identity, false, &networks, head).source)
    }

    fn source(text: &str) -> SourceKey {
        SourceKey::of(text.parse().expect("address"))
    }

    #[test]
    fn a_visitor_cannot_name_another_address() {
        let claimed = [("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=192.0.2.7")];
        assert_eq!(visitor("203.0.113.9", &claimed), source("203.0.113.9"));
    }

    #[test]
    fn the_rightmost_address_that_is_no_trusted_proxy_is_the_visitor() {
        let via = |list| visitor("10.0.0.1", &[("x-forwarded-for", list)]);
        assert_eq!(via("192.0.2.7"), source("192.0.2.7"));
        assert_eq!(via("1.1.1.1, 192.0.2.7, 10.0.0.2"), source("192.0.2.7"));
        assert_eq!(via("192.0.2.7:4711"), source("192.0.2.7"));
        assert_eq!(via("[2001:db8::7]:4711, 10.2.3.4"), source("2001:db8::7"));
        assert_eq!(via("::ffff:192.0.2.7"), source("192.0.2.7"));
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = [("x-forwarded-for", "1.1.1.1, 192.0.2.7"), ("x-forwarded-for", "10.0.0.2")];
        assert_eq!(visitor("10.0.0.1", &lines), source("192.0.2.7"));
    }

    #[test]
    fn nonsense_stops_at_the_last_hop_that_made_sense() {
        let via = |list| visitor("10.0.0.1", &[("x-forwarded-for", list)]);
        assert_eq!(via("192.0.2.7, unknown, 10.0.0.2"), source("10.0.0.2"));
        assert_eq!(via("unknown"), source("10.0.0.1"));
        assert_eq!(via(""), source("10.0.0.1"));
    }

    /// The scheme, host and port that the origin is given.
    fn connection_of(fields: &[(&'static str, &str)]) -> (bool, Option<String>, Option<u16>) {
        let identity = RemoteAddr::new(IpAddr::from([10, 0, 0, 1]), true);
        let sender = with_head(fields, |head| visitor_of(&identity, false, &networks(), head));
        let forwarded = sender.forwarded.expect("a trusted proxy");
        (sender.secure, forwarded.host, forwarded.port)
    }

    #[test]
    fn the_scheme_is_the_one_of_the_visitors_connection_however_it_is_written() {
        let proto = "x-forwarded-proto";
        for (fields, secure) in [
            (&[(proto, "https")][..], true),
            (&[(proto, "HTTPS")], true),
            (&[(proto, " https ")], true),
            (&[(proto, "https,http")], true),
            (&[(proto, "https, http")], true),
            (&[(proto, "https"), (proto, "https")], true),
            (&[(proto, "https"), (proto, "http")], true),
            (&[(proto, "http,https")], false),
            (&[(proto, "wss")], true),
            (&[(proto, "ws")], false),
            (&[(proto, "\"https\"")], true),
            (&[("forwarded", "proto=https")], true),
            (&[("forwarded", "for=192.0.2.7;proto=HTTPS;by=10.0.0.1")], true),
            (&[("forwarded", "for=192.0.2.7;proto=\"https\"")], true),
            (&[("forwarded", "for=192.0.2.7;proto=https, for=10.0.0.3;proto=http")], true),
            (&[("x-forwarded-for", "192.0.2.7"), ("forwarded", "proto=https")], true),
            (&[(proto, "http"), ("forwarded", "proto=https")], false),
            (&[(proto, "gopher"), ("forwarded", "proto=https")], true),
            (&[(proto, "gopher")], false),
            (&[(proto, "")], false),
        ] {
            assert_eq!(connection_of(fields).0, secure, "{fields:?}");
        }
        // A visitor who writes elements in front of what proxies append changes nothing.
        let forged = [
            ("x-forwarded-for", "1.1.1.1, 192.0.2.7, 10.0.0.2"),
            ("x-forwarded-proto", "https, http, http"),
            ("x-forwarded-host", "forged.org, example.org, inside.org"),
        ];
        assert_eq!(connection_of(&forged), (false, Some("example.org".into()), None));
    }

    #[test]
    fn host_and_port_are_those_that_the_visitor_named() {
        for (fields, host, port) in [
            (&[("x-forwarded-host", "a.org")][..], Some("a.org"), None),
            (&[("x-forwarded-host", "a.org, b.org")], Some("a.org"), None),
            (
                &[("x-forwarded-host", "a.org:8443"), ("x-forwarded-port", "8443")],
                Some("a.org:8443"),
                Some(8443),
            ),
            (&[("x-forwarded-port", "443,80")], None, Some(443)),
            (&[("x-forwarded-port", "0")], None, None),
            (&[("x-forwarded-port", "https")], None, None),
            (&[("forwarded", "host=a.org;proto=https")], Some("a.org"), None),
            (&[("forwarded", "for=192.0.2.7;host=\"a.org:8443\"")], Some("a.org:8443"), None),
            (&[("x-forwarded-host", "a.org/evil")], None, None),
            (&[("x-forwarded-host", "a.org\" b")], None, None),
        ] {
            let (_, found, of_port) = connection_of(fields);
            assert_eq!((found.as_deref(), of_port), (host, port), "{fields:?}");
        }
    }

    #[test]
    fn quoted_strings_of_the_standard_field_are_read_as_such() {
        let element = |node: &str, scheme: Option<&str>, host: Option<&str>| ForwardedElement {
            node: Some(node.into()),
            scheme: scheme.map(str::to_owned),
            host: host.map(str::to_owned),
        };
        for (line, expected) in [
            ("for=192.0.2.43", vec![element("192.0.2.43", None, None)]),
            (
                "For=\"[2001:db8:cafe::17]:4711\"",
                vec![element("[2001:db8:cafe::17]:4711", None, None)],
            ),
            (
                "for=192.0.2.60;proto=http;by=203.0.113.43",
                vec![element("192.0.2.60", Some("http"), None)],
            ),
            (
                "for=192.0.2.43, for=198.51.100.17",
                vec![element("192.0.2.43", None, None), element("198.51.100.17", None, None)],
            ),
            (
                "for=\"a,b;c=\\\"d\" ; host = \"x\" ,for=_e",
                vec![element("a,b;c=\"d", None, Some("x")), element("_e", None, None)],
            ),
            ("for=\"unterminated, for=192.0.2.7", vec![ForwardedElement::default()]),
            ("for=192.0.2.7;for=192.0.2.8", vec![ForwardedElement::default()]),
            ("for", vec![ForwardedElement::default()]),
            ("", vec![ForwardedElement::default()]),
        ] {
            assert_eq!(forwarded_elements(line), expected, "{line}");
        }
    }

    #[test]
    fn the_standard_field_is_read_when_it_comes_alone() {
        let via = |list| visitor("10.0.0.1", &[("forwarded", list)]);
        assert_eq!(
            via("for=1.1.1.1, For=\"[2001:db8::7]:4711\";proto=https"),
            source("2001:db8::7")
        );
        assert_eq!(via("proto=https;for=192.0.2.7, for=10.0.0.3"), source("192.0.2.7"));
        assert_eq!(via("for=_hidden"), source("10.0.0.1"));
    }

    fn forwarding_fields(peer: &str, fields: &[(&'static str, &str)]) -> String {
        let peer: IpAddr = peer.parse().expect("address");
        let networks = networks();
        let trusted = networks.iter().any(|network| network.contains(peer));
        let identity = RemoteAddr::new(peer, trusted);
        let sender = with_head(fields, |head| visitor_of(&identity, false, &networks, head));
        let mut out = Vec::new();
        write_forwarding_headers(&mut out, &identity, &sender, "example.org");
        let first = out.clone();
        out.clear();
        // The same fields are written again.
        write_forwarding_headers(&mut out, &identity, &sender, "example.org");
        assert_eq!(first, out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_origin_gets_the_fields_of_the_gate_and_not_those_of_the_visitor() {
        let fields = forwarding_fields(
            "203.0.113.9",
            &[
                ("x-forwarded-for", "1.1.1.1"),
                ("x-forwarded-proto", "https"),
                ("forwarded", "for=1.1.1.1"),
            ],
        );
        let expected = [
            "x-forwarded-for: 203.0.113.9",
            "x-forwarded-proto: http",
            "x-forwarded-host: example.org",
            "forwarded: for=203.0.113.9;host=\"example.org\";proto=http",
        ];
        assert_eq!(fields.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_chain_of_trusted_proxies_is_forwarded_from_the_visitor_on() {
        let fields = forwarding_fields(
            "10.0.0.1",
            &[
                ("x-forwarded-for", "1.1.1.1, 2001:db8::7, 10.0.0.2"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "www.example.org"),
            ],
        );
        let expected = [
            "x-forwarded-for: 2001:db8::7, 10.0.0.2, 10.0.0.1",
            "x-forwarded-proto: https",
            "x-forwarded-host: www.example.org",
            "forwarded: for=\"[2001:db8::7]\";host=\"www.example.org\";proto=https, for=10.0.0.2, \
             for=10.0.0.1",
        ];
        assert_eq!(fields.lines().collect::<Vec<_>>(), expected);
    }

    proptest! {
        #[test]
        fn whatever_a_visitor_writes_in_front_changes_nothing(
            garbage in "[ -~]{0,80}",
            visitor_address in any::<[u8; 4]>().prop_filter("not a trusted proxy", |ip| ip[0] != 10),
            hops in prop::collection::vec(any::<[u8; 3]>(), 0..5),
        ) {
            let visitor_address = IpAddr::from(visitor_address);
            let mut list = format!("{garbage}, {visitor_address}");
            for [b, c, d] in hops {
                let _ = write!(list, ", 10.{b}.{c}.{d}");
            }
            prop_assert_eq!(
                visitor("10.0.0.1", &[("x-forwarded-for", &list)]),
                SourceKey::of(visitor_address)
            );
        }

        #[test]
        fn any_text_yields_some_visitor(list in "\\PC{0,120}") {
            let identity = RemoteAddr::new(IpAddr::from([10, 0, 0, 1]), true);
            with_head(&[("x-forwarded-for", &list)], |head| visitor_of(&identity, false, &networks(), head));
        }
    }

    #[test]
    fn the_fields_of_one_host_are_not_sent_for_another() {
        let identity = RemoteAddr::new(IpAddr::from([192, 0, 2, 1]), false);
        let sender = with_head(&[], |head| visitor_of(&identity, true, &[], head));
        for host in ["a.org", "b.org", "b.org", "a.org"] {
            let mut out = Vec::new();
            write_forwarding_headers(&mut out, &identity, &sender, host);
            let fields = String::from_utf8(out).expect("text");
            assert!(fields.contains(&format!("x-forwarded-host: {host}\r\n")), "{fields}");
            assert!(fields.contains(&format!("host=\"{host}\";proto=https\r\n")), "{fields}");
        }
    }
}
