//! The kinds of header fields that a proxy must work on.

use crate::head::Field;

/// The kinds of fields that a request has, found in one pass. One bit for each [`HeaderKind`].
#[derive(Clone, Copy, Debug, Default)]
pub struct HeaderPresence(u16);

/// A kind of field that the gate checks, rewrites or removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderKind {
    /// `Host`.
    Host,
    /// `Connection`: it names other fields of this hop.
    Connection,
    /// Other fields that are for one hop only.
    HopByHop,
    /// `Content-Length`.
    ContentLength,
    /// `Transfer-Encoding`.
    TransferEncoding,
    /// Fields by which an origin may believe an address, a scheme, a host, a path or a method that
    /// the request does not have.
    Claim,
    /// `Upgrade`.
    Upgrade,
    /// `TE`.
    Te,
    /// `Cookie`.
    Cookie,
    /// `Range`.
    Range,
}

impl HeaderKind {
    /// The kind of a field; `None` for those that pass unchanged. `name` is in lower case.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "host" => Self::Host,
            "connection" => Self::Connection,
            "content-length" => Self::ContentLength,
            "transfer-encoding" => Self::TransferEncoding,
            // The gate answers expectations itself, and upgrades no connection to HTTP/2.
            "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "expect"
            | "http2-settings" => Self::HopByHop,
            "upgrade" => Self::Upgrade,
            "te" => Self::Te,
            "cookie" => Self::Cookie,
            "range" => Self::Range,
            name if is_claim(name) => Self::Claim,
            _ => return None,
        })
    }
}

impl HeaderPresence {
    /// The kinds of these fields.
    pub fn from_fields(fields: &[Field<'_>]) -> Self {
        let mut present = Self::default();
        for kind in fields.iter().filter_map(|field| HeaderKind::of(field.name)) {
            present.0 |= 1 << kind as u16;
        }
        present
    }

    /// Whether a field of this kind is present.
    pub const fn has(self, kind: HeaderKind) -> bool {
        self.0 & 1 << kind as u16 != 0
    }
}

/// Fields of proxies, platforms and frameworks that replace something of the request. None is
/// passed on: the gate sets the true forwarding fields again. docs/http.md has the same list.
fn is_claim(name: &str) -> bool {
    name.starts_with("x-forwarded-")
        || is_claim_about_client(name)
        || is_claim_about_request(name)
        || name.bytes().any(|byte| byte == b'_') && is_disguised(name)
}

/// Claims about the client: its address, its certificate, who it is.
fn is_claim_about_client(name: &str) -> bool {
    matches!(
        name,
        "forwarded"
            | "x-forwarded"
            | "forwarded-for"
            | "x-real-ip"
            | "client-ip"
            | "x-client-ip"
            | "http-client-ip"
            | "true-client-ip"
            | "x-true-client-ip"
            | "x-true-ip"
            | "x-cluster-client-ip"
            | "x-remote-ip"
            | "x-remote-addr"
            | "remote-addr"
            | "x-originating-ip"
            | "x-proxyuser-ip"
            | "x-envoy-external-address"
            | "x-appengine-user-ip"
            | "x-azure-clientip"
            | "x-azure-socketip"
            | "cf-connecting-ip"
            | "cf-connecting-ipv6"
            | "cf-pseudo-ipv4"
            | "fastly-client-ip"
            | "fly-client-ip"
            | "incap-client-ip"
            | "proxy-client-ip"
            | "wl-proxy-client-ip"
            | "x-original-forwarded-for"
            | "x-original-remote-addr"
            | "remote-user"
            | "x-remote-user"
            | "client-cert"
            | "client-cert-chain"
            | "ssl-client-cert"
            | "x-client-cert"
            | "x-ssl-client-cert"
    )
}

/// Claims about the request: its scheme, its host, its path, its method.
fn is_claim_about_request(name: &str) -> bool {
    matches!(
        name,
        // CGI makes HTTP_PROXY of it, which clients of the origin take for theirs (CVE-2016-5385).
        "proxy"
            | "front-end-https"
            | "x-arr-ssl"
            | "x-https"
            | "x-scheme"
            | "x-url-scheme"
            | "cloudfront-forwarded-proto"
            | "x-host"
            | "x-original-host"
            | "x-http-host-override"
            | "x-rewrite-url"
            | "x-original-url"
            | "x-original-uri"
            | "x-http-path-override"
            | "x-http-method"
            | "x-http-method-override"
            | "x-method-override"
    )
}

/// Many applications read `_` as `-` (RFC 3875, section 4.1.18), so that a field with `_` would
/// pass there for a field that the gate or the framing guarantees.
#[cold]
fn is_disguised(name: &str) -> bool {
    let plain = name.replace('_', "-");
    is_claim(&plain) || matches!(&*plain, "content-length" | "transfer-encoding")
}
