//! The HTTPS client for the authority, with limits of time and size.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::AcmeError;

/// The timeout of one request. Authorities respond within a second or two.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The timeout of the TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest response body in bytes: a certificate chain has some kilobytes.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// The largest file of root certificates in bytes: all public roots have 200 KiB.
const MAX_ROOTS_BYTES: u64 = 1024 * 1024;

/// An HTTPS client for `instant_acme` whose requests have a timeout and a size limit.
pub(crate) struct BoundedHttpClient(Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>);

impl BoundedHttpClient {
    /// Makes a client that trusts the public roots and those in the file `roots`.
    pub(crate) fn new(roots: Option<&Path>) -> Result<Self, AcmeError> {
        let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = roots {
            add_roots(&mut store, path)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }
}

fn add_roots(store: &mut RootCertStore, path: &Path) -> Result<(), AcmeError> {
    let file = |source| AcmeError::File { what: "read", path: path.to_owned(), source };
    let wrong =
        |problem: &str| AcmeError::InvalidFile { path: path.to_owned(), problem: problem.into() };
    if std::fs::metadata(path).map_err(file)?.len() > MAX_ROOTS_BYTES {
        return Err(wrong("is too large for root certificates (1 MiB)"));
    }
    let text = std::fs::read(path).map_err(file)?;
    let mut any = false;
    for root in CertificateDer::pem_slice_iter(&text) {
        let root = root.map_err(|_| wrong("is not a valid PEM file"))?;
        store
            .add(root)
            .map_err(|_| wrong("contains a certificate that cannot be used as a root"))?;
        any = true;
    }
    if any { Ok(()) } else { Err(wrong("contains no certificate in PEM format")) }
}

impl HttpClient for BoundedHttpClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let response = self.0.request(request);
        let whole = async move {
            let (parts, body) = response.await.map_err(|e| Error::Other(Box::new(e)))?.into_parts();
            let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(Error::Other)?;
            Ok(BytesResponse::from(Response::from_parts(parts, Full::new(body.to_bytes()))))
        };
        Box::pin(async move {
            let timed_out = |_| Error::Str("the authority did not respond within 30 seconds");
            tokio::time::timeout(REQUEST_TIMEOUT, whole).await.map_err(timed_out)?
        })
    }
}
