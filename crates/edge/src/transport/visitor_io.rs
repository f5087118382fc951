//! The byte stream between a visitor and the HTTP code, and what its inspection shows.

use core::cell::RefCell;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};
use std::rc::Rc;

use portcullis_model::{Cut, Reason};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use super::socket::Socket;
use crate::conn::connection::{Connection, Phase};
use crate::guard::http_2::{Http2Guard, OutboundFrame};

/// With or without encryption.
pub(crate) enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

/// What reads along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inspector {
    /// None: the HTTP/1.1 code parses strictly itself.
    None,
    /// The guard of HTTP/2 frames, which is the visit's.
    Http2Frames,
    /// None any more.
    Detached,
    /// None any more: a GOAWAY was sent, and HTTP has no connection left.
    Farewell,
}

/// A visitor's bytes, watched.
pub(crate) struct VisitorIo {
    transport: Option<Transport>,
    conn: Rc<Connection>,
    inspector: Inspector,
}

impl VisitorIo {
    pub(crate) fn new(transport: Transport, conn: Rc<Connection>, http_2: bool) -> Self {
        let inspector = if http_2 {
            let policy = conn.context.policy.load();
            let guard = Http2Guard::new(&policy.config().limits, conn.context.now());
            let _ = conn.http_2_guard.set(Box::new(RefCell::new(guard)));
            Inspector::Http2Frames
        } else {
            Inspector::None
        };
        Self { transport: Some(transport), conn, inspector }
    }

    /// What is left of a connection after a GOAWAY.
    pub(crate) fn take_leftover(&mut self) -> Option<Transport> {
        if self.inspector == Inspector::Farewell { self.transport.take() } else { None }
    }

    /// The connection, as far as HTTP has it.
    fn open(&mut self) -> Option<&mut Transport> {
        self.transport.as_mut().filter(|_| self.inspector != Inspector::Farewell)
    }

    /// Whether it is not encrypted.
    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self.transport, Some(Transport::Plain(_)))
    }

    /// Inspects what arrived.
    fn inspect_read(&self, bytes: &[u8]) -> Result<(), Cut> {
        let conn = &self.conn;
        match self.inspector {
            Inspector::None => match conn.phase() {
                Phase::Idle => conn.enter(Phase::Header),
                Phase::AwaitingFirstRequest | Phase::Header => conn.header_begun.set(true),
                // A part of the body, or the next request ahead of its turn.
                Phase::Busy | Phase::Proxy | Phase::Handshake => {}
                Phase::Tunnel => conn.on_tunnel_bytes(),
            },
            Inspector::Http2Frames => {
                let Some(guard) = conn.http_2_guard.get() else {
                    return Ok(());
                };
                let mut guard = guard.borrow_mut();
                guard.received(bytes, conn.context.now())?;
                let block_open = guard.block_open_since().is_some();
                match conn.phase() {
                    Phase::AwaitingFirstRequest if guard.settled() && !block_open => {
                        conn.enter(Phase::Idle);
                    }
                    Phase::Idle if block_open => conn.enter(Phase::Header),
                    Phase::Header if !block_open => conn.enter(Phase::Idle),
                    _ => {}
                }
            }
            Inspector::Detached | Inspector::Farewell => {}
        }
        Ok(())
    }

    /// Notes what was sent: the first bytes of `parts`, up to the number in `result`.
    fn inspect_written(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if matches!(self.inspector, Inspector::Http2Frames)
            && let Poll::Ready(Ok(length)) = result
            && let Err(why) = self.inspect_frames(parts, length)
        {
            return Poll::Ready(Err(self.abort(cx, why)));
        }
        if self.conn.phase() == Phase::Tunnel && result.is_ready() {
            self.conn.on_tunnel_bytes();
        }
        result
    }

    /// Reads the frames that went out.
    fn inspect_frames(&self, parts: &[IoSlice<'_>], length: usize) -> Result<(), Cut> {
        let Some(guard) = self.conn.http_2_guard.get() else {
            return Ok(());
        };
        let context = &self.conn.context;
        let mut left = length;
        let mut guard = guard.borrow_mut();
        for part in parts {
            let bytes = &part[..left.min(part.len())];
            left -= bytes.len();
            guard.sent(bytes, context.now(), |frame| match frame {
                OutboundFrame::Ends(why) => self.conn.count_cut(why),
                OutboundFrame::TooLarge => {
                    context.record_unrouted(self.conn.remote().source, Reason::HeaderTooLarge);
                }
            })?;
        }
        Ok(())
    }

    /// Sends `ENHANCE_YOUR_CALM` to an HTTP/2 visitor, if it can be written without waiting, and
    /// counts why. hyper gets an error, as if the connection broke, so that all its requests end
    /// here.
    fn abort(&mut self, cx: &mut Context<'_>, why: Cut) -> io::Error {
        self.inspector = Inspector::Detached;
        self.conn.count_cut(why);
        let farewell = self.conn.http_2_guard.get().and_then(|guard| guard.borrow().farewell());
        if let (Some(farewell), Some(transport)) = (farewell, &mut self.transport) {
            let _ = transport.poll_write(cx, &farewell);
            let _ = transport.poll_shutdown(cx);
            self.inspector = Inspector::Farewell;
        }
        io::ErrorKind::ConnectionAborted.into()
    }
}

impl Transport {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl AsyncRead for VisitorIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let Some(transport) = self.open() else {
            return gone();
        };
        let result = Pin::new(transport).poll_read(cx, buffer);
        if let Poll::Ready(Ok(())) = result {
            let bytes = &buffer.filled()[before..];
            if !bytes.is_empty()
                && let Err(why) = self.inspect_read(bytes)
            {
                return Poll::Ready(Err(self.abort(cx, why)));
            }
        }
        result
    }
}

impl AsyncWrite for VisitorIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(transport) = self.open() else {
            return gone();
        };
        let result = transport.poll_write(cx, bytes);
        self.inspect_written(cx, result, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(transport) = self.open() else {
            return gone();
        };
        let result = transport.poll_write_vectored(cx, parts);
        self.inspect_written(cx, result, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.as_ref().is_some_and(Transport::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(transport) = self.open() else {
            return gone();
        };
        transport.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.open() {
            Some(transport) => transport.poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
