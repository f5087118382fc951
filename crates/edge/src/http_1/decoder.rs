//! Bodies of HTTP/1.1 messages, taken apart as they arrive.

/// The longest line that has to be read: the size of a chunk with its extensions, which clients do not use in practice.
const LONGEST_SIZE: usize = 64;
/// The same of an origin's.
const LONGEST_LENIENT: usize = 4 * 1024;
/// Digits of the longest chunk's size: under 2^60 bytes.
const CHUNK_DIGITS: usize = 15;
/// Bytes of all trailer fields behind one body. Checksums and timings take a tenth of it.
pub(crate) const TRAILER_BYTES: usize = 8 * 1024;

/// Where the decoder is in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decoder {
    /// The number of bytes that are to come.
    Length(u64),
    /// Before the size of a chunk.
    Size,
    /// In a chunk, with the number of bytes that are to come.
    Chunk(u64),
    /// Before the end of line behind a chunk.
    ChunkEnd,
    /// Among trailer fields, this many bytes into them.
    Trailers(usize),
    /// Whatever comes until the connection ends.
    UntilClose,
}

/// What is next in the bytes given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecodeStep {
    /// More has to come first.
    More,
    /// The number of bytes to discard.
    Skip(usize),
    /// The number of bytes that are content.
    Data(usize),
    /// The length of the trailer section, with its empty line; the body ends with it.
    End(usize),
}

/// What could be read in two ways, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Decoder {
    /// Whether the body has ended. (That of [`Decoder::UntilClose`] ends with its connection.)
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::Length(0))
    }

    /// The next step. The caller removes the number of bytes in it before the next call. With `lenient`
    /// (origins), spaces may follow the size of a chunk, as some old servers send it.
    ///
    /// # Errors
    ///
    /// The frame of a chunk is not as RFC 9112, section 7.1, has it.
    pub(crate) fn step(&mut self, bytes: &[u8], lenient: bool) -> Result<DecodeStep, Malformed> {
        if bytes.is_empty() {
            return Ok(if self.is_over() { DecodeStep::End(0) } else { DecodeStep::More });
        }
        match *self {
            Self::Length(0) => Ok(DecodeStep::End(0)),
            Self::Length(left) => {
                let taken = left.min(bytes.len() as u64);
                *self = Self::Length(left - taken);
                Ok(DecodeStep::Data(taken as usize))
            }
            Self::UntilClose => Ok(DecodeStep::Data(bytes.len())),
            Self::Chunk(left) => {
                let taken = left.min(bytes.len() as u64);
                *self = if taken == left { Self::ChunkEnd } else { Self::Chunk(left - taken) };
                Ok(DecodeStep::Data(taken as usize))
            }
            Self::ChunkEnd => match bytes {
                [b'\r', b'\n', ..] => {
                    *self = Self::Size;
                    Ok(DecodeStep::Skip(2))
                }
                [b'\r'] => Ok(DecodeStep::More),
                _ => Err(Malformed),
            },
            Self::Size => self.size(bytes, lenient),
            Self::Trailers(seen) => self.trailers(bytes, seen),
        }
    }

    fn size(&mut self, bytes: &[u8], lenient: bool) -> Result<DecodeStep, Malformed> {
        // Up to the longest line with its end.
        let longest = if lenient { LONGEST_LENIENT } else { LONGEST_SIZE } + 2;
        let window = &bytes[..bytes.len().min(longest)];
        let Some(end) = memchr::memchr(b'\n', window) else {
            return if window.len() < longest { Ok(DecodeStep::More) } else { Err(Malformed) };
        };
        let line = window[..end].strip_suffix(b"\r").ok_or(Malformed)?;
        let size =
            chunk_size(if lenient { line.trim_ascii_end() } else { line }).ok_or(Malformed)?;
        *self = if size == 0 { Self::Trailers(0) } else { Self::Chunk(size) };
        Ok(DecodeStep::Skip(end + 1))
    }

    /// Searches for the empty line; whole lines end with carriage return and line feed.
    fn trailers(&mut self, bytes: &[u8], seen: usize) -> Result<DecodeStep, Malformed> {
        let mut line = seen;
        while let Some(length) = memchr::memchr(b'\n', &bytes[line..]) {
            let end = line + length + 1;
            if end > TRAILER_BYTES || length == 0 || bytes[end - 2] != b'\r' {
                return Err(Malformed);
            }
            if length == 1 {
                *self = Self::Length(0);
                return Ok(DecodeStep::End(end));
            }
            line = end;
        }
        if bytes.len() > TRAILER_BYTES {
            return Err(Malformed);
        }
        *self = Self::Trailers(line);
        Ok(DecodeStep::More)
    }
}

/// Hexadecimal digits, and extensions of plain letters, which are ignored.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, extensions) = line.split_at(digits);
    let plain = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    let extended = extensions.first() == Some(&b';') && extensions.iter().all(plain);
    if digits > CHUNK_DIGITS || !extensions.is_empty() && !extended {
        return None;
    }
    u64::from_str_radix(core::str::from_utf8(size).ok()?, 16).ok()
}
