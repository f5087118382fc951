//! The state that all attacking connections share: target, end, budgets and counters.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::{Instant, sleep};

use super::dial;
use super::hold_limits::GateLimits;
use crate::target::LoopbackTarget;

/// Requests of one rehearsal: 1024 connections at 250 a second would come to 256 000 in a second;
/// a rehearsal is to show a defence, not to measure the machine.
pub(super) const REQUESTS_MAX: u64 = 200_000;
/// HTTP/2 frames of one rehearsal, likewise.
pub(super) const FRAMES_MAX: u64 = 1_000_000;
/// Bytes of one rehearsal: 256 MiB pass over loopback in a second or two.
pub(super) const BYTES_MAX: u64 = 256 * 1024 * 1024;
/// QUIC datagrams of one rehearsal, of 1200 bytes each: 60 MB.
pub(super) const DATAGRAMS_MAX: u64 = 50_000;

/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// An answer as it is counted: its status, or what kind of answer it is.
pub(super) struct ResponseLabel(String);

impl From<u16> for ResponseLabel {
    fn from(status: u16) -> Self {
        Self(status.to_string())
    }
}

impl From<&str> for ResponseLabel {
    fn from(kind: &str) -> Self {
        Self(kind.to_owned())
    }
}

/// How a connection of an attacker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was still open when the run ended.
    Held,
    /// The gate closed it.
    Closed,
    /// The gate sent its reason in a GOAWAY (RFC 9113, section 7).
    GoAway(u32),
    /// The gate had ended every stream of it (RFC 9113, section 5.1).
    StreamsEnded,
    /// The attacker had sent what it had.
    Finished,
    /// It could not be opened.
    NotOpened,
}

/// What attackers need to know of a run.
pub(super) struct AttackSettings {
    pub(super) target: LoopbackTarget,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) gate_limits: GateLimits,
    /// Addresses that the attack comes from.
    pub(super) sources: u32,
}

/// One run, as its attackers share it.
pub(crate) struct VectorContext {
    pub(super) settings: AttackSettings,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) tls_http_2: Arc<ClientConfig>,
    /// When all attackers close their connections.
    pub(super) end: Instant,
    pub(super) counters: AttackCounters,
}

/// The counters of a run: what was sent, and the outcome.
#[derive(Default)]
pub(super) struct AttackCounters {
    pub(super) connections: Cell<u64>,
    pub(super) requests: Cell<u64>,
    pub(super) frames: Cell<u64>,
    pub(super) datagrams: Cell<u64>,
    pub(super) bytes: Cell<u64>,
    /// Answers by their status, or by the kind of the datagram.
    pub(super) responses: RefCell<BTreeMap<String, u64>>,
    /// Streams that the gate reset, by the code.
    pub(super) resets: RefCell<BTreeMap<String, u64>>,
    pub(super) ends: RefCell<BTreeMap<String, u64>>,
    pub(super) longest: Cell<Duration>,
    pub(super) over_hold_limit: Cell<u64>,
    pub(super) most_requests: Cell<u64>,
    pub(super) over_request_limit: Cell<u64>,
}

impl VectorContext {
    /// Whether an attacker may continue: the time is not over and no budget is used up.
    pub(super) fn may_continue(&self) -> bool {
        Instant::now() < self.end
            && self.counters.requests.get() < REQUESTS_MAX
            && self.counters.frames.get() < FRAMES_MAX
            && self.counters.datagrams.get() < DATAGRAMS_MAX
            && self.counters.bytes.get() < BYTES_MAX
    }
}

fn add(to: &Cell<u64>, more: u64) {
    to.set(to.get() + more);
}

/// One connection of the attack: a place among all, opened for the `turn`th time.
#[derive(Clone)]
pub(crate) struct Attacker {
    pub(super) context: Rc<VectorContext>,
    pub(super) slot: u32,
    pub(super) attempt: u32,
    /// Requests that were made on it.
    pub(super) requests: Rc<Cell<u64>>,
}

impl Attacker {
    pub(super) fn host(&self) -> &str {
        &self.context.settings.host
    }

    pub(super) fn path(&self) -> &str {
        &self.context.settings.path
    }

    pub(super) fn gate_limits(&self) -> &GateLimits {
        &self.context.settings.gate_limits
    }

    pub(super) fn may_continue(&self) -> bool {
        self.context.may_continue()
    }

    pub(super) fn end(&self) -> Instant {
        self.context.end
    }

    /// A number that no other turn of any other place has: for paths and names that never come
    /// again.
    pub(super) fn unique_number(&self, round: u32) -> u64 {
        u64::from(self.slot) << 40 | u64::from(self.attempt) << 24 | u64::from(round)
    }

    /// The address that this place comes from.
    pub(super) fn source(&self) -> Ipv4Addr {
        let sources = self.context.settings.sources.max(1);
        let which = self.slot % sources;
        // 127.66.0.0/16 belongs to the attackers of a rehearsal, 127.77.0.0/16 to its visitors.
        Ipv4Addr::new(127, 66, (which / 250) as u8, (1 + which % 250) as u8)
    }

    pub(super) fn count_requests(&self, count: u64) {
        add(&self.context.counters.requests, count);
        add(&self.requests, count);
    }

    pub(super) fn count_frames(&self, count: u64) {
        add(&self.context.counters.frames, count);
    }

    pub(super) fn count_datagram(&self, bytes: usize) {
        add(&self.context.counters.datagrams, 1);
        self.count_bytes(bytes);
    }

    pub(super) fn count_bytes(&self, bytes: usize) {
        add(&self.context.counters.bytes, bytes as u64);
    }

    pub(super) fn count_response(&self, with: impl Into<ResponseLabel>) {
        *self.context.counters.responses.borrow_mut().entry(with.into().0).or_default() += 1;
    }

    pub(super) fn count_reset(&self, code: u32) {
        let word = error_code_name(code).to_owned();
        *self.context.counters.resets.borrow_mut().entry(word).or_default() += 1;
    }

    /// Opens TCP alone.
    pub(super) async fn open_tcp(&self) -> Option<tokio::net::TcpStream> {
        self.open_tcp_with(None).await
    }

    /// Opens TCP with a receive buffer of this many bytes, as the kernel understands it.
    pub(super) async fn open_tcp_with(
        &self,
        receive_buffer: Option<u32>,
    ) -> Option<tokio::net::TcpStream> {
        add(&self.context.counters.connections, 1);
        let target = self.context.settings.target;
        let opening = dial::connect_tcp(target, self.source(), receive_buffer);
        tokio::time::timeout(CONNECT_TIMEOUT, opening).await.ok()?.ok()
    }

    /// Opens a connection for HTTP/1.1, over TLS if the target uses it.
    pub(super) async fn open(&self) -> Option<dial::ClientStream> {
        self.open_with(None).await
    }

    /// The same, with a receive buffer of this many bytes.
    pub(super) async fn open_with(
        &self,
        receive_buffer: Option<u32>,
    ) -> Option<dial::ClientStream> {
        let tcp = self.open_tcp_with(receive_buffer).await?;
        if !self.context.settings.target.is_tls() {
            return Some(dial::ClientStream::Plain(tcp));
        }
        self.tls_handshake(tcp, &self.context.tls).await
    }

    /// Opens a connection for HTTP/2: TLS, with `h2` agreed by ALPN.
    pub(super) async fn open_http_2(&self) -> Option<dial::ClientStream> {
        let tcp = self.open_tcp().await?;
        self.tls_handshake(tcp, &self.context.tls_http_2).await
    }

    async fn tls_handshake(
        &self,
        tcp: tokio::net::TcpStream,
        config: &Arc<ClientConfig>,
    ) -> Option<dial::ClientStream> {
        let shaking = dial::connect_tls(tcp, config.clone(), self.host());
        tokio::time::timeout(CONNECT_TIMEOUT, shaking).await.ok()?.ok()
    }
}

/// Sleeps for `pause`, but not beyond the rehearsal's end.
pub(super) async fn bounded_sleep(attacker: &Attacker, pause: Duration) {
    let left = attacker.end().saturating_duration_since(Instant::now());
    sleep(pause.min(left)).await;
}

/// The names of RFC 9113, section 7.
pub(super) fn error_code_name(code: u32) -> &'static str {
    match code {
        0x0 => "NO_ERROR",
        0x1 => "PROTOCOL_ERROR",
        0x2 => "INTERNAL_ERROR",
        0x3 => "FLOW_CONTROL_ERROR",
        0x4 => "SETTINGS_TIMEOUT",
        0x5 => "STREAM_CLOSED",
        0x6 => "FRAME_SIZE_ERROR",
        0x7 => "REFUSED_STREAM",
        0x8 => "CANCEL",
        0x9 => "COMPRESSION_ERROR",
        0xa => "CONNECT_ERROR",
        0xb => "ENHANCE_YOUR_CALM",
        0xc => "INADEQUATE_SECURITY",
        0xd => "HTTP_1_1_REQUIRED",
        _ => "unknown code",
    }
}
