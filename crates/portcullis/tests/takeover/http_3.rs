//! A visitor over HTTP/3 who turns to a new connection after a GOAWAY.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use h3::client::SendRequest;
use http::Request;
use portcullis_testkit::tls::TestCert;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint};

const LIMIT: Duration = Duration::from_secs(10);

pub struct Http3 {
    endpoint: Endpoint,
    address: SocketAddr,
    connection: Option<(quinn::Connection, SendRequest<h3_quinn::OpenStreams, Bytes>)>,
}

impl Http3 {
    pub fn new(address: SocketAddr, certificate: &TestCert) -> Self {
        let mut endpoint =
            Endpoint::client(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).unwrap();
        let client = QuicClientConfig::try_from(certificate.http_3_client()).unwrap();
        endpoint.set_default_client_config(ClientConfig::new(Arc::new(client)));
        Self { endpoint, address, connection: None }
    }

    /// One request, on the connection that there is or on a new one; returns the bytes of the answer. An
    /// error is a lost request.
    pub async fn get(&mut self, path: &str) -> Result<usize, String> {
        let answered = tokio::time::timeout(LIMIT, self.try_get(path)).await;
        answered.unwrap_or_else(|_| Err("no answer in time".into()))
    }

    async fn try_get(&mut self, path: &str) -> Result<usize, String> {
        let request = || {
            let uri = format!("https://example.org:{}{path}", self.address.port());
            Request::get(uri).body(()).unwrap()
        };
        for _ in 0..3 {
            if self.connection.is_none() {
                self.connection = Some(connect(&self.endpoint, self.address).await?);
            }
            let Some((_, sender)) = &mut self.connection else { continue };
            // A connection that the gate has announced the end of takes no request.
            let Ok(mut stream) = sender.send_request(request()).await else {
                self.connection = None;
                continue;
            };
            stream.finish().await.map_err(|error| format!("finish: {error}"))?;
            let answer = stream.recv_response().await.map_err(|error| format!("head: {error}"))?;
            if answer.status() != 200 {
                return Err(format!("status {}", answer.status()));
            }
            let mut length = 0;
            while let Some(data) =
                stream.recv_data().await.map_err(|error| format!("body: {error}"))?
            {
                length += data.remaining();
            }
            return Ok(length);
        }
        Err("no connection takes a request".into())
    }

    pub fn leave(self) {
        if let Some((connection, _)) = &self.connection {
            connection.close(0x100_u32.into(), b"");
        }
    }
}

async fn connect(
    endpoint: &Endpoint,
    address: SocketAddr,
) -> Result<(quinn::Connection, SendRequest<h3_quinn::OpenStreams, Bytes>), String> {
    let connecting = endpoint.connect(address, "example.org").map_err(|error| error.to_string())?;
    let connection = connecting.await.map_err(|error| format!("connect: {error}"))?;
    let link = h3_quinn::Connection::new(connection.clone());
    let (mut driver, sender) =
        h3::client::new(link).await.map_err(|error| format!("begin: {error}"))?;
    tokio::spawn(async move { std::future::poll_fn(|cx| driver.poll_close(cx)).await });
    Ok((connection, sender))
}
