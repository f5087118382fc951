//! HTTP/3.

#![allow(clippy::unwrap_used)]

mod common;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::{Buf, Bytes};
use common::{Gate, Origin, Reply, config, eventually, hold, tls_files, until};
use h3::client::{RequestStream, SendRequest};
use http::{Request, Response};
use portcullis_model::{Config, ConnReason, Cut, Feature, Outcome, RateLimit, Reason, TlsFiles};
use portcullis_testkit::tls::TestCert;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint};

struct Certified {
    _folder: tempfile::TempDir,
    client: ClientConfig,
    files: TlsFiles,
}

fn certified() -> Certified {
    let folder = tempfile::tempdir().unwrap();
    let certificate = TestCert::new("example.org");
    let files = tls_files(&certificate, folder.path());
    let client = QuicClientConfig::try_from(certificate.http_3_client()).unwrap();
    Certified { _folder: folder, client: ClientConfig::new(Arc::new(client)), files }
}

fn settings(origin: &Origin, certified: &Certified) -> Config {
    let mut settings = config(origin.address);
    settings.listeners[0].tls = Some(certified.files.clone());
    settings.listeners[0].http_3 = true;
    settings
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        tokio::time::timeout(Duration::from_secs(40), test).await.expect("in time");
    });
}

type Sender = SendRequest<h3_quinn::OpenStreams, Bytes>;
type Stream = RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

struct Visitor {
    endpoint: Endpoint,
    connection: quinn::Connection,
    sender: Sender,
}

fn endpoint() -> Endpoint {
    Endpoint::client(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).unwrap()
}

async fn connect(gate: &Gate, certified: &Certified) -> Visitor {
    let endpoint = endpoint();
    let connecting = endpoint.connect_with(certified.client.clone(), gate.address, "example.org");
    let connection = connecting.unwrap().await.unwrap();
    let (mut driver, sender) =
        h3::client::new(h3_quinn::Connection::new(connection.clone())).await.unwrap();
    tokio::spawn(async move { std::future::poll_fn(|cx| driver.poll_close(cx)).await });
    Visitor { endpoint, connection, sender }
}

fn request(method: &str, path: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("https://example.org{path}")).body(()).unwrap()
}

async fn body(stream: &mut Stream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(mut data) = stream.recv_data().await.unwrap() {
        all.extend(data.copy_to_bytes(data.remaining()));
    }
    all
}

impl Visitor {
    /// Closes the connection, so that the gate need not wait for an acknowledgement.
    async fn leave(self) {
        self.connection.close(0x100_u32.into(), b"");
        self.endpoint.wait_idle().await;
    }

    /// The code that the gate ended the connection with.
    async fn farewell(&self) -> u64 {
        match self.connection.closed().await {
            quinn::ConnectionError::ApplicationClosed(closed) => closed.error_code.into(),
            other => panic!("{other}"),
        }
    }

    async fn ask(&mut self, request: Request<()>) -> (Response<()>, Vec<u8>) {
        let mut stream = self.sender.send_request(request).await.unwrap();
        stream.finish().await.unwrap();
        let response = stream.recv_response().await.unwrap();
        let body = body(&mut stream).await;
        (response, body)
    }

    async fn get(&mut self, path: &str) -> (Response<()>, Vec<u8>) {
        self.ask(request("GET", path)).await
    }
}

fn cut(gate: &Gate, why: Cut) -> u64 {
    gate.snapshot().cuts.of(why)
}

#[test]
fn a_page_comes_by_http_3_where_the_listener_offers_it() {
    run(async {
        let origin = Origin::start(|received| Reply::ok(received.path()));
        let certified = certified();
        let gate = Gate::start(settings(&origin, &certified));
        let mut visitor = connect(&gate, &certified).await;
        let (response, body) = visitor.get("/page?a=b").await;
        assert_eq!(response.status(), 200);
        assert_eq!(body, b"/page?a=b");
        assert_eq!(response.headers()["content-length"], "9");
        assert!(response.headers().contains_key("date"));
        let received = origin.last();
        assert_eq!(received.line(), "GET /page?a=b HTTP/1.1");
        assert_eq!(received.field("host"), Some("example.org"));
        assert_eq!(received.field("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(received.field("x-forwarded-proto"), Some("https"));
        assert_eq!(received.field("transfer-encoding"), None);
        assert_eq!(gate.reason(Reason::Allowed), 1);
        eventually("the outcome", || gate.outcome(Outcome::Served) == 1);
        visitor.leave().await;
    });
}

#[test]
fn head_requests_and_errors_are_answered_as_over_other_protocols() {
    run(async {
        let origin = Origin::start(|received| match received.path() {
            "/missing" => Reply::raw("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"),
            "/same" => Reply::raw("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"),
            _ if received.line().starts_with("HEAD") => {
                Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x\r\nX: y\r\n\r\n")
            }
            _ => Reply::ok("hello"),
        });
        let certified = certified();
        let mut settings = settings(&origin, &certified);
        settings.platforms[0].hosts = vec!["example.org".into()];
        let gate = Gate::start(settings);
        let mut visitor = connect(&gate, &certified).await;
        let (response, body) = visitor.ask(request("HEAD", "/")).await;
        assert_eq!((response.status().as_u16(), body.len()), (200, 0));
        assert_eq!(response.headers()["content-length"], "5");
        assert!(!response.headers().contains_key("connection"));
        let (response, body) = visitor.get("/missing").await;
        assert_eq!((response.status().as_u16(), body.as_slice()), (404, &b"none"[..]));
        let (response, body) = visitor.get("/same").await;
        assert_eq!((response.status().as_u16(), body.len()), (304, 0));
        let elsewhere =
            Request::builder().method("HEAD").uri("https://other.org/").body(()).unwrap();
        let (response, body) = visitor.ask(elsewhere).await;
        assert_eq!((response.status().as_u16(), body.len()), (421, 0));
        let (response, _) = visitor.ask(request("TRACE", "/")).await;
        assert_eq!(response.status(), 405);
        assert_eq!(gate.reason(Reason::UnknownHost), 1);
        assert_eq!(gate.reason(Reason::NotSupported), 1);
        assert_eq!(gate.offered(), 5);
        visitor.leave().await;
    });
}

#[test]
fn large_bodies_pass_both_ways_and_keep_their_length() {
    run(async {
        let origin = Origin::start(|received| {
            let sum: u64 = received.body.iter().map(|b| u64::from(*b)).sum();
            let length = received.body.len();
            let mut answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nX-Sum: {sum}\r\n\r\n")
                    .into_bytes();
            answer.extend(&received.body);
            Reply::Bytes(answer)
        });
        let certified = certified();
        let gate = Gate::start(settings(&origin, &certified));
        let mut visitor = connect(&gate, &certified).await;
        let sent: Vec<u8> = (0..8_000_000_u32).map(|n| ((n * 7) >> 3) as u8).collect();
        let sum: u64 = sent.iter().map(|b| u64::from(*b)).sum();
        let mut upload = request("POST", "/upload");
        upload.headers_mut().insert("content-length", sent.len().into());
        let mut stream = visitor.sender.send_request(upload).await.unwrap();
        for piece in sent.chunks(100_000) {
            stream.send_data(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        stream.finish().await.unwrap();
        let response = stream.recv_response().await.unwrap();
        assert_eq!(response.headers()["x-sum"], sum.to_string());
        assert_eq!(body(&mut stream).await, sent);
        assert_eq!(origin.last().field("content-length"), Some("8000000"));
        visitor.leave().await;
    });
}

#[test]
fn empty_frames_and_trailers_do_not_end_a_body_early() {
    run(async {
        let origin = Origin::start(|received| {
            Reply::ok(&String::from_utf8_lossy(&received.body).replace("\r\n", "|"))
        });
        let certified = certified();
        let gate = Gate::start(settings(&origin, &certified));
        let mut visitor = connect(&gate, &certified).await;
        let mut stream = visitor.sender.send_request(request("POST", "/")).await.unwrap();
        let mut chunked = 0;
        for piece in ["", "one", "", "", "two", ""] {
            stream.send_data(Bytes::from(piece)).await.unwrap();
            // The length, the content, and a line's end after each.
            chunked += if piece.is_empty() { 0 } else { piece.len() + 5 };
            until("the piece is at the origin", || origin.chunked_bytes() == chunked).await;
        }
        stream.finish().await.unwrap();
        assert_eq!(stream.recv_response().await.unwrap().status(), 200);
        assert_eq!(body(&mut stream).await, b"3|one|3|two|0||");
        visitor.leave().await;
    });
}

#[test]
fn a_body_that_is_not_as_long_as_announced_never_looks_whole_to_the_origin() {
    run(async {
        let origin = Origin::hello();
        let certified = certified();
        let gate = Gate::start(settings(&origin, &certified));
        let mut visitor = connect(&gate, &certified).await;
        for (length, sent) in [("10", "short"), ("3", "too long")] {
            let mut lying = request("POST", "/");
            lying.headers_mut().insert("content-length", length.parse().unwrap());
            let mut stream = visitor.sender.send_request(lying).await.unwrap();
            let _ = stream.send_data(Bytes::from(sent)).await;
            let _ = stream.finish().await;
            let answered = stream.recv_response().await;
            assert!(answered.is_err() || !answered.unwrap().status().is_success(), "{length}");
        }
        assert_eq!(origin.requests(), 0);
        let mut twice = request("POST", "/");
        twice.headers_mut().append("content-length", "3".parse().unwrap());
        twice.headers_mut().append("content-length", "4".parse().unwrap());
        let (response, _) = visitor.ask(twice).await;
        assert_eq!(response.status(), 400);
        assert_eq!(gate.reason(Reason::Malformed), 1);
        visitor.leave().await;
    });
}

#[test]
fn a_body_above_the_limit_is_refused_and_never_whole() {
    run(async {
        let origin = Origin::hello();
        let certified = certified();
        let mut settings = settings(&origin, &certified);
        settings.limits.max_body_bytes = 10_000;
        let gate = Gate::start(settings);
        let mut visitor = connect(&gate, &certified).await;
        let mut announced = request("POST", "/");
        announced.headers_mut().insert("content-length", "10001".parse().unwrap());
        let mut stream = visitor.sender.send_request(announced).await.unwrap();
        assert_eq!(stream.recv_response().await.unwrap().status(), 413);
        assert_eq!(gate.reason(Reason::BodyTooLarge), 1);
        let mut stream = visitor.sender.send_request(request("POST", "/")).await.unwrap();
        for _ in 0..20 {
            let _ = stream.send_data(Bytes::from(vec![1; 1_000])).await;
        }
        assert_eq!(stream.recv_response().await.unwrap().status(), 413);
        assert_eq!(gate.outcome(Outcome::BodyAborted), 1);
        assert_eq!(origin.requests(), 0);
        visitor.leave().await;
    });
}

#[test]
fn above_the_retry_threshold_addresses_are_validated_and_then_served() {
    run(async {
        let origin = Origin::hello();
        let certified = certified();
        let mut settings = settings(&origin, &certified);
        settings.limits.http_3.retry_threshold = 0;
        let gate = Gate::start_with(settings, 2);
        for _ in 0..4 {
            let mut visitor = connect(&gate, &certified).await;
            assert_eq!(visitor.get("/").await.1, b"hello");
            visitor.leave().await;
        }
        assert_eq!(gate.snapshot().retries, 4);
        assert_eq!(gate.refused(ConnReason::HandshakeFailed), 0);
    });
}

#[test]
fn a_client_that_proves_its_address_is_served_while_forged_addresses_hold_every_slot() {
    run(async {
        let origin = Origin::hello();
        let certified = certified();
        let mut settings = settings(&origin, &certified);
        settings.limits.http_3.retry_threshold = 2;
        settings.limits.handshake_timeout = Duration::from_secs(2);
        let gate = Gate::manual(settings);
        // Initial packets alone, as a sender with a forged address would send.
        let first = first_packet(&certified).await;
        let forger = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        forger.send_to(&first, gate.address).await.unwrap();
        for _ in 0..4 {
            let another = first_packet(&certified).await;
            let other = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
            other.send_to(&another, gate.address).await.unwrap();
        }
        until("the rest get retry packets", || gate.snapshot().retries == 3).await;
        let mut visitor = connect(&gate, &certified).await;
        assert_eq!(visitor.get("/").await.1, b"hello");
        assert_eq!(gate.snapshot().retries, 4);
        gate.while_time_passes(until("the handshakes are over", || {
            gate.refused(ConnReason::HandshakeFailed) == 2
        }))
        .await;
        // An address that is not validated gets at most three times the bytes it sent (RFC 9000,
        // section 8.1), and a close.
        // Real time, because no event reports that no more packets come.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (mut buffer, mut answered) = ([0; 2_000], 0);
        while let Ok(more) = forger.try_recv(&mut buffer) {
            answered += more;
        }
        assert!(answered > 0 && answered <= 3 * first.len() + 200, "{answered}");
        visitor.leave().await;
    });
}

#[test]
fn handshakes_over_quic_count_against_the_same_limits() {
    run(async {
        let origin = Origin::hello();
        let certified = certified();
        let mut settings = settings(&origin, &certified);
        settings.limits.handshakes.source.burst = 2;
        settings.limits.handshakes.source.per_second = 1;
        let gate = Gate::start(settings);
        for _ in 0..5 {
            let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.send_to(&first_packet(&certified).await, gate.address).await.unwrap();
        }
        until("it is counted", || gate.refused(ConnReason::HandshakeRate) >= 2).await;
        assert!(gate.refused(ConnReason::HandshakeRate) <= 3);
    });
}

/// The fingerprints that requests had since the last call.
fn fingerprints(gate: &Gate) -> Vec<String> {
    let sightings = gate.sightings();
    let found = sightings.iter().filter(|name| name.feature == Feature::TlsFingerprint);
    found.map(|name| name.text().to_owned()).collect()
}

#[test]
fn a_request_has_the_fingerprint_of_its_tls_library_after_a_retry_too() {
    run(async {
        let origin = Origin::hello();
        let certified = certified();
        let mut settings = settings(&origin, &certified);
        settings.limits.http_3.retry_threshold = 0;
        let gate = Gate::start(settings);
        let mut visitor = connect(&gate, &certified).await;
        visitor.get("/").await;
        assert_eq!(gate.snapshot().retries, 1);
        let found = fingerprints(&gate);
        let [client] = &found[..] else { panic!("{found:?}") };
        // Over QUIC, TLS 1.3, by name, with three suites and so on, for HTTP/3.
        let (start, digests) = client.split_once('_').unwrap();
        assert!(start.starts_with("q13d03") && start.ends_with("h3"), "{client}");
        // The suites of TLS 1.3 alone, as the method's own list of them digests.
        assert!(digests.starts_with("55b375c5d22e_"), "{client}");
        assert_ne!(gate.records()[0].features.get(Feature::TlsFingerprint), 0);
        visitor.leave().await;
    });
}

#[test]
fn a_session_that_is_resumed_costs_a_quarter_of_a_handshake() {
    run(async {
        let origin = Origin::hello();
        let certified = certified();
        let mut settings = settings(&origin, &certified);
        settings.limits.handshakes.source = RateLimit { per_second: 1, burst: 3 };
        let gate = Gate::start(settings);
        // Each takes the ticket that the one before was given.
        for at in 0..7 {
            let mut visitor = connect(&gate, &certified).await;
            assert_eq!(visitor.get("/").await.1, b"hello", "{at}");
            visitor.leave().await;
        }
        // A full handshake and six quarters are two and a half; seven whole ones would be refused.
        assert_eq!(gate.refused(ConnReason::HandshakeRate), 0);
        let clients = fingerprints(&gate);
        assert_eq!(clients.len(), 2, "without a ticket and with one: {clients:?}");
    });
}

/// The first packet of a handshake.
async fn first_packet(certified: &Certified) -> Vec<u8> {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let endpoint = endpoint();
    let address = socket.local_addr().unwrap();
    let connecting = endpoint.connect_with(certified.client.clone(), address, "example.org");
    let mut buffer = vec![0; 2_000];
    let length = socket.recv(&mut buffer).await.unwrap();
    drop(connecting);
    buffer.truncate(length);
    buffer
}

#[test]
fn a_connection_without_requests_is_closed_at_the_idle_timeout() {
    run(async {
        let origin = Origin::hello();
        let certified = certified();
        let mut settings = settings(&origin, &certified);
        settings.limits.idle_timeout = Duration::from_secs(1);
        let gate = Gate::manual(settings);
        let mut visitor = connect(&gate, &certified).await;
        assert_eq!(visitor.get("/").await.1, b"hello");
        assert_eq!(gate.while_time_passes(visitor.farewell()).await, 0x100);
        assert_eq!(cut(&gate, Cut::Idle), 1);
        until("it is gone", || gate.snapshot().gauges.connections == 0).await;
    });
}

#[test]
fn a_small_response_that_is_never_acknowledged_is_aborted_at_the_minimum_rate() {
    let asked = Arc::new(AtomicBool::new(false));
    let silent = Arc::new(AtomicBool::new(false));
    let origin = Origin::start({
        let (asked, silent) = (asked.clone(), silent.clone());
        move |_| {
            asked.store(true, Relaxed);
            eventually("the visitor is silent", || silent.load(Relaxed));
            Reply::ok("hello")
        }
    });
    let certified = certified();
    let mut settings = settings(&origin, &certified);
    settings.limits.body_idle_timeout = Duration::from_secs(1);
    let gate = Gate::manual(settings);
    let (hold, released) = std::sync::mpsc::channel::<()>();
    let visitor = std::thread::spawn({
        let (address, client) = (gate.address, certified.client.clone());
        move || {
            run(async move {
                let endpoint = endpoint();
                let connecting = endpoint.connect_with(client, address, "example.org");
                let connection = h3_quinn::Connection::new(connecting.unwrap().await.unwrap());
                let (mut driver, mut sender) = h3::client::new(connection).await.unwrap();
                tokio::spawn(async move { std::future::poll_fn(|cx| driver.poll_close(cx)).await });
                let mut stream = sender.send_request(request("GET", "/")).await.unwrap();
                stream.finish().await.unwrap();
                until("it has been requested", || asked.load(Relaxed)).await;
                // From now on this client reads and acknowledges nothing.
                silent.store(true, Relaxed);
                let _ = released.recv();
            });
        }
    });
    eventually("the origin has answered", || gate.outcome(Outcome::Served) == 1);
    gate.pass_until("it is aborted", || cut(&gate, Cut::FlowControlStall) == 1);
    drop(hold);
    visitor.join().unwrap();
}

#[test]
fn a_client_that_cancels_requests_faster_than_people_leave_pages_is_cut() {
    run(async {
        let (_release, hold) = hold();
        let origin = Origin::start(move |_| {
            hold.wait();
            Reply::ok("late")
        });
        let certified = certified();
        let mut settings = settings(&origin, &certified);
        settings.limits.source.burst = 100_000;
        let gate = Gate::start(settings);
        let mut visitor = connect(&gate, &certified).await;
        for _ in 0..1_000 {
            let Ok(mut stream) = visitor.sender.send_request(request("GET", "/")).await else {
                break;
            };
            let _ = stream.finish().await;
            stream.stop_sending(h3::error::Code::H3_REQUEST_CANCELLED);
            tokio::task::yield_now().await;
        }
        assert_eq!(visitor.farewell().await, 0x107);
        assert_eq!(cut(&gate, Cut::ResetFlood), 1);
        let gauges = || gate.snapshot().gauges;
        until("all is dropped", || gauges().connections == 0 && gauges().in_flight == 0).await;
    });
}

#[test]
fn a_cancelled_request_ends_at_the_origin_and_the_others_continue() {
    run(async {
        let (_release, hold) = hold();
        let origin = Origin::start(move |received| {
            if received.path() == "/slow" {
                hold.wait();
            }
            Reply::ok("hello")
        });
        let certified = certified();
        let mut settings = settings(&origin, &certified);
        settings.platforms[0].origin.response_timeout = Duration::from_secs(20);
        let gate = Gate::start(settings);
        let mut visitor = connect(&gate, &certified).await;
        let mut stream = visitor.sender.send_request(request("GET", "/slow")).await.unwrap();
        stream.finish().await.unwrap();
        until("it is at the origin", || origin.requests() == 1).await;
        stream.stop_sending(h3::error::Code::H3_REQUEST_CANCELLED);
        until("it is dropped", || gate.outcome(Outcome::VisitorDisconnected) == 1).await;
        assert_eq!(visitor.get("/").await.1, b"hello");
        visitor.leave().await;
    });
}

#[test]
fn a_drain_finishes_requests_in_flight_and_closes_the_connection() {
    run(async {
        let (release, hold) = hold();
        let origin = Origin::start(move |received| {
            if received.path() == "/slow" {
                hold.wait();
            }
            Reply::ok("whole")
        });
        let certified = certified();
        let gate = Gate::start_with(settings(&origin, &certified), 2);
        let mut visitor = connect(&gate, &certified).await;
        let mut stream = visitor.sender.send_request(request("GET", "/slow")).await.unwrap();
        stream.finish().await.unwrap();
        until("it is at the origin", || origin.requests() == 1).await;
        gate.start_draining();
        drop(release);
        assert_eq!(stream.recv_response().await.unwrap().status(), 200);
        assert_eq!(body(&mut stream).await, b"whole");
        assert_eq!(visitor.farewell().await, 0x100);
        let late = endpoint();
        let connecting = late.connect_with(certified.client.clone(), gate.address, "example.org");
        // Real time, because no event reports that a connection is not accepted.
        let waiting = tokio::time::timeout(Duration::from_millis(300), connecting.unwrap());
        assert!(!matches!(waiting.await, Ok(Ok(_))), "no new connection is accepted");
    });
}
