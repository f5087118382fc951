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
use crate::error::EdgeError;

/// TLS or plain HTTP/1.1 for each listener, in the order of the configuration.
pub type TlsConfigs = Vec<Option<Arc<ServerConfig>>>;

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
            let certificates =
                Certificates::new(certificates, keep.issued.clone(), keep.challenges.clone());
            server(Arc::new(certificates), keep).map(Some)
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

/// Reads one certificate chain and its key, and sees that they belong together.
pub fn load_pair(files: &TlsFiles) -> Result<CertifiedKey, EdgeError> {
    let chain = chain(&files.certificate)?;
    let key =
        PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|error| EdgeError::Pem {
            path: files.key.clone(),
            problem: match error {
                pem::Error::NoItemsFound => {
                    "holds no private key in PEM form (`-----BEGIN PRIVATE KEY-----`). Has it been \
                 swapped with the certificate, or is the key encrypted?"
                        .into()
                }
                other => format!("is not a valid PEM file: {other}"),
            },
        })?;
    let pair = CertifiedKey::from_der(chain, key, &ring::default_provider());
    pair.map_err(|problem| EdgeError::Mismatch {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        problem: problem.to_string(),
    })
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, EdgeError> {
    let problem = |problem: String| EdgeError::Pem { path: path.to_owned(), problem };
    let text = read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| problem(format!("is not a valid PEM file: {error}")))?;
    if chain.is_empty() {
        let what = "holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`). Has it been \
                    swapped with the key?";
        return Err(problem(what.into()));
    }
    Ok(chain)
}

fn read(path: &Path) -> Result<Vec<u8>, EdgeError> {
    std::fs::read(path)
        .map_err(|source: io::Error| EdgeError::Unreadable { path: path.to_owned(), source })
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
