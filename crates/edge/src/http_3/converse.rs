//! One visitor connection that speaks HTTP/3, from its handshake to its last byte.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::rc::Rc;

use bytes::Bytes;
use h3::error::{Code, ConnectionError, LocalError, StreamError};
use h3::server::RequestResolver;
use portcullis_model::{ActivityId, Cut, Reason};
use quinn::Connecting;

use super::Guard;
use super::endpoint::Handshaking;
use super::exchange::{complete, exchange};
use super::hello::Heard;
use super::link::{self, Link, Side, judge};
use crate::connection::as_stream;
use crate::visit::{Phase, Visit};

/// After the farewell, requests that crossed it are told for so long that nothing was done for
/// them, so that they are sent again elsewhere: two round trips, and no more than this.
const LONGEST_FAREWELL: Duration = Duration::from_millis(500);

/// Speaks with a visitor until either has enough.
pub(crate) async fn converse(visit: &Rc<Visit>, connecting: Connecting, handshaking: Handshaking) {
    let house = &visit.house;
    let shaken = connecting.await;
    drop(handshaking);
    let Ok(connection) = shaken else {
        return house.meter.decided(ActivityId(0), Reason::HandshakeFailed);
    };
    heard(visit, &connection);
    let now = house.read_clock();
    let header_bytes = {
        let policy = house.policy.load();
        let limits = &policy.config().limits;
        let _ = visit.http_3.set(Box::new(RefCell::new(Guard::new(limits, now))));
        u64::from(limits.max_header_bytes)
    };
    visit.enter(Phase::Arriving);
    // Boxed, so that handshakes do not take the room for it.
    Box::pin(speak(visit, connection, header_bytes)).await;
}

/// Notes which TLS library the visitor uses, and gives back most of what a handshake costs if it was
/// hardly one.
fn heard(visit: &Visit, connection: &quinn::Connection) {
    let data = connection.handshake_data().and_then(|data| data.downcast::<Heard>().ok());
    let Some(heard) = data else { return };
    if let Some(client) = heard.client {
        visit.know_tls_client(client);
    }
    if heard.resumed {
        let house = &visit.house;
        let identity = visit.identity();
        let source = (!identity.trusted).then_some(identity.source);
        let limits = house.policy.load().config().limits.handshakes;
        house.tables.handshake_resumed(source, &limits);
    }
}

/// Tells a visitor who is sent away why, before the library says that all was well.
struct Farewell<'a> {
    visit: &'a Visit,
    connection: &'a quinn::Connection,
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        if self.visit.is_cut() {
            let why = self.visit.http_3.get().and_then(|guard| guard.borrow().why());
            let code = match why {
                Some(Cut::ProtocolError) => Code::H3_GENERAL_PROTOCOL_ERROR,
                Some(_) => Code::H3_EXCESSIVE_LOAD,
                // Over a deadline.
                None => Code::H3_REQUEST_INCOMPLETE,
            };
            link::close(self.connection, code, b"");
        }
    }
}

async fn speak(visit: &Rc<Visit>, connection: quinn::Connection, header_bytes: u64) {
    let fresh = Rc::new(RefCell::new(None));
    let link = Link::new(connection.clone(), visit.clone(), fresh.clone());
    let mut builder = h3::server::builder();
    // No table of fields: none is offered unless one asks for it.
    builder.max_field_section_size(header_bytes).send_grease(false);
    let Ok(mut library) = builder.build(link).await else { return };
    let _farewell = Farewell { visit, connection: &connection };
    visit.enter(Phase::Idle);
    let requests = Rc::new(Cell::new(0_u32));
    let mut told = false;
    let mut serial = 0;
    loop {
        let accepted = {
            let mut accept = pin!(library.accept());
            poll_fn(|cx| {
                if visit.is_draining() && (!told || requests.get() == 0) {
                    return Poll::Ready(None);
                }
                accept.as_mut().poll(cx).map(Some)
            })
            .await
        };
        match accepted {
            Some(Ok(Some(resolver))) => {
                let Some(side) = fresh.take() else { continue };
                serial += 1;
                requests.set(requests.get() + 1);
                let task = attend(visit.clone(), resolver, side, serial, requests.clone());
                as_stream(visit, task);
            }
            None if told => break,
            None => {
                told = true;
                if library.shutdown(0).await.is_err() {
                    break;
                }
                let patience = (connection.rtt() * 2).min(LONGEST_FAREWELL);
                let farewell = async {
                    // Whatever comes now is refused.
                    while let Ok(Some(_)) = library.accept().await {}
                };
                let _ = tokio::time::timeout(patience, farewell).await;
            }
            Some(Ok(None)) => break,
            Some(Err(error)) => {
                let ours = matches!(
                    error,
                    ConnectionError::Local { error: LocalError::Application { code, .. }, .. }
                        if code != Code::H3_NO_ERROR
                );
                if ours && !visit.is_cut() {
                    visit.count(Cut::ProtocolError);
                }
                break;
            }
        }
    }
}

/// Awaits the head of one request, and answers it.
async fn attend(
    visit: Rc<Visit>,
    resolver: RequestResolver<Link, Bytes>,
    side: Rc<Side>,
    serial: u64,
    requests: Rc<Cell<u32>>,
) {
    let _ending = Ending { visit: visit.clone(), requests };
    let waiting = Waiting::begin(&visit, serial);
    let resolved = resolver.resolve_request().await;
    let whole = match resolved {
        Ok((request, stream)) => complete(&visit, request, stream, &side).await,
        Err(error) => return lost(&visit, &error),
    };
    drop(waiting);
    exchange(&visit, whole, &side).await;
}

/// A request that nobody has seen.
fn lost(visit: &Visit, error: &StreamError) {
    let house = &visit.house;
    match error {
        // The library has answered; here it is counted.
        StreamError::HeaderTooBig { .. } => {
            house.write_unread(visit.identity().source, Reason::HeaderTooLarge);
        }
        StreamError::StreamError { code, .. } if *code == Code::H3_MESSAGE_ERROR => {
            house.write_unread(visit.identity().source, Reason::Malformed);
            judge(visit, Guard::refused);
        }
        // The connection tells of it itself.
        StreamError::ConnectionError { .. } => {}
        _ => {
            judge(visit, |guard, _| guard.head_lost());
        }
    }
}

/// A request's head that is awaited; dropped when it has come, or will never.
struct Waiting<'a> {
    visit: &'a Visit,
    serial: u64,
}

impl<'a> Waiting<'a> {
    fn begin(visit: &'a Visit, serial: u64) -> Self {
        visit.house.read_clock();
        judge(visit, |guard, now| {
            guard.head_begins(serial, now);
            Ok(())
        });
        visit.awaits_head();
        Self { visit, serial }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        judge(self.visit, |guard, _| {
            guard.head_ends(self.serial);
            Ok(())
        });
        self.visit.awaits_head();
    }
}

/// Tells the connection when a request is over: it may be waiting for the last one.
struct Ending {
    visit: Rc<Visit>,
    requests: Rc<Cell<u32>>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.requests.set(self.requests.get().saturating_sub(1));
        self.visit.wake();
    }
}
