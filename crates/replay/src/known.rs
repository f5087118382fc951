//! Visitors who had been there in calm time: whoever of them is hit is probably a person.

/// Places in the table, four to a set: 2 MiB, enough for a quarter of a million visitors. Beyond
/// that the youngest of a set is forgotten, which makes the share of known visitors too low.
const PLACES: usize = 1 << 18;
const WAYS: usize = 4;

/// Known only is who was there so long before the calm ended: the first seconds of an attack
/// look calm until it is detected.
const LEAD_SECONDS: u32 = 60;

/// When visitors were first seen in calm time.
#[derive(Debug)]
pub(crate) struct Known {
    visitors: Box<[u32]>,
    first_seen: Box<[u32]>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            visitors: vec![0; PLACES].into_boxed_slice(),
            first_seen: vec![u32::MAX; PLACES].into_boxed_slice(),
        }
    }
}

impl Known {
    /// A visitor was served while all was calm. `second` counts from the recording's beginning.
    pub(crate) fn saw(&mut self, visitor: u64, second: u32) {
        let (set, tag) = place(visitor);
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
    pub(crate) fn knows(&self, visitor: u64, calm_until: u32) -> bool {
        let (set, tag) = place(visitor);
        (set..set + WAYS).any(|at| {
            self.visitors[at] == tag
                && self.first_seen[at].saturating_add(LEAD_SECONDS) <= calm_until
        })
    }
}

/// The set, and 32 other bits of the visitor's name; zero marks a free place.
fn place(visitor: u64) -> (usize, u32) {
    let set = (visitor >> 32) as usize % (PLACES / WAYS) * WAYS;
    (set, (visitor as u32).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_with_the_attack_is_not_known() {
        let mut known = Known::default();
        known.saw(1 << 40 | 1, 10);
        known.saw(1 << 40 | 2, 100);
        assert!(known.knows(1 << 40 | 1, 101));
        assert!(!known.knows(1 << 40 | 2, 101));
        assert!(!known.knows(1 << 40 | 3, 101));
    }

    #[test]
    fn old_acquaintances_stay_when_a_set_is_full() {
        let mut known = Known::default();
        for n in 1..100 {
            known.saw(7 << 40 | n, n as u32);
        }
        assert!(known.knows(7 << 40 | 0x01, 1_000));
        assert!(known.knows(7 << 40 | 0x63, 1_000));
        assert!(!known.knows(7 << 40 | 0x32, 1_000));
    }
}
