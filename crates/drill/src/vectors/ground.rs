//! What every attacking connection shares: where to, until when, how much, and what was counted.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::{Instant, sleep};

use super::Rehearsal;
use super::dial;
use super::held::Grants;

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
const OPENING: Duration = Duration::from_secs(3);

/// An answer as it is counted: its status, or what kind of answer it is.
pub(super) struct Answer(String);

impl From<u16> for Answer {
    fn from(status: u16) -> Self {
        Self(status.to_string())
    }
}

impl From<&str> for Answer {
    fn from(kind: &str) -> Self {
        Self(kind.to_owned())
    }
}

/// How a connection of an attacker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was still open when the attacker let go.
    Held,
    /// The gate closed it.
    Closed,
    /// The gate said why it closes it (RFC 9113, section 7).
    GoAway(u32),
    /// The gate had ended every stream of it (RFC 9113, section 5.1).
    StreamsOver,
    /// The attacker had sent what it had.
    Done,
    /// It could not be opened.
    NotOpened,
}

/// One rehearsal, as its attackers know it.
pub(crate) struct Ground {
    pub(super) rehearsal: Rehearsal,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) tls_http_2: Arc<ClientConfig>,
    /// When everybody lets go.
    pub(super) end: Instant,
    pub(super) count: Count,
}

/// What was tried, and what came of it.
#[derive(Default)]
pub(super) struct Count {
    pub(super) connections: Cell<u64>,
    pub(super) requests: Cell<u64>,
    pub(super) frames: Cell<u64>,
    pub(super) datagrams: Cell<u64>,
    pub(super) bytes: Cell<u64>,
    /// Answers by their status, or by the kind of the datagram.
    pub(super) answers: RefCell<BTreeMap<String, u64>>,
    /// Streams that the gate reset, by the code.
    pub(super) resets: RefCell<BTreeMap<String, u64>>,
    pub(super) ends: RefCell<BTreeMap<String, u64>>,
    pub(super) longest: Cell<Duration>,
    pub(super) held_too_long: Cell<u64>,
    pub(super) most_asked: Cell<u64>,
    pub(super) asked_too_often: Cell<u64>,
}

impl Ground {
    /// Whether an attacker may go on: the time is not over and no budget is used up.
    pub(super) fn may_go_on(&self) -> bool {
        Instant::now() < self.end
            && self.count.requests.get() < REQUESTS_MAX
            && self.count.frames.get() < FRAMES_MAX
            && self.count.datagrams.get() < DATAGRAMS_MAX
            && self.count.bytes.get() < BYTES_MAX
    }
}

fn add(to: &Cell<u64>, more: u64) {
    to.set(to.get() + more);
}

/// One connection of the attack: a place among all, opened for the `turn`th time.
#[derive(Clone)]
pub(crate) struct Attacker {
    pub(super) ground: Rc<Ground>,
    pub(super) place: u32,
    pub(super) turn: u32,
    /// Requests that were made on it.
    pub(super) asked: Rc<Cell<u64>>,
}

impl Attacker {
    pub(super) fn host(&self) -> &str {
        &self.ground.rehearsal.host
    }

    pub(super) fn path(&self) -> &str {
        &self.ground.rehearsal.path
    }

    pub(super) fn grants(&self) -> &Grants {
        &self.ground.rehearsal.grants
    }

    pub(super) fn may_go_on(&self) -> bool {
        self.ground.may_go_on()
    }

    pub(super) fn end(&self) -> Instant {
        self.ground.end
    }

    /// A number that no other turn of any other place has: for paths and names that never come
    /// again.
    pub(super) fn number(&self, round: u32) -> u64 {
        u64::from(self.place) << 40 | u64::from(self.turn) << 24 | u64::from(round)
    }

    /// The address that this place comes from.
    pub(super) fn source(&self) -> Ipv4Addr {
        let sources = self.ground.rehearsal.vector.sources.max(1);
        let which = self.place % sources;
        // 127.66.0.0/16 belongs to the attackers of a rehearsal, 127.77.0.0/16 to its visitors.
        Ipv4Addr::new(127, 66, (which / 250) as u8, (1 + which % 250) as u8)
    }

    pub(super) fn requested(&self, how_many: u64) {
        add(&self.ground.count.requests, how_many);
        add(&self.asked, how_many);
    }

    pub(super) fn framed(&self, how_many: u64) {
        add(&self.ground.count.frames, how_many);
    }

    pub(super) fn datagram(&self, bytes: usize) {
        add(&self.ground.count.datagrams, 1);
        self.sent(bytes);
    }

    pub(super) fn sent(&self, bytes: usize) {
        add(&self.ground.count.bytes, bytes as u64);
    }

    pub(super) fn answered(&self, with: impl Into<Answer>) {
        *self.ground.count.answers.borrow_mut().entry(with.into().0).or_default() += 1;
    }

    pub(super) fn reset(&self, code: u32) {
        let word = code_word(code).to_owned();
        *self.ground.count.resets.borrow_mut().entry(word).or_default() += 1;
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
        add(&self.ground.count.connections, 1);
        let target = self.ground.rehearsal.target;
        let opening = dial::tcp(target, self.source(), receive_buffer);
        tokio::time::timeout(OPENING, opening).await.ok()?.ok()
    }

    /// Opens a connection for HTTP/1.1, over TLS where the target speaks it.
    pub(super) async fn open(&self) -> Option<dial::Stream> {
        self.open_with(None).await
    }

    /// The same, with a receive buffer of this many bytes.
    pub(super) async fn open_with(&self, receive_buffer: Option<u32>) -> Option<dial::Stream> {
        let tcp = self.open_tcp_with(receive_buffer).await?;
        if !self.ground.rehearsal.target.is_tls() {
            return Some(dial::Stream::Plain(tcp));
        }
        self.shake_hands(tcp, &self.ground.tls).await
    }

    /// Opens a connection for HTTP/2: TLS, with `h2` agreed by ALPN.
    pub(super) async fn open_http_2(&self) -> Option<dial::Stream> {
        let tcp = self.open_tcp().await?;
        self.shake_hands(tcp, &self.ground.tls_http_2).await
    }

    async fn shake_hands(
        &self,
        tcp: tokio::net::TcpStream,
        config: &Arc<ClientConfig>,
    ) -> Option<dial::Stream> {
        let shaking = dial::tls(tcp, config.clone(), self.host());
        tokio::time::timeout(OPENING, shaking).await.ok()?.ok()
    }
}

/// Sleeps for `pause`, but not beyond the rehearsal's end.
pub(super) async fn rest(attacker: &Attacker, pause: Duration) {
    let left = attacker.end().saturating_duration_since(Instant::now());
    sleep(pause.min(left)).await;
}

/// The names of RFC 9113, section 7.
pub(super) fn code_word(code: u32) -> &'static str {
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
        _ => "a code without a name",
    }
}
