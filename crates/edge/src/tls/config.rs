//! Certificates: read, checked and made ready, with errors that say which file to fix.

use std::io;
use std::path::Path;
use std::sync::Arc;

use portcullis_model::{Config, TlsFiles};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::certificates::{ACME_TLS, Certificates, NamedCertificates};
use super::der::{FIRST, INTEGER, SEQUENCE, value};
use super::pem_text::{self, PemFault};
use crate::error::EdgeError;

/// TLS or plain HTTP/1.1 for each listener, in the order of the configuration.
pub type TlsConfigs = Vec<Option<ListenerTls>>;

/// The TLS of one listener.
#[derive(Clone, Debug)]
pub struct ListenerTls {
    /// What the TLS library needs.
    pub server: Arc<ServerConfig>,
    /// Its certificates by name.
    pub(crate) certificates: Arc<Certificates>,
}

/// What outlives a reload, shared by all listeners and workers: the keys of session tickets, and
/// certificates that did not come from files.
#[derive(Clone, Debug)]
pub struct TlsShared {
    ticketer: Arc<dyn ProducesTickets>,
    /// Certificates obtained while the gate runs, by name.
    pub issued: Arc<NamedCertificates>,
    /// Certificates that answer a TLS-ALPN-01 challenge, by name (RFC 8737). Only a certificate
    /// authority is shown them, and its connection ends with the handshake.
    pub challenges: Arc<NamedCertificates>,
}

impl TlsShared {
    /// With fresh ticket keys. They change every six hours by themselves.
    pub fn new() -> Result<Self, EdgeError> {
        let ticketer = ring::Ticketer::new().map_err(|error| EdgeError::Tls(error.to_string()))?;
        Ok(Self { ticketer, issued: Arc::default(), challenges: Arc::default() })
    }
}

/// Reads the certificates of every listener that has one.
pub fn load_all(config: &Config, keep: &TlsShared) -> Result<TlsConfigs, EdgeError> {
    let pair = |files| load_pair(files).map(Arc::new);
    let shared: Vec<_> = config.certificates.iter().map(pair).collect::<Result<_, _>>()?;
    let listeners = config.listeners.iter();
    listeners
        .map(|listener| {
            let Some(files) = &listener.tls else { return Ok(None) };
            let own = pair(files)?;
            let certificates = [&own].into_iter().chain(&shared).cloned().collect();
            let certificates = Arc::new(Certificates::new(
                certificates,
                keep.issued.clone(),
                keep.challenges.clone(),
            ));
            let server = server(certificates.clone(), keep)?;
            Ok(Some(ListenerTls { server, certificates }))
        })
        .collect()
}

fn server(
    certificates: Arc<dyn ResolvesServerCert>,
    keep: &TlsShared,
) -> Result<Arc<ServerConfig>, EdgeError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| EdgeError::Tls(error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), ACME_TLS.to_vec()];
    // Resumption costs the visitor's memory (a ticket), not ours.
    config.ticketer = keep.ticketer.clone();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// The same certificates and ticket keys for HTTP/3: TLS 1.3 alone, without early data.
pub fn quic_config(listener: &ServerConfig) -> Result<ServerConfig, EdgeError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| EdgeError::Tls(error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(listener.cert_resolver.clone());
    config.alpn_protocols = vec![b"h3".to_vec()];
    config.ticketer = listener.ticketer.clone();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// Reads one certificate chain and its key, and sees that they belong together. The chain may be in any
/// order.
pub fn load_pair(files: &TlsFiles) -> Result<CertifiedKey, EdgeError> {
    let chain = chain(&files.certificate)?;
    let key = private_key(&files.key)?;
    let provider = ring::default_provider();
    let belongs = |certificate: &CertificateDer<'static>| {
        CertifiedKey::from_der(vec![certificate.clone()], key.clone_key(), &provider).is_ok()
    };
    let chain = match chain.iter().position(belongs) {
        Some(leaf) => in_order(chain, leaf),
        None => chain,
    };
    let pair = CertifiedKey::from_der(chain, key, &provider);
    pair.map_err(|problem| EdgeError::Mismatch {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        problem: problem.to_string(),
    })
}

/// The curve P-521 in a key (RFC 5480, section 2.1.1.1).
const P_521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, EdgeError> {
    let problem = |problem: &str| EdgeError::Pem { path: path.to_owned(), problem: problem.into() };
    let text = read(path)?;
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        pem::Error::NoItemsFound => problem(
            "holds no private key in PEM form (`-----BEGIN PRIVATE KEY-----`). Has it been swapped \
             with the certificate?",
        ),
        other => problem(&format!("is not a valid PEM file: {other}")),
    })?;
    if key.secret_der().windows(P_521.len()).any(|part| part == P_521) {
        return Err(problem(
            "is a P-521 key, which browsers do not support. Order the certificate for a P-256 key: \
             openssl ecparam -genkey -name prime256v1 -noout -out FILE.key",
        ));
    }
    Ok(key)
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, EdgeError> {
    let problem = |problem: String| EdgeError::Pem { path: path.to_owned(), problem };
    let text = read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| problem(format!("is not a valid PEM file: {error}")))?;
    if chain.is_empty() {
        let what = "holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`). Has it been \
                    swapped with the key?";
        return Err(problem(what.into()));
    }
    Ok(chain)
}

/// The chain from its leaf on, each followed by its issuer (RFC 8446, section 4.4.2); what belongs to no
/// link comes last.
fn in_order(mut rest: Vec<CertificateDer<'static>>, leaf: usize) -> Vec<CertificateDer<'static>> {
    let mut ordered = vec![rest.remove(leaf)];
    while let Some((issuer, subject)) = ordered.last().and_then(|last| issuer_and_subject(last))
        && issuer != subject
        && let Some(next) = rest
            .iter()
            .position(|other| issuer_and_subject(other).is_some_and(|(_, name)| name == issuer))
    {
        ordered.push(rest.remove(next));
    }
    ordered.append(&mut rest);
    ordered
}

/// The names of a certificate's issuer and subject (RFC 5280, section 4.1).
fn issuer_and_subject(certificate: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (certificate, _) = value(certificate, SEQUENCE)?;
    let (body, _) = value(certificate, SEQUENCE)?;
    let body = value(body, FIRST).map_or(body, |(_, rest)| rest);
    let (_, body) = value(body, INTEGER)?;
    let (_, body) = value(body, SEQUENCE)?;
    let (issuer, body) = value(body, SEQUENCE)?;
    let (_, body) = value(body, SEQUENCE)?;
    let (subject, _) = value(body, SEQUENCE)?;
    Some((issuer.to_vec(), subject.to_vec()))
}

/// A file's blocks in strict PEM.
fn read(path: &Path) -> Result<String, EdgeError> {
    let bytes = std::fs::read(path)
        .map_err(|source: io::Error| EdgeError::Unreadable { path: path.to_owned(), source })?;
    pem_text::strict(&bytes).map_err(|PemFault { line, problem }| EdgeError::Pem {
        path: path.to_owned(),
        problem: match line {
            Some(line) => format!("(line {line}) {problem}"),
            None => problem,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn pair(folder: &Path, name: &str) -> TlsFiles {
        let made = rcgen::generate_simple_self_signed(vec!["example.org".into()]).expect("made");
        let certificate = folder.join(format!("{name}.crt"));
        let key = folder.join(format!("{name}.key"));
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        TlsFiles { certificate, key }
    }

    fn complaint(files: &TlsFiles) -> String {
        load_pair(files).expect_err("refused").to_string()
    }

    #[test]
    fn a_certificate_with_its_key_is_taken() {
        let folder = tempfile::tempdir().expect("folder");
        load_pair(&pair(folder.path(), "a")).expect("loads");
    }

    /// A leaf, its intermediate authority and the root, in PEM, and the leaf's key.
    fn made_chain() -> ([String; 3], String) {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
        let params = |name: &str, names: Vec<String>| {
            let mut params = CertificateParams::new(names).expect("names");
            params.distinguished_name.push(DnType::CommonName, name);
            if name != "leaf" {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }
            params
        };
        let key = || KeyPair::generate().expect("a key");
        let (root_key, middle_key, leaf_key) = (key(), key(), key());
        let root_params = params("root", Vec::new());
        let root = root_params.self_signed(&root_key).expect("signed");
        let by_root = Issuer::new(root_params, root_key);
        let middle_params = params("middle", Vec::new());
        let middle = middle_params.signed_by(&middle_key, &by_root).expect("signed");
        let by_middle = Issuer::new(middle_params, middle_key);
        let leaf = params("leaf", vec!["example.org".into()]);
        let leaf = leaf.signed_by(&leaf_key, &by_middle).expect("signed");
        ([leaf.pem(), middle.pem(), root.pem()], leaf_key.serialize_pem())
    }

    #[test]
    fn a_chain_in_any_order_and_any_spelling_is_served_from_its_leaf() {
        let folder = tempfile::tempdir().expect("folder");
        let ([leaf, middle, root], key) = made_chain();
        let files = TlsFiles {
            certificate: folder.path().join("site.crt"),
            key: folder.path().join("site.key"),
        };
        std::fs::write(&files.key, format!("\u{feff}{}", key.replace('\n', "\r\n")))
            .expect("written");
        let expected = [&leaf, &middle, &root]
            .map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM"));
        for order in [[&leaf, &middle, &root], [&root, &middle, &leaf], [&middle, &leaf, &root]] {
            let text: String =
                order.iter().map(|pem| format!("Bag Attributes\n  a: b\n{pem}")).collect();
            std::fs::write(&files.certificate, text).expect("written");
            assert_eq!(load_pair(&files).expect("loads").cert, expected);
        }
    }

    #[test]
    fn a_key_on_a_curve_that_browsers_lack_names_the_remedy() {
        let folder = tempfile::tempdir().expect("folder");
        let files = pair(folder.path(), "a");
        let der = [&[0x30, 0x09][..], P_521].concat();
        let pem = format!(
            "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n",
            base64(&der)
        );
        std::fs::write(&files.key, pem).expect("written");
        let complaint = complaint(&files);
        assert!(complaint.contains("P-521") && complaint.contains("prime256v1"), "{complaint}");
    }

    /// Without padding: for lengths that are multiples of three.
    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digits = bytes.chunks(3).flat_map(|three| {
            let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
            [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]))
        });
        digits.collect()
    }

    #[test]
    fn an_error_names_the_file() {
        let folder = tempfile::tempdir().expect("folder");
        let (a, b) = (pair(folder.path(), "a"), pair(folder.path(), "b"));
        let missing = TlsFiles { certificate: PathBuf::from("/nowhere/site.crt"), ..a.clone() };
        assert!(complaint(&missing).starts_with("cannot read /nowhere/site.crt"));
        let swapped = TlsFiles { certificate: a.key.clone(), key: a.certificate.clone() };
        assert!(complaint(&swapped).contains("swapped with the key"));
        let keyless = TlsFiles { key: a.certificate.clone(), ..a.clone() };
        assert!(complaint(&keyless).contains("holds no private key"));
        let mixed = TlsFiles { key: b.key, ..a };
        assert!(complaint(&mixed).contains("do not work together"));
    }
}
