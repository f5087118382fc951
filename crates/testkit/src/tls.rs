//! Certificates for tests, and TLS clients for them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// A self-signed certificate with its key.
pub struct TestCert {
    /// The certificate.
    pub der: CertificateDer<'static>,
    /// The certificate in PEM.
    pub certificate_pem: String,
    /// The private key in PEM.
    pub key_pem: String,
}

impl TestCert {
    /// A certificate for one host.
    pub fn new(host: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap();
        Self {
            der: made.cert.der().clone(),
            certificate_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
        }
    }

    /// Writes `NAME.crt` and `NAME.key` into `folder`, and returns their paths in this order.
    pub fn write(&self, folder: &Path, name: &str) -> [PathBuf; 2] {
        let [certificate, key] = ["crt", "key"].map(|end| folder.join(format!("{name}.{end}")));
        std::fs::write(&certificate, &self.certificate_pem).unwrap();
        std::fs::write(&key, &self.key_pem).unwrap();
        [certificate, key]
    }

    /// A client that trusts this certificate alone and offers these protocols (ALPN).
    pub fn client(&self, protocols: &[&[u8]]) -> ClientConfig {
        with_protocols(client_trusting([self.der.clone()]), protocols)
    }

    /// A client for HTTP/3 that trusts this certificate alone.
    pub fn http_3_client(&self) -> ClientConfig {
        let client = ClientConfig::builder_with_provider(provider());
        let client = client.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
        let client = client.with_root_certificates(roots([self.der.clone()]));
        with_protocols(client.with_no_client_auth(), &[b"h3"])
    }
}

/// A client that trusts these certificates.
pub fn client_trusting(trusted: impl IntoIterator<Item = CertificateDer<'static>>) -> ClientConfig {
    let client = ClientConfig::builder_with_provider(provider());
    let client = client.with_safe_default_protocol_versions().unwrap();
    client.with_root_certificates(roots(trusted)).with_no_client_auth()
}

/// A client that accepts every certificate and offers these protocols (ALPN).
pub fn client_accepting_any(protocols: &[&[u8]]) -> ClientConfig {
    let verifier = Arc::new(AnyCertVerifier(provider()));
    let client = ClientConfig::builder_with_provider(provider());
    let client = client.with_safe_default_protocol_versions().unwrap();
    let client = client.dangerous().with_custom_certificate_verifier(verifier);
    with_protocols(client.with_no_client_auth(), protocols)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots(trusted: impl IntoIterator<Item = CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate).unwrap();
    }
    roots
}

fn with_protocols(mut client: ClientConfig, protocols: &[&[u8]]) -> ClientConfig {
    client.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    client
}

/// Accepts every certificate: a test checks which one is served, or needs none that is trusted.
#[derive(Debug)]
struct AnyCertVerifier(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertVerifier {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
