//! The lines of one second, held in two allocations.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use portcullis_model::SourceKey;

use crate::line::LogLine;

/// A line that is held; its texts are in its second.
#[derive(Clone, Debug)]
struct BufferedLine {
    millis: u16,
    source: Option<SourceKey>,
    status: u16,
    bytes: u64,
    latency: Option<Duration>,
    sent_bytes: bool,
    texts_at: u32,
    lengths: [u32; TEXTS],
    digest: u64,
}

/// Memory that a second stored for reuse may hold.
const SPARE_BYTES: usize = 256 * 1024;

const TEXTS: usize = 8;
const ABSENT: u32 = u32::MAX;

/// The source with these bits: IPv4 addresses are tagged by sixteen ones.
fn source_of(bits: u64) -> SourceKey {
    SourceKey::of(if bits >> 48 == 0xffff {
        IpAddr::V4(Ipv4Addr::from_bits(bits as u32))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(u128::from(bits) << 64))
    })
}

/// A line as the engine sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplayLine<'a> {
    pub millis: u16,
    /// `None` if the log hides it.
    pub source: Option<SourceKey>,
    pub method: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub referer: Option<&'a str>,
    pub user_agent: Option<&'a str>,
    pub accept: Option<&'a str>,
    pub language: Option<&'a str>,
    pub host: Option<&'a str>,
    pub status: u16,
    pub bytes: u64,
    pub latency: Option<Duration>,
    pub sent_bytes: bool,
}

/// The lines of one second.
#[derive(Debug, Default)]
pub(crate) struct LogSecond {
    lines: Vec<BufferedLine>,
    text: String,
    /// Some line knows more of its time than the second.
    has_millis: bool,
}

impl LogSecond {
    /// Takes a line. `digest` is a hash of all of it, or zero.
    pub(crate) fn push(&mut self, line: &LogLine<'_>, digest: u64) {
        let texts_at = self.text.len() as u32;
        let mut lengths = [ABSENT; TEXTS];
        let texts = [
            Some(&line.method),
            Some(&line.path),
            line.query.as_ref(),
            line.referer.as_ref(),
            line.user_agent.as_ref(),
            line.accept.as_ref(),
            line.language.as_ref(),
            line.host.as_ref(),
        ];
        for (length, text) in lengths.iter_mut().zip(texts) {
            if let Some(text) = text {
                *length = text.len() as u32;
                self.text.push_str(text);
            }
        }
        let millis = (line.at.millis() % 1_000) as u16;
        self.has_millis |= millis != 0;
        self.lines.push(BufferedLine {
            millis,
            source: line.source.key(),
            status: line.status,
            bytes: line.bytes,
            latency: line.latency,
            sent_bytes: line.sent_bytes,
            texts_at,
            lengths,
            digest,
        });
    }

    /// How many lines.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether its lines know more of their time than the second.
    pub(crate) const fn has_millis(&self) -> bool {
        self.has_millis
    }

    /// Bytes of its texts.
    pub(crate) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn clear(&mut self) {
        self.lines.clear();
        self.text.clear();
        self.has_millis = false;
    }

    /// Whether it holds little enough memory to be stored for reuse.
    pub(crate) fn is_small(&self) -> bool {
        self.text.capacity() + self.lines.capacity() * size_of::<BufferedLine>() <= SPARE_BYTES
    }

    /// Writes a line for [`Self::push_encoded`], without its time.
    pub(crate) fn encode(line: &LogLine<'_>, digest: u64, out: &mut Vec<u8>) {
        let mut one = Self::default();
        one.push(line, digest);
        let Some(held) = one.lines.first() else { return };
        let flags = u8::from(held.source.is_some())
            | u8::from(held.latency.is_some()) << 1
            | u8::from(held.sent_bytes) << 2;
        out.push(flags);
        out.extend_from_slice(&held.status.to_le_bytes());
        let nanos = held.latency.map_or(0, |latency| latency.as_nanos() as u64);
        let source = held.source.map_or(0, SourceKey::bits);
        for number in [source, held.bytes, nanos, digest] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for length in held.lengths {
            out.extend_from_slice(&length.to_le_bytes());
        }
        out.extend_from_slice(one.text.as_bytes());
    }

    /// Takes a line that [`Self::encode`] wrote. One that was damaged is left out.
    pub(crate) fn push_encoded(&mut self, millis: u64, encoded: &[u8]) {
        let mut rest = encoded;
        let mut take = |count: usize| {
            let (taken, after) = rest.split_at_checked(count)?;
            rest = after;
            let mut number = [0; 8];
            number[..count].copy_from_slice(taken);
            Some(u64::from_le_bytes(number))
        };
        let mut held = || {
            let flags = take(1)?;
            let status = take(2)? as u16;
            let [source, bytes, nanos, digest] = [take(8)?, take(8)?, take(8)?, take(8)?];
            let mut lengths = [ABSENT; TEXTS];
            for length in &mut lengths {
                *length = take(4)? as u32;
            }
            Some(BufferedLine {
                millis: (millis % 1_000) as u16,
                source: (flags & 1 != 0).then(|| source_of(source)),
                status,
                bytes,
                latency: (flags & 2 != 0).then(|| Duration::from_nanos(nanos)),
                sent_bytes: flags & 4 != 0,
                texts_at: self.text.len() as u32,
                lengths,
                digest,
            })
        };
        let Some((held, text)) = held().zip(core::str::from_utf8(rest).ok()) else { return };
        self.has_millis |= held.millis != 0;
        self.text.push_str(text);
        self.lines.push(held);
    }

    /// Puts the lines in order of time; where times are equal, as they came.
    pub(crate) fn sort(&mut self) {
        if self.has_millis {
            self.lines.sort_by_key(|held| held.millis);
        }
    }

    /// The digests of its lines.
    pub(crate) fn digests(&self) -> impl Iterator<Item = u64> {
        self.lines.iter().map(|held| held.digest)
    }

    /// Takes the lines of another, in the order of both, but for those whose digests `leave_out` names.
    pub(crate) fn append(&mut self, other: &Self, mut leave_out: impl FnMut(u64) -> bool) {
        for held in &other.lines {
            if leave_out(held.digest) {
                continue;
            }
            let texts: usize =
                held.lengths.iter().filter(|length| **length != ABSENT).map(|n| *n as usize).sum();
            let from = held.texts_at as usize;
            let texts_at = self.text.len() as u32;
            self.text.push_str(other.text.get(from..from + texts).unwrap_or_default());
            self.lines.push(BufferedLine { texts_at, ..held.clone() });
        }
        self.has_millis |= other.has_millis;
    }

    /// The lines in order of time; where times are equal, as they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ReplayLine<'_>> {
        self.lines.iter().map(|held| {
            let mut at = held.texts_at as usize;
            let mut texts = [None; TEXTS];
            for (text, length) in texts.iter_mut().zip(held.lengths) {
                if length != ABSENT {
                    let end = at + length as usize;
                    *text = self.text.get(at..end);
                    at = end;
                }
            }
            let [method, path, query, referer, user_agent, accept, language, host] = texts;
            ReplayLine {
                millis: held.millis,
                source: held.source,
                method: method.unwrap_or(""),
                path: path.unwrap_or(""),
                query,
                referer,
                user_agent,
                accept,
                language,
                host,
                status: held.status,
                bytes: held.bytes,
                latency: held.latency,
                sent_bytes: held.sent_bytes,
            }
        })
    }
}
