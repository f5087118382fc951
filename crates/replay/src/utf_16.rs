//! UTF-16, which PowerShell and some exports write, as UTF-8.

use std::io::{self, Read};

/// Bytes decoded at a time.
const CHUNK: usize = 16 * 1024;

/// Decodes what it reads.
pub(crate) struct Utf16Reader<R> {
    inner: R,
    little_endian: bool,
    /// A byte whose other half has not been read.
    odd: Option<u8>,
    /// A surrogate whose other half has not been read.
    high: Option<u16>,
    decoded: Vec<u8>,
    at: usize,
}

/// Whether the beginning of a file is UTF-16, and if so whether it is little-endian: by its byte order mark, or
/// by zeros in every other place of ASCII text.
pub(crate) const fn byte_order(begin: &[u8]) -> Option<bool> {
    match begin {
        [0xff, 0xfe, ..] | [1..=0x7f, 0, 1..=0x7f, 0, ..] => Some(true),
        [0xfe, 0xff, ..] | [0, 1..=0x7f, 0, 1..=0x7f, ..] => Some(false),
        _ => None,
    }
}

impl<R: Read> Utf16Reader<R> {
    pub(crate) fn new(inner: R, little_endian: bool) -> Self {
        Self { inner, little_endian, odd: None, high: None, decoded: Vec::new(), at: 0 }
    }

    fn decode(&mut self, bytes: &[u8]) {
        let odd = self.odd.take();
        let mut pairs = odd.iter().chain(bytes).copied();
        while let Some(first) = pairs.next() {
            let Some(second) = pairs.next() else {
                self.odd = Some(first);
                break;
            };
            let unit = if self.little_endian {
                u16::from_le_bytes([first, second])
            } else {
                u16::from_be_bytes([first, second])
            };
            let high = self.high.take();
            if high.is_none() && matches!(unit, 0xd800..=0xdbff) {
                self.high = Some(unit);
                continue;
            }
            for decoded in char::decode_utf16(high.into_iter().chain([unit])) {
                let mut utf_8 = [0; 4];
                let decoded = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
                self.decoded.extend_from_slice(decoded.encode_utf8(&mut utf_8).as_bytes());
            }
        }
    }
}

impl<R: Read> Read for Utf16Reader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.decoded.len() {
            self.decoded.clear();
            self.at = 0;
            let mut chunk = [0; CHUNK];
            match self.inner.read(&mut chunk)? {
                0 => return Ok(0),
                n => self.decode(&chunk[..n]),
            }
        }
        let n = into.len().min(self.decoded.len() - self.at);
        into[..n].copy_from_slice(&self.decoded[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(bytes: &[u8], little_endian: bool, chunk: usize) -> String {
        let mut reader = Utf16Reader::new(io::Cursor::new(bytes.to_vec()), little_endian);
        let (mut out, mut part) = (Vec::new(), vec![0; chunk]);
        loop {
            match reader.read(&mut part).expect("reads") {
                0 => return String::from_utf8(out).expect("UTF-8"),
                n => out.extend_from_slice(&part[..n]),
            }
        }
    }

    proptest! {
        #[test]
        fn text_reads_back(text in "\\PC{0,60}", little_endian: bool, chunk in 1..9usize) {
            let order = |unit: u16| if little_endian { unit.to_le_bytes() } else { unit.to_be_bytes() };
            let bytes: Vec<u8> = text.encode_utf16().flat_map(order).collect();
            prop_assert_eq!(decoded(&bytes, little_endian, chunk), text);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), le: bool) {
            decoded(&bytes, le, 7);
        }
    }
}
