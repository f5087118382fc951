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
    /// Fields that name the client.
    Forwarding,
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
            name if is_forwarding_field(name) => Self::Forwarding,
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

/// Fields that name the client. All are removed; the gate sets the true ones again.
fn is_forwarding_field(name: &str) -> bool {
    name.starts_with("x-forwarded-")
        || matches!(name, "x-real-ip" | "x-client-ip" | "true-client-ip" | "forwarded")
        || name.bytes().any(|byte| byte == b'_') && is_disguised(name)
}

/// Many applications read `_` as `-` (RFC 3875, section 4.1.18), so that a field with `_` would
/// pass there for a field that the gate or the framing guarantees.
#[cold]
fn is_disguised(name: &str) -> bool {
    let plain = name.replace('_', "-");
    is_forwarding_field(&plain) || matches!(&*plain, "content-length" | "transfer-encoding")
}
