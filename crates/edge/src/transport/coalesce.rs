//! Keeps what an HTTP/2 connection writes until the connection has had its turn, so that the
//! answers to requests that came together leave together: one TLS record and one call of the
//! system for all, where the library would make them for each.
//!
//! The library flushes after every frame of data. Here that means nothing yet: whoever polls the
//! connection calls [`Cork::pull`] afterwards, always.

use core::cell::RefCell;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::visitor_io::{Transport, VisitorIo};
use crate::context::WorkerContext;

/// The most that is kept: what fits into one TLS record (RFC 8446, section 5.1).
const KEPT: usize = 16 * 1024;
/// From here on a piece is worth a call of its own, and is not copied.
const LARGE: usize = 4 * 1024;

/// A visitor's bytes with a cork in. Both ends of an HTTP/2 connection's task have it.
#[derive(Clone)]
pub(crate) struct Cork(Rc<RefCell<Bottle>>);

struct Bottle {
    io: VisitorIo,
    context: Rc<WorkerContext>,
    /// Not written yet. Its buffer is the worker's, borrowed until it is empty again.
    kept: Vec<u8>,
    /// How much of `kept` has been written.
    gone: usize,
    /// Something was written since the last flush.
    unflushed: bool,
}

impl Cork {
    pub(crate) fn new(io: VisitorIo, context: Rc<WorkerContext>) -> Self {
        Self(Rc::new(RefCell::new(Bottle {
            io,
            context,
            kept: Vec::new(),
            gone: 0,
            unflushed: false,
        })))
    }

    /// Writes everything that is kept.
    pub(crate) fn pull(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let bottle = &mut *self.0.borrow_mut();
        if !bottle.kept.is_empty() {
            bottle.unflushed = true;
            ready!(bottle.pour(cx))?;
        }
        // What has been written may still be kept by TLS.
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

impl Bottle {
    /// Hands on what is kept.
    fn pour(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.gone < self.kept.len() {
            let rest = &self.kept[self.gone..];
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.gone += written;
        }
        self.gone = 0;
        if self.kept.capacity() > 0 {
            self.kept.clear();
            self.context.return_page(core::mem::take(&mut self.kept));
        }
        Poll::Ready(Ok(()))
    }

    /// Makes room for `length` bytes; `false` if they are too many to be kept.
    fn make_room(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<io::Result<bool>> {
        if length >= LARGE || self.kept.len() + length > KEPT {
            ready!(self.pour(cx))?;
        }
        if length < LARGE && self.kept.capacity() == 0 {
            self.kept = self.context.borrow_page(KEPT);
        }
        Poll::Ready(Ok(length < LARGE))
    }
}

impl AsyncRead for Cork {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Cork {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bottle = &mut *self.0.borrow_mut();
        if ready!(bottle.make_room(cx, bytes.len()))? {
            bottle.kept.extend_from_slice(bytes);
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
        if ready!(bottle.make_room(cx, length))? {
            for part in parts {
                bottle.kept.extend_from_slice(part);
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
        if bottle.kept.is_empty() {
            return Pin::new(&mut bottle.io).poll_flush(cx);
        }
        // As soon as the connection has had its turn.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let bottle = &mut *self.0.borrow_mut();
        ready!(bottle.pour(cx))?;
        Pin::new(&mut bottle.io).poll_shutdown(cx)
    }
}
