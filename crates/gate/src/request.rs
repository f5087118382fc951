//! A request as the gate reads it, and its features.

use core::hash::Hasher;

use portcullis_model::{Assignment, Feature, Features, PathForm, PathRules, SourceKey};

use crate::path_kind::PathKind;
use crate::secret::Secret;
use crate::token::{self, TokenText};

/// The header fields of a request, in the order in which they arrived.
pub trait Fields {
    /// Calls `visit` with each field's lower-case name and value.
    fn each(&self, visit: &mut dyn FnMut(&str, &[u8]));
}

impl Fields for &[(&str, &str)] {
    fn each(&self, visit: &mut dyn FnMut(&str, &[u8])) {
        for (name, value) in *self {
            visit(name, value.as_bytes());
        }
    }
}

impl<const N: usize> Fields for [(&str, &str); N] {
    fn each(&self, visit: &mut dyn FnMut(&str, &[u8])) {
        self.as_slice().each(visit);
    }
}

/// One request, as the gate sees it.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Where it came from.
    pub source: SourceKey,
    /// The host it names, without port, in any case.
    pub host: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Its path, beginning with `/`.
    pub path: &'a str,
    /// Its query, without the `?`.
    pub query: Option<&'a str>,
    /// Whether the visitor's connection is encrypted (cookies are then marked `Secure`).
    pub secure: bool,
    /// The fingerprint (JA4) of the TLS library that the visitor connected with, if it did.
    pub tls_client: Option<&'a str>,
    /// Its header fields.
    pub fields: &'a dyn Fields,
    /// What it demands beyond a response of ordinary size.
    pub demands: Demands<'a>,
}

/// What a request demands beyond a response of ordinary size. By default, nothing.
#[derive(Clone, Copy, Default)]
pub struct Demands<'a> {
    /// The length of its body in bytes, as far as it is announced.
    pub body_bytes: u64,
    /// Whether it requests more ranges than allowed, or overlapping ones
    /// ([`ranges_within_limit`](crate::ranges_within_limit)).
    pub too_many_ranges: bool,
    /// Where it gets a slot for an upgraded connection, if it requests one.
    pub tunnel: Option<&'a dyn TunnelSlots>,
}

/// The slots for upgraded connections. The edge counts them.
pub trait TunnelSlots {
    /// Takes a slot for as long as the connection lasts. False if none is free: for the source,
    /// for all together, or at the origin.
    fn take(&self, assigned: Assignment) -> bool;
}

/// Whether a field comes and goes between two requests of the same browser, and so does not show how
/// the request was built. By length first: most names share theirs with a few.
fn is_circumstantial(name: &str) -> bool {
    match name.len() {
        2 => name == "te",
        3 => name == "via",
        4 => name == "host",
        5 => name == "range",
        6 => matches!(name, "cookie" | "pragma" | "origin" | "expect"),
        7 => name == "referer",
        8 => name == "if-range",
        9 => matches!(name, "forwarded" | "x-real-ip"),
        10 => name == "connection",
        12 => name == "content-type",
        13 => matches!(name, "cache-control" | "authorization" | "if-none-match"),
        14 => matches!(name, "content-length" | "sec-fetch-user"),
        15 => name == "x-forwarded-for",
        16 => name == "x-forwarded-host",
        17 => {
            matches!(name, "if-modified-since" | "x-forwarded-proto" | "transfer-encoding")
        }
        _ => false,
    }
}

/// Everything about a request's appearance that one pass over its fields yields.
#[derive(Clone, Debug)]
pub(crate) struct RequestFeatures<'a> {
    pub features: Features,
    /// Keyed hash of the whole query (without the gate's own parameter); zero if there is none.
    pub query: u32,
    /// The gate's cookie; a second one may have been planted by a neighbouring site.
    pub cookies: [Option<TokenText>; 2],
    /// The gate's query parameter.
    pub pass: Option<&'a str>,
    /// Whether the visitor would show an HTML page.
    pub wants_page: bool,
    /// Whether it is a picture, style, script or font that browsers load with a page.
    pub asset: bool,
    /// Whether it asks for a range, or for news since an earlier answer.
    pub partial: bool,
}

impl<'a> RequestFeatures<'a> {
    /// `path` is the request's path in its form.
    pub(crate) fn of(request: &Request<'a>, path: &str, secret: &Secret) -> Self {
        let hash = |bytes: &[u8]| hash_with(secret, bytes);
        let mut features = [0; portcullis_model::FEATURES];
        let mut cookies = [None; 2];
        let mut wants_page = false;
        let mut asset = PathKind::of(path) == PathKind::Asset;
        let mut partial = false;
        let mut shape = secret.feature_hasher();
        request.fields.each(&mut |name, value| {
            match name {
                "user-agent" => features[Feature::UserAgent as usize] = hash(value),
                "accept-language" => features[Feature::Language as usize] = hash(value),
                "accept" => {
                    features[Feature::Accept as usize] = hash(value);
                    wants_page = value.windows(9).any(|w| w == b"text/html");
                    let shown = value.starts_with(b"image/") || value.starts_with(b"text/css");
                    asset = !wants_page && (asset || shown);
                }
                "referer" => {
                    features[Feature::Referrer as usize] = hash(referring_host(value));
                }
                "cookie" => token::from_cookies(value, &mut cookies),
                "range" | "if-none-match" | "if-modified-since" => partial = true,
                _ => {}
            }
            if !is_circumstantial(name) {
                shape.write(name.as_bytes());
                shape.write_u8(b'\n');
            }
        });
        features[Feature::HeaderOrder as usize] = fold(shape.finish());
        features[Feature::Method as usize] = hash(request.method.as_bytes());
        features[Feature::Path as usize] = hash(path.as_bytes());
        if let Some(client) = request.tls_client {
            features[Feature::TlsFingerprint as usize] = hash(client.as_bytes());
        }
        let QueryFeatures { query, names, pass } = QueryFeatures::of(request.query, secret);
        features[Feature::QueryNames as usize] = names;
        Self { features: Features(features), query, cookies, pass, wants_page, asset, partial }
    }
}

/// What a query yields, without the gate's own parameter; zero where there is none.
#[derive(Debug, Default)]
struct QueryFeatures<'a> {
    /// Keyed hash of the whole query.
    query: u32,
    /// Keyed hash of its names.
    names: u32,
    /// The gate's parameter.
    pass: Option<&'a str>,
}

impl<'a> QueryFeatures<'a> {
    fn of(query: Option<&'a str>, secret: &Secret) -> Self {
        let mut features = Self::default();
        let Some(text) = query.filter(|q| !q.is_empty()) else { return features };
        let mut whole = secret.feature_hasher();
        let mut names = secret.feature_hasher();
        let mut any = false;
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if name == token::TOKEN_PARAM {
                features.pass = Some(value);
                continue;
            }
            any = true;
            whole.write(pair.as_bytes());
            whole.write_u8(b'&');
            names.write(name.as_bytes());
            names.write_u8(b'&');
        }
        if any {
            (features.query, features.names) = (fold(whole.finish()), fold(names.finish()));
        }
        features
    }
}

/// The text behind a request's feature, for people; `None` if the feature is absent.
pub(crate) fn describe(request: &Request<'_>, feature: Feature) -> Option<String> {
    let field = |wanted: &str| {
        let mut text = None;
        request.fields.each(&mut |name, value| {
            if name == wanted {
                text = Some(String::from_utf8_lossy(value).into_owned());
            }
        });
        text
    };
    match feature {
        Feature::Method => Some(request.method.to_owned()),
        Feature::Path => {
            let form = PathForm::of(request.path, PathRules::ANY);
            Some(form.map_or_else(|_| request.path.to_owned(), |form| form.as_str().to_owned()))
        }
        Feature::QueryNames => {
            let names: Vec<_> = request
                .query?
                .split('&')
                .map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name))
                .filter(|name| *name != token::TOKEN_PARAM)
                .collect();
            Some(names.join(", "))
        }
        Feature::HeaderOrder => {
            let mut names = String::new();
            request.fields.each(&mut |name, _| {
                if !is_circumstantial(name) {
                    if !names.is_empty() {
                        names.push_str(", ");
                    }
                    names.push_str(name);
                }
            });
            Some(names)
        }
        Feature::TlsFingerprint => request.tls_client.map(str::to_owned),
        Feature::UserAgent => field("user-agent"),
        Feature::Language => field("accept-language"),
        Feature::Accept => field("accept"),
        Feature::Referrer => {
            let text = field("referer")?;
            Some(String::from_utf8_lossy(referring_host(text.as_bytes())).into_owned())
        }
    }
}

fn referring_host(value: &[u8]) -> &[u8] {
    let after = value.windows(3).position(|w| w == b"://").map_or(value, |at| &value[at + 3..]);
    let end = after.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(after.len());
    &after[..end]
}

fn hash_with(secret: &Secret, bytes: &[u8]) -> u32 {
    let mut hasher = secret.feature_hasher();
    hasher.write(bytes);
    fold(hasher.finish())
}

/// 32 of the 64 bits, never zero: zero means absent.
fn fold(hash: u64) -> u32 {
    (hash as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appearance<'a>(query: Option<&'a str>, fields: &'a dyn Fields) -> RequestFeatures<'a> {
        let request = Request {
            source: SourceKey::of([127, 0, 0, 1].into()),
            host: "example.org",
            method: "GET",
            path: "/",
            query,
            secure: false,
            tls_client: None,
            fields,
            demands: Demands::default(),
        };
        RequestFeatures::of(&request, request.path, &Secret::new(&[7; 32]))
    }

    #[test]
    fn the_shape_is_the_order_of_names_and_not_what_a_visit_adds() {
        let plain = [("user-agent", "a"), ("accept", "text/html")];
        let later = [("user-agent", "b"), ("cookie", "x=1"), ("accept", "*/*"), ("referer", "/")];
        let swapped = [("accept", "text/html"), ("user-agent", "a")];
        let shape =
            |fields: &dyn Fields| appearance(None, fields).features.get(Feature::HeaderOrder);
        assert_eq!(shape(&plain), shape(&later));
        assert_ne!(shape(&plain), shape(&swapped));
    }

    #[test]
    fn what_comes_and_goes_is_known_by_its_whole_name() {
        for name in [
            "cookie",
            "referer",
            "content-length",
            "content-type",
            "cache-control",
            "pragma",
            "authorization",
            "if-none-match",
            "if-modified-since",
            "if-range",
            "range",
            "origin",
            "host",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "forwarded",
            "via",
            "connection",
            "transfer-encoding",
            "expect",
            "te",
            "x-real-ip",
            "sec-fetch-user",
        ] {
            assert!(is_circumstantial(name), "{name}");
            assert!(!is_circumstantial(&format!("{name}x")), "{name}");
        }
        for name in ["user-agent", "accept", "accept-language", "dnt", "sec-fetch-mode"] {
            assert!(!is_circumstantial(name), "{name}");
        }
    }

    #[test]
    fn the_gates_own_parameter_is_invisible_to_features() {
        let none: [(&str, &str); 0] = [];
        let with = appearance(Some("q=1&__portcullis=abc"), &none);
        let without = appearance(Some("q=1"), &none);
        assert_eq!(with.query, without.query);
        assert_eq!(with.features, without.features);
        assert_eq!(with.pass, Some("abc"));
        assert_eq!(appearance(Some("__portcullis=abc"), &none).query, 0);
    }

    #[test]
    fn a_referrer_is_reduced_to_its_host() {
        assert_eq!(referring_host(b"https://example.org/path?secret=1"), b"example.org");
        assert_eq!(referring_host(b"about"), b"about");
    }
}
