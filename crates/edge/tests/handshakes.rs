//! Limits of TLS handshakes, and the fingerprint of the `ClientHello`.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::{Gate, Origin, config, eventually, secure};
use portcullis_edge::client_hello::{LONGEST, MOST_RECORDS};
use portcullis_edge::ja4::Ja4;
use portcullis_model::{Config, ConnReason, Feature, RateLimit};
use portcullis_testkit::peers::has_peer;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

/// A site with TLS and a client that trusts it.
struct Site {
    folder: tempfile::TempDir,
    client: Arc<ClientConfig>,
    config: Config,
    _origin: Origin,
}

fn site() -> Site {
    let origin = Origin::hello();
    let mut config = config(origin.address);
    let (folder, certificate) = secure(&mut config);
    Site { folder, client: Arc::new(certificate.client(&[])), config, _origin: origin }
}

impl Site {
    fn client(&self) -> ClientConnection {
        ClientConnection::new(self.client.clone(), "example.org".try_into().unwrap()).unwrap()
    }

    /// The first message, as it goes over the wire.
    fn hello(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.client().write_tls(&mut bytes).unwrap();
        bytes
    }

    /// Asks for a page from 127.0.0.`last` over a separate connection; the kind of handshake,
    /// or `None` if the gate closed the connection.
    fn page(&self, gate: &Gate, last: u8) -> Option<HandshakeKind> {
        let visitor = gate.connect_from(last);
        let mut stream = StreamOwned::new(self.client(), visitor.stream);
        let ask = b"GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n";
        let mut answer = Vec::new();
        let asked = stream.write_all(ask).and_then(|()| stream.read_to_end(&mut answer));
        match asked {
            Ok(_) => {
                assert!(answer.ends_with(b"hello"));
                stream.conn.handshake_kind()
            }
            Err(error) => {
                let closed = [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof];
                assert!(closed.contains(&error.kind()) || error.kind() == ErrorKind::BrokenPipe);
                None
            }
        }
    }
}

#[test]
fn a_part_of_a_client_hello_is_cut_at_the_handshake_timeout() {
    let mut site = site();
    site.config.limits.handshake_timeout = Duration::from_secs(1);
    let gate = Gate::manual(site.config.clone());
    let mut visitor = gate.connect();
    visitor.send(&site.hello()[..100]);
    let passed = gate.pass_until("it is cut", || visitor.has_closed());
    assert!(passed >= Duration::from_secs(1));
    eventually("it is counted", || gate.refused(ConnReason::HandshakeFailed) == 1);
    eventually("none is open", || gate.snapshot().gauges.connections == 0);
}

#[test]
fn a_client_hello_that_is_too_long_is_refused_before_it_is_complete() {
    let site = site();
    let gate = Gate::start(site.config.clone());
    let mut visitor = gate.connect();
    visitor.send([22, 3, 1, 64, 0, 1, 0, 0x40, 0]);
    visitor.expect_close();
    let mut crumbs = gate.connect();
    let hello = site.hello();
    let (head, message) = hello.split_at(5);
    for byte in &message[..=MOST_RECORDS] {
        let record = [&head[..3], &[0, 1, *byte]].concat();
        if crumbs.stream.write_all(&record).is_err() {
            break;
        }
    }
    crumbs.expect_close();
    eventually("both are counted", || gate.refused(ConnReason::ClientHello) == 2);
    assert_eq!(gate.refused(ConnReason::HandshakeFailed), 0);
}

#[test]
fn a_client_hello_gets_through_however_it_is_fragmented() {
    let site = site();
    let gate = Gate::start(site.config.clone());
    let hello = site.hello();
    let (head, message) = hello.split_at(5);
    let mut visitor = gate.connect();
    for piece in message.chunks(message.len() / 40) {
        let length = (piece.len() as u16).to_be_bytes();
        let record = [&head[..3], &length, piece].concat();
        for half in record.chunks(4) {
            visitor.send(half);
        }
    }
    assert_eq!(visitor.exactly(1), [22], "a server hello");
    assert!(hello.len() < LONGEST);
}

#[test]
fn plain_http_on_a_tls_port_gets_an_alert() {
    let site = site();
    let gate = Gate::start(site.config.clone());
    let mut visitor = gate.connect();
    visitor.send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    assert_eq!(visitor.exactly(1), [21], "an alert");
    eventually("counted", || gate.refused(ConnReason::HandshakeFailed) == 1);
}

#[test]
fn a_source_that_begins_too_many_handshakes_is_refused_and_others_are_not() {
    let mut site = site();
    site.config.limits.handshakes.source = RateLimit { per_second: 1, burst: 3 };
    // Without tickets.
    let mut client = ClientConfig::clone(&site.client);
    client.resumption = rustls::client::Resumption::disabled();
    site.client = Arc::new(client);
    let gate = Gate::start(site.config.clone());
    let served = (0..30).filter(|_| site.page(&gate, 7).is_some()).count();
    assert!((3..30).contains(&served), "{served} served");
    let refused = 30 - served as u64;
    eventually("the rest is counted", || gate.refused(ConnReason::HandshakeRate) == refused);
    assert_eq!(site.page(&gate, 8), Some(HandshakeKind::Full));
}

#[test]
fn all_sources_together_begin_no_more_handshakes_than_the_total_rate() {
    let mut site = site();
    site.config.limits.handshakes.total = RateLimit { per_second: 1, burst: 3 };
    let gate = Gate::start(site.config.clone());
    let served = (0..30).filter(|at| site.page(&gate, 10 + at).is_some()).count();
    assert!((3..30).contains(&served), "{served} served");
    let refused = 30 - served as u64;
    eventually("the rest is counted", || gate.refused(ConnReason::HandshakeRate) == refused);
}

#[test]
fn resumed_sessions_are_charged_a_quarter() {
    let mut site = site();
    site.config.limits.handshakes.source = RateLimit { per_second: 1, burst: 3 };
    let gate = Gate::start(site.config.clone());
    assert_eq!(site.page(&gate, 7), Some(HandshakeKind::Full));
    for _ in 0..5 {
        assert_eq!(site.page(&gate, 7), Some(HandshakeKind::Resumed));
    }
}

#[test]
fn the_slowest_handshake_is_dropped_for_a_new_one_and_silent_connections_hold_no_slot() {
    let mut site = site();
    site.config.limits.handshakes.max_concurrent = 2;
    let gate = Gate::manual(site.config.clone());
    let silent: Vec<_> = (0..10).map(|_| gate.connect_from(9)).collect();
    let mut slow: Vec<_> = (0..2)
        .map(|_| {
            let mut visitor = gate.connect_from(7);
            visitor.send(site.hello());
            assert_eq!(visitor.exactly(1), [22], "a server hello");
            visitor
        })
        .collect();
    // From here on the two have taken longer than a handshake may while others wait.
    gate.pass(Duration::from_millis(1_100));
    assert!(site.page(&gate, 8).is_some());
    slow[0].expect_close();
    assert_eq!(gate.refused(ConnReason::HandshakeConcurrency), 1);
    assert_eq!(gate.refused(ConnReason::HandshakeFailed), 0);
    drop(silent);
}

#[test]
fn a_new_handshake_is_refused_where_none_is_slow() {
    let mut site = site();
    site.config.limits.handshakes.max_concurrent = 1;
    let gate = Gate::start(site.config.clone());
    // On a machine that is slow enough the first goes instead of the second.
    let mut pair: Vec<_> = (0..2).map(|_| gate.connect()).collect();
    for visitor in &mut pair {
        visitor.send(site.hello());
    }
    eventually("one is refused", || gate.refused(ConnReason::HandshakeConcurrency) == 1);
}

/// The fingerprints that requests had since the last call.
fn fingerprints(gate: &Gate) -> Vec<String> {
    let sightings = gate.sightings();
    let found = sightings.iter().filter(|name| name.feature == Feature::TlsFingerprint);
    found.map(|name| name.text().to_owned()).collect()
}

#[test]
fn a_request_has_the_fingerprint_of_its_tls_library() {
    let site = site();
    let gate = Gate::start(site.config.clone());
    let first = Ja4::of_records(&site.hello()).unwrap();
    site.page(&gate, 7).unwrap();
    assert_eq!(fingerprints(&gate), [first.as_str()]);
    // With a ticket in its message, which the method counts in.
    let later = Ja4::of_records(&site.hello()).unwrap();
    site.page(&gate, 8).unwrap();
    assert_eq!(fingerprints(&gate), [later.as_str()]);
    let records = gate.records();
    let clients: BTreeSet<_> =
        records.iter().map(|r| r.features.get(Feature::TlsFingerprint)).collect();
    assert_eq!((records.len(), clients.len()), (2, 2));
    assert!(!clients.contains(&0));
}

#[test]
fn a_trusted_proxys_fingerprint_is_not_recorded_for_its_visitors() {
    let mut site = site();
    site.config.trusted_proxies = vec!["127.0.0.7/32".parse().unwrap()];
    let gate = Gate::start(site.config.clone());
    site.page(&gate, 7).unwrap();
    assert_eq!(gate.records()[0].features.get(Feature::TlsFingerprint), 0);
    assert!(fingerprints(&gate).is_empty());
}

const PYTHON: &str = "
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
plain = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
with context.wrap_socket(plain, server_hostname='example.org') as tls:
    tls.sendall(b'GET / HTTP/1.1\\r\\nHost: example.org\\r\\nConnection: close\\r\\n\\r\\n')
    while tls.recv(4096):
        pass
";

/// Requests a page with a public client; the fingerprint that the gate recorded.
fn fingerprint_of(program: &str, site: &Site) -> String {
    let gate = Gate::start(site.config.clone());
    let port = gate.address.port();
    let roots = site.folder.path().join("site.crt");
    let mut command = Command::new(program);
    match program {
        "curl" => {
            let resolve = format!("example.org:{port}:127.0.0.1");
            command.args(["--silent", "--max-time", "20", "--resolve", &resolve, "--cacert"]);
            command.arg(roots).arg(format!("https://example.org:{port}/"));
        }
        "openssl" => {
            let address = format!("127.0.0.1:{port}");
            command.args(["s_client", "-quiet", "-servername", "example.org", "-connect"]);
            command.arg(address);
        }
        _ => {
            command.args(["-c", PYTHON, &port.to_string()]).arg(roots);
        }
    }
    let mut running =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = running.stdin.take().unwrap();
    // Only one of them reads it.
    let _ = input.write_all(b"GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n");
    running.wait().unwrap();
    let found = fingerprints(&gate);
    assert_eq!(found.len(), 1, "{program}: {found:?}");
    found[0].clone()
}

#[test]
fn each_public_client_has_its_own_fingerprint_which_stays_the_same() {
    let site = site();
    let mut seen = BTreeSet::new();
    for program in ["curl", "openssl", "python3"] {
        if !has_peer(program) {
            continue;
        }
        let first = fingerprint_of(program, &site);
        assert_eq!(first.len(), 36, "{first}");
        assert!(first.starts_with("t13d"), "{first}");
        assert_eq!(&first[8..10], if program == "curl" { "h2" } else { "00" }, "{first}");
        for _ in 0..3 {
            assert_eq!(fingerprint_of(program, &site), first);
        }
        seen.insert(first);
    }
    println!("{seen:?}");
}

#[test]
fn a_request_that_comes_with_the_end_of_the_handshake_is_answered() {
    let site = site();
    let gate = Gate::start(site.config.clone());
    let mut socket = gate.connect().stream;
    let mut client = site.client();
    client.write_tls(&mut socket).unwrap();
    while client.is_handshaking() {
        client.read_tls(&mut socket).unwrap();
        client.process_new_packets().unwrap();
    }
    let ask = b"GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n";
    client.writer().write_all(ask).unwrap();
    let mut both = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut both).unwrap();
    }
    socket.write_all(&both).unwrap();
    let mut answer = Vec::new();
    StreamOwned::new(client, socket).read_to_end(&mut answer).unwrap();
    assert!(answer.ends_with(b"hello"));
}

#[test]
fn only_tls_1_2_and_1_3_are_supported() {
    if !has_peer("openssl") {
        return;
    }
    let site = site();
    let gate = Gate::start(site.config.clone());
    let address = format!("127.0.0.1:{}", gate.address.port());
    for (version, supported) in
        [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)]
    {
        let client = Command::new("openssl")
            // OpenSSL offers the oldest versions at this level only.
            .args(["s_client", "-cipher", "DEFAULT:@SECLEVEL=0", version, "-connect", &address])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&client.stdout);
        assert_eq!(client.status.success(), supported, "{version}: {output}");
        assert_eq!(output.contains("BEGIN CERTIFICATE"), supported, "{version}: {output}");
    }
    eventually("both are counted", || gate.refused(ConnReason::HandshakeFailed) == 2);
}
