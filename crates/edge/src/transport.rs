//! The bytes between a visitor and the HTTP library, and what can be learnt from them in passing.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};
use std::rc::Rc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::frames::{Flood, FrameCount};
use crate::head_scan::HeadScan;
use crate::visit::{Phase, Visit};

/// Answers up to this many bytes are written in one piece.
const SMALL: usize = 2048;

/// A TCP connection whose first bytes may have been read already (behind a PROXY header).
pub(crate) struct Socket {
    stream: TcpStream,
    ahead: Bytes,
}

impl Socket {
    pub(crate) const fn new(stream: TcpStream, ahead: Bytes) -> Self {
        Self { stream, ahead }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let length = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // For a small answer one plain write of a copy is cheaper than a vectored write.
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let mut copy = [0; SMALL];
        if length > SMALL {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        }
        let mut at = 0;
        for part in parts {
            copy[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Pin::new(&mut self.stream).poll_write(cx, &copy[..length])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// With or without encryption.
pub(crate) enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

/// What reads along.
enum Reader {
    /// HTTP/1.1 heads.
    Heads(HeadScan),
    /// HTTP/2 frames.
    Frames(FrameCount),
}

/// A visitor's bytes, watched.
pub(crate) struct VisitorIo {
    transport: Transport,
    visit: Rc<Visit>,
    reader: Reader,
}

impl VisitorIo {
    pub(crate) fn new(transport: Transport, visit: Rc<Visit>, http_2: bool) -> Self {
        let reader = if http_2 {
            Reader::Frames(FrameCount::new(visit.house.now()))
        } else {
            Reader::Heads(HeadScan::new())
        };
        Self { transport, visit, reader }
    }

    fn arrived(&mut self, bytes: &[u8]) -> io::Result<()> {
        let visit = &self.visit;
        match &mut self.reader {
            Reader::Heads(scan) => match visit.phase() {
                Phase::Idle => {
                    visit.enter(Phase::Header);
                    *scan = HeadScan::new();
                    scan.feed(bytes);
                    visit.framing_conflict.set(scan.conflict());
                }
                Phase::Arriving | Phase::Header => {
                    visit.begun.set(true);
                    scan.feed(bytes);
                    visit.framing_conflict.set(scan.conflict());
                }
                Phase::Tunnel => visit.moved(),
                // A part of the body, or the next request ahead of its turn.
                Phase::Busy => visit.framing_conflict.set(false),
                Phase::Proxy | Phase::Handshake => {}
            },
            Reader::Frames(count) => {
                if let Err(Flood(why)) = count.feed(bytes, visit.house.now()) {
                    visit.house.meter.cut(why);
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                match visit.phase() {
                    Phase::Arriving if count.settled() && !count.block_open() => {
                        visit.enter(Phase::Idle);
                    }
                    Phase::Idle if count.block_open() => visit.enter(Phase::Header),
                    Phase::Header if !count.block_open() => visit.enter(Phase::Idle),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn sent(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.visit.set_unread(result.is_pending());
        if self.visit.phase() == Phase::Tunnel && result.is_ready() {
            self.visit.moved();
        }
        result
    }
}

impl AsyncRead for VisitorIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        if let Poll::Ready(Ok(())) = result {
            let bytes = &buffer.filled()[before..];
            if !bytes.is_empty() {
                self.arrived(bytes)?;
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
        let result = match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        self.sent(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, parts),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        };
        self.sent(result)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(socket) => socket.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = match &mut self.transport {
            Transport::Plain(_) => return Poll::Ready(Ok(())),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        self.visit.set_unread(result.is_pending());
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
