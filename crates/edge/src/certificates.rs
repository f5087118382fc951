//! Which certificate a visitor gets.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

/// The certificates of one listener by the names they are for.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// For visitors who ask for no name, or for one that none is for.
    default: Option<Arc<CertifiedKey>>,
    /// By name in lower case; `*.example.org` stands under itself.
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    /// The first is the default. Where two are for the same name, the earlier is taken.
    pub(crate) fn new(all: Vec<Arc<CertifiedKey>>) -> Self {
        let mut by_name = HashMap::new();
        for certificate in &all {
            for name in names(certificate) {
                by_name.entry(name).or_insert_with(|| certificate.clone());
            }
        }
        Self { default: all.into_iter().next(), by_name }
    }

    /// An exact name comes before a wildcard, which is for one label (RFC 6125 section 6.4.3).
    fn of(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        if let Some(certificate) = self.by_name.get(&name) {
            return Some(certificate);
        }
        let (_, rest) = name.split_once('.')?;
        self.by_name.get(&format!("*.{rest}"))
    }
}

/// The names in a certificate's subject alternative names.
fn names(certificate: &CertifiedKey) -> Vec<String> {
    let leaf = certificate.end_entity_cert().ok();
    let leaf = leaf.and_then(|leaf| EndEntityCert::try_from(leaf).ok());
    leaf.map_or_else(Vec::new, |leaf| leaf.valid_dns_names().map(str::to_ascii_lowercase).collect())
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.of(name));
        named.or(self.default.as_ref()).cloned()
    }
}
