//! Certificates that change under a running gate.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{Gate, certificate, origin};
use portcullis_testkit::tls::client_trusting;
use rustix::process::Signal;
use rustls::{ClientConnection, StreamOwned};

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Connects, if the gate shows a certificate that is this one.
fn connect(gate: &Gate, trusted: &rcgen::Certificate) -> Option<Stream> {
    let client = client_trusting([trusted.der().clone()]);
    let name = "site.example".try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut socket = TcpStream::connect(gate.listen).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client.complete_io(&mut socket).ok()?;
    Some(StreamOwned::new(client, socket))
}

/// The status line of an answer on a connection that stays open.
fn get(stream: &mut Stream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n").unwrap();
    let mut answer = [0; 4096];
    let read = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or("").to_owned()
}

fn gate(folder: &Path) -> (Gate, rcgen::Certificate) {
    let first = certificate(folder, "site", 90);
    let gate = Gate::start(folder, origin(), "certificate = \"site.pem\"\nkey = \"site.key\"");
    (gate, first)
}

fn status(gate: &Gate) -> serde_json::Value {
    serde_json::from_str(&gate.admin_get("/status.json")).unwrap()
}

#[test]
fn new_certificate_files_are_served_without_a_signal_and_connections_stay_open() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, first) = gate(folder.path());
    let mut open = connect(&gate, &first).unwrap();
    assert_eq!(get(&mut open), "HTTP/1.1 200 OK");
    assert_eq!(status(&gate)["certificates"][0]["days_left"], 89);
    assert_eq!(status(&gate)["certificates"][0]["names"][0], "site.example");

    let second = certificate(folder.path(), "site", 200);
    gate.wait_until("the new certificate is shown", || connect(&gate, &second).is_some());
    assert_eq!(get(&mut open), "HTTP/1.1 200 OK");
    assert_eq!(status(&gate)["certificates"][0]["days_left"], 199);
    let metrics = gate.admin_get("/metrics");
    let line = metrics.lines().find(|line| {
        line.starts_with("portcullis_certificate_expires_timestamp_seconds{")
            && line.contains("site.pem")
    });
    let at: u64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!((at - now.as_secs()).div_ceil(24 * 3_600) == 200);
}

#[test]
fn a_new_file_that_cannot_be_used_leaves_the_old_certificate_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, first) = gate(folder.path());
    let mut open = connect(&gate, &first).unwrap();
    assert_eq!(get(&mut open), "HTTP/1.1 200 OK");
    std::fs::write(folder.path().join("site.pem"), "not a certificate").unwrap();
    gate.signal(Signal::HUP);
    let refused = || status(&gate)["certificates_refused"].as_str().map(str::to_owned);
    gate.wait_until("the file is refused", || refused().is_some());
    assert!(refused().unwrap().contains("site.pem holds no certificate"), "{:?}", refused());
    assert!(connect(&gate, &first).is_some());
    assert_eq!(get(&mut open), "HTTP/1.1 200 OK");
    let metrics = gate.admin_get("/metrics");
    assert!(!metrics.contains("portcullis_certificates_refused_total 0"), "{metrics}");

    let second = certificate(folder.path(), "site", 90);
    gate.wait_until("a good file fixes it", || refused().is_none());
    assert!(connect(&gate, &second).is_some());
}
