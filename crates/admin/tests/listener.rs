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

    fn liveness(&self) -> Result<(), String> {
        Ok(())
    }

    fn health(&self) -> Result<String, String> {
        if self.well.load(Ordering::SeqCst) {
            Ok("ok".into())
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
    let bound = BoundAdmin::bind("127.0.0.1:0".parse().unwrap(), Vec::new()).unwrap();
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
    assert!(ask(address, "GET /livez").starts_with("HTTP/1.1 200"));
    drain.send(true).unwrap();
    listener.join();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn an_address_in_use_is_explained() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = BoundAdmin::bind(taken.local_addr().unwrap(), Vec::new()).unwrap_err();
    assert!(error.to_string().contains("Is another program using the port"));
}

/// A listener on a free port of `address`.
fn listener(address: &str, hosts: &[&str]) -> (SocketAddr, watch::Sender<bool>) {
    let (drain, draining) = watch::channel(false);
    let known = Arc::new(Known { well: AtomicBool::new(true) });
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    let bound = BoundAdmin::bind(address.parse().unwrap(), hosts).unwrap();
    (bound.serve(known, draining).unwrap().address(), drain)
}

fn status(address: SocketAddr, head: &str) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET /healthz {head}Connection: close\r\n\r\n").unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    all[9..12].parse().unwrap()
}

#[test]
fn only_names_of_this_listener_reach_it() {
    let (address, _drain) = listener("127.0.0.1:0", &["gate.internal"]);
    for (head, expected) in [
        ("HTTP/1.1\r\nHost: localhost\r\n", 200),
        ("HTTP/1.1\r\nHost: LocalHost:9919\r\n", 200),
        ("HTTP/1.1\r\nHost: 127.0.0.1:9919\r\n", 200),
        ("HTTP/1.1\r\nHost: gate.internal\r\n", 200),
        ("HTTP/1.0\r\n", 200),
        ("HTTP/1.1\r\nHost: rebound.example\r\n", 421),
        ("HTTP/1.1\r\nHost: localhost.example\r\n", 421),
        ("HTTP/1.1\r\nHost: 192.0.2.1\r\n", 421),
        ("HTTP/1.1\r\nHost: [::1]\r\n", 421),
        ("HTTP/1.1\r\nHost: \r\n", 421),
    ] {
        assert_eq!(status(address, head), expected, "{head}");
    }
    let (address, _drain) = listener("0.0.0.0:0", &[]);
    let address = SocketAddr::new([127, 0, 0, 1].into(), address.port());
    assert_eq!(status(address, "HTTP/1.1\r\nHost: 192.0.2.1:9919\r\n"), 200);
    assert_eq!(status(address, "HTTP/1.1\r\nHost: gate.internal\r\n"), 421);
}

#[test]
fn connections_that_send_nothing_keep_no_monitor_out() {
    let (address, _drain) = listener("127.0.0.1:0", &[]);
    let silent: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: ").unwrap();
            stream
        })
        .collect();
    assert_eq!(status(address, "HTTP/1.1\r\nHost: localhost\r\n"), 200);
    drop(silent);
}
