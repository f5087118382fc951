//! TLS and HTTP/2.

#![allow(clippy::unwrap_used)]

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{Gate, LIMIT, Origin, Reply, config, eventually, hold, tls_files, until};
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis_model::{Config, ConnReason, Cut, Outcome, Reason, TlsFiles};
use portcullis_testkit::http_2::frame;
use portcullis_testkit::tls::{TestCert, client_accepting_any};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

struct Certified {
    _folder: tempfile::TempDir,
    connector: TlsConnector,
    files: TlsFiles,
    der: Vec<u8>,
}

fn certified(protocols: &[&[u8]]) -> Certified {
    certified_for(protocols, "example.org")
}

fn certified_for(protocols: &[&[u8]], name: &str) -> Certified {
    let folder = tempfile::tempdir().unwrap();
    let certificate = TestCert::new(name);
    let files = tls_files(&certificate, folder.path());
    let connector = TlsConnector::from(Arc::new(certificate.client(protocols)));
    Certified { _folder: folder, connector, files, der: certificate.der.to_vec() }
}

fn secured(origin: &Origin, certified: &Certified) -> Config {
    let mut settings = config(origin.address);
    settings.listeners[0].tls = Some(certified.files.clone());
    settings
}

async fn connect(gate: &Gate, certified: &Certified) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(gate.address).await.unwrap();
    let name = "example.org".try_into().unwrap();
    certified.connector.connect(name, stream).await.unwrap()
}

type Body = BoxBody<Bytes, Infallible>;

async fn connect_http_2(stream: TlsStream<TcpStream>) -> http2::SendRequest<Body> {
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn get(path: &str) -> Request<Body> {
    Request::get(format!("https://example.org{path}")).body(Empty::new().boxed()).unwrap()
}

async fn text(response: Response<hyper::body::Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn cut(gate: &Gate, why: Cut) -> u64 {
    gate.snapshot().cuts.of(why)
}

/// The preface and empty settings.
const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Everything that comes until the end, which must come.
async fn rest(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut all = Vec::new();
    let reading = stream.read_to_end(&mut all);
    let _ = tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an end");
    all
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn http_2_is_used_where_the_visitor_offers_it() {
    run(async {
        let origin = Origin::start(|received| Reply::ok(received.path()));
        let certified = certified(&[b"h2", b"http/1.1"]);
        let gate = Gate::start(secured(&origin, &certified));
        let mut sender = connect_http_2(connect(&gate, &certified).await).await;
        let many = (0..20).map(|at| sender.send_request(get(&format!("/{at}"))));
        let many: Vec<_> = many.map(tokio::spawn).collect();
        for (at, response) in many.into_iter().enumerate() {
            let response = response.await.unwrap().unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(text(response).await, format!("/{at}"));
        }
        let received = origin.last();
        assert_eq!(received.field("host"), Some("example.org"));
        assert_eq!(received.field("x-forwarded-proto"), Some("https"));
        assert!(received.line().ends_with(" HTTP/1.1"));
        assert_eq!(gate.reason(Reason::Allowed), 20);
        assert_eq!(gate.outcome(Outcome::Served), 20);
    });
}

#[test]
fn http_2_cookies_become_one_field_and_bodies_and_trailers_pass() {
    run(async {
        let origin = Origin::start(|_| {
            Reply::raw(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n",
            )
        });
        let certified = certified(&[b"h2"]);
        let gate = Gate::start(secured(&origin, &certified));
        let mut sender = connect_http_2(connect(&gate, &certified).await).await;
        let mut request = Request::post("https://example.org/form")
            .header("cookie", "a=1")
            .header("cookie", "portcullis=x")
            .header("cookie", "b=2")
            .header("te", "trailers")
            .body(Full::new(Bytes::from_static(b"field=value")).boxed())
            .unwrap();
        request.headers_mut().insert("x-kept", "yes".parse().unwrap());
        let response = sender.send_request(request).await.unwrap();
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["x-sum"], "3");
        assert_eq!(collected.to_bytes(), "abc");
        let received = origin.last();
        assert_eq!(received.field("cookie"), Some("a=1; b=2"));
        assert_eq!(received.field("content-length"), Some("11"));
        assert_eq!(received.body, b"field=value");
    });
}

#[test]
fn a_stream_without_length_is_forwarded_in_chunks() {
    run(async {
        let origin = Origin::hello();
        let certified = certified(&[b"h2"]);
        let gate = Gate::start(secured(&origin, &certified));
        let mut sender = connect_http_2(connect(&gate, &certified).await).await;
        let (to, from) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
        let request = Request::post("https://example.org/").body(Sent(from).boxed()).unwrap();
        let response = tokio::spawn(sender.send_request(request));
        to.send(Bytes::from_static(b"one")).unwrap();
        until("the first chunk is at the origin", || origin.chunked_bytes() == 8).await;
        to.send(Bytes::from_static(b"two")).unwrap();
        drop(to);
        assert_eq!(text(response.await.unwrap().unwrap()).await, "hello");
        let body = String::from_utf8(origin.last().body).unwrap();
        assert_eq!(body, "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
        assert_eq!(origin.last().field("transfer-encoding"), Some("chunked"));
    });
}

#[test]
fn a_reset_stream_frees_the_origin_and_the_other_streams_continue() {
    run(async {
        let (_release, hold) = hold();
        let origin = Origin::start(move |received| {
            if received.path() == "/slow" {
                hold.wait();
            }
            Reply::ok("ok")
        });
        let certified = certified(&[b"h2"]);
        let gate = Gate::start(secured(&origin, &certified));
        let mut sender = connect_http_2(connect(&gate, &certified).await).await;
        let slow = tokio::spawn(sender.send_request(get("/slow")));
        until("it is at the origin", || origin.requests() == 1).await;
        slow.abort();
        let response = sender.send_request(get("/")).await.unwrap();
        assert_eq!(text(response).await, "ok");
        eventually("the outcome", || gate.outcome(Outcome::VisitorDisconnected) == 1);
        assert_eq!(gate.snapshot().gauges.in_flight, 0);
    });
}

#[test]
fn http_1_is_used_over_tls_where_the_visitor_offers_nothing_else() {
    run(async {
        let origin = Origin::hello();
        let certified = certified(&[]);
        let gate = Gate::start(secured(&origin, &certified));
        let stream = connect(&gate, &certified).await;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..3 {
            let request = Request::get("/")
                .header("host", "example.org")
                .body(Empty::<Bytes>::new())
                .unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(text(response).await, "hello");
        }
        assert_eq!(origin.connections(), 1);
    });
}

#[test]
fn sessions_are_resumed_with_tickets() {
    run(async {
        let origin = Origin::hello();
        let certified = certified(&[b"http/1.1"]);
        let gate = Gate::start(secured(&origin, &certified));
        for at in 0..2 {
            let mut stream = connect(&gate, &certified).await;
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            assert!(all.ends_with(b"hello"));
            let resumed =
                stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
            assert_eq!(resumed, at == 1);
            assert_eq!(stream.get_ref().1.tls13_tickets_received(), 2);
        }
    });
}

#[test]
fn each_name_gets_its_certificate_and_an_unknown_one_the_listeners() {
    run(async {
        let origin = Origin::hello();
        let first = certified(&[b"http/1.1"]);
        let mut settings = secured(&origin, &first);
        let second = certified_for(&[b"http/1.1"], "two.example");
        let third = certified_for(&[b"http/1.1"], "*.three.example");
        settings.certificates = vec![second.files.clone(), third.files.clone()];
        let gate = Gate::start(settings);
        for (name, der) in [
            ("unknown.example", &first.der),
            ("TWO.example", &second.der),
            ("a.three.example", &third.der),
            ("a.b.three.example", &first.der),
            ("three.example", &first.der),
        ] {
            assert_eq!(&shown(&gate, name).await, der, "{name}");
        }
    });
}

#[test]
fn a_request_for_a_platform_that_its_certificate_is_not_for_is_misdirected() {
    run(async {
        let (site, members) = (certified(&[]), certified_for(&[], "members.example"));
        let origin = Origin::hello();
        let mut settings = secured(&origin, &site);
        settings.certificates = vec![members.files.clone()];
        let mut second = settings.platforms[0].clone();
        settings.platforms[0].hosts = vec!["example.org".into()];
        second.name = "members".into();
        second.hosts = vec!["members.example".into(), "www.example.org".into()];
        settings.platforms.push(second);
        let gate = Gate::start(settings);
        for (host, status) in [
            ("example.org", "200"),
            ("EXAMPLE.org:443", "200"),
            // Another platform, with another certificate.
            ("members.example", "421"),
            // Another platform that has no certificate: it would be shown the same.
            ("www.example.org", "200"),
            ("elsewhere.example", "421"),
        ] {
            let mut stream = connect(&gate, &site).await;
            let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            let answer = String::from_utf8_lossy(&all);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {answer}");
        }
        assert_eq!(gate.reason(Reason::Misdirected), 1);
        assert_eq!(gate.reason(Reason::UnknownHost), 1);
    });
}

#[test]
fn an_answer_before_the_end_of_a_large_upload_by_http_2_arrives() {
    run(async {
        let origin = Origin::hello();
        let certified = certified(&[b"h2"]);
        let mut settings = secured(&origin, &certified);
        settings.limits.max_body_bytes = 1_000;
        let gate = Gate::start(settings);
        let mut sender = connect_http_2(connect(&gate, &certified).await).await;
        let upload = Full::new(Bytes::from(vec![b'x'; 3_000_000])).boxed();
        let request = Request::post("https://example.org/photo").body(upload).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 413);
        assert!(text(response).await.contains("too large"));
        // The connection serves the next request.
        let next = sender.send_request(get("/")).await.unwrap();
        assert_eq!(text(next).await, "hello");
    });
}

#[test]
fn a_challenge_is_shown_to_certificate_authorities_alone_and_for_as_long_as_it_is_set() {
    run(async {
        let origin = Origin::hello();
        let site = certified(&[b"http/1.1"]);
        let gate = Gate::start(secured(&origin, &site));
        let other = certified_for(&[], "new.example");
        let key = PrivateKeyDer::from_pem_file(&other.files.key).unwrap();
        let provider = rustls::crypto::ring::default_provider();
        let pair = CertifiedKey::from_der(vec![other.der.clone().into()], key, &provider).unwrap();
        let pair = Arc::new(pair);
        let acme: &[&[u8]] = &[b"acme-tls/1"];
        assert_eq!(shown_for(&gate, "new.example", acme).await, None);
        gate.tls_keep.challenges.set("new.example", &pair);
        assert_eq!(shown_for(&gate, "NEW.example", acme).await.as_ref(), Some(&other.der));
        assert_eq!(shown(&gate, "new.example").await, site.der);
        gate.tls_keep.challenges.remove("new.example");
        assert_eq!(shown_for(&gate, "new.example", acme).await, None);
        gate.tls_keep.issued.set("new.example", &pair);
        assert_eq!(shown(&gate, "new.example").await, other.der);
        eventually("all connections end", || gate.snapshot().gauges.connections == 0);
    });
}

#[test]
fn certificates_for_http_3_are_those_of_the_listener() {
    let site = certified(&[]);
    let origin = Origin::hello();
    let keep = portcullis_edge::TlsShared::new().unwrap();
    let all = portcullis_edge::load_all(&secured(&origin, &site), &keep).unwrap();
    let quic = portcullis_edge::quic_config(&all[0].as_ref().unwrap().server).unwrap();
    assert_eq!(quic.alpn_protocols, [b"h3".to_vec()]);
    assert!(Arc::ptr_eq(&quic.cert_resolver, &all[0].as_ref().unwrap().server.cert_resolver));
    assert_eq!(quic.max_early_data_size, 0);
}

/// The certificate that a visitor gets who asks for `name`, trusted or not.
async fn shown(gate: &Gate, name: &'static str) -> Vec<u8> {
    shown_for(gate, name, &[]).await.unwrap()
}

async fn shown_for(gate: &Gate, name: &'static str, protocols: &[&[u8]]) -> Option<Vec<u8>> {
    let stream = TcpStream::connect(gate.address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(client_accepting_any(protocols)));
    let stream = connector.connect(name.try_into().unwrap(), stream).await.ok()?;
    Some(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec())
}

#[test]
fn sessions_survive_a_reload_of_certificates() {
    run(async {
        let origin = Origin::hello();
        let certified = certified(&[b"http/1.1"]);
        let settings = secured(&origin, &certified);
        let gate = Gate::start(settings.clone());
        for at in 0..2 {
            let mut stream = connect(&gate, &certified).await;
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            let kind = stream.get_ref().1.handshake_kind();
            assert_eq!(kind == Some(rustls::HandshakeKind::Resumed), at == 1);
            gate.reload_certificates(&settings);
        }
    });
}

#[test]
fn a_handshake_that_fails_or_stalls_is_dropped_and_counted() {
    let origin = Origin::hello();
    let certified = certified(&[b"h2"]);
    let mut settings = secured(&origin, &certified);
    settings.limits.handshake_timeout = Duration::from_secs(1);
    let gate = Gate::manual(settings);
    let mut nonsense = gate.connect();
    nonsense.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    nonsense.expect_close();
    let mut silent = gate.connect();
    gate.pass_until("the silent one is cut", || silent.has_closed());
    assert_eq!(gate.refused(ConnReason::HandshakeFailed), 2);
}

#[test]
fn an_http_2_connection_without_a_preface_is_dropped() {
    run(async {
        let origin = Origin::hello();
        let certified = certified(&[b"h2"]);
        let mut settings = secured(&origin, &certified);
        settings.limits.header_timeout = Duration::from_secs(1);
        let gate = Gate::manual(settings);
        let mut stream = connect(&gate, &certified).await;
        let mut all = Vec::new();
        gate.pass_until("it is cut", || cut(&gate, Cut::MissingPreface) == 1);
        let ended = tokio::time::timeout(LIMIT, stream.read_to_end(&mut all));
        assert!(ended.await.is_ok());
        assert_eq!(cut(&gate, Cut::MissingPreface), 1);
        assert_eq!(gate.refused(ConnReason::HeaderTimeout), 0);
    });
}

#[test]
fn an_http_2_connection_between_requests_idles_and_then_ends_politely() {
    run(async {
        let origin = Origin::hello();
        let certified = certified(&[b"h2"]);
        let mut settings = secured(&origin, &certified);
        settings.limits.header_timeout = Duration::from_millis(500);
        settings.limits.idle_timeout = Duration::from_secs(2);
        let gate = Gate::manual(settings);
        let mut sender = connect_http_2(connect(&gate, &certified).await).await;
        assert_eq!(text(sender.send_request(get("/")).await.unwrap()).await, "hello");
        gate.pass(Duration::from_millis(1_300));
        assert_eq!(gate.snapshot().gauges.stalled_headers, 0);
        assert_eq!(text(sender.send_request(get("/")).await.unwrap()).await, "hello");
        gate.pass(Duration::from_secs(3));
        until("it is closed", || sender.is_closed()).await;
        assert_eq!(gate.refused(ConnReason::HeaderTimeout), 0);
    });
}

#[test]
fn rapid_resets_end_the_connection() {
    run(async {
        let (_release, hold) = hold();
        let origin = Origin::start(move |_| {
            hold.wait();
            Reply::ok("ok")
        });
        let certified = certified(&[b"h2"]);
        let gate = Gate::start(secured(&origin, &certified));
        let mut stream = connect(&gate, &certified).await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        // GET / over https on example.org, from the static table and one literal.
        let mut block = vec![0x82, 0x84, 0x87, 0x41, 11];
        block.extend(b"example.org");
        let mut sent = 0u32;
        'flood: for stream_id in (1u32..20_000).step_by(2) {
            let id = stream_id.to_be_bytes();
            let mut frames = vec![0, 0, block.len() as u8, 1, 5];
            frames.extend(id);
            frames.extend(&block);
            frames.extend([0, 0, 4, 3, 0]);
            frames.extend(id);
            frames.extend(8u32.to_be_bytes());
            if stream.write_all(&frames).await.is_err() || stream.flush().await.is_err() {
                break 'flood;
            }
            sent += 1;
            if sent.is_multiple_of(50) {
                let gone = || gate.snapshot().gauges.connections == 0;
                eventually("they are counted", || gate.offered() >= u64::from(sent) || gone());
            }
        }
        assert!(sent < 10_000 - 1);
        // A library limit may end it before the frame count does; either way it is short.
        eventually("the connection is gone", || gate.snapshot().gauges.connections == 0);
        assert!(gate.offered() < 1000, "{}", gate.offered());
        assert_eq!(gate.snapshot().gauges.in_flight, 0);
    });
}

#[test]
fn a_flood_of_frames_ends_in_enhance_your_calm_and_is_counted_by_its_kind() {
    run(async {
        let origin = Origin::hello();
        let certified = certified(&[b"h2"]);
        let gate = Gate::start(secured(&origin, &certified));
        let floods = [
            (frame(6, 0, 0, &[0; 8]), Cut::PingFlood),
            (frame(4, 0, 0, &[]), Cut::SettingsFlood),
            (frame(2, 0, 1, &[0, 0, 0, 3, 9]), Cut::PriorityFlood),
            (frame(8, 0, 0, &[0, 0, 0, 1]), Cut::WindowUpdateFlood),
            (frame(0xfa, 0, 0, &[]), Cut::UnknownFrameFlood),
        ];
        for (nuisance, why) in floods {
            let mut stream = connect(&gate, &certified).await;
            stream.write_all(BEGIN).await.unwrap();
            let flood: Vec<u8> = nuisance.repeat(400);
            let _ = stream.write_all(&flood).await;
            let _ = stream.flush().await;
            let all = rest(&mut stream).await;
            let calm = all.windows(17).any(|w| w[..4] == [0, 0, 8, 7] && w[13..] == [0, 0, 0, 11]);
            assert!(calm, "{why:?}: {all:02x?}");
            assert_eq!(cut(&gate, why), 1, "{why:?}");
        }
        eventually("all are gone", || gate.snapshot().gauges.connections == 0);
    });
}

#[test]
fn protocol_errors_and_streams_that_the_gate_had_to_reset_are_counted() {
    run(async {
        let origin = Origin::hello();
        let certified = certified(&[b"h2"]);
        let mut settings = secured(&origin, &certified);
        settings.limits.http_2.refused_streams.burst = 20;
        let gate = Gate::start(settings);
        let mut stream = connect(&gate, &certified).await;
        stream.write_all(BEGIN).await.unwrap();
        // Data on a stream that was never opened.
        stream.write_all(&frame(0, 0, 1, &[1; 100])).await.unwrap();
        rest(&mut stream).await;
        assert_eq!(cut(&gate, Cut::ProtocolError), 1);

        let mut stream = connect(&gate, &certified).await;
        stream.write_all(BEGIN).await.unwrap();
        // A request, and a window for it beyond what the protocol knows (CVE-2025-8671).
        let mut block = vec![0x83, 0x84, 0x87, 0x41, 11];
        block.extend(b"example.org");
        for id in (1..200).step_by(2) {
            let pair = [frame(1, 4, id, &block), frame(8, 0, id, &[0x7f, 255, 255, 255])].concat();
            if stream.write_all(&pair).await.is_err() {
                break;
            }
        }
        let _ = stream.flush().await;
        rest(&mut stream).await;
        assert_eq!(cut(&gate, Cut::ServerResetFlood), 1);
        eventually("nothing is left", || gate.snapshot().gauges.in_flight == 0);
    });
}

#[test]
fn headers_that_decompress_beyond_the_limit_are_refused_and_counted() {
    run(async {
        let origin = Origin::hello();
        let certified = certified(&[b"h2"]);
        let gate = Gate::start(secured(&origin, &certified));
        let mut stream = connect(&gate, &certified).await;
        stream.write_all(BEGIN).await.unwrap();
        let mut block = vec![0x82, 0x84, 0x87, 0x41, 11];
        block.extend(b"example.org");
        // One field of 1000 bytes is learnt, and then named again for one byte each.
        block.extend([0x40, 1, b'x', 0x7f, 0xe9, 0x06]);
        block.extend([b'y'; 1000]);
        block.extend([0xbe; 60]);
        stream.write_all(&frame(1, 5, 1, &block)).await.unwrap();
        eventually("the refusal", || gate.reason(Reason::HeaderTooLarge) == 1);
        assert_eq!(gate.offered(), 1);
        assert_eq!(origin.requests(), 0);
        // Far beyond, the connection ends.
        block.extend([0xbe; 600]);
        stream.write_all(&frame(1, 5, 3, &block)).await.unwrap();
        rest(&mut stream).await;
        assert_eq!(cut(&gate, Cut::HeaderList), 1);
    });
}

#[test]
fn a_stream_that_its_visitor_stops_reading_is_reset_and_the_others_continue() {
    run(async {
        let origin = Origin::start(|received| match received.path() {
            "/large" => Reply::ok(&"x".repeat(8 * 1024 * 1024)),
            _ => Reply::ok("small"),
        });
        let certified = certified(&[b"h2"]);
        let mut settings = secured(&origin, &certified);
        settings.limits.body_idle_timeout = Duration::from_secs(1);
        let gate = Gate::manual(settings);
        let mut sender = connect_http_2(connect(&gate, &certified).await).await;
        let stuck = sender.send_request(get("/large")).await.unwrap();
        assert_eq!(gate.snapshot().gauges.in_flight, 1);
        let reset = until("it is reset", || cut(&gate, Cut::FlowControlStall) == 1);
        gate.while_time_passes(reset).await;
        eventually("the origin is free", || gate.snapshot().gauges.in_flight == 0);
        assert_eq!(gate.snapshot().gauges.in_flight, 0);
        assert_eq!(cut(&gate, Cut::FlowControlStall), 1);
        assert!(stuck.into_body().collect().await.is_err());
        let response = sender.send_request(get("/")).await.unwrap();
        assert_eq!(text(response).await, "small");
    });
}

#[test]
fn draining_sends_goaway_over_http_2_and_finishes_requests_in_flight() {
    run(async {
        let (release, hold) = hold();
        let origin = Origin::start(move |_| {
            hold.wait();
            Reply::ok("finished")
        });
        let certified = certified(&[b"h2"]);
        let mut gate = Gate::start(secured(&origin, &certified));
        let mut sender = connect_http_2(connect(&gate, &certified).await).await;
        let response = tokio::spawn(sender.send_request(get("/")));
        until("it is at the origin", || origin.requests() == 1).await;
        gate.start_draining();
        drop(release);
        assert_eq!(text(response.await.unwrap().unwrap()).await, "finished");
        gate.join();
        assert_eq!(gate.outcome(Outcome::Served), 1);
    });
}

#[test]
fn hop_fields_of_an_http_1_origin_do_not_break_http_2() {
    run(async {
        let origin = Origin::start(|_| {
            Reply::raw(
                "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok",
            )
        });
        let certified = certified(&[b"h2"]);
        let gate = Gate::start(secured(&origin, &certified));
        let mut sender = connect_http_2(connect(&gate, &certified).await).await;
        let response = sender.send_request(get("/")).await.unwrap();
        let expected: HeaderMap = HeaderMap::new();
        assert_eq!(response.headers().get("keep-alive"), expected.get("keep-alive"));
        assert_eq!(text(response).await, "ok");
    });
}

/// A body that yields what is sent to it.
struct Sent(tokio::sync::mpsc::UnboundedReceiver<Bytes>);

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let polled = self.0.poll_recv(cx);
        polled.map(|bytes| bytes.map(|bytes| Ok(http_body::Frame::data(bytes))))
    }
}
