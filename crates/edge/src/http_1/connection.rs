//! A visitor's HTTP/1.1 connection: heads and bodies read from it, bytes written to it.

use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;
use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use portcullis_model::{Cut, Reason};
use tokio::io::AsyncWrite;

use super::decoder::{DecodeStep, Decoder};
use super::head::{HeadRange, HeadScanner};
use super::trailers::trailers;
use super::write_buffer::WriteBuffer;
use crate::buffers::ReadSide;
use crate::conn::connection::{Connection, Phase};
use crate::request::body::BodyAborted;
use crate::transport::visitor_io::VisitorIo;

/// What is read ahead of its turn while a request is being answered.
const AHEAD: usize = 16 * 1024;
/// Requests of one visitor that are answered before others have their turn: a read may bring three
/// hundred, and a flood of them is a millisecond.
const IN_A_ROW: u32 = 16;
/// Bytes for one answer of the usual size.
const PAGE: usize = 4 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection, shared with the body of the current request.
pub(crate) struct Http1Conn {
    pub(crate) inner: RefCell<ConnInner>,
    /// The code that forwards the request is reading its body.
    pub(crate) body_lent: Cell<bool>,
}

/// Both directions of it.
pub(crate) struct ConnInner {
    pub(crate) io: VisitorIo,
    pub(crate) conn: Rc<Connection>,
    pub(crate) buffer: BytesMut,
    pub(crate) scan: HeadScanner,
    /// The body of the request that is being answered.
    pub(crate) decoder: Decoder,
    /// The visitor waits for `100 Continue` before it sends the body.
    pub(crate) expects: bool,
    /// Requests that were answered without waiting for the visitor.
    pub(crate) in_a_row: u32,
    pub(crate) out: WriteBuffer,
    /// Something was written since the last flush.
    pub(crate) unflushed: bool,
}

/// What comes next.
pub(crate) enum ReadEvent {
    /// A head.
    Head(HeadRange),
    /// What is no head, and why.
    Invalid(Reason),
    /// The visitor has left, or is to leave.
    Over,
}

/// The visitor has gone.
pub(crate) struct Disconnected;

impl Http1Conn {
    pub(crate) fn new(conn: &Rc<Connection>, io: VisitorIo) -> Rc<Self> {
        Rc::new(Self {
            inner: RefCell::new(ConnInner {
                io,
                conn: conn.clone(),
                buffer: BytesMut::new(),
                scan: HeadScanner::default(),
                decoder: Decoder::Length(0),
                expects: false,
                in_a_row: 0,
                out: WriteBuffer::default(),
                unflushed: false,
            }),
            body_lent: Cell::new(false),
        })
    }
}

impl ConnInner {
    /// Waits for the next head. What has been gathered leaves before more is read.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<ReadEvent> {
        loop {
            // However many requests came together: no more is answered than is taken.
            if self.out.is_full() && ready!(self.poll_flush(cx)).is_err() {
                return Poll::Ready(ReadEvent::Over);
            }
            if !self.buffer.is_empty() {
                let most =
                    self.conn.context.policy.load().config().limits.max_header_bytes as usize;
                if self.in_a_row >= IN_A_ROW {
                    // Others have their turn first.
                    self.in_a_row = 0;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                match self.scan.request(&mut self.buffer) {
                    Err(_) => return Poll::Ready(ReadEvent::Invalid(Reason::Malformed)),
                    Ok(Some(span)) if span.end <= most => {
                        self.in_a_row += 1;
                        return Poll::Ready(ReadEvent::Head(span));
                    }
                    Ok(None) if self.buffer.len() <= most => {}
                    Ok(_) => return Poll::Ready(ReadEvent::Invalid(Reason::HeaderTooLarge)),
                }
            }
            if ready!(self.poll_flush(cx)).is_err() {
                return Poll::Ready(ReadEvent::Over);
            }
            // The visitor's time does not run while the gate does not read.
            if !self.buffer.is_empty() && self.conn.phase() == Phase::Idle {
                self.conn.enter(Phase::Header);
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(ReadEvent::Over),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending if self.conn.ends_when_idle() && self.buffer.is_empty() => {
                    return Poll::Ready(ReadEvent::Over);
                }
                Poll::Pending => {
                    self.in_a_row = 0;
                    return Poll::Pending;
                }
            }
        }
    }

    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let buffers = &self.conn.context.buffers;
        buffers.poll_fill(ReadSide::Visitor, &mut self.buffer, Pin::new(&mut self.io), cx)
    }

    /// Takes bytes from the front, and gives the buffer back behind the last.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.buffer.advance(bytes);
        self.conn.context.buffers.take_back(ReadSide::Visitor, &mut self.buffer);
    }

    /// Writes what has been gathered.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.out.is_empty() {
            self.unflushed = true;
            ready!(self.out.poll_write(Pin::new(&mut self.io), cx))?;
            if let Some(page) = self.out.take_page() {
                self.conn.context.return_scratch(page);
            }
        }
        // TLS may still hold what has been written.
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Where answers are gathered; its memory is the worker's, borrowed until they have left.
    pub(crate) fn gather(&mut self) -> &mut WriteBuffer {
        if self.out.needs_page() {
            self.out.give_page(self.conn.context.borrow_scratch(PAGE));
        }
        &mut self.out
    }

    /// Ready when the visitor has left. What it sends ahead is stored, up to a bound.
    pub(crate) fn poll_disconnected(&mut self, cx: &mut Context<'_>) -> Poll<Disconnected> {
        if let Poll::Ready(Err(_)) = self.poll_flush(cx) {
            return Poll::Ready(Disconnected);
        }
        // The reader of the body sees the end itself.
        while self.decoder.is_over() && self.buffer.len() < AHEAD {
            match ready!(self.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(Disconnected),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }

    /// Draws the next piece of the request's body.
    pub(crate) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        if self.decoder == Decoder::UntilClose {
            // It was spoilt before.
            return Poll::Ready(Some(Err(BodyAborted)));
        }
        loop {
            match self.decoder.step(&self.buffer, false) {
                Err(_) => {
                    self.mark_malformed();
                    return Poll::Ready(Some(Err(BodyAborted)));
                }
                Ok(DecodeStep::Skip(length)) => self.consume(length),
                Ok(DecodeStep::Data(length)) => {
                    // The visitor did not wait for `100 Continue`.
                    self.expects = false;
                    let piece = self.buffer.split_to(length).freeze();
                    if self.buffer.is_empty() {
                        self.buffer = BytesMut::new();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                Ok(DecodeStep::End(length)) => {
                    let Ok(trailers) = trailers(&self.buffer[..length]) else {
                        self.mark_malformed();
                        return Poll::Ready(Some(Err(BodyAborted)));
                    };
                    self.consume(length);
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                }
                Ok(DecodeStep::More) => {
                    if core::mem::take(&mut self.expects) && self.buffer.is_empty() {
                        self.gather().gather().extend_from_slice(CONTINUE);
                    }
                    if let Poll::Ready(Err(_)) = self.poll_flush(cx) {
                        return Poll::Ready(Some(Err(BodyAborted)));
                    }
                    match ready!(self.poll_fill(cx)) {
                        Ok(0) | Err(_) => return Poll::Ready(Some(Err(BodyAborted))),
                        Ok(_) => {}
                    }
                }
            }
        }
    }

    /// The body could be read in two ways: nothing behind it is believed.
    pub(crate) fn mark_malformed(&mut self) {
        self.conn.malformed_body.set(true);
        self.conn.count_cut(Cut::MalformedBody);
        self.decoder = Decoder::UntilClose;
    }

    /// Whether all of the request has been read. Discards what has arrived of an unread body first.
    pub(crate) fn is_read(&mut self) -> bool {
        while !self.decoder.is_over() && self.decoder != Decoder::UntilClose {
            match self.decoder.step(&self.buffer, false) {
                Ok(DecodeStep::More) => return false,
                Ok(DecodeStep::End(length)) if trailers(&self.buffer[..length]).is_err() => {
                    self.mark_malformed();
                }
                Ok(
                    DecodeStep::Skip(length) | DecodeStep::Data(length) | DecodeStep::End(length),
                ) => {
                    self.consume(length);
                }
                Err(_) => self.mark_malformed(),
            }
        }
        self.decoder.is_over()
    }

    /// Whether the visitor may still be sending an unread body.
    pub(crate) fn has_more(&self) -> bool {
        !self.decoder.is_over() || !self.buffer.is_empty()
    }

    /// Reads on and throws away; ready when that is enough.
    pub(crate) fn poll_discard(&mut self, left: &mut usize, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let length = self.buffer.len();
            self.consume(length);
            *left = left.saturating_sub(length);
            match ready!(self.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) if *left == 0 => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }
}

/// The body of a request, read from its connection on demand.
pub(crate) struct IncomingBody {
    line: Rc<Http1Conn>,
}

impl IncomingBody {
    /// The body of the request that has just been read from `line`.
    pub(crate) fn new(line: &Rc<Http1Conn>) -> Self {
        line.body_lent.set(true);
        Self { line: line.clone() }
    }

    pub(crate) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        self.line.inner.borrow_mut().poll_body(cx)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.line.inner.borrow().decoder.is_over()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.line.inner.borrow().decoder {
            Decoder::Length(left) => SizeHint::with_exact(left),
            _ => SizeHint::new(),
        }
    }
}

impl Drop for IncomingBody {
    fn drop(&mut self) {
        self.line.body_lent.set(false);
    }
}
