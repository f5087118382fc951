//! HTTP/3 visitors who write frames by hand.

#![allow(clippy::unwrap_used)]

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use common::{Gate, Origin, Reply, config, secure, until};
use portcullis_model::{ConnReason, Cut, Limits, Reason};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, TransportConfig, VarInt};

const DATA: u64 = 0;
const HEADERS: u64 = 1;
const SETTINGS: u64 = 4;
const MADE_UP: u64 = 0x21;
const PRIORITY_UPDATE: u64 = 0xf_0700;

fn number(value: u64) -> Vec<u8> {
    match value {
        0..=0x3f => vec![value as u8],
        0x40..=0x3fff => (value as u16 | 0x4000).to_be_bytes().to_vec(),
        _ => (value as u32 | 0x8000_0000).to_be_bytes().to_vec(),
    }
}

/// A frame's head alone.
fn announced(kind: u64, length: u64) -> Vec<u8> {
    [number(kind), number(length)].concat()
}

fn frame(kind: u64, content: &[u8]) -> Vec<u8> {
    [announced(kind, content.len() as u64), content.to_vec()].concat()
}

/// A request's head (RFC 9204, appendix A); `method` is an entry of the static table.
fn head(method: u8) -> Vec<u8> {
    let block = [&[0, 0, 0xc0 | method, 0xd7, 0xc1, 0x50, 11], &b"example.org"[..]].concat();
    frame(HEADERS, &block)
}

const GET: u8 = 17;
const POST: u8 = 20;

/// A gate, its folder, and what connects to it.
struct Scene {
    gate: Gate,
    _folder: tempfile::TempDir,
    client: ClientConfig,
}

impl Scene {
    fn new(origin: &Origin, limits: impl FnOnce(&mut Limits)) -> Self {
        let mut settings = config(origin.address);
        let (folder, certificate) = secure(&mut settings);
        settings.listeners[0].http_3 = true;
        limits(&mut settings.limits);
        let client = certificate.http_3_client();
        let client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(client).unwrap()));
        Self { gate: Gate::manual(settings), _folder: folder, client }
    }

    /// A connection whose control stream has sent these frames after the settings.
    async fn connect(&self, on_control: &[u8]) -> Visitor {
        let endpoint = Endpoint::client(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).unwrap();
        let connecting =
            endpoint.connect_with(self.client.clone(), self.gate.address, "example.org");
        let connection = connecting.unwrap().await.unwrap();
        let mut control = connection.open_uni().await.unwrap();
        let begin = [vec![0], frame(SETTINGS, &[]), on_control.to_vec()].concat();
        let _ = control.write_all(&begin).await;
        Visitor { _endpoint: endpoint, connection, _control: control }
    }

    fn cut(&self, why: Cut) -> u64 {
        self.gate.snapshot().cuts.of(why)
    }
}

struct Visitor {
    _endpoint: Endpoint,
    connection: Connection,
    _control: quinn::SendStream,
}

impl Visitor {
    /// Writes on a request's stream, and ends it if `whole`; what comes back is not read.
    async fn ask(&self, bytes: &[u8], whole: bool) -> (quinn::SendStream, quinn::RecvStream) {
        let (mut sending, receiving) = self.connection.open_bi().await.unwrap();
        let _ = sending.write_all(bytes).await;
        if whole {
            let _ = sending.finish();
        }
        (sending, receiving)
    }

    /// The code that the gate ended the connection with.
    async fn farewell(&self) -> u64 {
        match self.connection.closed().await {
            ConnectionError::ApplicationClosed(closed) => closed.error_code.into(),
            other => panic!("{other}"),
        }
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        tokio::time::timeout(Duration::from_secs(50), test).await.expect("in time");
    });
}

const CALM: u64 = 0x107;
const BROKEN: u64 = 0x101;

#[test]
fn each_kind_of_flood_and_of_broken_framing_ends_the_connection_and_is_counted() {
    run(async {
        let origin = Origin::hello();
        let scene = Scene::new(&origin, |_| {});
        let post = |rest: Vec<u8>| [head(POST), rest].concat();
        let on_requests: Vec<(Cut, u64, Vec<u8>)> = vec![
            (Cut::HeaderList, CALM, announced(HEADERS, 1_000_000)),
            (Cut::UnknownFrameFlood, CALM, announced(MADE_UP, 1_000_000)),
            (Cut::UnknownFrameFlood, CALM, frame(MADE_UP, b"x").repeat(1_000)),
            (Cut::ProtocolError, BROKEN, frame(DATA, b"content before a head, of some length")),
            (Cut::ProtocolError, BROKEN, post(frame(SETTINGS, &[]))),
            (Cut::ProtocolError, BROKEN, post(announced(0x41, 1))),
            // The stream ends within a frame.
            (Cut::ProtocolError, BROKEN, post([announced(DATA, 1_000), vec![7; 10]].concat())),
            (Cut::SmallDataFlood, CALM, post(frame(DATA, b"x").repeat(3_000))),
            (Cut::EmptyDataFlood, CALM, post(frame(DATA, b"").repeat(3_000))),
        ];
        for (why, code, bytes) in on_requests {
            let before = scene.cut(why);
            let visitor = scene.connect(&[]).await;
            let _streams = visitor.ask(&bytes, true).await;
            assert_eq!(visitor.farewell().await, code, "{why:?}");
            assert_eq!(scene.cut(why), before + 1, "{why:?}");
        }
        for (why, bytes) in [
            (Cut::UnknownFrameFlood, frame(MADE_UP, b"x").repeat(1_000)),
            (Cut::UnknownFrameFlood, announced(MADE_UP, 1_000_000)),
            (Cut::PriorityFlood, frame(PRIORITY_UPDATE, &[0, b'u']).repeat(1_000)),
        ] {
            let before = scene.cut(why);
            let visitor = scene.connect(&bytes).await;
            assert_eq!(visitor.farewell().await, CALM, "{why:?}");
            assert_eq!(scene.cut(why), before + 1, "{why:?}");
        }
        // None of the bodies was whole.
        assert!(origin.received.lock().unwrap().is_empty());
        until("all are gone", || scene.gate.snapshot().gauges.connections == 0).await;
        assert_eq!(scene.gate.internal_errors.panics(), 0);
    });
}

#[test]
fn streams_that_are_no_requests_are_limited_in_number() {
    run(async {
        let origin = Origin::hello();
        let scene = Scene::new(&origin, |_| {});
        let visitor = scene.connect(&[]).await;
        for _ in 0..2_000 {
            let Ok(mut stream) = visitor.connection.open_uni().await else { break };
            let _ = stream.write_all(&number(MADE_UP)).await;
            let _ = stream.finish();
        }
        assert_eq!(visitor.farewell().await, CALM);
        assert_eq!(scene.cut(Cut::UnknownFrameFlood), 1);
    });
}

#[test]
fn an_incomplete_head_ends_the_connection_at_the_header_timeout() {
    run(async {
        let origin = Origin::hello();
        let scene = Scene::new(&origin, |limits| limits.header_timeout = Duration::from_secs(2));
        let visitor = scene.connect(&[]).await;
        let whole = head(GET);
        let _streams = visitor.ask(&whole[..whole.len() - 1], false).await;
        scene
            .gate
            .while_time_passes(until("it counts as stalled", || {
                scene.gate.snapshot().gauges.stalled_headers == 1
            }))
            .await;
        scene.gate.pass(Duration::from_secs(2));
        assert_eq!(visitor.farewell().await, 0x10d);
        assert_eq!(scene.gate.refused(ConnReason::HeaderTimeout), 1);
    });
}

#[test]
fn a_head_above_the_limit_is_answered_and_counted() {
    run(async {
        let origin = Origin::hello();
        let scene = Scene::new(&origin, |_| {});
        let visitor = scene.connect(&[]).await;
        // One field named `a` of 40,000 bytes (RFC 9204, section 4.5.6).
        let field = [&[0x21, b'a', 0x7f, 0xc1, 0xb7, 0x02], &vec![b'x'; 40_000][..]].concat();
        let mut block = vec![0, 0, 0xc0 | GET, 0xd7, 0xc1, 0x50, 11];
        block.extend(b"example.org");
        block.extend(field);
        let (_, mut answer) = visitor.ask(&frame(HEADERS, &block), true).await;
        assert!(!answer.read_to_end(1_000).await.unwrap().is_empty());
        until("it is counted", || scene.gate.reason(Reason::HeaderTooLarge) == 1).await;
        assert_eq!(scene.gate.offered(), 1);
        let (_, mut answer) = visitor.ask(&head(GET), true).await;
        assert!(answer.read_to_end(1_000).await.unwrap().ends_with(b"hello"));
    });
}

#[test]
fn a_response_that_is_not_read_is_aborted() {
    run(async {
        let origin = Origin::start(|_| Reply::ok(&"x".repeat(500_000)));
        let mut scene =
            Scene::new(&origin, |limits| limits.body_idle_timeout = Duration::from_secs(1));
        let mut transport = TransportConfig::default();
        transport.stream_receive_window(VarInt::from_u32(2_000));
        scene.client.transport_config(Arc::new(transport));
        let visitor = scene.connect(&[]).await;
        let _streams = visitor.ask(&head(GET), true).await;
        scene
            .gate
            .while_time_passes(until("it is counted", || {
                scene.cut(Cut::FlowControlStall) + scene.cut(Cut::SlowRead) == 1
            }))
            .await;
        until("the origin is free", || scene.gate.snapshot().gauges.in_flight == 0).await;
    });
}
