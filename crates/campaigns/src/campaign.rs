//! One campaign: the site, its calm, the event or the attack, and what was made of it.

use std::sync::OnceLock;

use core::time::Duration;

use portcullis_posture::SavedBaseline;

use crate::dice::Dice;
use crate::ordinary::{People, robots};
use crate::outcome::CampaignOutcome;
use crate::played::Played;
use crate::scenario::{CampaignScenario, site_of};
use crate::site::{SITES, SiteModel};
use crate::visit;
use crate::world::World;

/// The longest that is waited for the gate to let go, in milliseconds.
const LET_GO: u64 = 1_800_000;
/// After the end, at least this much is observed, in milliseconds.
const AFTER: u64 = 90_000;

/// The sites, and what was learnt of each in earlier weeks.
pub(crate) struct Sites {
    models: Vec<SiteModel>,
    scale: f64,
    learnt: Vec<OnceLock<Vec<SavedBaseline>>>,
}

impl Sites {
    /// The sites; `largest` is the highest rate of one. `scale`: see [`CampaignScenario::new`].
    pub(crate) fn new(largest: f64, scale: f64) -> Self {
        Self {
            scale,
            models: (0..2 * SITES).map(|number| site(number, largest)).collect(),
            learnt: (0..2 * SITES).map(|_| OnceLock::new()).collect(),
        }
    }

    fn learnt(&self, number: u64) -> Vec<SavedBaseline> {
        let at = number as usize;
        self.learnt[at].get_or_init(|| teach(&self.models[at])).clone()
    }

    /// Runs the campaign of a seed. With `rows`, each second is written down.
    pub(crate) fn run(&self, seed: u64, rows: bool) -> (CampaignOutcome, Played<'_>) {
        let number = site_of(seed);
        let site = &self.models[number as usize];
        let scenario = CampaignScenario::new(seed, site, self.scale);
        let learnt = (!scenario.cold).then(|| self.learnt(number));
        let world = World::new(site, seed, scenario.start, learnt);
        let played = play(scenario, world, rows);
        (CampaignOutcome::of(&played), played)
    }
}

/// The site of a number, with the means of a visit to it.
fn site(number: u64, largest: f64) -> SiteModel {
    let mut site = SiteModel::new(number, largest);
    site.means = visit::means(&site, &mut Dice::new(number, 2));
    site
}

fn play(mut scenario: CampaignScenario, mut world: World<'_>, rows: bool) -> Played<'_> {
    let mut streams = core::mem::take(&mut scenario.streams);
    world.outage = scenario.outage;
    world.run(&mut streams, scenario.observed_from, 60_000);
    world.truth.wants_rows = rows;
    world.run(&mut streams, scenario.from, 10_000);
    world.truth.fates = crate::truth::PartyCounts::default();
    let long = scenario.to - scenario.from > 2 * 3_600_000;
    world.run(&mut streams, scenario.to, if long { 60_000 } else { 1_000 });
    let mut open_at = None;
    while world.millis() < scenario.to + LET_GO {
        if open_at.is_none() && world.is_open() {
            open_at = Some(world.millis());
        }
        if open_at.is_some() && world.millis() >= scenario.to + AFTER {
            break;
        }
        let next = world.millis() + 2_000;
        world.run(&mut streams, next, 2_000);
    }
    let end = world.millis();
    Played { scenario, world, open_at, end }
}

/// Lets the gate learn the two weeks before, or the hours of them that campaigns are in.
fn teach(site: &SiteModel) -> Vec<SavedBaseline> {
    const HOUR: u64 = 3_600;
    let begin = site.start - Duration::from_secs(14 * 24 * HOUR + 2 * HOUR);
    let seed = 0x7ea0_0000 + site.number;
    let mut world = World::new(site, seed, begin, None);
    let mut streams = robots(site, seed);
    streams.push(Box::new(People::new(site, seed)));
    let begin_of_hour = (begin.seconds() / HOUR + 1) * HOUR;
    let begin = begin.seconds();
    let weeks = 14 * 24;
    let hours: Vec<u64> = if site.rate < 0.2 {
        (0..weeks - 10).collect()
    } else {
        let week = 7 * 24;
        (0..9).chain(week..week + 9).chain(weeks - 2..weeks).collect()
    };
    let seconds = if site.rate > 4.0 { 1_200 } else { HOUR };
    for hour in hours {
        let from = begin_of_hour + hour * HOUR;
        let chunk = if site.rate < 0.2 { 60_000 } else { 10_000 };
        if from * 1_000 > (begin * 1_000 + world.millis()) {
            world.jump(portcullis_model::WallTime(from * 1_000));
        }
        world.run(&mut streams, (from + seconds - begin) * 1_000, chunk);
    }
    world.baselines()
}
