//! Many campaigns, on several threads.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::campaign::Sites;
use crate::family::CampaignFamily;
use crate::outcome::CampaignOutcome;
use crate::report::CampaignReport;
use crate::show::timeline;

/// Which campaigns.
#[derive(Debug, Clone, Copy)]
pub struct CampaignSet {
    /// The first seed.
    pub first: u64,
    /// How many campaigns.
    pub count: u64,
    /// Only the seeds of this family.
    pub only: Option<CampaignFamily>,
    /// The highest rate of a site, in requests per second at noon.
    pub largest: f64,
    /// How much longer and larger attacks and calm times may be than in the common set.
    pub scale: f64,
    /// Threads.
    pub threads: usize,
}

impl CampaignSet {
    fn seeds(&self) -> Vec<u64> {
        let wanted =
            |seed: &u64| self.only.is_none_or(|family| CampaignFamily::of(*seed) == family);
        (self.first..).filter(wanted).take(self.count as usize).collect()
    }
}

/// Runs a set of campaigns. `progress` is called after each, with how many are done.
pub fn run(set: &CampaignSet, progress: &(impl Fn(usize) + Sync)) -> CampaignReport {
    let seeds = set.seeds();
    let sites = Sites::new(set.largest, set.scale);
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::<CampaignOutcome>::new()));
    std::thread::scope(|scope| {
        for _ in 0..set.threads.max(1) {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Relaxed)) {
                    let (outcome, _) = sites.run(*seed, false);
                    let mut all = done.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push(outcome);
                    progress(all.len());
                }
            });
        }
    });
    let mut outcomes = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|outcome| outcome.seed);
    CampaignReport { outcomes }
}

/// The timeline of one campaign.
pub fn show(seed: u64, set: &CampaignSet) -> String {
    let sites = Sites::new(set.largest, set.scale);
    let (outcome, played) = sites.run(seed, true);
    timeline(&outcome, &played)
}
