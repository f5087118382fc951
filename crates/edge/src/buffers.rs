//! Read buffers, lent to connections while they contain data. A connection that is idle or waits
//! for the other side holds none.

use core::cell::RefCell;
use core::mem;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Empty buffers of each size that are stored for reuse: about the number of connections that
/// usually have a message in progress. At most 1.25 MiB in each worker.
const STORED: usize = 16;

/// The unused buffers of one worker.
#[derive(Default)]
pub(crate) struct Buffers {
    visitors: RefCell<Vec<BytesMut>>,
    origins: RefCell<Vec<BytesMut>>,
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadSide {
    /// From a visitor: heads, and parts of uploads.
    Visitor,
    /// From an origin: most bytes are parts of responses.
    Origin,
}

impl ReadSide {
    /// Bytes of one read.
    const fn size(self) -> usize {
        match self {
            Self::Visitor => 16 * 1024,
            Self::Origin => 64 * 1024,
        }
    }
}

impl Buffers {
    const fn of(&self, reader: ReadSide) -> &RefCell<Vec<BytesMut>> {
        match reader {
            ReadSide::Visitor => &self.visitors,
            ReadSide::Origin => &self.origins,
        }
    }

    /// Reads more into `buffer`, which is lent for it if it is none yet, and taken back if it is
    /// empty afterwards. Zero bytes are the end.
    pub(crate) fn poll_fill(
        &self,
        reader: ReadSide,
        buffer: &mut BytesMut,
        io: Pin<&mut impl AsyncRead>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if buffer.capacity() == 0 {
            let stored = self.of(reader).borrow_mut().pop();
            *buffer = stored.unwrap_or_else(|| BytesMut::with_capacity(reader.size()));
        } else if buffer.len() == buffer.capacity() {
            buffer.reserve(reader.size());
        }
        let mut io = io;
        let result = pin!(io.read_buf(buffer)).poll(cx);
        self.take_back(reader, buffer);
        result
    }

    /// Takes the buffer back if nothing is in it.
    pub(crate) fn take_back(&self, reader: ReadSide, buffer: &mut BytesMut) {
        if !buffer.is_empty() || buffer.capacity() == 0 {
            return;
        }
        let mut buffer = mem::take(buffer);
        let mut stored = self.of(reader).borrow_mut();
        // Parts of it may still be in use. A buffer that grew for one long head is not reused.
        if stored.len() < STORED
            && buffer.try_reclaim(reader.size())
            && buffer.capacity() < 2 * reader.size()
        {
            stored.push(buffer);
        }
    }
}
