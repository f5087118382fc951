//! HTTPS to the authority, bounded in time and size.

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

/// One request and its answer. Authorities answer within a second or two.
const DEADLINE: Duration = Duration::from_secs(30);
/// To connect.
const CONNECT: Duration = Duration::from_secs(10);
/// An answer: a chain of certificates is some kilobytes.
const LARGEST: usize = 256 * 1024;
/// A file of root certificates: all that browsers know are 200 KiB.
const LARGEST_ROOTS: u64 = 1024 * 1024;

pub(crate) struct Bounded(Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>);

impl Bounded {
    /// Recognises authorities by the roots that browsers know, and those in `roots`.
    pub(crate) fn new(roots: Option<&Path>) -> Result<Self, AcmeError> {
        let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = roots {
            add(&mut store, path)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| AcmeError::Strange(format!("cannot be spoken with: {error}")))?
            .with_root_certificates(store)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }
}

fn add(store: &mut RootCertStore, path: &Path) -> Result<(), AcmeError> {
    let file = |source| AcmeError::File { what: "read", path: path.to_owned(), source };
    let wrong =
        |problem: &str| AcmeError::Content { path: path.to_owned(), problem: problem.into() };
    if std::fs::metadata(path).map_err(file)?.len() > LARGEST_ROOTS {
        return Err(wrong("is too large for root certificates (1 MiB)"));
    }
    let text = std::fs::read(path).map_err(file)?;
    let mut any = false;
    for root in CertificateDer::pem_slice_iter(&text) {
        let root = root.map_err(|_| wrong("is not a valid PEM file"))?;
        store.add(root).map_err(|_| wrong("holds a certificate that cannot be used as a root"))?;
        any = true;
    }
    if any { Ok(()) } else { Err(wrong("holds no certificate in PEM form")) }
}

type Answer = Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>>;

impl HttpClient for Bounded {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Answer {
        let answer = self.0.request(request);
        let whole = async move {
            let (parts, body) = answer.await.map_err(|e| Error::Other(Box::new(e)))?.into_parts();
            let body = Limited::new(body, LARGEST).collect().await.map_err(Error::Other)?;
            Ok(BytesResponse::from(Response::from_parts(parts, Full::new(body.to_bytes()))))
        };
        Box::pin(async move {
            let late = |_| Error::Str("the authority did not answer within 30 seconds");
            tokio::time::timeout(DEADLINE, whole).await.map_err(late)?
        })
    }
}
