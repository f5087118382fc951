//! The admin listener.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis_admin::{AdminPages, BoundAdmin};
use tokio::sync::watch;

struct Known {
    well: AtomicBool,
}

impl AdminPages for Known {
    fn metrics(&self) -> String {
        "portcullis_requests_total 7\n".into()
    }

    fn status(&self) -> String {
        "{\"posture\":\"open\"}".into()
    }

    fn health(&self) -> Result<(), String> {
        if self.well.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err("the ledger's disk is full".into())
        }
    }
}

fn ask(address: SocketAddr, line: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    all
}

#[test]
fn the_listener_serves_health_metrics_and_status() {
    let (drain, draining) = watch::channel(false);
    let known = Arc::new(Known { well: AtomicBool::new(true) });
    let bound = BoundAdmin::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = bound.serve(known.clone(), draining).unwrap();
    let address = listener.address();
    assert!(ask(address, "GET /healthz").starts_with("HTTP/1.1 200"));
    let metrics = ask(address, "GET /metrics");
    assert!(metrics.contains("content-type: application/openmetrics-text; version=1.0.0"));
    assert!(metrics.ends_with("portcullis_requests_total 7\n"));
    assert!(ask(address, "GET /status.json").ends_with("{\"posture\":\"open\"}"));
    assert!(ask(address, "GET /nowhere").starts_with("HTTP/1.1 404"));
    assert!(ask(address, "POST /metrics").starts_with("HTTP/1.1 405"));
    known.well.store(false, Ordering::SeqCst);
    let ill = ask(address, "GET /healthz");
    assert!(ill.starts_with("HTTP/1.1 503") && ill.contains("disk is full"));
    drain.send(true).unwrap();
    listener.join();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn an_address_in_use_is_explained() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = BoundAdmin::bind(taken.local_addr().unwrap()).unwrap_err();
    assert!(error.to_string().contains("Is another program using the port"));
}
