//! Visitors who were seen in calm time: one of them who is refused is probably a person.

/// Places in the table, four to a set: 2 MiB, enough for a quarter of a million visitors. Beyond
/// that the youngest of a set is forgotten, which makes the share of known visitors too low.
const SLOTS: usize = 1 << 18;
const WAYS: usize = 4;

/// Known only is who was there so long before the calm ended: the first seconds of an attack
/// look calm until it is detected.
const LEAD_SECONDS: u32 = 60;

/// When visitors were first seen in calm time.
#[derive(Debug)]
pub(crate) struct KnownVisitors {
    visitors: Box<[u32]>,
    first_seen: Box<[u32]>,
}

impl Default for KnownVisitors {
    fn default() -> Self {
        Self {
            visitors: vec![0; SLOTS].into_boxed_slice(),
            first_seen: vec![u32::MAX; SLOTS].into_boxed_slice(),
        }
    }
}

impl KnownVisitors {
    /// A visitor was served while all was calm. `second` counts from the recording's beginning.
    pub(crate) fn record(&mut self, visitor: u64, second: u32) {
        let (set, tag) = slot(visitor);
        let set = set..set + WAYS;
        if self.visitors[set.clone()].contains(&tag) {
            return;
        }
        let youngest = set.max_by_key(|at| self.first_seen[*at]);
        if let Some(at) = youngest {
            self.visitors[at] = tag;
            self.first_seen[at] = second;
        }
    }

    /// Whether the visitor had been there well before the calm ended at `calm_until`.
    pub(crate) fn is_known(&self, visitor: u64, calm_until: u32) -> bool {
        let (set, tag) = slot(visitor);
        (set..set + WAYS).any(|at| {
            self.visitors[at] == tag
                && self.first_seen[at].saturating_add(LEAD_SECONDS) <= calm_until
        })
    }
}

/// The set, and 32 other bits of the visitor's name; zero marks a free place.
fn slot(visitor: u64) -> (usize, u32) {
    let set = (visitor >> 32) as usize % (SLOTS / WAYS) * WAYS;
    (set, (visitor as u32).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_with_the_attack_is_not_known() {
        let mut known = KnownVisitors::default();
        known.record(1 << 40 | 1, 10);
        known.record(1 << 40 | 2, 100);
        assert!(known.is_known(1 << 40 | 1, 101));
        assert!(!known.is_known(1 << 40 | 2, 101));
        assert!(!known.is_known(1 << 40 | 3, 101));
    }

    #[test]
    fn old_acquaintances_stay_when_a_set_is_full() {
        let mut known = KnownVisitors::default();
        for n in 1..100 {
            known.record(7 << 40 | n, n as u32);
        }
        assert!(known.is_known(7 << 40 | 0x01, 1_000));
        assert!(known.is_known(7 << 40 | 0x63, 1_000));
        assert!(!known.is_known(7 << 40 | 0x32, 1_000));
    }
}
