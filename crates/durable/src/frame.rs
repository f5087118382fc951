//! Checksummed frames: records in a file that may end in a torn tail.
//!
//! ```text
//! frame = kind (1 byte) | size of the body (2 bytes, most significant first)
//!       | body | first 8 bytes of SHA-256(kind | size | body)
//! ```

use sha2::{Digest, Sha256};

/// The largest body of a frame in bytes: its size has 16 bits.
pub const MAX_BODY_BYTES: usize = 65_535;

const HEAD_BYTES: usize = 3;

const CHECKSUM_BYTES: usize = 8;

/// One record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// The kind of record; its meaning is the caller's.
    pub kind: u8,
    /// The content.
    pub body: &'a [u8],
}

/// Appends a frame to `bytes`.
///
/// # Panics
///
/// If the body is larger than [`MAX_BODY_BYTES`].
pub fn push_frame(bytes: &mut Vec<u8>, kind: u8, body: &[u8]) {
    assert!(body.len() <= MAX_BODY_BYTES, "a frame cannot hold {} bytes", body.len());
    let start = bytes.len();
    bytes.push(kind);
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    let checksum = checksum(&bytes[start..]);
    bytes.extend(checksum);
}

fn checksum(frame: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::digest(frame);
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&digest[..CHECKSUM_BYTES]);
    checksum
}

/// Iterates over the frames of a file; ends at the first frame that is cut short or damaged.
///
/// Everything from [`FrameIter::offset`] on is then the tail. The caller decides whether that is a
/// torn batch, which [`crate::AppendFile::replace`] cuts, or damage, which it refuses.
#[derive(Clone, Debug)]
pub struct FrameIter<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> FrameIter<'a> {
    /// The frames of `bytes`, from `offset` on.
    pub fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, offset: offset.min(bytes.len()) }
    }

    /// Where the last whole frame ended, in bytes from the beginning.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The bytes after the last whole frame; empty if nothing is torn.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.offset..]
    }
}

impl<'a> Iterator for FrameIter<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let rest = self.rest();
        let [kind, high, low] = *rest.first_chunk::<HEAD_BYTES>()?;
        let end = HEAD_BYTES + usize::from(u16::from_be_bytes([high, low]));
        let stated = rest.get(end..end + CHECKSUM_BYTES)?;
        if stated != checksum(&rest[..end]) {
            return None;
        }
        self.offset += end + CHECKSUM_BYTES;
        Some(Frame { kind, body: &rest[HEAD_BYTES..end] })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Frames with these bodies, and where each of them ends.
    fn frames(bodies: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for body in bodies {
            push_frame(&mut bytes, b'R', body);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    proptest! {
        #[test]
        fn frames_read_back_up_to_where_the_file_was_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cut in 0_usize..400,
        ) {
            let (bytes, ends) = frames(&bodies);
            let cut = cut.min(bytes.len());
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let mut found = FrameIter::new(&bytes[..cut], 0);
            let read: Vec<Vec<u8>> = found.by_ref().map(|frame| frame.body.to_vec()).collect();
            prop_assert_eq!(&read[..], &bodies[..whole]);
            prop_assert_eq!(found.offset(), ends[..whole].last().copied().unwrap_or(0));
            prop_assert_eq!(found.rest().len(), cut - found.offset());
        }

        #[test]
        fn a_changed_byte_ends_the_iteration_before_its_frame(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..8),
            at in any::<prop::sample::Index>(), mask in 1_u8..,
        ) {
            let (mut bytes, ends) = frames(&bodies);
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
            let whole = ends.iter().filter(|end| **end <= at).count();
            prop_assert_eq!(FrameIter::new(&bytes, 0).count(), whole);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(
            noise in prop::collection::vec(any::<u8>(), 0..200), offset in 0_usize..300,
        ) {
            let _ = FrameIter::new(&noise, offset).count();
        }
    }

    #[test]
    fn the_largest_body_fits() {
        let mut bytes = Vec::new();
        push_frame(&mut bytes, b'R', &vec![7; MAX_BODY_BYTES]);
        assert_eq!(FrameIter::new(&bytes, 0).next().map(|frame| frame.body.len()), Some(65_535));
    }
}
