//! A TLS handshake: its first message is read and counted before any cryptography, then the
//! library has its turn.
//!
//! A handshake is what costs the gate most, so that each source and all together have a budget
//! of them, and a place is held only from the first whole message on: who connects and says
//! nothing holds a connection, but keeps nobody from a handshake.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use portcullis_model::{Reason, Time};
use rustls::HandshakeKind;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::client_hello::{self, Flaw};
use crate::ja4::Ja4;
use crate::transport::Socket;
use crate::visit::Visit;

/// Room for the first message of a browser.
const ROOM: usize = 2 * 1024;
/// Whoever has been at it for longer than this goes when there is no place left. On a network
/// where two round trips take a second, little else works either.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shakes hands with a visitor, from whom `ahead` has come already; or says why not.
pub(crate) async fn shake_hands(
    visit: &Rc<Visit>,
    mut stream: TcpStream,
    ahead: Bytes,
    listener: usize,
) -> Result<Box<TlsStream<Socket>>, Reason> {
    let house = &visit.house;
    let first = first_message(&mut stream, ahead).await?;
    let now = house.read_clock();
    let limits = house.policy.load().config().limits.handshakes;
    let identity = visit.identity();
    // A trusted proxy's connections are those of many visitors.
    let source = (!identity.trusted).then_some(identity.source);
    if !house.tables.take_handshake(source, &limits, now) {
        return Err(Reason::HandshakeRate);
    }
    let most = limits.max_concurrent.div_ceil(u32::from(house.workers)) as usize;
    let place = house.handshakes.begin(visit, most, now).ok_or(Reason::HandshakeConcurrency)?;
    if let Some(client) = Ja4::of_records(&first) {
        visit.know_tls_client(client);
    }
    let config = house.tls.load().get(listener).cloned().flatten().ok_or(Reason::HandshakeFailed)?;
    let accepting = TlsAcceptor::from(config).accept(Socket::new(stream, first, visit.clone()));
    let stream = accepting.await.map_err(|_| Reason::HandshakeFailed)?;
    drop(place);
    if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
        house.tables.handshake_resumed(source, &limits);
    }
    Ok(Box::new(stream))
}

/// Reads until the first message is whole. What is no such message is returned as it is: the
/// library knows how to answer it.
async fn first_message(stream: &mut TcpStream, ahead: Bytes) -> Result<Bytes, Reason> {
    let mut buffer = BytesMut::from(ahead);
    loop {
        match client_hello::message(&buffer) {
            Ok(Some(_)) | Err(Flaw::Malformed) => return Ok(buffer.freeze()),
            Err(Flaw::TooLong) => return Err(Reason::ClientHello),
            Ok(None) => {}
        }
        if buffer.len() == buffer.capacity() {
            // Doubles, until the bound of the parser ends it.
            buffer.reserve(buffer.len().max(ROOM));
        }
        if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
            return Err(Reason::HandshakeFailed);
        }
    }
}

/// The handshakes that one worker is in.
#[derive(Default)]
pub(crate) struct Handshakes {
    /// In the order in which they began; no more than [`begin`](Self::begin) lets in.
    under_way: RefCell<BTreeMap<u64, (Time, Rc<Visit>)>>,
    next: Cell<u64>,
}

impl Handshakes {
    /// Gives a handshake its place. When there is none, whoever has had theirs for longest makes
    /// room; `None` if even that is not long.
    pub(crate) fn begin(&self, visit: &Rc<Visit>, most: usize, now: Time) -> Option<Place> {
        let mut under_way = self.under_way.borrow_mut();
        if under_way.len() >= most
            && let Some(oldest) = under_way.first_entry()
        {
            if now.since(oldest.get().0) < PATIENCE {
                return None;
            }
            let (_, slow) = oldest.remove();
            slow.turn_away(Reason::HandshakeConcurrency);
        }
        let number = self.next.replace(self.next.get() + 1);
        under_way.insert(number, (now, visit.clone()));
        Some(Place { visit: visit.clone(), number })
    }
}

/// A handshake's place, until it is dropped.
pub(crate) struct Place {
    visit: Rc<Visit>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.visit.house.handshakes.under_way.borrow_mut().remove(&self.number);
    }
}
