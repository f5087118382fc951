//! One visitor connection from its first byte to its last.

use core::cell::Cell;
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

use crate::accept::Rules;
use crate::body::VisitorBody;
use crate::certificates::ACME_TLS;
use crate::cork::Cork;
use crate::handshake::shake_hands;
use crate::http_1;
use crate::proxy_protocol::{self, Parsed};
use crate::serve::serve;
use crate::transport::{Socket, Transport, VisitorIo};
use crate::visit::{Phase, Presence, Visit};
use crate::worker::{Faults, House};

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
    visit: Rc<Visit>,
    presence: Presence,
    stream: TcpStream,
    peer: IpAddr,
    rules: Rules,
) {
    let mut conversation = pin!(async {
        let arrived = if rules.proxy_protocol || rules.tls {
            Box::pin(arrive(&visit, &presence, stream, peer, rules)).await
        } else {
            Some((Transport::Plain(Socket::new(stream, Bytes::new(), visit.clone())), false))
        };
        let Some((transport, http_2)) = arrived else { return };
        visit.house.read_clock();
        visit.enter(Phase::Arriving);
        let io = VisitorIo::new(transport, visit.clone(), http_2);
        if http_2 {
            Box::pin(speak_http_2(&visit, io)).await;
        } else {
            http_1::speak(&visit, io).await;
        }
    });
    poll_fn(|cx| watch(&visit, conversation.as_mut(), cx)).await;
    // It knows its visit, which must not keep it for ever.
    drop(visit.leftover.take());
}

/// A connection's conversation: ends when the worker says so, and keeps a panic to itself.
pub(crate) fn watch(
    visit: &Visit,
    conversation: Pin<&mut impl Future<Output = ()>>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    visit.remember(cx.waker());
    if visit.is_cut() {
        return Poll::Ready(());
    }
    poll_keeping_panics(conversation, cx, &visit.house.faults)
}

/// Ends quietly, and counts, where `future` panics.
fn poll_keeping_panics(
    future: Pin<&mut impl Future<Output = ()>>,
    cx: &mut Context<'_>,
    faults: &Faults,
) -> Poll<()> {
    catch_unwind(AssertUnwindSafe(|| future.poll(cx))).unwrap_or_else(|_| {
        faults.panicked();
        Poll::Ready(())
    })
}

/// What comes before HTTP: who connects, as a proxy tells it, and encryption. Also says whether
/// HTTP/2 is spoken. `None`: the connection is not let in, which is counted.
async fn arrive(
    visit: &Rc<Visit>,
    presence: &Presence,
    mut stream: TcpStream,
    peer: IpAddr,
    rules: Rules,
) -> Option<(Transport, bool)> {
    let house = &visit.house;
    let drop_for = |reason| house.meter.decided(ActivityId(0), reason);
    let mut ahead = Bytes::new();
    if rules.proxy_protocol {
        let Some((address, rest)) = proxy_header(&mut stream).await else {
            drop_for(Reason::ProxyHeader);
            return None;
        };
        ahead = rest;
        let address = address.unwrap_or(peer);
        let trusted = is_trusted(house, address);
        visit.identify(address, trusted);
        if !trusted && let Err(reason) = presence.count_under(visit.identity().source) {
            drop_for(reason);
            return None;
        }
    }
    if !rules.tls {
        return Some((Transport::Plain(Socket::new(stream, ahead, visit.clone())), false));
    }
    house.read_clock();
    visit.enter(Phase::Handshake);
    let stream = match shake_hands(visit, stream, ahead, rules.index).await {
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
    if let Some(alternative) = house.alternatives.get(rules.index).cloned().flatten() {
        let _ = visit.alternative.set(alternative);
    }
    Some((Transport::Tls(stream), http_2))
}

fn is_trusted(house: &House, address: IpAddr) -> bool {
    let policy = house.policy.load();
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

async fn speak_http_2(visit: &Rc<Visit>, io: VisitorIo) {
    let service =
        service_fn(|request: Request<Incoming>| serve(visit, request.map(VisitorBody::Hyper)));
    let streams = Streams(visit.clone());
    let rules = http_2_rules(&visit.house, streams);
    let cork = Cork::new(io, visit.house.clone());
    let mut connection = pin!(rules.serve_connection(TokioIo::new(cork.clone()), service));
    let mut told = false;
    let ended = poll_fn(|cx: &mut Context<'_>| {
        if visit.is_draining() && !told {
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
    let leftover = visit.leftover.take();
    if let Some(leftover) = leftover {
        linger(leftover).await;
    }
}

fn http_2_rules(house: &House, streams: Streams) -> http2::Builder<Streams> {
    let policy = house.policy.load();
    let limits = &policy.config().limits;
    let mut rules = http2::Builder::new(streams);
    rules
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams_per_connection)
        .max_header_list_size(limits.max_header_bytes)
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
struct Streams(Rc<Visit>);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, stream: F) {
        as_stream(&self.0, stream);
    }
}

/// Runs one stream of an HTTP/2 or HTTP/3 connection as a task that can be cut by itself.
pub(crate) fn as_stream(visit: &Rc<Visit>, stream: impl Future<Output = ()> + 'static) {
    let visit = visit.clone();
    let cut = Rc::new(Cell::new(false));
    // Boxed, because the runtime moves a task several times before it runs.
    let mut stream = Box::pin(stream);
    tokio::task::spawn_local(poll_fn(move |cx| {
        if cut.get() {
            visit.count(Cut::FlowControlStall);
            // Dropping the stream resets it.
            return Poll::Ready(());
        }
        visit.runs(Some(&cut));
        let polled = poll_keeping_panics(stream.as_mut(), cx, &visit.house.faults);
        visit.runs(None);
        polled
    }));
}

#[cfg(test)]
mod tests {
    use core::task::Waker;

    use super::*;

    #[test]
    fn a_panic_stays_in_its_connection_and_is_counted() {
        let faults = Faults::default();
        let mut cx = Context::from_waker(Waker::noop());
        let panics = pin!(async { panic!("on purpose") });
        assert!(poll_keeping_panics(panics, &mut cx, &faults).is_ready());
        assert!(poll_keeping_panics(pin!(async {}), &mut cx, &faults).is_ready());
        assert_eq!(faults.panics(), 1);
    }
}
