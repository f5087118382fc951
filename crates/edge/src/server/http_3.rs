//! A visitor's HTTP/3 connection, from its handshake to its last byte.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use h3::error::{Code, ConnectionError, LocalError, StreamError};
use h3::server::RequestResolver;
use portcullis_model::{Cut, Reason, Time};
use quinn::Connecting;

use super::http_3_request::{buffer_head, serve_request};
use super::state::ServerState;
use crate::admission::{ConnError, QuicHandshakePermit};
use crate::conn::connection::{Connection, Phase};
use crate::conn::task::spawn_stream;
use crate::guard::http_3::Http3Guard;
use crate::http_3::transport::{self, QuicTransport, StreamState, check_guard};
use crate::serve::RequestService;
use crate::tls::certificates::Certificates;
use crate::tls::handshake_tap::HandshakeInfo;

/// How long requests that crossed the GOAWAY are rejected as unprocessed, so that the client sends
/// them again elsewhere: two round trips, and no more than this.
const LONGEST_FAREWELL: Duration = Duration::from_millis(500);
/// Requests that a visitor may send before it knows that the connection ends, where none is to be lost.
const CROSSING_REQUESTS: usize = 1_000;

/// Serves a connection until either side ends it.
pub(crate) async fn serve_quic(
    server: &ServerState,
    conn: &Rc<Connection>,
    connecting: Connecting,
    permit: QuicHandshakePermit,
    certificates: &Arc<Certificates>,
) {
    let context = &conn.context;
    let shaken = connecting.await;
    drop(permit);
    let Ok(connection) = shaken else {
        return server.admission.refuse(ConnError::Handshake.into());
    };
    record_handshake(server, conn, &connection, certificates);
    let now = context.read_clock();
    let header_bytes = {
        let policy = context.policy.load();
        let limits = &policy.config().limits;
        let _ = conn.http_3_guard.set(Box::new(RefCell::new(Http3Guard::new(limits, now))));
        u64::from(limits.max_header_bytes)
    };
    conn.enter(Phase::AwaitingFirstRequest);
    // Boxed, so that handshakes do not need the memory for it.
    Box::pin(serve_http3(&server.service, conn, connection, header_bytes)).await;
}

/// Notes which TLS library the visitor uses, and gives back most of what a handshake costs if it was
/// hardly one.
fn record_handshake(
    server: &ServerState,
    conn: &Connection,
    connection: &quinn::Connection,
    certificates: &Arc<Certificates>,
) {
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeInfo>().ok());
    let Some(info) = data else { return };
    if let Some(client) = info.client {
        conn.set_tls_client(client);
    }
    if let Some(name) = &info.name {
        conn.set_requested_name(name, certificates);
    }
    if info.resumed {
        server.admission.handshake_resumed(conn);
    }
}

/// Closes the connection with the cause, before h3 closes it with "no error".
struct CloseOnDrop<'a> {
    conn: &'a Connection,
    connection: &'a quinn::Connection,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        if self.conn.is_cut() {
            let why = self.conn.http_3_guard.get().and_then(|guard| guard.borrow().why());
            let code = match why {
                Some(Cut::ProtocolError) => Code::H3_GENERAL_PROTOCOL_ERROR,
                Some(_) => Code::H3_EXCESSIVE_LOAD,
                // Over a deadline.
                None => Code::H3_REQUEST_INCOMPLETE,
            };
            transport::close(self.connection, code, b"");
        }
    }
}

async fn serve_http3(
    service: &Rc<RequestService>,
    conn: &Rc<Connection>,
    connection: quinn::Connection,
    header_bytes: u64,
) {
    let fresh = Rc::new(RefCell::new(None));
    let link = QuicTransport::new(connection.clone(), conn.clone(), fresh.clone());
    let mut builder = h3::server::builder();
    // No table of fields: none is offered unless one asks for it.
    builder.max_field_section_size(header_bytes).send_grease(false);
    let Ok(mut library) = builder.build(link).await else { return };
    let _farewell = CloseOnDrop { conn, connection: &connection };
    conn.enter(Phase::Idle);
    let requests = Rc::new(Cell::new(0_u32));
    // Until when requests that crossed the announcement of the end are served.
    let mut crossing_until: Option<Time> = None;
    let mut goaway_sent = false;
    let mut serial = 0;
    loop {
        let accepted = {
            let mut accept = pin!(library.accept());
            let next = poll_fn(|cx| {
                let leaves = if goaway_sent {
                    conn.is_draining() && requests.get() == 0
                } else {
                    // h3 can announce an end only after a request.
                    let announces = conn.is_draining() && serial > 0 && crossing_until.is_none();
                    conn.ends_when_idle() || announces
                };
                if leaves {
                    return Poll::Ready(None);
                }
                accept.as_mut().poll(cx).map(Some)
            });
            match crossing_until.filter(|_| !goaway_sent) {
                Some(until) => {
                    let left = until.since(conn.context.read_clock());
                    conn.context.clock.timeout(left, next).await.flatten()
                }
                None => next.await,
            }
        };
        match accepted {
            Some(Ok(Some(resolver))) => {
                let Some(side) = fresh.take() else { continue };
                serial += 1;
                requests.set(requests.get() + 1);
                let task = serve_stream(
                    service.clone(),
                    conn.clone(),
                    resolver,
                    side,
                    serial,
                    requests.clone(),
                );
                spawn_stream(conn, task);
            }
            None if goaway_sent => break,
            // The end is announced before it is one, so that no request is lost.
            None if crossing_until.is_none() && !conn.ends_when_idle() => {
                crossing_until = Some(conn.context.read_clock() + LONGEST_FAREWELL);
                if library.shutdown(CROSSING_REQUESTS).await.is_err() {
                    break;
                }
            }
            None => {
                goaway_sent = true;
                if library.shutdown(0).await.is_err() {
                    break;
                }
                let limit = (connection.rtt() * 2).min(LONGEST_FAREWELL);
                // What comes now is refused.
                let refusing = async { while let Ok(Some(_)) = library.accept().await {} };
                let _ = conn.context.clock.timeout(limit, refusing).await;
            }
            Some(Ok(None)) => break,
            Some(Err(error)) => {
                if is_visitors_fault(&error) && !conn.is_cut() {
                    conn.count_cut(Cut::ProtocolError);
                }
                break;
            }
        }
    }
}

/// Whether `h3` ended the connection because of what the visitor sent.
fn is_visitors_fault(error: &ConnectionError) -> bool {
    matches!(
        error,
        ConnectionError::Local { error: LocalError::Application { code, .. }, .. }
            if *code != Code::H3_NO_ERROR
    )
}

/// Awaits the head of one request, and answers it.
async fn serve_stream(
    service: Rc<RequestService>,
    conn: Rc<Connection>,
    resolver: RequestResolver<QuicTransport, Bytes>,
    side: Rc<StreamState>,
    serial: u64,
    requests: Rc<Cell<u32>>,
) {
    let _ending = RequestDoneGuard { conn: conn.clone(), requests };
    let waiting = PendingHeadGuard::begin(&conn, serial);
    let resolved = resolver.resolve_request().await;
    let whole = match resolved {
        Ok((request, stream)) => buffer_head(&conn, request, stream, &side).await,
        Err(error) => return count_lost_head(&conn, &error),
    };
    drop(waiting);
    serve_request(&service, &conn, whole, &side).await;
}

/// A request that was never parsed.
fn count_lost_head(conn: &Connection, error: &StreamError) {
    let context = &conn.context;
    match error {
        // h3 has responded; here it is counted.
        StreamError::HeaderTooBig { .. } => {
            context.record_unrouted(conn.remote().source, Reason::HeaderTooLarge);
        }
        StreamError::StreamError { code, .. } if *code == Code::H3_MESSAGE_ERROR => {
            context.record_unrouted(conn.remote().source, Reason::Malformed);
            check_guard(conn, Http3Guard::refused);
        }
        // The end of the connection reports it.
        StreamError::ConnectionError { .. } => {}
        _ => {
            check_guard(conn, |guard, _| guard.head_lost());
        }
    }
}

/// A request's head that is awaited; dropped when it has come, or will never.
struct PendingHeadGuard<'a> {
    conn: &'a Connection,
    serial: u64,
}

impl<'a> PendingHeadGuard<'a> {
    fn begin(conn: &'a Connection, serial: u64) -> Self {
        conn.context.read_clock();
        check_guard(conn, |guard, now| {
            guard.head_begins(serial, now);
            Ok(())
        });
        conn.update_head_phase();
        Self { conn, serial }
    }
}

impl Drop for PendingHeadGuard<'_> {
    fn drop(&mut self) {
        check_guard(self.conn, |guard, _| {
            guard.head_ends(self.serial);
            Ok(())
        });
        self.conn.update_head_phase();
    }
}

/// Notifies the connection when a request is over: it may wait for the last one.
struct RequestDoneGuard {
    conn: Rc<Connection>,
    requests: Rc<Cell<u32>>,
}

impl Drop for RequestDoneGuard {
    fn drop(&mut self) {
        self.requests.set(self.requests.get().saturating_sub(1));
        self.conn.wake();
    }
}
