//! How far a transfer is behind the least rate that it owes.
//!
//! Only the time that the visitor keeps us waiting counts: neither a slow origin nor a stream of
//! events that has nothing to say puts a visitor behind. Every byte that moves makes up for its
//! share of that time, and nothing is earned ahead, so that a client that was fast at first cannot hold
//! a slot for hours afterwards, and a train that leaves its tunnel has made up for it immediately.

use core::time::Duration;

use portcullis_model::Time;

/// How long a visitor who holds a place at an origin may be silent, or behind, while others wait for
/// one. Without it a few dozen connections that drip, or do not read, would keep all visitors out for
/// half a minute at a time. Requests wait for three seconds by default: half of that, and what it takes
/// to notice, leave a second in which the place can be used. A round trip on a poor network takes less.
pub(crate) const CONTENDED_TIMEOUT: Duration = Duration::from_millis(1_500);

/// One transfer's, or one connection's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TransferLag {
    /// What was waited and not made up for.
    behind: Duration,
    /// Waiting since then, beyond that.
    waiting: Option<Time>,
}

impl TransferLag {
    /// Even.
    pub(crate) const fn new() -> Self {
        Self { behind: Duration::ZERO, waiting: None }
    }

    /// The visitor keeps us waiting, from now on.
    pub(crate) fn start_waiting(&mut self, now: Time) {
        self.waiting = self.waiting.or(Some(now));
    }

    /// The visitor does not keep us waiting any more.
    pub(crate) fn stop_waiting(&mut self, now: Time) {
        self.behind = self.behind(now);
        self.waiting = None;
    }

    /// `bytes` moved; at `rate` bytes per second they would have taken a while.
    pub(crate) fn moved(&mut self, bytes: u64, rate: u32, now: Time) {
        let behind = self.behind(now);
        if self.waiting.is_some() {
            self.waiting = Some(now);
        }
        let micros = u128::from(bytes) * 1_000_000 / u128::from(rate.max(1));
        let made_up = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        self.behind = behind.saturating_sub(made_up);
    }

    /// Whether the visitor keeps us waiting.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether there is nothing to make up for and nothing is waited for.
    pub(crate) const fn is_settled(&self) -> bool {
        self.waiting.is_none() && self.behind.is_zero()
    }

    /// How long nothing has moved that was waited for.
    pub(crate) fn waited(&self, now: Time) -> Duration {
        self.waiting.map_or(Duration::ZERO, |since| now.since(since))
    }

    /// How far behind it is.
    pub(crate) fn behind(&self, now: Time) -> Duration {
        self.behind + self.waited(now)
    }

    /// When it is going to be `limit` behind, if nothing moves.
    pub(crate) fn due(&self, limit: Duration) -> Option<Time> {
        self.waiting.map(|since| since + limit.saturating_sub(self.behind))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// When a visitor who moves `bytes` each `gap` is `LIMIT` behind, within an hour.
    fn late(bytes: u64, gap: Duration, rate: u32) -> Option<Time> {
        let (mut pace, mut now) = (TransferLag::default(), Time(0));
        pace.start_waiting(now);
        while now < Time::from_secs(3_600) {
            if pace.due(LIMIT)? <= now + gap {
                return pace.due(LIMIT);
            }
            now = now + gap;
            pace.moved(bytes, rate, now);
        }
        None
    }

    #[test]
    fn a_phone_on_the_slowest_network_is_never_late_and_a_drip_is() {
        // 32 kbit/s, by six parallel connections, a segment at a time.
        assert_eq!(late(1_400, Duration::from_millis(2_100), 500), None);
        // One byte a second, for as long as it takes.
        let drip = late(1, Duration::from_secs(1), 500).expect("late");
        assert!(drip < Time::from_secs(31));
        assert_eq!(late(0, Duration::from_secs(10), 500), Some(Time::from_secs(30)));
    }

    #[test]
    fn a_silence_is_made_up_for_and_speed_is_not_saved() {
        let mut pace = TransferLag::default();
        pace.moved(1 << 30, 500, Time(0));
        pace.start_waiting(Time(0));
        assert_eq!(pace.due(LIMIT), Some(Time::from_secs(30)));
        pace.moved(14_500, 500, Time::from_secs(29));
        assert_eq!(pace.behind(Time::from_secs(29)), Duration::ZERO);
        assert_eq!(pace.due(LIMIT), Some(Time::from_secs(59)));
    }

    #[test]
    fn a_client_that_is_not_waited_for_is_not_late() {
        let mut pace = TransferLag::default();
        pace.start_waiting(Time::from_secs(1));
        pace.stop_waiting(Time::from_secs(11));
        assert_eq!(pace.due(LIMIT), None);
        assert_eq!(pace.behind(Time::from_secs(1_000)), Duration::from_secs(10));
        pace.start_waiting(Time::from_secs(1_000));
        assert_eq!(pace.due(LIMIT), Some(Time::from_secs(1_020)));
    }

    proptest! {
        #[test]
        fn the_minimum_rate_is_never_late_and_half_of_it_always_is(
            rate in 1u32..100_000,
            gap in 1u64..10_000,
        ) {
            let gap = Duration::from_millis(gap);
            let bytes = (u128::from(rate) * gap.as_millis()).div_ceil(1_000) as u64;
            prop_assert_eq!(late(bytes + 1, gap, rate), None);
            let half = (u128::from(rate) * gap.as_millis() / 2_000) as u64;
            prop_assert!(late(half, gap, rate).is_some());
        }
    }
}
