//! Bytes on their way out: small ones gathered, a large piece as it is.

use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice, Write as _};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use tokio::io::AsyncWrite;

use crate::request::fields;

/// From here on a piece is not copied behind what goes before it.
const LARGE: usize = 4 * 1024;
/// Small writes are gathered up to this size, which fits into one TLS record.
const FULL: usize = 16 * 1024;

/// What is to be written, in this order: what was gathered, a large piece, what was gathered behind
/// it. Callers that add more check how much there is; the order holds in any case.
#[derive(Debug, Default)]
pub(crate) struct WriteBuffer {
    gathered: Vec<u8>,
    /// How much of it has been written.
    written_bytes: usize,
    piece: Bytes,
    behind: Vec<u8>,
    /// Something has been written.
    begun: bool,
}

impl WriteBuffer {
    pub(crate) const fn new(gathered: Vec<u8>) -> Self {
        Self { gathered, written_bytes: 0, piece: Bytes::new(), behind: Vec::new(), begun: false }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.written_bytes == self.gathered.len() && self.piece.is_empty() && self.behind.is_empty()
    }

    /// Whether it is wise to write before more is added.
    pub(crate) fn is_full(&self) -> bool {
        !self.piece.is_empty()
            || self.gathered.len() - self.written_bytes + self.behind.len() >= FULL
    }

    /// Replaces the end of what is gathered, before anything is written. Returns whether that was its end.
    pub(crate) fn replace_end(&mut self, end: &[u8], with: &[u8]) -> bool {
        let replaced = !self.begun && self.gathered.ends_with(end);
        if replaced {
            self.gathered.truncate(self.gathered.len() - end.len());
            self.gathered.extend_from_slice(with);
        }
        replaced
    }

    /// Nothing has ever been written.
    pub(crate) const fn is_untouched(&self) -> bool {
        !self.begun
    }

    /// Everything gathered is to be written once more.
    pub(crate) const fn rewind(&mut self) {
        self.written_bytes = 0;
    }

    /// To write behind everything else.
    pub(crate) fn gather(&mut self) -> &mut Vec<u8> {
        if self.piece.is_empty() && self.behind.is_empty() {
            &mut self.gathered
        } else {
            &mut self.behind
        }
    }

    /// Adds a piece of a body, as a separate chunk if it is `chunked`.
    pub(crate) fn put(&mut self, piece: Bytes, chunked: bool) {
        if piece.is_empty() {
            // As a chunk it would be the end.
            return;
        }
        if chunked {
            let _ = write!(self.gather(), "{:x}\r\n", piece.len());
        }
        if piece.len() >= LARGE && self.piece.is_empty() && self.behind.is_empty() {
            self.piece = piece;
        } else {
            self.gather().extend_from_slice(&piece);
        }
        if chunked {
            self.gather().extend_from_slice(b"\r\n");
        }
    }

    /// Ends a chunked body, with the trailers that are allowed.
    pub(crate) fn put_end(&mut self, trailers: Option<&HeaderMap>) {
        let out = self.gather();
        out.extend_from_slice(b"0\r\n");
        if let Some(trailers) = trailers {
            fields::put_trailers(out, trailers);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Hands everything to `io`. What was gathered stays for a [`rewind`](Self::rewind).
    pub(crate) fn poll_write(
        &mut self,
        mut io: Pin<&mut impl AsyncWrite>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let rest = &self.gathered[self.written_bytes..];
            let written = if self.piece.is_empty() && self.behind.is_empty() {
                ready!(io.as_mut().poll_write(cx, rest))?
            } else {
                let parts = [rest, &self.piece, &self.behind].map(IoSlice::new);
                let begin = usize::from(rest.is_empty());
                ready!(io.as_mut().poll_write_vectored(cx, &parts[begin..]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written(written);
        }
        Poll::Ready(Ok(()))
    }

    fn written(&mut self, bytes: usize) {
        self.begun = true;
        let of_gathered = bytes.min(self.gathered.len() - self.written_bytes);
        self.written_bytes += of_gathered;
        let of_piece = (bytes - of_gathered).min(self.piece.len());
        self.piece.advance(of_piece);
        if self.piece.is_empty() {
            // Even an empty piece would keep the buffer that it was a part of.
            self.piece = Bytes::new();
            if !self.behind.is_empty() && self.written_bytes == self.gathered.len() {
                mem::swap(&mut self.gathered, &mut self.behind);
                self.behind.clear();
                self.written_bytes = bytes - of_gathered - of_piece;
            }
        }
    }

    /// Forgets what was gathered and has gone, so that it cannot be written once more.
    pub(crate) fn forget(&mut self) {
        if self.written_bytes == self.gathered.len() {
            self.gathered.clear();
            self.written_bytes = 0;
        }
    }

    /// Whether it has no memory to gather in.
    pub(crate) const fn needs_page(&self) -> bool {
        self.gathered.capacity() == 0
    }

    /// Gives it memory to gather in.
    pub(crate) fn give_page(&mut self, page: Vec<u8>) {
        debug_assert!(page.is_empty() && self.needs_page());
        self.gathered = page;
    }

    /// Takes the memory of what was gathered, if all of it has gone.
    pub(crate) fn take_page(&mut self) -> Option<Vec<u8>> {
        if !self.is_empty() {
            return None;
        }
        self.written_bytes = 0;
        self.behind = Vec::new();
        let mut page = mem::take(&mut self.gathered);
        page.clear();
        Some(page)
    }
}

#[cfg(test)]
mod tests {
    use core::task::Waker;

    use proptest::prelude::*;

    use super::*;

    /// Takes a few bytes at a time, and sometimes none.
    struct Narrow {
        taken: Vec<u8>,
        steps: std::vec::IntoIter<usize>,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            match self.steps.next() {
                Some(0) => Poll::Pending,
                step => {
                    let length = bytes.len().min(step.unwrap_or(usize::MAX));
                    self.taken.extend_from_slice(&bytes[..length]);
                    Poll::Ready(Ok(length))
                }
            }
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            parts: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).collect();
            self.as_mut().poll_write(cx, &all)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn write_all(out: &mut WriteBuffer, narrow: &mut Narrow) {
        let mut cx = Context::from_waker(Waker::noop());
        while out.poll_write(Pin::new(narrow), &mut cx).is_pending() {}
    }

    proptest! {
        #[test]
        fn everything_leaves_in_order_however_small_each_write_is(
            parts in prop::collection::vec(0usize..3 * LARGE, 0..6),
            steps in prop::collection::vec(0usize..5_000, 0..40),
            writes in 0usize..7,
            chunked: bool,
        ) {
            let mut out = WriteBuffer::new(b"head\r\n".to_vec());
            let mut narrow = Narrow { taken: Vec::new(), steps: steps.into_iter() };
            let mut expected = b"head\r\n".to_vec();
            for (at, length) in parts.into_iter().enumerate() {
                let piece = vec![b'a' + at as u8; length];
                if at == writes {
                    write_all(&mut out, &mut narrow);
                    out.forget();
                }
                if chunked && length > 0 {
                    expected.extend_from_slice(format!("{length:x}\r\n").as_bytes());
                }
                expected.extend_from_slice(&piece);
                if chunked && length > 0 {
                    expected.extend_from_slice(b"\r\n");
                }
                out.put(piece.into(), chunked);
            }
            if chunked {
                out.put_end(None);
                expected.extend_from_slice(b"0\r\n\r\n");
            }
            write_all(&mut out, &mut narrow);
            prop_assert!(out.is_empty() && !out.is_full());
            prop_assert_eq!(narrow.taken, expected);
        }
    }

    #[test]
    fn a_head_can_be_written_once_more_until_it_is_forgotten() {
        let mut out = WriteBuffer::new(b"head".to_vec());
        assert!(out.is_untouched());
        let mut narrow = Narrow { taken: Vec::new(), steps: vec![2].into_iter() };
        write_all(&mut out, &mut narrow);
        assert!(!out.is_untouched());
        out.rewind();
        write_all(&mut out, &mut narrow);
        assert_eq!(narrow.taken, b"headhead");
        out.forget();
        out.rewind();
        assert!(out.is_empty());
        // A message that has begun to leave cannot be taken back.
        assert!(!out.is_untouched());
    }
}
