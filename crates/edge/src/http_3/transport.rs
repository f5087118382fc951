//! The HTTP library's view of a QUIC connection, with a guard that reads along.

use core::cell::{Cell, RefCell};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf};
use portcullis_model::{Cut, Time};
use quinn::{ConnectionError, ReadError, StoppedError, VarInt, WriteError};

use crate::conn::connection::Connection;
use crate::guard::http_3::Http3Guard;
use crate::guard::http_3_frames::{DATA, FrameEvent, HEADERS, Http3FrameReader, VarIntReader};

/// Most bytes of one read.
const PIECE: usize = 16 * 1024;
/// Bytes of a body that h3 may hold on one stream before no more is read for it. It reads ahead by up
/// to two chunks for each frame that is taken from it. With a hundred streams, and
/// headers of twice 32 KiB each, 16 MiB, and one for what has not been read yet.
const MOST_BACKLOG: u64 = 64 * 1024;
/// The kind of a visitor's control stream (RFC 9114, section 6.2.1).
const CONTROL: u64 = 0;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;
type PendingStream = (quinn::SendStream, quinn::RecvStream);

/// What one request's task and its stream both look at.
pub(crate) struct StreamState {
    /// Bytes of the body that h3 holds and that were not taken yet.
    pub(crate) backlog: Cell<u64>,
    /// Empty chunks of the body that h3 has yet to report. It reports each as if the body
    /// were over.
    pub(crate) empty: Cell<u32>,
    /// Header blocks that have begun: the head, and trailers.
    pub(crate) headers: Cell<u8>,
    /// Everything that the visitor sends on this stream has come.
    pub(crate) complete: Cell<bool>,
    /// Bytes that were written for the visitor.
    pub(crate) sent: Cell<u64>,
    /// An answer that ends too early is broken off, rather than finished.
    pub(crate) break_off: Cell<bool>,
    /// The visitor gave this request up, which has been counted.
    aborted: Cell<bool>,
    stopped: RefCell<BoxFuture<Result<Option<VarInt>, StoppedError>>>,
}

impl StreamState {
    fn new(stream: &quinn::SendStream) -> Rc<Self> {
        Rc::new(Self {
            backlog: Cell::new(0),
            empty: Cell::new(0),
            headers: Cell::new(0),
            complete: Cell::new(false),
            sent: Cell::new(0),
            break_off: Cell::new(false),
            aborted: Cell::new(false),
            stopped: RefCell::new(Box::pin(stream.stopped())),
        })
    }

    /// `Ready(false)` when the visitor wants no answer any more, `Ready(true)` when it has all of
    /// it. Not to be asked again afterwards.
    pub(crate) fn poll_stopped(&self, conn: &Connection, cx: &mut Context<'_>) -> Poll<bool> {
        self.stopped.borrow_mut().as_mut().poll(cx).map(|ended| match ended {
            Ok(None) => true,
            Ok(Some(_)) => {
                self.on_abort(conn);
                false
            }
            Err(_) => false,
        })
    }

    /// The visitor aborted this request. Counted once, however it was signalled first.
    fn on_abort(&self, conn: &Connection) {
        if !self.aborted.replace(true) {
            check_guard(conn, Http3Guard::reset);
        }
    }
}

/// Asks the guard, and ends the connection if it finds a flood.
pub(crate) fn check_guard(
    conn: &Connection,
    ask: impl FnOnce(&mut Http3Guard, Time) -> Result<(), Cut>,
) -> bool {
    let Some(guard) = conn.http_3_guard.get() else { return true };
    let mut guard = guard.borrow_mut();
    let judged = ask(&mut guard, conn.context.now());
    if let Err(why) = judged {
        guard.ends(why);
        conn.abort_with(why);
    }
    judged.is_ok()
}

/// A visitor's QUIC connection.
pub(crate) struct QuicTransport {
    connection: quinn::Connection,
    conn: Rc<Connection>,
    requests: BoxFuture<Result<PendingStream, ConnectionError>>,
    one_way: BoxFuture<Result<quinn::RecvStream, ConnectionError>>,
    opening: Option<BoxFuture<Result<quinn::SendStream, ConnectionError>>>,
    /// The side of the request that was opened last.
    fresh: Rc<RefCell<Option<Rc<StreamState>>>>,
}

impl QuicTransport {
    /// Each request that h3 accepts leaves its side in `fresh`.
    pub(crate) fn new(
        connection: quinn::Connection,
        conn: Rc<Connection>,
        fresh: Rc<RefCell<Option<Rc<StreamState>>>>,
    ) -> Self {
        Self {
            requests: next_request(&connection),
            one_way: next_one_way(&connection),
            opening: None,
            connection,
            conn,
            fresh,
        }
    }
}

fn next_request(
    connection: &quinn::Connection,
) -> BoxFuture<Result<PendingStream, ConnectionError>> {
    let connection = connection.clone();
    Box::pin(async move { connection.accept_bi().await })
}

fn next_one_way(
    connection: &quinn::Connection,
) -> BoxFuture<Result<quinn::RecvStream, ConnectionError>> {
    let connection = connection.clone();
    Box::pin(async move { connection.accept_uni().await })
}

fn lost(error: ConnectionError) -> ConnectionErrorIncoming {
    match error {
        ConnectionError::ApplicationClosed(closed) => {
            ConnectionErrorIncoming::ApplicationClose { error_code: closed.error_code.into() }
        }
        ConnectionError::TimedOut => ConnectionErrorIncoming::Timeout,
        error => ConnectionErrorIncoming::Undefined(Arc::new(error)),
    }
}

fn ended() -> ConnectionErrorIncoming {
    lost(ConnectionError::LocallyClosed)
}

fn stream_lost(error: ConnectionError) -> StreamErrorIncoming {
    StreamErrorIncoming::ConnectionErrorIncoming { connection_error: lost(error) }
}

fn unknown(error: impl core::error::Error + Send + Sync + 'static) -> StreamErrorIncoming {
    StreamErrorIncoming::Unknown(Box::new(error))
}

impl quic::Connection<Bytes> for QuicTransport {
    type RecvStream = QuicRecvStream;
    type OpenStreams = StreamOpener;

    fn poll_accept_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<QuicRecvStream, ConnectionErrorIncoming>> {
        let Poll::Ready(opened) = self.one_way.as_mut().poll(cx) else { return Poll::Pending };
        let stream = opened.map_err(lost)?;
        self.one_way = next_one_way(&self.connection);
        if !check_guard(&self.conn, Http3Guard::one_way_stream) {
            return Poll::Ready(Err(ended()));
        }
        let reader = Reader::OneWay(VarIntReader::default());
        Poll::Ready(Ok(QuicRecvStream { stream, conn: self.conn.clone(), side: None, reader }))
    }

    fn poll_accept_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<QuicBidiStream, ConnectionErrorIncoming>> {
        let Poll::Ready(opened) = self.requests.as_mut().poll(cx) else { return Poll::Pending };
        let (sending, receiving) = opened.map_err(lost)?;
        self.requests = next_request(&self.connection);
        let side = StreamState::new(&sending);
        self.fresh.replace(Some(side.clone()));
        let receiving = QuicRecvStream {
            stream: receiving,
            conn: self.conn.clone(),
            side: Some(side.clone()),
            reader: Reader::Request(Http3FrameReader::new()),
        };
        Poll::Ready(Ok(QuicBidiStream {
            sending: QuicSendStream::new(sending, Some(side), self.conn.clone()),
            receiving,
        }))
    }

    fn opener(&self) -> StreamOpener {
        StreamOpener(self.connection.clone())
    }
}

impl quic::OpenStreams<Bytes> for QuicTransport {
    type BidiStream = QuicBidiStream;
    type SendStream = QuicSendStream;

    fn poll_open_bidi(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<Result<QuicBidiStream, StreamErrorIncoming>> {
        Poll::Ready(Err(never()))
    }

    fn poll_open_send(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<QuicSendStream, StreamErrorIncoming>> {
        let opening = self.opening.get_or_insert_with(|| {
            let connection = self.connection.clone();
            Box::pin(async move { connection.open_uni().await })
        });
        let Poll::Ready(opened) = opening.as_mut().poll(cx) else { return Poll::Pending };
        self.opening = None;
        Poll::Ready(
            opened
                .map(|stream| QuicSendStream::new(stream, None, self.conn.clone()))
                .map_err(stream_lost),
        )
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        close(&self.connection, code, reason);
    }
}

/// Ends the connection with the error code of the cause.
pub(crate) fn close(connection: &quinn::Connection, code: Code, reason: &[u8]) {
    connection.close(VarInt::from_u64(code.value()).unwrap_or(VarInt::MAX), reason);
}

/// A server opens no requests.
fn never() -> StreamErrorIncoming {
    unknown(std::io::Error::from(std::io::ErrorKind::Unsupported))
}

/// Required by h3's traits; only clients and extensions use it.
pub(crate) struct StreamOpener(quinn::Connection);

impl quic::OpenStreams<Bytes> for StreamOpener {
    type BidiStream = QuicBidiStream;
    type SendStream = QuicSendStream;

    fn poll_open_bidi(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<Result<QuicBidiStream, StreamErrorIncoming>> {
        Poll::Ready(Err(never()))
    }

    fn poll_open_send(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<Result<QuicSendStream, StreamErrorIncoming>> {
        Poll::Ready(Err(never()))
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        close(&self.0, code, reason);
    }
}

/// What is read along.
enum Reader {
    /// A request's frames.
    Request(Http3FrameReader),
    /// The kind of a stream that is no request.
    OneWay(VarIntReader),
    /// The frames of the visitor's control stream.
    Control(Http3FrameReader),
    /// Nothing: h3 does not read these.
    Other,
}

/// The visitor's half of a stream.
pub(crate) struct QuicRecvStream {
    stream: quinn::RecvStream,
    conn: Rc<Connection>,
    /// Of a request.
    side: Option<Rc<StreamState>>,
    reader: Reader,
}

impl QuicRecvStream {
    /// The visitor's next bytes.
    fn arrived(&mut self, mut bytes: &[u8]) -> bool {
        if let Reader::OneWay(number) = &mut self.reader {
            while let Some((byte, rest)) = bytes.split_first() {
                bytes = rest;
                if let Some(kind) = number.feed(*byte) {
                    self.reader = if kind == CONTROL {
                        Reader::Control(Http3FrameReader::new())
                    } else {
                        Reader::Other
                    };
                    break;
                }
            }
        }
        let conn = &self.conn;
        match (&mut self.reader, &self.side) {
            (Reader::Request(reader), Some(side)) => {
                while let Some(seen) = reader.next(&mut bytes) {
                    match seen {
                        FrameEvent::Head(frame) => {
                            let headers = side.headers.get();
                            if !check_guard(conn, |guard, now| {
                                guard.on_request(frame, headers, now)
                            }) {
                                return false;
                            }
                            match frame.kind {
                                HEADERS => side.headers.set(headers + 1),
                                DATA if frame.length == 0 => side.empty.set(side.empty.get() + 1),
                                _ => {}
                            }
                        }
                        FrameEvent::Content(DATA, length) => {
                            side.backlog.set(side.backlog.get() + length);
                        }
                        FrameEvent::Content(..) => {}
                    }
                }
            }
            (Reader::Control(reader), _) => {
                while let Some(seen) = reader.next(&mut bytes) {
                    if let FrameEvent::Head(frame) = seen
                        && !check_guard(conn, |guard, now| guard.on_control(frame, now))
                    {
                        return false;
                    }
                }
            }
            _ => {}
        }
        true
    }

    /// The visitor has sent all that it sends here.
    fn complete(&self) -> bool {
        let Some(side) = &self.side else { return true };
        side.complete.set(true);
        let whole = match &self.reader {
            Reader::Request(reader) => reader.between_frames(),
            _ => true,
        };
        // h3 would take a body that ends within a frame for a complete one.
        whole || check_guard(&self.conn, |_, _| Err(Cut::ProtocolError))
    }
}

impl quic::RecvStream for QuicRecvStream {
    type Buf = Bytes;

    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        if self.side.as_ref().is_some_and(|side| side.backlog.get() >= MOST_BACKLOG) {
            // The reader still has data to process, and polls again afterwards.
            return Poll::Pending;
        }
        let over = || {
            Poll::Ready(Err(StreamErrorIncoming::ConnectionErrorIncoming {
                connection_error: ended(),
            }))
        };
        let polled = pin!(self.stream.read_chunk(PIECE, true)).poll(cx);
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(Some(chunk))) => {
                if self.arrived(&chunk.bytes) {
                    Poll::Ready(Ok(Some(chunk.bytes)))
                } else {
                    over()
                }
            }
            Poll::Ready(Ok(None)) => {
                if self.complete() {
                    Poll::Ready(Ok(None))
                } else {
                    over()
                }
            }
            Poll::Ready(Err(ReadError::Reset(code))) => {
                if let Some(side) = &self.side {
                    side.on_abort(&self.conn);
                }
                let error_code = code.into_inner();
                Poll::Ready(Err(StreamErrorIncoming::StreamTerminated { error_code }))
            }
            Poll::Ready(Err(ReadError::ConnectionLost(error))) => {
                Poll::Ready(Err(stream_lost(error)))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(unknown(error))),
        }
    }

    fn stop_sending(&mut self, code: u64) {
        let _ = self.stream.stop(VarInt::from_u64(code).unwrap_or(VarInt::MAX));
    }

    fn recv_id(&self) -> StreamId {
        number(self.stream.id())
    }
}

impl Drop for QuicRecvStream {
    fn drop(&mut self) {
        // The rest of a request that was answered early is not needed.
        if self.side.as_ref().is_some_and(|side| !side.complete.get()) {
            quic::RecvStream::stop_sending(self, Code::H3_NO_ERROR.value());
        }
    }
}

/// The number of a stream, as h3 writes it.
fn number(id: quinn::StreamId) -> StreamId {
    StreamId::try_from(u64::from(VarInt::from(id))).expect("both are below 2^62")
}

/// Our half of a stream.
pub(crate) struct QuicSendStream {
    stream: quinn::SendStream,
    /// Of a request.
    side: Option<Rc<StreamState>>,
    conn: Rc<Connection>,
    writing: Option<WriteBuf<Bytes>>,
    /// The visitor's window is closed.
    blocked: bool,
    finished: bool,
}

impl QuicSendStream {
    fn new(stream: quinn::SendStream, side: Option<Rc<StreamState>>, conn: Rc<Connection>) -> Self {
        Self { stream, side, conn, writing: None, blocked: false, finished: false }
    }
}

impl quic::SendStream<Bytes> for QuicSendStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        while let Some(data) = &mut self.writing {
            if !data.has_remaining() {
                self.writing = None;
                break;
            }
            let polled = Pin::new(&mut self.stream).poll_write(cx, data.chunk());
            let Poll::Ready(written) = polled else {
                self.blocked = true;
                self.conn.on_write_blocked();
                return Poll::Pending;
            };
            let written = written.map_err(|error| match error {
                WriteError::Stopped(code) => {
                    StreamErrorIncoming::StreamTerminated { error_code: code.into_inner() }
                }
                WriteError::ConnectionLost(error) => stream_lost(error),
                error => unknown(error),
            })?;
            data.advance(written);
            self.blocked = false;
            self.conn.on_write(written);
            if let Some(side) = &self.side {
                side.sent.set(side.sent.get() + written as u64);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        debug_assert!(self.writing.is_none(), "h3 waits until it may send");
        self.writing = Some(data.into());
        Ok(())
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.finished = true;
        Poll::Ready(self.stream.finish().map_err(unknown))
    }

    fn reset(&mut self, code: u64) {
        self.finished = true;
        let _ = self.stream.reset(VarInt::from_u64(code).unwrap_or(VarInt::MAX));
    }

    fn send_id(&self) -> StreamId {
        number(self.stream.id())
    }
}

impl Drop for QuicSendStream {
    fn drop(&mut self) {
        if self.blocked {
            // Nothing waits for this one any more.
            self.conn.on_write(0);
        }
        // The transport finishes what is dropped, and half an answer would look whole.
        let broken = !self.finished && self.side.as_ref().is_some_and(|side| side.break_off.get());
        if broken {
            quic::SendStream::reset(self, Code::H3_INTERNAL_ERROR.value());
        }
    }
}

/// A request's stream, both ways.
pub(crate) struct QuicBidiStream {
    sending: QuicSendStream,
    receiving: QuicRecvStream,
}

impl quic::BidiStream<Bytes> for QuicBidiStream {
    type SendStream = QuicSendStream;
    type RecvStream = QuicRecvStream;

    fn split(self) -> (QuicSendStream, QuicRecvStream) {
        (self.sending, self.receiving)
    }
}

impl quic::SendStream<Bytes> for QuicBidiStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.sending.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.sending.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.sending.poll_finish(cx)
    }

    fn reset(&mut self, code: u64) {
        self.sending.reset(code);
    }

    fn send_id(&self) -> StreamId {
        self.sending.send_id()
    }
}

impl quic::RecvStream for QuicBidiStream {
    type Buf = Bytes;

    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        self.receiving.poll_data(cx)
    }

    fn stop_sending(&mut self, code: u64) {
        self.receiving.stop_sending(code);
    }

    fn recv_id(&self) -> StreamId {
        self.receiving.recv_id()
    }
}
