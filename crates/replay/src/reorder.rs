//! Lines in order of time: servers write a line when a request ends, and stamp it with when it
//! began (or when it ended, and several workers write in parallel, each from its buffer).
//!
//! Lines are held for five minutes of log time, second by second, and handed over when these are
//! past. Both the number of lines and their bytes are bounded: a flood shortens the time. A line
//! that comes too late is left out and counted. It is never moved: lines of an hour, moved into one
//! second, would be a surge that never was.

use std::collections::VecDeque;

use crate::line::LogLine;
use crate::log_second::LogSecond;

/// How long lines are held: requests rarely take longer, and nginx with `buffer=` writes lines of
/// several minutes at a time. Shorter than an hour, or a clock set back by one would be hidden.
pub(crate) const WINDOW_SECONDS: u64 = 300;
/// Lines held at most: some 10 MiB in addition to their text.
pub(crate) const LINES: usize = 100_000;
/// Bytes of text held at most.
const TEXT_BYTES: usize = 24 * 1024 * 1024;
/// A jump ahead by more than this is believed when the next line agrees: one clock error must not
/// make the rest of a log too late.
const JUMP_SECONDS: u64 = 3_600;
/// A line this far behind the newest is one of another pass over the same time, if those around it
/// are too: slow requests come one by one.
const BEHIND_SECONDS: u64 = 10;
/// After this number of lines in a row that are behind, the clock was set back, or a worker wrote
/// its buffer.
const RUN: u32 = 50;
/// A clock is set back once in a while; workers write their buffers again and again, within fewer
/// lines than this.
const ORDERLY: u64 = 1_000;
/// Buffers that share the bounds at most: a buffer of fewer lines would order nothing.
const MAX_SHARES: usize = 64;
/// Empty seconds stored for reuse.
const SPARE: usize = 64;

/// Takes the lines of a second (since 1970) when no more of it will come, or, if the second holds
/// more than can be held, when a part of it is to be handed over.
pub(crate) trait SecondSink {
    /// `more`: this is only a part of the second. What is left in `lines` is dropped.
    fn take_second(&mut self, second: u64, lines: &mut LogSecond, more: bool);
}

/// The last minutes of lines.
#[derive(Debug)]
pub(crate) struct ReorderBuffer {
    /// Lines and bytes of text held at most.
    max_lines: usize,
    max_text: usize,
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
    left_out: u64,
    steps: ClockSteps,
}

/// Notices that the clock was set back: the lines of the time that it repeats are left out, or
/// they would count twice.
#[derive(Debug, Default)]
struct ClockSteps {
    /// Lines in a row behind the newest, and those of them that were too late.
    behind: u32,
    too_late: u32,
    /// Lines since the last run of such lines.
    orderly: u64,
    /// Lines of several workers come block by block.
    blocks: bool,
    /// The second up to which nothing counts, until a line is later.
    until: Option<u64>,
    count: u64,
}

impl ClockSteps {
    /// Whether a line of `second` is of a time that the clock repeats. `late`: it would be left
    /// out anyway.
    fn repeats(&mut self, second: u64, newest: u64, late: bool) -> bool {
        if let Some(until) = self.until {
            if second <= until {
                return true;
            }
            self.until = None;
            self.orderly = 0;
        }
        if second + BEHIND_SECONDS >= newest {
            (self.behind, self.too_late) = (0, 0);
            self.orderly += 1;
            return false;
        }
        self.behind += 1;
        self.too_late = if late { self.too_late + 1 } else { 0 };
        if self.too_late == RUN || (self.behind == RUN && !self.blocks && self.orderly >= ORDERLY) {
            self.until = Some(newest);
            self.count += 1;
        } else if self.behind == RUN {
            self.blocks = true;
            self.orderly = 0;
        }
        false
    }
}

impl ReorderBuffer {
    /// One of `shares` buffers that together hold what one may.
    pub(crate) fn new(shares: usize) -> Self {
        let shares = shares.clamp(1, MAX_SHARES);
        Self {
            max_lines: LINES / shares,
            max_text: TEXT_BYTES / shares,
            first: 0,
            ring: VecDeque::new(),
            done: None,
            lines: 0,
            text: 0,
            jump: None,
            spare: Vec::new(),
            left_out: 0,
            steps: ClockSteps::default(),
        }
    }

    /// Lines that came too late, or lay an hour ahead of all lines around them.
    pub(crate) const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// How often the clock was set back.
    pub(crate) const fn clock_steps(&self) -> u64 {
        self.steps.count
    }

    /// Takes one line; hands over what no later line can belong to. `digest` is a hash of the
    /// whole line, or zero where it is not needed. A line that comes too late is left out, and by
    /// how many seconds it was behind the newest is returned.
    pub(crate) fn push(
        &mut self,
        line: &LogLine<'_>,
        digest: u64,
        sink: &mut impl SecondSink,
    ) -> Option<u64> {
        let second = line.at.seconds();
        if let Some((ahead, held)) = self.jump.take() {
            if second + JUMP_SECONDS >= ahead {
                self.advance_to(ahead, sink);
                self.accept_jump(ahead, held);
            } else {
                self.left_out += 1;
            }
        }
        let newest = match self.ring.len() {
            0 => self.done,
            n => Some(self.first + n as u64 - 1),
        };
        if newest.is_none_or(|newest| second > newest + JUMP_SECONDS) {
            let mut held = self.spare.pop().unwrap_or_default();
            held.push(line, digest);
            self.jump = Some((second, held));
            return None;
        }
        let newest = newest.unwrap_or(second);
        let late = !self.is_open(second, newest);
        if self.steps.repeats(second, newest, late) || late {
            self.left_out += 1;
            return Some(newest.saturating_sub(second));
        }
        self.advance_to(second, sink);
        let slot = &mut self.ring[(second - self.first) as usize];
        let before = slot.text_bytes();
        slot.push(line, digest);
        self.text += slot.text_bytes() - before;
        self.lines += 1;
        while self.is_full() {
            self.release(sink);
        }
        None
    }

    fn is_full(&self) -> bool {
        self.lines > self.max_lines || self.text > self.max_text
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

    /// Whether a second has not been handed over and does not lie too far back.
    fn is_open(&self, second: u64, newest: u64) -> bool {
        self.done.is_none_or(|done| second > done) && second + WINDOW_SECONDS >= newest
    }

    /// Makes the ring reach to `second`, which is open.
    fn advance_to(&mut self, second: u64, sink: &mut impl SecondSink) {
        while !self.ring.is_empty() && second > self.first + WINDOW_SECONDS {
            self.release(sink);
        }
        if self.ring.is_empty() {
            self.first = second;
            self.open_back();
            return;
        }
        let newest = self.first + self.ring.len() as u64 - 1;
        for _ in newest..second {
            self.open_back();
        }
        while self.first > second {
            let empty = self.spare.pop().unwrap_or_default();
            self.ring.push_front(empty);
            self.first -= 1;
        }
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
        let full = self.is_full();
        let Some(mut second) = self.ring.pop_front() else { return };
        self.lines -= second.len();
        self.text -= second.text_bytes();
        second.sort();
        let more = only && full;
        if second.len() > 0 {
            sink.take_second(self.first, &mut second, more);
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
        fn take_second(&mut self, second: u64, lines: &mut LogSecond, more: bool) {
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

    fn play(seconds: &[u64]) -> (Vec<u64>, u64) {
        let (mut order, mut collected) = (ReorderBuffer::new(1), CollectingSink::default());
        for second in seconds {
            order.push(&line(*second, 0, "/"), 0, &mut collected);
        }
        order.flush(&mut collected);
        (collected.lines.iter().map(|(second, _)| *second).collect(), order.left_out())
    }

    #[test]
    fn lines_within_minutes_are_put_in_order() {
        let (collected, out) = play(&[1_043, 1_005, 1_059, 1_000, 1_031]);
        assert_eq!(collected, [1_000, 1_005, 1_031, 1_043, 1_059]);
        assert_eq!(out, 0);
    }

    #[test]
    fn after_a_silence_lines_are_put_in_order_too() {
        let (collected, out) = play(&[1_000, 1_001, 4_643, 4_605, 4_650]);
        assert_eq!(collected, [1_000, 1_001, 4_605, 4_643, 4_650]);
        assert_eq!(out, 0);
    }

    #[test]
    fn lines_that_come_too_late_are_left_out_and_never_moved() {
        let (collected, out) = play(&[1_000, 1_001, 1_400, 1_101, 1_099, 900]);
        assert_eq!(collected, [1_000, 1_001, 1_101, 1_400]);
        assert_eq!(out, 2);
    }

    #[test]
    fn a_clock_set_back_does_not_double_an_hour() {
        let (ahead, again): (Vec<u64>, Vec<u64>) =
            ((10_000..13_600).collect(), (10_000..13_700).collect());
        let (collected, out) = play(&[ahead, again].concat());
        assert_eq!((collected.len(), out), (3_700, 3_600));
        // A small step hides its first lines among those that are late.
        let (ahead, again): (Vec<u64>, Vec<u64>) =
            ((10_000..13_600).collect(), (13_400..13_800).collect());
        let (collected, out) = play(&[ahead, again].concat());
        assert_eq!((collected.len(), out), (3_600 + 200 + RUN as usize, 150));
    }

    #[test]
    fn workers_that_write_block_by_block_lose_nothing() {
        // Four workers, each with a line every four seconds, write 40 at a time.
        let mut seconds = Vec::new();
        for block in 0..20 {
            for worker in 0..4u64 {
                seconds.extend((0..40).map(|n| 10_000 + (block * 40 + n) * 4 + worker));
            }
        }
        let (collected, out) = play(&seconds);
        assert_eq!((collected.len(), out), (3_200, 0));
    }

    #[test]
    fn one_clock_error_ahead_does_not_spoil_the_rest() {
        let (collected, out) = play(&[1_000, 900_000, 1_001, 1_002]);
        assert_eq!(collected, [1_000, 1_001, 1_002]);
        assert_eq!(out, 1);
        let (collected, out) = play(&[900_000, 1_000, 1_001, 1_002]);
        assert_eq!((collected.as_slice(), out), ([1_000, 1_001, 1_002].as_slice(), 1));
        let (collected, out) = play(&[1_000, 900_000, 900_001]);
        assert_eq!((collected.as_slice(), out), ([1_000, 900_000, 900_001].as_slice(), 0));
    }

    #[test]
    fn milliseconds_are_ordered_within_their_second() {
        let (mut order, mut collected) = (ReorderBuffer::new(1), CollectingSink::default());
        for (millis, path) in [(900, "/c"), (100, "/a"), (100, "/b")] {
            order.push(&line(50, millis, path), 0, &mut collected);
        }
        order.flush(&mut collected);
        let paths: Vec<_> = collected.lines.iter().map(|(_, path)| path.as_str()).collect();
        assert_eq!(paths, ["/a", "/b", "/c"]);
    }

    #[test]
    fn a_second_of_more_lines_than_are_held_is_handed_over_in_parts() {
        let (mut order, mut collected) = (ReorderBuffer::new(1), CollectingSink::default());
        order.push(&line(99, 0, "/"), 0, &mut collected);
        for _ in 0..LINES * 2 + 5 {
            order.push(&line(100, 0, "/"), 0, &mut collected);
        }
        order.push(&line(101, 0, "/"), 0, &mut collected);
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
            prop_assert_eq!(collected.len() as u64 + out, seconds.len() as u64);
            prop_assert!(collected.is_sorted());
        }
    }
}
