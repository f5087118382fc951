//! Buffers what an HTTP/2 connection writes during one poll, so that the responses to requests that
//! arrived together leave together: one TLS record and one system call for all, where hyper would
//! make one for each.
//!
//! hyper flushes after every frame of data. Here a flush does nothing: the code that polls the
//! connection calls [`WriteCoalescer::flush_pending`] afterwards, always.

use core::cell::RefCell;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::visitor_io::{Transport, VisitorIo};
use crate::context::WorkerContext;

/// The most that is buffered: what fits into one TLS record (RFC 8446, section 5.1).
const BUFFER: usize = 16 * 1024;
/// From this size on a piece is worth a separate system call, and is not copied.
const LARGE: usize = 4 * 1024;

/// A visitor's bytes with a cork in. Both ends of an HTTP/2 connection's task have it.
#[derive(Clone)]
pub(crate) struct WriteCoalescer(Rc<RefCell<CoalescerInner>>);

struct CoalescerInner {
    io: VisitorIo,
    context: Rc<WorkerContext>,
    /// Not written yet. Its buffer is the worker's, borrowed until it is empty again.
    pending: Vec<u8>,
    /// How much of `pending` has been written.
    written: usize,
    /// Something was written since the last flush.
    unflushed: bool,
}

impl WriteCoalescer {
    pub(crate) fn new(io: VisitorIo, context: Rc<WorkerContext>) -> Self {
        Self(Rc::new(RefCell::new(CoalescerInner {
            io,
            context,
            pending: Vec::new(),
            written: 0,
            unflushed: false,
        })))
    }

    /// Writes everything that is buffered.
    pub(crate) fn flush_pending(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let bottle = &mut *self.0.borrow_mut();
        if !bottle.pending.is_empty() {
            bottle.unflushed = true;
            ready!(bottle.write_pending(cx))?;
        }
        // TLS may still hold what has been written.
        if bottle.unflushed {
            ready!(Pin::new(&mut bottle.io).poll_flush(cx))?;
            bottle.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// The visitor's bytes, where the visitor was sent a farewell and may still be sending.
    pub(crate) fn take_leftover(&self) -> Option<Transport> {
        self.0.borrow_mut().io.take_leftover()
    }
}

impl CoalescerInner {
    /// Writes what is buffered.
    fn write_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.pending.len() {
            let rest = &self.pending[self.written..];
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        self.written = 0;
        if self.pending.capacity() > 0 {
            self.pending.clear();
            self.context.return_scratch(core::mem::take(&mut self.pending));
        }
        Poll::Ready(Ok(()))
    }

    /// Makes space for `length` bytes; `false` if they are too many to be buffered.
    fn prepare(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<io::Result<bool>> {
        if length >= LARGE || self.pending.len() + length > BUFFER {
            ready!(self.write_pending(cx))?;
        }
        if length < LARGE && self.pending.capacity() == 0 {
            self.pending = self.context.borrow_scratch(BUFFER);
        }
        Poll::Ready(Ok(length < LARGE))
    }
}

impl AsyncRead for WriteCoalescer {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for WriteCoalescer {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bottle = &mut *self.0.borrow_mut();
        if ready!(bottle.prepare(cx, bytes.len()))? {
            bottle.pending.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut bottle.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bottle = &mut *self.0.borrow_mut();
        let length = parts.iter().map(|part| part.len()).sum();
        if ready!(bottle.prepare(cx, length))? {
            for part in parts {
                bottle.pending.extend_from_slice(part);
            }
            return Poll::Ready(Ok(length));
        }
        Pin::new(&mut bottle.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let bottle = &mut *self.0.borrow_mut();
        if bottle.pending.is_empty() {
            return Pin::new(&mut bottle.io).poll_flush(cx);
        }
        // As soon as the connection has had its turn.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let bottle = &mut *self.0.borrow_mut();
        ready!(bottle.write_pending(cx))?;
        Pin::new(&mut bottle.io).poll_shutdown(cx)
    }
}
