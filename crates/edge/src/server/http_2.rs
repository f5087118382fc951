//! A visitor's HTTP/2 connection (RFC 9113), with hyper.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::rc::Rc;

use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::clock::Clock;
use crate::conn::connection::Connection;
use crate::conn::http_2_body::Http2Body;
use crate::conn::task::spawn_stream;
use crate::context::WorkerContext;
use crate::origin::upload::VisitorBody;
use crate::serve::{RequestService, serve};
use crate::transport::coalesce::WriteCoalescer;
use crate::transport::visitor_io::VisitorIo;

/// Bytes of a response that may wait in hyper on one HTTP/2 stream before more is read from the
/// origin. What is read then is at most 64 KiB, so that a stream whose window is closed
/// holds less than 96 KiB; a hundred of them, with their heads of 32 KiB and the window of
/// one MiB for all that comes in, less than 14 MiB.
const STREAM_SEND_BUFFER: usize = 32 * 1024;
/// Bytes of request bodies that may be in flight on a connection, and on one stream of it.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const STREAM_WINDOW: u32 = 256 * 1024;
/// The least that the protocol knows, and enough: bodies are passed on as they come.
const FRAME_SIZE: u32 = 16 * 1024;
/// What the visitor may have us remember of header fields: the protocol's default.
const HEADER_TABLE: u32 = 4096;
/// Streams that the visitor reset before they were handled. Legitimate clients that cancel a lot need
/// more than hyper's default of 20; the guard bounds the rest.
const PENDING_RESETS: usize = 100;
/// Streams that we had to reset because of what the visitor did (CVE-2025-8671), over the whole
/// life of the connection. The guard's budget, which refills, is the narrower one.
const LOCAL_RESETS: usize = 1024;
/// After a farewell, this much more is read and thrown away, for this long.
const LINGER_BYTES: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);
/// How often a silent HTTP/2 connection is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Reads on for a moment after the GOAWAY. Closing while bytes are in flight makes the visitor's
/// kernel discard the response unread.
async fn linger(clock: Clock, mut io: impl AsyncRead + Unpin) {
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
    let _ = clock.timeout(LINGER, discard).await;
}

pub(crate) async fn serve_http2(
    service: &Rc<RequestService>,
    conn: &Rc<Connection>,
    io: VisitorIo,
) {
    let serve = |request: Request<Incoming>| {
        let request = request.map(|body| VisitorBody::Http2(Http2Body::new(body, conn)));
        serve(service, conn, request)
    };
    let streams = StreamExecutor(conn.clone());
    let settings = http2_builder(&conn.context, streams);
    let cork = WriteCoalescer::new(io, conn.context.clone());
    let mut connection =
        pin!(settings.serve_connection(TokioIo::new(cork.clone()), service_fn(serve)));
    let mut goaway_sent = false;
    let ended = poll_fn(|cx: &mut Context<'_>| {
        if conn.is_draining() && !goaway_sent {
            goaway_sent = true;
            connection.as_mut().graceful_shutdown();
        }
        let polled = connection.as_mut().poll(cx);
        match cork.flush_pending(cx) {
            // A write error ends the connection, whatever hyper returns.
            Poll::Ready(Err(_)) => Poll::Ready(()),
            _ => polled.map(drop),
        }
    });
    // Whatever went wrong, it was the visitor's connection and is over.
    ended.await;
    if let Some(leftover) = cork.take_leftover() {
        linger(conn.context.clock, leftover).await;
    }
}

fn http2_builder(
    context: &WorkerContext,
    streams: StreamExecutor,
) -> http2::Builder<StreamExecutor> {
    let policy = context.policy.load();
    let limits = &policy.config().limits;
    let mut settings = http2::Builder::new(streams);
    settings
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
    settings
}

/// Runs the requests of an HTTP/2 connection as separate tasks.
#[derive(Clone)]
struct StreamExecutor(Rc<Connection>);

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, stream: F) {
        spawn_stream(&self.0, stream);
    }
}
