//! Features: the appearance of a request, apart from its source.

use serde::{Deserialize, Serialize};

/// How many features a request has.
pub const FEATURES: usize = 9;

/// One aspect of a request that a signature may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Feature {
    /// The method.
    Method,
    /// The path without its query.
    Path,
    /// The names (not the values) in the query, in order.
    QueryNames,
    /// The names of the header fields, in order.
    HeaderOrder,
    /// The User-Agent field.
    UserAgent,
    /// The Accept-Language field.
    Language,
    /// The Accept field.
    Accept,
    /// The host that the Referer field names.
    Referrer,
    /// The JA4 fingerprint of the client's TLS library; absent without TLS, or behind a trusted proxy.
    TlsFingerprint,
}

impl Feature {
    /// Every feature, in the order of [`Features`].
    pub const ALL: [Self; FEATURES] = [
        Self::Method,
        Self::Path,
        Self::QueryNames,
        Self::HeaderOrder,
        Self::UserAgent,
        Self::Language,
        Self::Accept,
        Self::Referrer,
        Self::TlsFingerprint,
    ];

    /// How a person would name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Path => "path",
            Self::QueryNames => "query names",
            Self::HeaderOrder => "order of header fields",
            Self::UserAgent => "user agent",
            Self::Language => "language",
            Self::Accept => "accepted types",
            Self::Referrer => "referring host",
            Self::TlsFingerprint => "TLS library (JA4)",
        }
    }
}

/// The features of one request, each as 32 bits of a keyed hash; zero means absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features(pub [u32; FEATURES]);

impl Features {
    /// The hashed value of one feature.
    pub const fn get(&self, feature: Feature) -> u32 {
        self.0[feature as usize]
    }
}

/// The text behind a hashed feature value, so that a person can read a signature.
///
/// Workers send these next to the records, lossily: a missing sighting costs a readable name,
/// never a decision. The text is cut at [`FeatureName::TEXT_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureName {
    /// Which feature.
    pub feature: Feature,
    /// Its hashed value.
    pub value: u32,
    length: u8,
    text: [u8; Self::TEXT_BYTES],
}

impl FeatureName {
    /// The longest text that is stored, in bytes.
    pub const TEXT_BYTES: usize = 118;

    /// A sighting of `text`, cut to fit at a character boundary.
    pub fn new(feature: Feature, value: u32, text: &str) -> Self {
        let mut length = text.len().min(Self::TEXT_BYTES);
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        let mut bytes = [0; Self::TEXT_BYTES];
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        Self { feature, value, length: length as u8, text: bytes }
    }

    /// The text, as seen.
    pub fn text(&self) -> &str {
        core::str::from_utf8(&self.text[..usize::from(self.length)]).unwrap_or("")
    }
}
