//! Who a visitor is, and the fields that tell the origin.
//!
//! `X-Forwarded-For` and `Forwarded` (RFC 7239) are believed from trusted proxies alone, and then
//! read from the right: the first address that is not itself a trusted proxy is the visitor.
//! Everything to the left of it was written by the visitor. If a trusted proxy sends both fields,
//! `X-Forwarded-For` counts, because proxies that set it commonly pass `Forwarded` through.

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

struct ForwardedChain {
    /// The visitor, then the trusted proxies it came through.
    chain: Vec<IpAddr>,
    /// The host that the visitor named, according to a trusted proxy.
    host: Option<String>,
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
    let listed = head.first("x-forwarded-for").is_some();
    let lists = texts(head, if listed { "x-forwarded-for" } else { "forwarded" });
    let chain = chain(identity.address, trusted, &lists);
    let secure = match head.single("x-forwarded-proto") {
        Some(b"https") => true,
        Some(b"http") => false,
        _ => secure,
    };
    let host =
        head.single("x-forwarded-host").map(|host| String::from_utf8_lossy(host).into_owned());
    VisitorAddr {
        source: SourceKey::of(chain[0]),
        secure,
        forwarded: Some(ForwardedChain { chain, host }),
    }
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
        return write_fields(out, &chain, sender.secure, forwarded.host.as_deref().unwrap_or(host));
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
    put_field(out, "x-forwarded-host", host.as_bytes());
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
    if host.chars().all(plain) {
        let _ = write!(out, ";host=\"{host}\";proto={scheme}");
    } else {
        let _ = write!(out, ";proto={scheme}");
    }
}

/// The visitor, then the trusted proxies nearer to us (without `peer`). Never empty.
fn chain(peer: IpAddr, trusted: &[IpNet], lists: &[&str]) -> Vec<IpAddr> {
    let mut chain = Vec::new();
    let elements = lists.iter().rev().flat_map(|list| list.rsplit(','));
    for element in elements.take(MOST_HOPS) {
        let Some(hop) = hop(element) else { break };
        chain.insert(0, hop);
        if !trusted.iter().any(|network| network.contains(hop)) {
            break;
        }
    }
    if chain.is_empty() {
        chain.push(peer);
    }
    chain
}

/// The address of one element of `X-Forwarded-For` (`192.0.2.7`, `192.0.2.7:80`, `[::1]:80`) or
/// of `Forwarded` (`for="[2001:db8::7]:4711";proto=https`).
fn hop(element: &str) -> Option<IpAddr> {
    let mut node = element.trim();
    if node.contains('=') {
        node = node.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
        })?;
    }
    let node = node.trim_matches('"');
    let address = node
        .parse::<IpAddr>()
        .or_else(|_| node.parse::<SocketAddr>().map(|socket| socket.ip()))
        .or_else(|error| match node.strip_prefix('[') {
            Some(rest) => rest.trim_end_matches(']').parse().map_err(|_| error),
            None => Err(error),
        });
    address.ok().map(|address| address.to_canonical())
}

fn texts<'a>(head: &Head<'a>, name: &'static str) -> Vec<&'a str> {
    // What is not text ends the chain there, like any other element that is no address.
    head.all(name).map(|line| core::str::from_utf8(line).unwrap_or("?")).collect()
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
