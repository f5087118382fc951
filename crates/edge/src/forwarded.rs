//! Who a visitor is, and the fields that tell the origin.
//!
//! `X-Forwarded-For` and `Forwarded` (RFC 7239) are believed from trusted proxies alone, and then
//! read from the right: the first address that is not itself a trusted proxy is the visitor.
//! Whatever stands further left was written by the visitor. If a trusted proxy sends both fields,
//! `X-Forwarded-For` counts, because proxies that set it commonly pass `Forwarded` through.

use core::cell::RefCell;
use core::fmt::Write;
use core::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_model::{Network, SourceKey};

pub(crate) static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Hops that are looked at, from the right; no honest chain is longer.
const MOST_HOPS: usize = 16;

/// Whose connection it is.
pub(crate) struct Identity {
    /// The address that connected, or that a PROXY header named.
    pub(crate) address: IpAddr,
    /// Its source.
    pub(crate) source: SourceKey,
    /// It is a trusted proxy, so that its requests name their visitors themselves.
    pub(crate) trusted: bool,
    /// The address as a field value.
    text: HeaderValue,
    /// The last `Forwarded` value made, and the host that it was made for.
    last: RefCell<Option<(HeaderValue, HeaderValue)>>,
}

impl Identity {
    pub(crate) fn new(address: IpAddr, trusted: bool) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            source: SourceKey::of(address),
            trusted,
            text: value(&address.to_string()),
            last: RefCell::new(None),
        }
    }
}

/// Who sent one request.
pub(crate) struct Sender {
    /// Where it came from.
    pub(crate) source: SourceKey,
    /// Whether the visitor's own connection is encrypted.
    pub(crate) secure: bool,
    /// What trusted proxies told, if any did.
    told: Option<Told>,
}

struct Told {
    /// The visitor, then the trusted proxies it came through.
    chain: Vec<IpAddr>,
    /// The host that the visitor named, if a proxy says so.
    host: Option<HeaderValue>,
}

/// Finds out who sent a request.
pub(crate) fn sender(
    identity: &Identity,
    secure: bool,
    trusted: &[Network],
    headers: &HeaderMap,
) -> Sender {
    if !identity.trusted {
        return Sender { source: identity.source, secure, told: None };
    }
    let lists = if headers.contains_key(&X_FORWARDED_FOR) {
        texts(headers, &X_FORWARDED_FOR)
    } else {
        texts(headers, &FORWARDED)
    };
    let chain = chain(identity.address, trusted, &lists);
    let secure = match single(headers, &X_FORWARDED_PROTO).map(HeaderValue::as_bytes) {
        Some(b"https") => true,
        Some(b"http") => false,
        _ => secure,
    };
    Sender {
        source: SourceKey::of(chain[0]),
        secure,
        told: Some(Told { chain, host: single(headers, &X_FORWARDED_HOST).cloned() }),
    }
}

/// Sets the fields that tell the origin who asked, in place of any that came.
pub(crate) fn tell(headers: &mut HeaderMap, identity: &Identity, sender: &Sender) {
    let Some(host) = headers.get(HOST).cloned() else {
        return;
    };
    let (all, host, forwarded) = match &sender.told {
        None => {
            let forwarded = direct(identity, sender.secure, &host);
            (identity.text.clone(), host, forwarded)
        }
        Some(told) => {
            let host = told.host.clone().unwrap_or(host);
            let mut all = String::new();
            let mut forwarded = String::new();
            for (at, hop) in told.chain.iter().chain([&identity.address]).enumerate() {
                let separator = if at == 0 { "" } else { ", " };
                let _ = write!(all, "{separator}{hop}");
                forwarded.push_str(separator);
                element(&mut forwarded, *hop);
                if at == 0 {
                    seen(&mut forwarded, sender.secure, &host);
                }
            }
            (value(&all), host, value(&forwarded))
        }
    };
    let scheme = HeaderValue::from_static(if sender.secure { "https" } else { "http" });
    headers.insert(&X_FORWARDED_FOR, all);
    headers.insert(&X_FORWARDED_PROTO, scheme);
    headers.insert(&X_FORWARDED_HOST, host);
    headers.insert(FORWARDED, forwarded);
}

/// The `Forwarded` value of a visitor who connected directly. Requests of one connection nearly
/// always name the same host, so the last value is kept.
fn direct(identity: &Identity, secure: bool, host: &HeaderValue) -> HeaderValue {
    let mut last = identity.last.borrow_mut();
    if let Some((of, forwarded)) = &*last
        && of == host
    {
        return forwarded.clone();
    }
    let mut text = String::with_capacity(96);
    element(&mut text, identity.address);
    seen(&mut text, secure, host);
    let forwarded = value(&text);
    // A copy: the field is a piece of the buffer that the whole request was read into, which would
    // be kept for as long as the connection lasts.
    let copy = HeaderValue::from_bytes(host.as_bytes()).unwrap_or_else(|_| host.clone());
    *last = Some((copy, forwarded.clone()));
    forwarded
}

fn element(out: &mut String, hop: IpAddr) {
    let _ = match hop {
        IpAddr::V4(v4) => write!(out, "for={v4}"),
        IpAddr::V6(v6) => write!(out, "for=\"[{v6}]\""),
    };
}

fn seen(out: &mut String, secure: bool, host: &HeaderValue) {
    let scheme = if secure { "https" } else { "http" };
    // A host that needs escapes does not exist; one that tries is left out.
    match host.to_str() {
        Ok(host) if !host.contains(['"', '\\']) => {
            let _ = write!(out, ";host=\"{host}\";proto={scheme}");
        }
        _ => {
            let _ = write!(out, ";proto={scheme}");
        }
    }
}

/// Addresses and hosts that were parsed are always valid field values.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// The visitor, then the trusted proxies nearer to us (without `peer`). Never empty.
fn chain(peer: IpAddr, trusted: &[Network], lists: &[&str]) -> Vec<IpAddr> {
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

fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    // What is not text ends the chain there, like any other element that is no address.
    let lines = headers.get_all(name).iter();
    lines.map(|line| line.to_str().unwrap_or("?")).collect()
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn networks() -> Vec<Network> {
        ["10.0.0.0/8", "2001:db8:ffff::/48"].map(|text| text.parse().expect("network")).to_vec()
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert(HOST, HeaderValue::from_static("example.org"));
        for (name, text) in fields {
            map.append(*name, HeaderValue::from_str(text).expect("value"));
        }
        map
    }

    fn visitor(peer: &str, fields: &[(&'static str, &str)]) -> SourceKey {
        let peer: IpAddr = peer.parse().expect("address");
        let networks = networks();
        let trusted = networks.iter().any(|network| network.contains(peer));
        sender(&Identity::new(peer, trusted), false, &networks, &headers(fields)).source
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

    fn told(peer: &str, fields: &[(&'static str, &str)]) -> HeaderMap {
        let peer: IpAddr = peer.parse().expect("address");
        let networks = networks();
        let trusted = networks.iter().any(|network| network.contains(peer));
        let identity = Identity::new(peer, trusted);
        let mut headers = headers(fields);
        let sender = sender(&identity, false, &networks, &headers);
        tell(&mut headers, &identity, &sender);
        headers
    }

    #[test]
    fn the_origin_is_told_what_we_know_and_not_what_a_visitor_wrote() {
        let told = told(
            "203.0.113.9",
            &[
                ("x-forwarded-for", "1.1.1.1"),
                ("x-forwarded-proto", "https"),
                ("forwarded", "for=1.1.1.1"),
            ],
        );
        assert_eq!(told["x-forwarded-for"], "203.0.113.9");
        assert_eq!(told["x-forwarded-proto"], "http");
        assert_eq!(told["x-forwarded-host"], "example.org");
        assert_eq!(told["forwarded"], "for=203.0.113.9;host=\"example.org\";proto=http");
    }

    #[test]
    fn a_chain_of_trusted_proxies_is_kept_from_the_visitor_on() {
        let told = told(
            "10.0.0.1",
            &[
                ("x-forwarded-for", "1.1.1.1, 2001:db8::7, 10.0.0.2"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "www.example.org"),
            ],
        );
        assert_eq!(told["x-forwarded-for"], "2001:db8::7, 10.0.0.2, 10.0.0.1");
        assert_eq!(told["x-forwarded-proto"], "https");
        assert_eq!(told["x-forwarded-host"], "www.example.org");
        assert_eq!(
            told["forwarded"],
            "for=\"[2001:db8::7]\";host=\"www.example.org\";proto=https, for=10.0.0.2, for=10.0.0.1"
        );
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
            let mut map = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_str(&list) {
                map.append(&X_FORWARDED_FOR, value);
            }
            let identity = Identity::new(IpAddr::from([10, 0, 0, 1]), true);
            let _ = sender(&identity, false, &networks(), &map);
        }
    }

    #[test]
    fn what_is_remembered_of_a_host_is_no_piece_of_the_request() {
        let identity = Identity::new(IpAddr::from([192, 0, 2, 1]), false);
        let buffer = bytes::Bytes::from(vec![b'a'; 8_192]);
        let host = HeaderValue::from_maybe_shared(buffer.slice(..20)).expect("a value");
        let forwarded = direct(&identity, true, &host);
        assert_eq!(direct(&identity, true, &host), forwarded);
        drop(host);
        assert!(buffer.is_unique());
    }
}
