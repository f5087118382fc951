//! A visitor's TCP socket, and how much is written to it in one call.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io::{self, IoSlice};
use std::rc::Rc;

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::conn::connection::Connection;

/// Answers up to this many bytes are written in one piece.
const SMALL: usize = 2048;

/// A TCP connection whose first bytes may have been read already (behind a PROXY header).
pub(crate) struct Socket {
    stream: TcpStream,
    ahead: Bytes,
    conn: Rc<Connection>,
    chunking: WriteChunking,
}

impl Socket {
    pub(crate) const fn new(stream: TcpStream, ahead: Bytes, conn: Rc<Connection>) -> Self {
        Self { stream, ahead, conn, chunking: WriteChunking::new() }
    }

    /// Notes what the kernel accepted.
    fn wrote(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Pending => self.conn.on_write_blocked(),
            Poll::Ready(Ok(bytes)) => self.chunking.observe(bytes, self.conn.on_write(bytes)),
            Poll::Ready(Err(_)) => {}
        }
        result
    }
}

/// If the visitor reads nothing and the response was aborted, the rest of it must not wait in the
/// kernel for minutes after the connection is counted as closed; and a truncated response must not
/// look complete. In both cases the connection is reset.
impl Drop for Socket {
    fn drop(&mut self) {
        if self.conn.is_backed_up() || self.conn.is_truncated() {
            // The rest of the connection is the kernel's in both cases.
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

/// How much is written to the kernel in one call.
///
/// The kernel takes one write whole, and shows how fast a slow visitor reads it only when little
/// is left: it accepts more when less than half of [`NOTSENT_LOWAT`](crate::net::listener::NOTSENT_LOWAT) is unsent. So
/// writes are small until a visitor has read more than that quickly, and smaller if it reads slowly: a
/// visitor that reads 500 bytes a second then moves a write every 25 seconds (8 KiB until the kernel
/// accepts more, and a write of 4 KiB), within the half minute that it may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WriteChunking {
    speed: PeerSpeed,
    /// Bytes that were taken in no time.
    fast_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PeerSpeed {
    Unknown,
    Fast,
    Slow,
}

/// A visitor who takes so much in no time is quick.
const PROOF: usize = 64 * 1024;
const UNKNOWN_CHUNK: usize = 16 * 1024;
const SLOW_CHUNK: usize = 4 * 1024;
/// A visitor who keeps the kernel's buffer full for longer than this is slow.
const SLOW: Duration = Duration::from_secs(1);

impl WriteChunking {
    const fn new() -> Self {
        Self { speed: PeerSpeed::Unknown, fast_bytes: 0 }
    }

    /// Most bytes of one write.
    const fn max_chunk(self) -> usize {
        match self.speed {
            PeerSpeed::Unknown => UNKNOWN_CHUNK,
            PeerSpeed::Fast => usize::MAX,
            PeerSpeed::Slow => SLOW_CHUNK,
        }
    }

    /// The kernel accepted this number of bytes, after its buffer was full for `waited`.
    fn observe(&mut self, bytes: usize, waited: Duration) {
        if waited >= SLOW {
            *self = Self { speed: PeerSpeed::Slow, fast_bytes: 0 };
        } else if self.speed != PeerSpeed::Fast {
            self.fast_bytes += bytes;
            if self.fast_bytes >= PROOF {
                self.speed = PeerSpeed::Fast;
            }
        }
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
        if self.ahead.is_empty() {
            // Even an empty piece would keep the whole.
            self.ahead = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let piece = &bytes[..bytes.len().min(self.chunking.max_chunk())];
        let result = Pin::new(&mut self.stream).poll_write(cx, piece);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // For a small answer one plain write of a copy is cheaper than a vectored write.
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let piece = self.chunking.max_chunk();
        if length > piece {
            // The first part alone, or as much of it as is wise.
            let first = parts.iter().find(|part| !part.is_empty());
            let first = first.map_or(&[][..], |part| &part[..part.len().min(piece)]);
            let result = Pin::new(&mut self.stream).poll_write(cx, first);
            return self.wrote(result);
        }
        if length > SMALL {
            let result = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
            return self.wrote(result);
        }
        let mut copy = [0; SMALL];
        let mut at = 0;
        for part in parts {
            copy[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        let result = Pin::new(&mut self.stream).poll_write(cx, &copy[..length]);
        self.wrote(result)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_small_until_a_visitor_was_quick_and_whenever_it_is_slow() {
        let mut stride = WriteChunking::new();
        for _ in 0..4 {
            assert_eq!(stride.max_chunk(), 16 * 1024);
            stride.observe(16 * 1024, Duration::ZERO);
        }
        assert_eq!(stride.max_chunk(), usize::MAX);
        stride.observe(100_000, Duration::from_secs(2));
        assert_eq!(stride.max_chunk(), 4 * 1024);
        for _ in 0..16 {
            stride.observe(4 * 1024, Duration::from_millis(250));
        }
        assert_eq!(stride.max_chunk(), usize::MAX);
    }
}
