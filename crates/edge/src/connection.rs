//! One visitor connection from its first byte to its last.

use core::future::poll_fn;
use core::net::IpAddr;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use portcullis_model::{ActivityId, Cut, Reason};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;

use crate::body::VisitorBody;
use crate::certificates::ACME_TLS;
use crate::conn::{ConnGuard, Connection, Phase, StreamAbort};
use crate::cork::Cork;
use crate::handshake::shake_hands;
use crate::http_1;
use crate::listener::ListenerOptions;
use crate::proxy_protocol::{self, Parsed};
use crate::serve::serve;
use crate::transport::{Socket, Transport, VisitorIo};
use crate::worker::{InternalErrors, WorkerContext};

/// Bytes of an answer that may wait in the library on one HTTP/2 stream before more is drawn from
/// the origin. What is drawn then is at most 64 KiB at once, so that a stream whose visitor gives
/// no room holds less than 96 KiB; a hundred of them, with their heads of 32 KiB and the window of
/// one MiB for all that comes in, less than 14 MiB.
const STREAM_SEND_BUFFER: usize = 32 * 1024;
/// Bytes of request bodies that may be under way on a connection, and on one stream of it.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const STREAM_WINDOW: u32 = 256 * 1024;
/// The least that the protocol knows, and enough: bodies are passed on as they come.
const FRAME_SIZE: u32 = 16 * 1024;
/// What the visitor may have us remember of header fields: the protocol's default.
const HEADER_TABLE: u32 = 4096;
/// Streams that the visitor reset before we looked at them. Honest clients that cancel a lot need
/// more than the library's 20; the guard bounds the rest.
const PENDING_RESETS: usize = 100;
/// Streams that we had to reset because of what the visitor did (CVE-2025-8671), over the whole
/// life of the connection. The guard's budget, which refills, is the narrower one.
const LOCAL_RESETS: usize = 1024;
/// After a farewell, this much more is read and thrown away, for this long.
const LINGER_BYTES: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);
/// How often a silent HTTP/2 connection is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);

/// The task of one TCP connection. There are tens of thousands, most of them idle: what most never
/// need, or only for a moment, is boxed.
pub(crate) async fn attend(
    conn: Rc<Connection>,
    presence: ConnGuard,
    stream: TcpStream,
    peer: IpAddr,
    options: ListenerOptions,
) {
    let mut conversation = pin!(async {
        let arrived = if options.proxy_protocol || options.tls {
            Box::pin(arrive(&conn, &presence, stream, peer, options)).await
        } else {
            Some((Transport::Plain(Socket::new(stream, Bytes::new(), conn.clone())), false))
        };
        let Some((transport, http_2)) = arrived else { return };
        conn.context.read_clock();
        conn.enter(Phase::Arriving);
        let io = VisitorIo::new(transport, conn.clone(), http_2);
        if http_2 {
            Box::pin(speak_http_2(&conn, io)).await;
        } else {
            http_1::speak(&conn, io).await;
        }
    });
    poll_fn(|cx| watch(&conn, conversation.as_mut(), cx)).await;
}

/// A connection's conversation: ends when the worker says so, and keeps a panic to itself.
pub(crate) fn watch(
    conn: &Connection,
    conversation: Pin<&mut impl Future<Output = ()>>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    conn.remember(cx.waker());
    if conn.is_cut() {
        return Poll::Ready(());
    }
    poll_keeping_panics(conversation, cx, &conn.context.internal_errors)
}

/// Ends quietly, and counts, where `future` panics.
fn poll_keeping_panics(
    future: Pin<&mut impl Future<Output = ()>>,
    cx: &mut Context<'_>,
    internal_errors: &InternalErrors,
) -> Poll<()> {
    catch_unwind(AssertUnwindSafe(|| future.poll(cx))).unwrap_or_else(|_| {
        internal_errors.panicked();
        Poll::Ready(())
    })
}

/// What comes before HTTP: who connects, as a proxy tells it, and encryption. Also says whether
/// HTTP/2 is spoken. `None`: the connection is not let in, which is counted.
async fn arrive(
    conn: &Rc<Connection>,
    presence: &ConnGuard,
    mut stream: TcpStream,
    peer: IpAddr,
    options: ListenerOptions,
) -> Option<(Transport, bool)> {
    let context = &conn.context;
    let drop_for = |reason| context.meter.decided(ActivityId(0), reason);
    let mut ahead = Bytes::new();
    if options.proxy_protocol {
        let Some((address, rest)) = proxy_header(&mut stream).await else {
            drop_for(Reason::ProxyHeader);
            return None;
        };
        ahead = rest;
        let address = address.unwrap_or(peer);
        let trusted = is_trusted(context, address);
        conn.identify(address, trusted);
        if !trusted && let Err(reason) = presence.count_under(conn.identity().source) {
            drop_for(reason);
            return None;
        }
    }
    if !options.tls {
        return Some((Transport::Plain(Socket::new(stream, ahead, conn.clone())), false));
    }
    context.read_clock();
    conn.enter(Phase::Handshake);
    let stream = match shake_hands(conn, stream, ahead, options.index).await {
        Ok(stream) => stream,
        Err(reason) => {
            drop_for(reason);
            return None;
        }
    };
    let protocol = stream.get_ref().1.alpn_protocol();
    if protocol == Some(ACME_TLS) {
        // A certificate authority has seen what it came for (RFC 8737 section 3).
        return None;
    }
    let http_2 = protocol == Some(b"h2");
    if let Some(alternative) = context.alternatives.get(options.index).cloned().flatten() {
        let _ = conn.alternative.set(alternative);
    }
    Some((Transport::Tls(stream), http_2))
}

fn is_trusted(context: &WorkerContext, address: IpAddr) -> bool {
    let policy = context.policy.load();
    let mut trusted = policy.config().trusted_proxies.iter();
    trusted.any(|network| network.contains(address))
}

/// Reads the PROXY header: who connected to the proxy (`None`: the proxy itself), and what came
/// behind it.
async fn proxy_header(stream: &mut TcpStream) -> Option<(Option<IpAddr>, Bytes)> {
    let mut buffer = BytesMut::with_capacity(512);
    loop {
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
        match proxy_protocol::parse(&buffer).ok()? {
            Parsed::Complete { length, source } => {
                let rest = buffer.split_off(length).freeze();
                return Some((source.map(|source| source.ip()), rest));
            }
            // The parser refuses what would outgrow its bound.
            Parsed::Incomplete => {}
        }
    }
}

/// Reads on for a moment after the farewell. Closing while bytes are under way makes the visitor's
/// system throw the answer away unread.
async fn linger(mut io: impl AsyncRead + Unpin) {
    let discard = async {
        let mut buffer = vec![0; 4096];
        let mut left = LINGER_BYTES;
        while let Ok(read) = io.read(&mut buffer).await {
            if read == 0 || read >= left {
                return;
            }
            left -= read;
        }
    };
    let _ = tokio::time::timeout(LINGER, discard).await;
}

async fn speak_http_2(conn: &Rc<Connection>, io: VisitorIo) {
    let service =
        service_fn(|request: Request<Incoming>| serve(conn, request.map(VisitorBody::Hyper)));
    let streams = Streams(conn.clone());
    let rules = http_2_rules(&conn.context, streams);
    let cork = Cork::new(io, conn.context.clone());
    let mut connection = pin!(rules.serve_connection(TokioIo::new(cork.clone()), service));
    let mut told = false;
    let ended = poll_fn(|cx: &mut Context<'_>| {
        if conn.is_draining() && !told {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        let polled = connection.as_mut().poll(cx);
        match cork.pull(cx) {
            // What cannot be written ends the connection, whatever the library thinks of it.
            Poll::Ready(Err(_)) => Poll::Ready(()),
            _ => polled.map(drop),
        }
    });
    // Whatever went wrong, it was the visitor's connection and is over.
    ended.await;
    if let Some(leftover) = cork.take_leftover() {
        linger(leftover).await;
    }
}

fn http_2_rules(context: &WorkerContext, streams: Streams) -> http2::Builder<Streams> {
    let policy = context.policy.load();
    let limits = &policy.config().limits;
    let mut rules = http2::Builder::new(streams);
    rules
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection)
        .max_header_list_size(limits.header_bytes)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(LOCAL_RESETS)
        .max_send_buf_size(STREAM_SEND_BUFFER)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .max_frame_size(FRAME_SIZE)
        .header_table_size(HEADER_TABLE)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY);
    rules
}

/// Runs the requests of an HTTP/2 connection as tasks of their own.
#[derive(Clone)]
struct Streams(Rc<Connection>);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, stream: F) {
        as_stream(&self.0, stream);
    }
}

/// Runs one stream of an HTTP/2 or HTTP/3 connection as a task that can be cut by itself.
pub(crate) fn as_stream(conn: &Rc<Connection>, stream: impl Future<Output = ()> + 'static) {
    let abort = StreamAbort::new(conn);
    let conn = conn.clone();
    // Boxed, because the runtime moves a task several times before it runs.
    let mut stream = Box::pin(stream);
    tokio::task::spawn_local(poll_fn(move |cx| {
        if abort.is_aborted() {
            conn.count(Cut::Stall);
            // Dropping the stream resets it.
            return Poll::Ready(());
        }
        conn.runs(Some(&abort));
        let polled = poll_keeping_panics(stream.as_mut(), cx, &conn.context.internal_errors);
        conn.runs(None);
        polled
    }));
}

#[cfg(test)]
mod tests {
    use core::task::Waker;

    use super::*;

    #[test]
    fn a_panic_stays_in_its_connection_and_is_counted() {
        let internal_errors = InternalErrors::default();
        let mut cx = Context::from_waker(Waker::noop());
        let panics = pin!(async { panic!("on purpose") });
        assert!(poll_keeping_panics(panics, &mut cx, &internal_errors).is_ready());
        assert!(poll_keeping_panics(pin!(async {}), &mut cx, &internal_errors).is_ready());
        assert_eq!(internal_errors.panics(), 1);
    }
}
