//! Reads HTTP/3 frame heads out of passing bytes (RFC 9114, section 7.1).

/// Content of a message.
pub(crate) const DATA: u64 = 0x00;
/// Header fields of a message, or its trailers.
pub(crate) const HEADERS: u64 = 0x01;
/// Kinds that a visitor may send on its control stream alone, or not at all (RFC 9114, sections
/// 7.2 and 11.2.1).
pub(crate) const NOT_ON_REQUESTS: [u64; 10] =
    [0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0d, 0x41];
/// The visitor would like this answer sooner (RFC 9218, section 7.2).
pub(crate) const PRIORITY_UPDATE: [u64; 2] = [0x0f_0700, 0x0f_0701];

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Http3Frame {
    pub(crate) kind: u64,
    /// Bytes of content that follow.
    pub(crate) length: u64,
}

/// A variable-length integer that comes byte by byte (RFC 9000, section 16).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct VarIntReader {
    value: u64,
    /// Bytes to come; `None` before the first, which contains their number.
    left: Option<u8>,
}

impl VarIntReader {
    /// Takes the next byte; the value once it is whole.
    pub(crate) fn feed(&mut self, byte: u8) -> Option<u64> {
        let left = match self.left {
            None => {
                self.value = u64::from(byte & 0x3f);
                (1 << (byte >> 6)) - 1
            }
            Some(left) => {
                self.value = self.value << 8 | u64::from(byte);
                left - 1
            }
        };
        self.left = Some(left);
        (left == 0).then_some(self.value)
    }

    const fn begun(self) -> bool {
        self.left.is_some()
    }
}

#[derive(Clone, Copy, Debug)]
enum FrameState {
    Kind(VarIntReader),
    Length(u64, VarIntReader),
    Content { kind: u64, left: u64 },
}

/// Follows one stream's frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Http3FrameReader(FrameState);

/// What is to be seen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameEvent {
    /// A frame begins.
    Head(Http3Frame),
    /// This number of bytes of the content of a frame of this kind.
    Content(u64, u64),
}

impl Http3FrameReader {
    pub(crate) fn new() -> Self {
        Self(FrameState::Kind(VarIntReader::default()))
    }

    /// Whether the last frame has ended and no other has begun.
    pub(crate) fn between_frames(&self) -> bool {
        matches!(self.0, FrameState::Kind(number) if !number.begun())
    }

    /// Takes what `bytes` begins with off it; `None` when nothing more is to be seen in it.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Option<FrameEvent> {
        loop {
            if let FrameState::Content { kind, left } = self.0 {
                if left == 0 {
                    self.0 = FrameState::Kind(VarIntReader::default());
                    continue;
                }
                let length = left.min(bytes.len() as u64);
                if length == 0 {
                    return None;
                }
                *bytes = &bytes[length as usize..];
                let left = left - length;
                self.0 = if left == 0 {
                    FrameState::Kind(VarIntReader::default())
                } else {
                    FrameState::Content { kind, left }
                };
                return Some(FrameEvent::Content(kind, length));
            }
            let (byte, rest) = bytes.split_first()?;
            *bytes = rest;
            match &mut self.0 {
                FrameState::Kind(number) => {
                    if let Some(kind) = number.feed(*byte) {
                        self.0 = FrameState::Length(kind, VarIntReader::default());
                    }
                }
                FrameState::Length(kind, number) => {
                    let kind = *kind;
                    if let Some(length) = number.feed(*byte) {
                        self.0 = if length == 0 {
                            FrameState::Kind(VarIntReader::default())
                        } else {
                            FrameState::Content { kind, left: length }
                        };
                        return Some(FrameEvent::Head(Http3Frame { kind, length }));
                    }
                }
                FrameState::Content { .. } => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(value: u64) -> Vec<u8> {
        match value {
            0..=0x3f => vec![value as u8],
            0x40..=0x3fff => (value as u16 | 0x4000).to_be_bytes().to_vec(),
            0x4000..=0x3fff_ffff => (value as u32 | 0x8000_0000).to_be_bytes().to_vec(),
            _ => (value | 0xc000_0000_0000_0000).to_be_bytes().to_vec(),
        }
    }

    fn heads(reader: &mut Http3FrameReader, mut bytes: &[u8]) -> (Vec<Http3Frame>, u64) {
        let (mut frames, mut data) = (Vec::new(), 0);
        while let Some(seen) = reader.next(&mut bytes) {
            match seen {
                FrameEvent::Head(frame) => frames.push(frame),
                FrameEvent::Content(DATA, length) => data += length,
                FrameEvent::Content(..) => {}
            }
        }
        assert!(bytes.is_empty());
        (frames, data)
    }

    proptest! {
        #[test]
        fn frames_are_found_however_the_bytes_are_cut(
            frames in prop::collection::vec((0_u64..1 << 40, 0_usize..300), 0..8),
            cuts in prop::collection::vec(1_usize..200, 1..8),
        ) {
            let mut bytes = Vec::new();
            let mut data = 0;
            for (kind, length) in &frames {
                bytes.extend(number(*kind));
                bytes.extend(number(*length as u64));
                bytes.extend(vec![7; *length]);
                data += if *kind == DATA { *length as u64 } else { 0 };
            }
            let mut reader = Http3FrameReader::new();
            let (mut found, mut found_data, mut rest) = (Vec::new(), 0, bytes.as_slice());
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                let (more, more_data) = heads(&mut reader, piece);
                found.extend(more);
                found_data += more_data;
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            let expected: Vec<_> =
                frames.iter().map(|(kind, length)| Http3Frame { kind: *kind, length: *length as u64 }).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(found_data, data);
            prop_assert!(reader.between_frames());
        }

        #[test]
        fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            heads(&mut Http3FrameReader::new(), &bytes);
        }
    }

    #[test]
    fn within_a_frame_is_not_between_frames() {
        let mut reader = Http3FrameReader::new();
        heads(&mut reader, &[0x00, 0x02, 0xff]);
        assert!(!reader.between_frames());
        heads(&mut reader, &[0xff]);
        assert!(reader.between_frames());
        heads(&mut reader, &[0x00]);
        assert!(!reader.between_frames());
    }
}
