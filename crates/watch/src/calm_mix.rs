//! Who comes on ordinary days: which share of visitors loads no asset, by path and by user agent.
//!
//! Browsers load the assets of a page. Programs that ask for data, feeds or files do not, and neither
//! do robots: what is usual on one path, or for one user agent, is not on another.

use std::collections::{BTreeMap, VecDeque};

use crate::visitors::JudgedVisit;

/// Visits of ordinary days, before anything is compared with them.
pub(crate) const CALM_VISITS_MIN: u64 = 50;
/// The shares of ordinary days are taken from this many of the newest visits.
const CALM_VISITS: usize = 4_096;
/// A path with few visits is taken to be like the others: this number of average visits is added to its own.
const PRIOR_VISITS: u64 = 2;
/// From this many visits on, a user agent is judged by its own share.
const AGENT_VISITS: u64 = 8;
/// A path or user agent with more visitors without assets than this, in thousandths, is one of programs.
pub(crate) const PROGRAMS_MILLI: u64 = 800;
/// What is added to a usual share, in thousandths: the mix of an ordinary crowd varies by so much.
pub(crate) const SHARE_MARGIN: u64 = 80;

/// Visits, and those without assets.
#[derive(Clone, Copy, Debug, Default)]
struct VisitCounts {
    visits: u64,
    bare: u64,
}

impl VisitCounts {
    const fn add(&mut self, bare: bool) {
        self.visits += 1;
        self.bare += bare as u64;
    }

    const fn take(&mut self, bare: bool) {
        self.visits -= 1;
        self.bare -= bare as u64;
    }
}

#[derive(Clone, Copy, Debug)]
struct CalmVisit {
    path: u32,
    user_agent: u32,
    bare: bool,
}

/// Who comes on ordinary days.
#[derive(Debug, Default)]
pub(crate) struct CalmMix {
    visits: VecDeque<CalmVisit>,
    paths: BTreeMap<u32, VisitCounts>,
    agents: BTreeMap<u32, VisitCounts>,
    /// The usual share on paths that are not those of programs, in thousandths.
    pages_milli: u64,
    direct: u64,
    busy: u64,
    again: u64,
}

impl CalmMix {
    /// Learns visits. One visitor is learnt once in a while, however long it stays.
    pub(crate) fn learn<'a>(&mut self, visits: impl Iterator<Item = &'a JudgedVisit>) {
        for visit in visits.filter(|visit| visit.first && !visit.unusual) {
            if self.visits.len() >= CALM_VISITS {
                self.forget_oldest();
            }
            let JudgedVisit { path, user_agent, bare, .. } = *visit;
            self.paths.entry(path).or_default().add(bare);
            self.agents.entry(user_agent).or_default().add(bare);
            self.visits.push_back(CalmVisit { path, user_agent, bare });
        }
        self.pages_milli = self.usual_of_pages();
    }

    fn forget_oldest(&mut self) {
        let Some(CalmVisit { path, user_agent, bare }) = self.visits.pop_front() else { return };
        for (counts, key) in [(&mut self.paths, path), (&mut self.agents, user_agent)] {
            if let Some(known) = counts.get_mut(&key) {
                known.take(bare);
                if known.visits == 0 {
                    counts.remove(&key);
                }
            }
        }
    }

    /// The share on paths of pages, with two standard deviations.
    fn usual_of_pages(&self) -> u64 {
        let mut pages = VisitCounts::default();
        for counts in self.paths.values() {
            let of_programs = counts.visits >= AGENT_VISITS
                && counts.bare * 1_000 > counts.visits * PROGRAMS_MILLI;
            if !of_programs {
                pages.visits += counts.visits;
                pages.bare += counts.bare;
            }
        }
        let share = pages.bare * 1_000 / pages.visits.max(1);
        share + 2 * (share * (1_000 - share) / pages.visits.max(1)).isqrt()
    }

    /// Learns one second's requests: how many of them were from visitors who ask without pause, and how many
    /// asked for the same again without ever having loaded an asset.
    pub(crate) const fn learn_requests(&mut self, direct: u64, busy: u64, again: u64) {
        self.direct += direct;
        self.busy += busy;
        self.again += again;
        if self.direct > 100_000 {
            self.direct /= 2;
            self.busy /= 2;
            self.again /= 2;
        }
    }

    /// Whether enough visits were learnt to compare others with them.
    pub(crate) fn is_known(&self) -> bool {
        self.visits.len() as u64 >= CALM_VISITS_MIN
    }

    /// Whether enough requests were learnt to compare others with them.
    pub(crate) const fn knows_requests(&self) -> bool {
        self.direct >= CALM_VISITS_MIN
    }

    /// How often a visitor with this path loads no asset, in thousandths.
    pub(crate) fn path_milli(&self, path: u32) -> u64 {
        let known = self.paths.get(&path).copied().unwrap_or_default();
        (known.bare * 1_000 + PRIOR_VISITS * self.pages_milli) / (known.visits + PRIOR_VISITS)
    }

    /// How often a visitor with this path and user agent loads no asset, in thousandths.
    pub(crate) fn bare_milli(&self, visit: &JudgedVisit) -> u64 {
        let agent = self.agents.get(&visit.user_agent).copied().unwrap_or_default();
        // Typing into a field that asks at each letter, in a browser that loads assets on ordinary days.
        if visit.typed && agent.visits > 0 && agent.bare * 2 <= agent.visits {
            return 1_000;
        }
        let of_agent =
            if agent.visits < AGENT_VISITS { 0 } else { agent.bare * 1_000 / agent.visits };
        self.path_milli(visit.path).max(of_agent)
    }

    /// How many of `visitors` load no asset and ask for this path, in millionths, at most; `None` if too
    /// little is known for so small a share.
    pub(crate) fn bare_on_path_micro(&self, path: u32, visitors: u64) -> Option<u64> {
        let known = self.paths.get(&path).copied().unwrap_or_default();
        let calm = self.visits.len() as u64;
        // Twice what was counted, and one in five hundred.
        let share_micro = ((known.bare + 1) * 2_000_000).checked_div(calm)? + 2_000;
        (calm >= CALM_VISITS_MIN * 4).then_some(visitors * share_micro)
    }

    pub(crate) fn busy_milli(&self) -> u64 {
        (self.busy * 1_000 / self.direct.max(1_000) * 2 + 100).min(900)
    }

    pub(crate) fn again_milli(&self) -> u64 {
        (self.again * 1_000 / self.direct.max(1_000) * 3 / 2 + 100).min(900)
    }

    /// The share of visitors with this path, in thousandths.
    pub(crate) fn visits_of_path_milli(&self, path: u32) -> u64 {
        let known = self.paths.get(&path).copied().unwrap_or_default().visits;
        (known + 2) * 1_000 / (self.visits.len() as u64 + 2)
    }

    /// The share of visitors with this user agent, in thousandths.
    pub(crate) fn agent_milli(&self, agent: u32) -> u64 {
        let known = self.agents.get(&agent).copied().unwrap_or_default().visits;
        (known + 2) * 1_000 / (self.visits.len() as u64 + 2)
    }
}

#[cfg(test)]
mod tests {
    use portcullis_model::ActivityId;

    use super::*;

    const BROWSER: u32 = 1;
    const FEED_READER: u32 = 2;

    fn visit(visitor: u64, path: u32, user_agent: u32, bare: bool) -> JudgedVisit {
        JudgedVisit {
            tick: visitor,
            activity: ActivityId(0),
            visitor,
            first: true,
            path,
            bare,
            typed: false,
            user_agent,
            forwarded: true,
            unusual: false,
        }
    }

    fn calm() -> CalmMix {
        let mut calm = CalmMix::default();
        let readers = (0..200).map(|n| visit(n, 10, BROWSER, n % 10 == 0));
        let feeds = (200..300).map(|n| visit(n, 20, FEED_READER, true));
        let visits: Vec<_> = readers.chain(feeds).collect();
        calm.learn(visits.iter());
        calm
    }

    #[test]
    fn paths_and_programs_have_their_own_shares() {
        let calm = calm();
        assert!(calm.bare_milli(&visit(1, 10, BROWSER, true)) < 200);
        assert!(calm.bare_milli(&visit(1, 20, BROWSER, true)) > PROGRAMS_MILLI);
        assert!(calm.bare_milli(&visit(1, 10, FEED_READER, true)) > PROGRAMS_MILLI);
        assert!(
            calm.bare_milli(&visit(1, 99, 99, true)) < 250,
            "an unknown path is like the others"
        );
    }

    #[test]
    fn typing_shows_nothing_in_a_browser_that_is_usual_and_much_in_a_program_that_is_not() {
        let calm = calm();
        let typing = |agent| JudgedVisit { typed: true, ..visit(1, 10, agent, true) };
        assert_eq!(calm.bare_milli(&typing(BROWSER)), 1_000);
        assert!(calm.bare_milli(&typing(99)) < 200);
    }

    #[test]
    fn the_oldest_visits_are_forgotten_and_what_is_unusual_is_never_learnt() {
        let mut calm = calm();
        let many: Vec<_> = (0..CALM_VISITS as u64).map(|n| visit(n, 30, BROWSER, false)).collect();
        calm.learn(many.iter());
        assert_eq!((calm.visits.len(), calm.paths.len(), calm.agents.len()), (CALM_VISITS, 1, 1));
        calm.learn([JudgedVisit { unusual: true, ..visit(1, 40, 99, true) }].iter());
        assert_eq!(calm.paths.len(), 1);
    }
}
