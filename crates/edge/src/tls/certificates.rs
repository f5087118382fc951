//! Which certificate a visitor gets.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

/// The protocol of a certificate authority that checks its challenge (RFC 8737 section 6.1).
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";

/// Certificates by name that come and go while the gate runs. Only the ACME client adds entries;
/// nothing that a visitor sends does.
#[derive(Debug, Default)]
pub struct NamedCertificates(ArcSwap<HashMap<String, Arc<CertifiedKey>>>);

impl NamedCertificates {
    /// From now on `name` has this certificate.
    pub fn set(&self, name: &str, certificate: &Arc<CertifiedKey>) {
        self.0.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.insert(name.to_ascii_lowercase(), certificate.clone());
            all
        });
    }

    /// From now on `name` has none.
    pub fn remove(&self, name: &str) {
        self.0.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.remove(&name.to_ascii_lowercase());
            all
        });
    }

    fn of(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.0.load().get(&name.to_ascii_lowercase()).cloned()
    }
}

/// The certificates of one listener by the names they are for.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// For visitors who ask for no name, or for one that none is for.
    default: Option<Arc<CertifiedKey>>,
    /// By name in lower case; `*.example.org` is a key itself.
    by_name: HashMap<String, Arc<CertifiedKey>>,
    /// Obtained while the gate runs; taken where no file's certificate is for the name.
    issued: Arc<NamedCertificates>,
    /// Shown to certificate authorities alone.
    challenges: Arc<NamedCertificates>,
}

impl Certificates {
    /// The first is the default. Where two are for the same name, the earlier is taken.
    pub(crate) fn new(
        all: Vec<Arc<CertifiedKey>>,
        issued: Arc<NamedCertificates>,
        challenges: Arc<NamedCertificates>,
    ) -> Self {
        let mut by_name = HashMap::new();
        for certificate in &all {
            for name in names(certificate) {
                by_name.entry(name).or_insert_with(|| certificate.clone());
            }
        }
        Self { default: all.into_iter().next(), by_name, issued, challenges }
    }

    /// Whether the certificate that is shown for `name` is for `host` too.
    fn covers(&self, name: &str, host: &str) -> bool {
        let shown = |name: &str| {
            let named = self.of(name).cloned().or_else(|| self.issued.of(name));
            named.or_else(|| self.default.clone())
        };
        let (Some(shown), Some(best)) = (shown(name), shown(host)) else { return true };
        if Arc::ptr_eq(&shown, &best) {
            return true;
        }
        let host = host.to_ascii_lowercase();
        let parent = host.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        names(&shown).iter().any(|name| *name == host || Some(name) == parent.as_ref())
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

/// The name that a visitor asked for in the handshake, and the certificates of that moment.
#[derive(Debug)]
pub(crate) struct RequestedName {
    pub(crate) name: String,
    pub(crate) certificates: Arc<Certificates>,
}

impl RequestedName {
    /// Whether the certificate that was shown for it is for `host` too.
    pub(crate) fn covers(&self, host: &str) -> bool {
        self.certificates.covers(&self.name, host)
    }
}

/// The names in a certificate's subject alternative names.
pub(crate) fn names(certificate: &CertifiedKey) -> Vec<String> {
    let leaf = certificate.end_entity_cert().ok();
    let leaf = leaf.and_then(|leaf| EndEntityCert::try_from(leaf).ok());
    leaf.map_or_else(Vec::new, |leaf| leaf.valid_dns_names().map(str::to_ascii_lowercase).collect())
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        if hello.alpn().is_some_and(|mut offered| offered.all(|protocol| protocol == ACME_TLS)) {
            return self.challenges.of(name?);
        }
        let named = name.and_then(|name| self.of(name).cloned().or_else(|| self.issued.of(name)));
        named.or_else(|| self.default.clone())
    }
}
