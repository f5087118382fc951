//! Lines in order of time: servers write a line when a request ends, and stamp it with when it
//! began (or when it ended, and several workers write in parallel).
//!
//! Lines are held for a minute of log time, second by second, and handed over when that minute is
//! past. Both the number of lines and their bytes are bounded: a flood shortens the minute. A
//! line that comes too late is moved to the earliest second still open if it is at most a minute
//! older than that, and is left out otherwise.

use core::time::Duration;
use std::collections::VecDeque;

use portcullis_model::SourceKey;
use serde::Serialize;

use crate::line::LogLine;

/// How long lines are held: requests rarely take longer.
pub(crate) const WINDOW_SECONDS: u64 = 60;
/// Lines held at most: some 10 MiB in addition to their text.
const LINES: usize = 100_000;
/// Bytes of text held at most.
const TEXT_BYTES: usize = 24 * 1024 * 1024;
/// A jump ahead by more than this is believed when the next line agrees: one clock error must not
/// make the rest of a log too late.
const JUMP_SECONDS: u64 = 3_600;
/// Empty seconds stored for reuse, and how much memory each may hold.
const SPARE: usize = 64;
const SPARE_BYTES: usize = 256 * 1024;

/// Lines that were not in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutOfOrder {
    /// Lines that came too late by at most a minute, and were counted as the earliest second
    /// still open.
    pub moved: u64,
    /// Lines that came later than that, or lay an hour ahead of all lines around them: left out.
    pub left_out: u64,
}

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
}

const TEXTS: usize = 8;
const ABSENT: u32 = u32::MAX;

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
    fn push(&mut self, line: &LogLine<'_>) {
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

    fn text_bytes(&self) -> usize {
        self.text.len()
    }

    fn clear(&mut self) {
        self.lines.clear();
        self.text.clear();
        self.has_millis = false;
    }

    fn is_small(&self) -> bool {
        self.text.capacity() + self.lines.capacity() * size_of::<BufferedLine>() <= SPARE_BYTES
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

/// Takes the lines of a second (since 1970) when no more of it will come, or, if the second holds
/// more than can be held, when a part of it is to be handed over.
pub(crate) trait SecondSink {
    /// `more`: this is only a part of the second.
    fn take_second(&mut self, second: u64, lines: &LogSecond, more: bool);
}

/// The last minute of lines.
#[derive(Debug, Default)]
pub(crate) struct ReorderBuffer {
    /// The second of the front of the ring.
    first: u64,
    ring: VecDeque<LogSecond>,
    /// The last second that was handed over whole.
    done: Option<u64>,
    lines: usize,
    text: usize,
    /// A line far ahead of all before, until the next line agrees or not.
    jump: Option<(u64, LogSecond)>,
    spare: Vec<LogSecond>,
    misplaced: OutOfOrder,
}

impl ReorderBuffer {
    pub(crate) const fn out_of_order(&self) -> OutOfOrder {
        self.misplaced
    }

    /// Takes one line; hands over what no later line can belong to.
    pub(crate) fn push(&mut self, line: &LogLine<'_>, sink: &mut impl SecondSink) {
        let second = line.at.seconds();
        if let Some((ahead, held)) = self.jump.take() {
            if second + JUMP_SECONDS >= ahead {
                self.advance_to(ahead, sink);
                self.accept_jump(ahead, held);
            } else {
                self.misplaced.left_out += 1;
            }
        }
        let newest = match self.ring.len() {
            0 => self.done,
            n => Some(self.first + n as u64 - 1),
        };
        if newest.is_none_or(|newest| second > newest + JUMP_SECONDS) {
            let mut held = self.spare.pop().unwrap_or_default();
            held.push(line);
            self.jump = Some((second, held));
            return;
        }
        let Some(second) = self.advance_to(second, sink) else {
            self.misplaced.left_out += 1;
            return;
        };
        let slot = &mut self.ring[(second - self.first) as usize];
        let before = slot.text_bytes();
        slot.push(line);
        self.text += slot.text_bytes() - before;
        self.lines += 1;
        while self.lines > LINES || self.text > TEXT_BYTES {
            self.release(sink);
        }
    }

    /// Hands over everything: the recordings are at their end.
    pub(crate) fn flush(&mut self, sink: &mut impl SecondSink) {
        if let Some((ahead, held)) = self.jump.take() {
            self.advance_to(ahead, sink);
            self.accept_jump(ahead, held);
        }
        while !self.ring.is_empty() {
            self.release(sink);
        }
    }

    /// Makes the ring reach to `second`; answers which second the line is to be counted in.
    fn advance_to(&mut self, second: u64, sink: &mut impl SecondSink) -> Option<u64> {
        while !self.ring.is_empty() && second > self.first + WINDOW_SECONDS {
            self.release(sink);
        }
        if self.ring.is_empty() {
            let open = self.done.map_or(second, |done| second.max(done + 1));
            if open - second > WINDOW_SECONDS {
                return None;
            }
            self.first = open;
            self.open_back();
        }
        let newest = self.first + self.ring.len() as u64 - 1;
        if second > newest {
            for _ in newest..second {
                self.open_back();
            }
            return Some(second);
        }
        // The earliest second that a line may still be counted in.
        let open = newest.saturating_sub(WINDOW_SECONDS).max(self.done.map_or(0, |done| done + 1));
        let counted = second.max(open);
        if counted - second > WINDOW_SECONDS {
            return None;
        }
        self.misplaced.moved += u64::from(counted != second);
        while self.first > counted {
            let empty = self.spare.pop().unwrap_or_default();
            self.ring.push_front(empty);
            self.first -= 1;
        }
        Some(counted)
    }

    fn open_back(&mut self) {
        let empty = self.spare.pop().unwrap_or_default();
        self.ring.push_back(empty);
    }

    fn accept_jump(&mut self, second: u64, held: LogSecond) {
        self.lines += held.len();
        self.text += held.text_bytes();
        if let Some(slot) = self.ring.get_mut((second.saturating_sub(self.first)) as usize) {
            let empty = core::mem::replace(slot, held);
            self.recycle(empty);
        }
    }

    /// Hands over the earliest second; if it is the only one, it stays open.
    fn release(&mut self, sink: &mut impl SecondSink) {
        let only = self.ring.len() == 1;
        let full = self.lines > LINES || self.text > TEXT_BYTES;
        let Some(mut second) = self.ring.pop_front() else { return };
        self.lines -= second.len();
        self.text -= second.text_bytes();
        if second.has_millis {
            second.lines.sort_by_key(|held| held.millis);
        }
        let more = only && full;
        if second.len() > 0 {
            sink.take_second(self.first, &second, more);
        }
        second.clear();
        if more {
            self.ring.push_front(second);
        } else {
            self.done = Some(self.first);
            self.first += 1;
            self.recycle(second);
        }
    }

    fn recycle(&mut self, mut second: LogSecond) {
        if self.spare.len() < SPARE && second.is_small() {
            second.clear();
            self.spare.push(second);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct CollectingSink {
        lines: Vec<(u64, String)>,
        parts: u32,
    }

    impl SecondSink for CollectingSink {
        fn take_second(&mut self, second: u64, lines: &LogSecond, more: bool) {
            self.parts += u32::from(more);
            self.lines.extend(lines.iter().map(|line| (second, line.path.to_owned())));
        }
    }

    fn line(second: u64, millis: u64, path: &str) -> LogLine<'_> {
        let text = b"192.0.2.7 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5";
        let mut line = crate::line::parse(text).expect("a line");
        line.at = portcullis_model::WallTime(second * 1_000 + millis);
        line.path = path.into();
        line
    }

    fn play(seconds: &[u64]) -> (Vec<u64>, OutOfOrder) {
        let (mut order, mut collected) = (ReorderBuffer::default(), CollectingSink::default());
        for second in seconds {
            order.push(&line(*second, 0, "/"), &mut collected);
        }
        order.flush(&mut collected);
        (collected.lines.iter().map(|(second, _)| *second).collect(), order.out_of_order())
    }

    #[test]
    fn lines_within_a_minute_are_put_in_order() {
        let (collected, out) = play(&[1_043, 1_005, 1_059, 1_000, 1_031]);
        assert_eq!(collected, [1_000, 1_005, 1_031, 1_043, 1_059]);
        assert_eq!(out, OutOfOrder::default());
    }

    #[test]
    fn after_a_silence_lines_are_put_in_order_too() {
        let (collected, out) = play(&[1_000, 1_001, 4_643, 4_605, 4_650]);
        assert_eq!(collected, [1_000, 1_001, 4_605, 4_643, 4_650]);
        assert_eq!(out, OutOfOrder::default());
    }

    #[test]
    fn late_lines_are_moved_and_very_late_ones_left_out() {
        let (collected, out) = play(&[1_000, 1_001, 1_100, 1_030, 900]);
        assert_eq!(collected, [1_000, 1_001, 1_040, 1_100]);
        assert_eq!(out, OutOfOrder { moved: 1, left_out: 1 });
    }

    #[test]
    fn one_clock_error_ahead_does_not_spoil_the_rest() {
        let (collected, out) = play(&[1_000, 900_000, 1_001, 1_002]);
        assert_eq!(collected, [1_000, 1_001, 1_002]);
        assert_eq!(out, OutOfOrder { moved: 0, left_out: 1 });
        let (collected, out) = play(&[900_000, 1_000, 1_001, 1_002]);
        assert_eq!((collected.as_slice(), out.left_out), ([1_000, 1_001, 1_002].as_slice(), 1));
        let (collected, out) = play(&[1_000, 900_000, 900_001]);
        assert_eq!((collected.as_slice(), out.left_out), ([1_000, 900_000, 900_001].as_slice(), 0));
    }

    #[test]
    fn milliseconds_are_ordered_within_their_second() {
        let (mut order, mut collected) = (ReorderBuffer::default(), CollectingSink::default());
        for (millis, path) in [(900, "/c"), (100, "/a"), (100, "/b")] {
            order.push(&line(50, millis, path), &mut collected);
        }
        order.flush(&mut collected);
        let paths: Vec<_> = collected.lines.iter().map(|(_, path)| path.as_str()).collect();
        assert_eq!(paths, ["/a", "/b", "/c"]);
    }

    #[test]
    fn a_second_of_more_lines_than_are_held_is_handed_over_in_parts() {
        let (mut order, mut collected) = (ReorderBuffer::default(), CollectingSink::default());
        order.push(&line(99, 0, "/"), &mut collected);
        for _ in 0..LINES * 2 + 5 {
            order.push(&line(100, 0, "/"), &mut collected);
        }
        order.push(&line(101, 0, "/"), &mut collected);
        order.flush(&mut collected);
        assert_eq!(collected.lines.len(), LINES * 2 + 7);
        assert!(collected.parts >= 1);
        assert!(collected.lines.is_sorted_by_key(|(second, _)| *second));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_time_never_runs_back(seconds in prop::collection::vec(
            prop_oneof![8 => 10_000..10_100u64, 1 => 0..20_000u64], 1..300,
        )) {
            let (collected, out) = play(&seconds);
            prop_assert_eq!(collected.len() as u64 + out.left_out, seconds.len() as u64);
            prop_assert!(collected.is_sorted());
        }
    }
}
