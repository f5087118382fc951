//! Reads HTTP/2 frames as they pass (RFC 9113, section 4.1): their heads, and the first bytes of
//! what they carry.

/// The client's connection preface (RFC 9113, section 3.4).
const PREFACE: usize = 24;
const HEADER: usize = 9;
/// Bytes stored of a frame's payload: twelve settings, or a farewell's fixed part and a short reason
/// after it.
pub(crate) const START: usize = 72;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
/// RFC 9218, section 7.1.
pub(crate) const PRIORITY_UPDATE: u8 = 16;
pub(crate) const END_STREAM_OR_ACK: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;

/// A frame whose first bytes have passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Http2Frame {
    /// Bytes of its payload.
    pub(crate) length: u32,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    start: [u8; START],
    have: u8,
}

impl Http2Frame {
    /// The first bytes of its payload; how many depends on its kind.
    pub(crate) fn start(&self) -> &[u8] {
        self.start.get(..usize::from(self.have)).unwrap_or_default()
    }

    /// The number in the payload at `at`, or zero where it is too short.
    pub(crate) fn number(&self, at: usize) -> u32 {
        let bytes = self.start().get(at..at + 4);
        bytes.map_or(0, |b| b.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// How much of the payload is stored.
    fn wanted(&self) -> usize {
        let wanted = match self.kind {
            RST_STREAM | WINDOW_UPDATE => 4,
            GOAWAY | SETTINGS => START,
            HEADERS => 16,
            _ => 0,
        };
        wanted.min(self.length as usize)
    }
}

/// Where in its stream of frames one direction of a connection is.
#[derive(Clone, Debug)]
pub(crate) struct Http2FrameReader {
    /// Bytes left to pass over: the preface, or a frame's payload.
    skip: usize,
    header: [u8; HEADER],
    have: u8,
    /// A frame whose first bytes are being read.
    frame: Option<Http2Frame>,
}

impl Http2FrameReader {
    /// What a visitor sends.
    pub(crate) const fn after_preface() -> Self {
        Self { skip: PREFACE, ..Self::new() }
    }

    /// What we send.
    pub(crate) const fn new() -> Self {
        Self { skip: 0, header: [0; HEADER], have: 0, frame: None }
    }

    /// Whether the last frame has passed whole.
    pub(crate) const fn between_frames(&self) -> bool {
        self.skip == 0 && self.have == 0 && self.frame.is_none()
    }

    /// Takes bytes until the next frame has begun far enough to be reported.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Option<Http2Frame> {
        loop {
            if let Some(frame) = &mut self.frame {
                let wanted = frame.wanted();
                while usize::from(frame.have) < wanted {
                    let (first, rest) = bytes.split_first()?;
                    frame.start[usize::from(frame.have)] = *first;
                    frame.have += 1;
                    *bytes = rest;
                }
                self.skip = frame.length as usize - wanted;
                return self.frame.take();
            }
            if self.skip > 0 {
                let passed = self.skip.min(bytes.len());
                self.skip -= passed;
                *bytes = &bytes[passed..];
            }
            let (first, rest) = bytes.split_first()?;
            self.header[usize::from(self.have)] = *first;
            self.have += 1;
            *bytes = rest;
            if usize::from(self.have) == HEADER {
                self.have = 0;
                let [a, b, c, kind, flags, stream @ ..] = self.header;
                self.frame = Some(Http2Frame {
                    length: u32::from_be_bytes([0, a, b, c]),
                    kind,
                    flags,
                    stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
                    start: [0; START],
                    have: 0,
                });
            }
        }
    }
}
