//! What idle connections give way to: others that need their places.
//!
//! As connections become scarce, idle ones get less time; at the limit, the one that has been idle
//! longest is evicted for each new one. A visitor whose idle connection ends pays a handshake with
//! the next click; a visitor who is refused sees nothing at all.

use core::time::Duration;

/// However scarce places are, an idle connection is granted this much: what a person takes to look
/// at a page and press on. (Less, if the configuration grants less.)
pub(crate) const SHORTEST: Duration = Duration::from_secs(5);

/// A connection that became idle more recently than this is in the middle of a page: ending it
/// would bring it back immediately.
pub(crate) const LEAST_REST: Duration = Duration::from_secs(1);

/// How long connections may be idle while `open` of `most` places are taken: `idle` up to three
/// quarters, then linearly less, down to [`SHORTEST`].
pub(crate) fn idle_timeout_under_load(idle: Duration, open: u64, most: u32) -> Duration {
    let shortest = SHORTEST.min(idle);
    let most = u64::from(most);
    let relaxed = most - most / 4;
    if open <= relaxed {
        return idle;
    }
    // No more than the quarter, which is less than 2^30.
    let free = most.saturating_sub(open) as u32;
    let quarter = (most - relaxed).max(1) as u32;
    shortest + idle.saturating_sub(shortest) * free / quarter
}

const NOWHERE: u32 = u32::MAX;

/// The idle connections of one worker by their places, the one that has been idle for longest
/// first. Every operation takes the same short time, however many there are.
#[derive(Debug)]
pub(crate) struct IdleLru {
    /// By place: who is before and behind, if it is in the line.
    links: Vec<Option<LruLink>>,
    first: u32,
    last: u32,
}

#[derive(Clone, Copy, Debug)]
struct LruLink {
    before: u32,
    behind: u32,
}

impl Default for IdleLru {
    fn default() -> Self {
        Self { links: Vec::new(), first: NOWHERE, last: NOWHERE }
    }
}

impl IdleLru {
    /// Goes to the end of the line, from wherever it was. There are at most 2^20 places.
    pub(crate) fn push(&mut self, place: u32) {
        self.remove(place);
        let at = place as usize;
        if self.links.len() <= at {
            self.links.resize(at + 1, None);
        }
        self.links[at] = Some(LruLink { before: self.last, behind: NOWHERE });
        self.set_behind(self.last, place);
        self.last = place;
    }

    /// Leaves the line, if it is in it.
    pub(crate) fn remove(&mut self, place: u32) {
        let Some(link) = self.links.get_mut(place as usize).and_then(Option::take) else {
            return;
        };
        self.set_behind(link.before, link.behind);
        match self.links.get_mut(link.behind as usize) {
            Some(Some(behind)) => behind.before = link.before,
            _ => self.last = link.before,
        }
    }

    /// Who has been idle for longest.
    pub(crate) fn oldest(&self) -> Option<u32> {
        (self.first != NOWHERE).then_some(self.first)
    }

    fn set_behind(&mut self, place: u32, behind: u32) {
        match self.links.get_mut(place as usize) {
            Some(Some(link)) => link.behind = behind,
            _ => self.first = behind,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn idle_connections_are_granted_less_as_places_become_scarce() {
        let granted = |open| idle_timeout_under_load(MINUTE, open, 1_000);
        assert_eq!(granted(0), MINUTE);
        assert_eq!(granted(750), MINUTE);
        assert_eq!(granted(875), (SHORTEST + MINUTE) / 2);
        assert_eq!(granted(1_000), SHORTEST);
        assert_eq!(granted(2_000), SHORTEST);
    }

    proptest! {
        #[test]
        fn what_is_granted_never_rises_with_pressure_and_stays_within_its_bounds(
            idle in 1u64..3_600_000, open in 0u64..3_000_000, most in 16u32..=1 << 20,
        ) {
            let idle = Duration::from_millis(idle);
            let now = idle_timeout_under_load(idle, open, most);
            prop_assert!(now <= idle && now >= SHORTEST.min(idle));
            prop_assert!(idle_timeout_under_load(idle, open + 1, most) <= now);
        }

        #[test]
        fn the_line_is_in_the_order_of_joining(steps in prop::collection::vec((0u32..12, 0..3), 0..200)) {
            let mut line = IdleLru::default();
            let mut exact: Vec<u32> = Vec::new();
            for (place, what) in steps {
                if what < 2 {
                    exact.retain(|other| *other != place);
                    exact.push(place);
                    line.push(place);
                } else {
                    exact.retain(|other| *other != place);
                    line.remove(place);
                }
                prop_assert_eq!(line.oldest(), exact.first().copied());
            }
            for place in exact {
                prop_assert_eq!(line.oldest(), Some(place));
                line.remove(place);
            }
            prop_assert_eq!(line.oldest(), None);
        }
    }
}
