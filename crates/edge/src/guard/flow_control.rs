//! Whether an HTTP/2 visitor opens its windows for the responses that it requested (RFC 9113, sections 5.2
//! and 6.9).
//!
//! hyper sends as much as the visitor's windows allow and buffers the rest. A response that is not
//! complete and whose window is used up therefore waits for the visitor. (The one exception cannot be
//! distinguished: an origin that has sent exactly the window's bytes and pauses.) Only bytes sent
//! count as progress, not what the visitor sends: a visitor that opens a window by one byte each
//! second has read one byte each second.

use core::time::Duration;

use portcullis_model::Time;

use crate::transfer_rate::TransferLag;

/// The default of RFC 9113, section 6.9.2.
const INITIAL: i64 = 65_535;

/// A connection on which nothing moves is ended this much later than a stalled stream is reset, so
/// that one response that is not read does not end the others.
const AFTER_STREAMS: Duration = Duration::from_secs(3);

/// One stream that is owed an answer.
#[derive(Clone, Copy, Debug)]
struct StreamWindow {
    id: u32,
    window: i64,
    /// The answer has begun.
    begun: bool,
    /// Behind with its own window.
    pace: TransferLag,
}

impl StreamWindow {
    const fn is_blocked(&self) -> bool {
        self.begun && self.window <= 0
    }
}

/// The visitor's windows.
#[derive(Clone, Debug)]
pub(crate) struct SendWindows {
    initial: i64,
    connection: i64,
    /// In the order of their numbers.
    streams: Vec<StreamWindow>,
    /// Behind with any window.
    pace: TransferLag,
    rate: u32,
    /// When a part of an answer was last sent.
    sent: Time,
    /// A window may have opened or closed.
    changed: bool,
}

impl SendWindows {
    /// A visitor who takes less than `rate` bytes per second is behind.
    pub(crate) const fn new(rate: u32, now: Time) -> Self {
        Self {
            initial: INITIAL,
            connection: INITIAL,
            streams: Vec::new(),
            pace: TransferLag::new(),
            rate,
            sent: now,
            changed: false,
        }
    }

    fn place(&self, id: u32) -> Result<usize, usize> {
        self.streams.binary_search_by_key(&id, |stream| stream.id)
    }

    /// The visitor opened a stream, which has a higher number than all before. Returns how many
    /// are open.
    pub(crate) fn opened(&mut self, id: u32) -> usize {
        let window = self.initial;
        self.streams.push(StreamWindow { id, window, begun: false, pace: TransferLag::default() });
        self.streams.len()
    }

    /// The answer is over, or never comes.
    pub(crate) fn closed(&mut self, id: u32) {
        if let Ok(at) = self.place(id) {
            self.streams.remove(at);
            self.changed = true;
        }
    }

    /// The visitor's setting for the window of each stream.
    pub(crate) fn set_initial(&mut self, initial: u32) {
        let difference = i64::from(initial) - self.initial;
        self.initial += difference;
        for stream in &mut self.streams {
            stream.window += difference;
        }
        self.changed = true;
    }

    /// The visitor opened a window: of a stream, or (zero) of the connection.
    pub(crate) fn widened(&mut self, id: u32, bytes: u32) {
        let window = if id == 0 {
            &mut self.connection
        } else if let Ok(at) = self.place(id) {
            &mut self.streams[at].window
        } else {
            return;
        };
        self.changed |= *window <= 0;
        *window += i64::from(bytes);
    }

    /// An answer began.
    pub(crate) fn began(&mut self, id: u32) {
        if let Ok(at) = self.place(id) {
            self.streams[at].begun = true;
            self.changed |= self.streams[at].window <= 0 || self.connection <= 0;
        }
    }

    /// A part of an answer was sent.
    pub(crate) fn sent(&mut self, id: u32, bytes: u32, now: Time) {
        self.sent = now;
        self.connection -= i64::from(bytes);
        if !self.pace.is_settled() {
            self.pace.moved(bytes.into(), self.rate, now);
        }
        self.changed |= self.connection <= 0;
        if let Ok(at) = self.place(id) {
            let stream = &mut self.streams[at];
            stream.window -= i64::from(bytes);
            self.changed |= stream.window <= 0;
            if !stream.pace.is_settled() {
                stream.pace.moved(bytes.into(), self.rate, now);
            }
        }
    }

    /// To be called after the others.
    pub(crate) fn settle(&mut self, now: Time) {
        if !core::mem::take(&mut self.changed) {
            return;
        }
        let mut blocked = false;
        for stream in &mut self.streams {
            if stream.is_blocked() {
                stream.pace.start_waiting(now);
                blocked = true;
            } else {
                stream.pace.stop_waiting(now);
                blocked |= stream.begun && self.connection <= 0;
            }
        }
        if blocked { self.pace.start_waiting(now) } else { self.pace.stop_waiting(now) }
    }

    /// Whether a response waits for a window.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.pace.is_waiting()
    }

    /// When a part of an answer was last sent.
    pub(crate) const fn last_sent(&self) -> Time {
        self.sent
    }

    /// Whether the visitor is further behind than `limit` with the window of any one stream.
    pub(crate) fn has_stalled_stream(&self, limit: Duration, now: Time) -> bool {
        self.streams.iter().any(|stream| stream.pace.behind(now) >= limit)
    }

    /// Whether the whole connection is that far behind, and a little more.
    pub(crate) fn is_stalled(&self, limit: Duration, now: Time) -> bool {
        self.pace.behind(now) >= limit + AFTER_STREAMS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn begun(initial: u32) -> SendWindows {
        let mut windows = SendWindows::new(500, Time(0));
        windows.set_initial(initial);
        windows.opened(1);
        windows.began(1);
        windows.settle(Time(0));
        windows
    }

    /// When the visitor is found behind that opens `widen` more each second, within an hour.
    fn stalled_at(mut windows: SendWindows, widen: u32) -> Option<u64> {
        for second in 1..3_600 {
            let now = Time::from_secs(second);
            windows.widened(1, widen);
            windows.widened(0, widen);
            // hyper sends what the windows allow.
            windows.sent(1, widen, now);
            windows.settle(now);
            if windows.is_stalled(LIMIT, now) {
                return Some(second);
            }
        }
        None
    }

    #[test]
    fn a_window_that_is_opened_by_single_bytes_does_not_hold_an_answer() {
        assert!(stalled_at(begun(0), 1).is_some_and(|second| second <= 34));
        assert!(stalled_at(begun(0), 400).is_some());
        assert_eq!(stalled_at(begun(0), 600), None);
    }

    #[test]
    fn a_response_with_an_open_window_and_nothing_to_send_is_not_waiting() {
        let mut windows = begun(65_535);
        windows.sent(1, 10_000, Time(1));
        windows.settle(Time(1));
        let later = Time::from_secs(100_000);
        assert!(!windows.is_blocked());
        assert!(!windows.is_stalled(LIMIT, later));
        assert!(!windows.has_stalled_stream(LIMIT, later));
    }

    #[test]
    fn one_response_that_is_not_read_differs_from_a_connection_that_is_not_read() {
        let mut windows = begun(1_000);
        windows.opened(3);
        windows.began(3);
        windows.sent(1, 1_000, Time(0));
        windows.widened(3, 1_000_000);
        windows.widened(0, 1_000_000);
        for second in 0..40 {
            windows.sent(3, 1_000, Time::from_secs(second));
            windows.settle(Time::from_secs(second));
        }
        let now = Time::from_secs(39);
        assert!(windows.has_stalled_stream(LIMIT, now));
        assert!(!windows.is_stalled(LIMIT, now));
        windows.closed(1);
        windows.settle(now);
        assert!(!windows.is_blocked());
    }

    #[test]
    fn the_window_of_the_connection_blocks_every_answer() {
        let mut windows = begun(1_000_000);
        windows.sent(1, 65_535, Time(0));
        windows.settle(Time(0));
        assert!(windows.is_blocked());
        assert!(windows.is_stalled(LIMIT, Time::from_secs(33)));
        assert!(!windows.has_stalled_stream(LIMIT, Time::from_secs(33)));
    }

    proptest! {
        #[test]
        fn blocked_streams_agree_with_a_plain_count(
            steps in prop::collection::vec((0u8..6, 1u32..5, 0u32..100_000), 1..200),
        ) {
            let mut windows = SendWindows::new(500, Time(0));
            let (mut initial, mut connection) = (65_535i64, 65_535i64);
            let mut streams: Vec<(u32, i64, bool)> = Vec::new();
            let mut next = 1;
            for (at, (what, pick, bytes)) in steps.into_iter().enumerate() {
                let now = Time::from_millis(at as u64 * 10);
                let id = pick * 2 - 1;
                match what {
                    0 => {
                        windows.opened(next);
                        streams.push((next, initial, false));
                        next += 2;
                    }
                    1 => {
                        windows.began(id);
                        streams.iter_mut().filter(|s| s.0 == id).for_each(|s| s.2 = true);
                    }
                    2 => {
                        windows.sent(id, bytes, now);
                        connection -= i64::from(bytes);
                        streams.iter_mut().filter(|s| s.0 == id).for_each(|s| s.1 -= i64::from(bytes));
                    }
                    3 => {
                        windows.widened(id, bytes);
                        streams.iter_mut().filter(|s| s.0 == id).for_each(|s| s.1 += i64::from(bytes));
                    }
                    4 => {
                        windows.widened(0, bytes);
                        connection += i64::from(bytes);
                    }
                    _ if bytes % 2 == 0 => {
                        windows.closed(id);
                        streams.retain(|s| s.0 != id);
                    }
                    _ => {
                        windows.set_initial(bytes);
                        for stream in &mut streams {
                            stream.1 += i64::from(bytes) - initial;
                        }
                        initial = i64::from(bytes);
                    }
                }
                windows.settle(now);
                let blocked = streams.iter().any(|s| s.2 && (s.1 <= 0 || connection <= 0));
                prop_assert_eq!(windows.is_blocked(), blocked);
            }
        }
    }
}
