//! Counts what an HTTP/2 visitor does besides asking: the frames that the HTTP library obeys
//! without asking us.
//!
//! Resets, pings, settings, priorities, continuations, empty data and tiny window updates cost a
//! visitor next to nothing and us a little each (CVE-2023-44487, CVE-2019-9511 to 9518,
//! CVE-2024-27316). Bytes pass through unchanged; only the nine-byte frame headers are read.

use core::time::Duration;

use portcullis_model::{Cut, Time};

/// The client's connection preface (RFC 9113, section 3.4).
const PREFACE: usize = 24;
const HEADER: usize = 9;

/// Nuisances at once. A person who leaves a page cancels up to a hundred streams; two pages in a
/// row are fine.
const BURST: u32 = 300;
/// Nuisances per second in the long run; a rapid-reset attack sends ten thousand.
const PER_SECOND: u32 = 100;
/// A window update below this, on a stream or connection, is not worth its frame.
const TINY_WINDOW: u32 = 1024;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM_OR_ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// The visitor sends more nuisance than an honest one could; of which kind the last one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flood(pub(crate) Cut);

/// Reads the frames of one connection as they pass.
#[derive(Clone, Debug)]
pub(crate) struct FrameCount {
    /// Bytes left to pass over: the preface, or a frame's payload.
    skip: usize,
    header: [u8; HEADER],
    have: u8,
    /// The increment of a window update, read along with its header.
    window: Option<(u32, u8)>,
    block_open: bool,
    settled: bool,
    /// Nuisances that may still come, and since when that figure holds.
    left: u32,
    at: Time,
}

impl FrameCount {
    pub(crate) const fn new(now: Time) -> Self {
        Self {
            skip: PREFACE,
            header: [0; HEADER],
            have: 0,
            window: None,
            block_open: false,
            settled: false,
            left: BURST,
            at: now,
        }
    }

    /// Whether a header block has begun and not ended.
    pub(crate) const fn block_open(&self) -> bool {
        self.block_open
    }

    /// Whether the visitor has sent its preface and settings.
    pub(crate) const fn settled(&self) -> bool {
        self.settled
    }

    /// The next bytes from the visitor.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], now: Time) -> Result<(), Flood> {
        while let Some((first, rest)) = bytes.split_first() {
            if let Some((increment, have)) = &mut self.window {
                *increment = *increment << 8 | u32::from(*first);
                *have += 1;
                bytes = rest;
                if *have == 4 {
                    let tiny = *increment & 0x7fff_ffff < TINY_WINDOW;
                    self.window = None;
                    if tiny {
                        self.nuisance(Cut::WindowUpdateFlood, now)?;
                    }
                }
            } else if self.skip > 0 {
                let passed = self.skip.min(bytes.len());
                self.skip -= passed;
                bytes = &bytes[passed..];
            } else {
                self.header[usize::from(self.have)] = *first;
                self.have += 1;
                bytes = rest;
                if usize::from(self.have) == HEADER {
                    self.have = 0;
                    self.frame(now)?;
                }
            }
        }
        Ok(())
    }

    fn frame(&mut self, now: Time) -> Result<(), Flood> {
        let [a, b, c, kind, flags, ..] = self.header;
        self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        match kind {
            HEADERS | PUSH_PROMISE => {
                self.block_open = flags & END_HEADERS == 0;
                Ok(())
            }
            CONTINUATION => {
                self.block_open &= flags & END_HEADERS == 0;
                self.nuisance(Cut::ContinuationFlood, now)
            }
            DATA if self.skip == 0 && flags & END_STREAM_OR_ACK == 0 => {
                self.nuisance(Cut::EmptyDataFlood, now)
            }
            SETTINGS => {
                self.settled = true;
                self.nuisance(Cut::SettingsFlood, now)
            }
            // The answer to a ping of ours.
            PING if flags & END_STREAM_OR_ACK != 0 => Ok(()),
            PRIORITY => self.nuisance(Cut::PriorityFlood, now),
            RST_STREAM => self.nuisance(Cut::ResetFlood, now),
            PING => self.nuisance(Cut::PingFlood, now),
            WINDOW_UPDATE if self.skip == 4 => {
                self.skip = 0;
                self.window = Some((0, 0));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn nuisance(&mut self, why: Cut, now: Time) -> Result<(), Flood> {
        if self.left == 0 {
            let earned = now.since(self.at).as_millis() * u128::from(PER_SECOND) / 1000;
            self.left = u32::try_from(earned).unwrap_or(BURST).min(BURST);
            self.at = now;
        } else if now.since(self.at) >= REFILL {
            self.left = BURST;
            self.at = now;
        }
        self.left = self.left.checked_sub(1).ok_or(Flood(why))?;
        Ok(())
    }
}

/// After this long the whole burst has been earned again.
const REFILL: Duration = Duration::from_secs((BURST / PER_SECOND) as u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags, 0, 0, 0, 1]);
        bytes.extend(payload);
        bytes
    }

    fn settled() -> FrameCount {
        let mut count = FrameCount::new(Time(0));
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        count.feed(preface, Time(0)).expect("preface");
        assert!(!count.settled());
        count.feed(&frame(SETTINGS, 0, &[0; 12]), Time(0)).expect("settings");
        assert!(count.settled());
        count
    }

    #[test]
    fn a_flood_of_resets_is_noticed_within_the_burst() {
        let mut count = settled();
        let reset = frame(RST_STREAM, 0, &[0, 0, 0, 8]);
        let sent = (0..10_000).take_while(|_| count.feed(&reset, Time(1)).is_ok()).count();
        assert!(sent < BURST as usize + 1, "{sent}");
    }

    #[test]
    fn a_person_who_leaves_two_pages_and_downloads_is_no_flood() {
        let mut count = settled();
        let reset = frame(RST_STREAM, 0, &[0, 0, 0, 8]);
        for _ in 0..200 {
            count.feed(&reset, Time(1)).expect("cancelled streams");
        }
        let update = frame(WINDOW_UPDATE, 0, &32_768u32.to_be_bytes());
        let data = frame(DATA, 0, &[7; 900]);
        for _ in 0..10_000 {
            count.feed(&update, Time(2)).expect("a download");
            count.feed(&data, Time(2)).expect("an upload");
        }
        for minute in 1..100 {
            let at = Time::from_secs(minute * 60);
            for _ in 0..100 {
                count.feed(&reset, at).expect("another page left");
            }
        }
    }

    #[test]
    fn tiny_window_updates_and_empty_data_are_nuisances() {
        for nuisance in [frame(WINDOW_UPDATE, 0, &1u32.to_be_bytes()), frame(DATA, 0, &[])] {
            let mut count = settled();
            assert!((0..1000).any(|_| count.feed(&nuisance, Time(1)).is_err()));
        }
    }

    #[test]
    fn an_open_header_block_is_seen_however_it_is_cut() {
        let mut count = settled();
        let bytes = [frame(HEADERS, 0, &[1; 30]), frame(CONTINUATION, 0, &[1; 30])].concat();
        for byte in bytes {
            count.feed(&[byte], Time(1)).expect("no flood");
        }
        assert!(count.block_open());
        count.feed(&frame(CONTINUATION, END_HEADERS, &[1]), Time(1)).expect("no flood");
        assert!(!count.block_open());
    }
}
