//! A campaign's plan, made from its seed.

use core::time::Duration;

use portcullis_model::WallTime;

use crate::attack::{Attack, AttackTarget, CampaignAttack, Course, Disguise};
use crate::dice::Dice;
use crate::family::CampaignFamily;
use crate::innocent::{Crowd, CrowdCourse, CrowdPlan, Program, ProgramPlan, Programs};
use crate::ordinary::{People, Stream, robots};
use crate::sender::ChallengeReplies;
use crate::site::{SITES, SiteModel};
use crate::world::Outage;

/// Requests of the ordinary time before the observation, about.
const PRELUDE_REQUESTS: f64 = 6_000.0;
/// The most requests of an attack or event, about.
const MOST_REQUESTS: f64 = 60_000.0;
/// The least: fewer are no flood.
const LEAST_REQUESTS: f64 = 250.0;

/// A campaign's plan.
pub(crate) struct CampaignScenario {
    pub seed: u64,
    pub family: CampaignFamily,
    /// When the gate begins, with what was learnt in earlier weeks.
    pub start: WallTime,
    /// Without anything learnt.
    pub cold: bool,
    /// From here on, in milliseconds, everything counts.
    pub observed_from: u64,
    /// The event or the attack, in milliseconds.
    pub from: u64,
    pub to: u64,
    pub attack: Option<CampaignAttack>,
    /// The attack's rate against the usual load of the site, or of the activity.
    pub multiple: f64,
    pub streams: Vec<Box<dyn Stream>>,
    pub outage: Outage,
}

/// The site of a seed.
pub(crate) fn site_of(seed: u64) -> u64 {
    Dice::new(seed, 40).below(SITES) + seed % 2 * SITES
}

impl CampaignScenario {
    /// `scale` is how much longer and larger attacks and calm times may be than in the common set.
    pub(crate) fn new(seed: u64, site: &SiteModel, scale: f64) -> Self {
        let family = CampaignFamily::of(seed);
        let mut dice = Dice::new(seed, 41);
        let usual = site.usual_rate(site.start).max(0.002);
        let cold = family == CampaignFamily::ColdStart;
        let prelude = if cold { 0.0 } else { (PRELUDE_REQUESTS / usual).clamp(180.0, 43_200.0) };
        let prelude = prelude as u64 / 60 * 60_000;
        let from = if cold { 0 } else { prelude + 240_000 + dice.below(120_000) };
        let mut scenario = Self {
            seed,
            family,
            start: site.start - Duration::from_millis(prelude),
            cold,
            observed_from: prelude,
            from,
            to: from,
            attack: None,
            multiple: 0.0,
            streams: robots(site, seed),
            outage: None,
        };
        let mut people = People::new(site, seed);
        let builder = Builder { site, usual, dice, most: MOST_REQUESTS * scale, scale };
        if family.is_attack() {
            builder.attack(&mut scenario);
        } else {
            builder.event(&mut scenario, &mut people);
        }
        scenario.streams.push(Box::new(people));
        scenario
    }
}

struct Builder<'a> {
    site: &'a SiteModel,
    usual: f64,
    dice: Dice,
    /// The most requests of an attack or event, about.
    most: f64,
    scale: f64,
}

impl Builder<'_> {
    fn attack(mut self, scenario: &mut CampaignScenario) {
        let multiple = self.dice.log_between(1.5, 100.0);
        let rate = (self.usual * multiple).clamp(0.012, 1_000.0);
        let mut plan = CampaignAttack {
            target: AttackTarget::AnyPage,
            disguise: Disguise::Browser,
            course: Course::Flat,
            rate,
            sources: 0,
            asset_share: 0.0,
            answers: ChallengeReplies::Nothing,
            from: scenario.from,
            to: 0,
        };
        let seconds = self.dice.log_between(60.0, 1_500.0 * self.scale);
        let seconds = seconds.min(self.most / rate).max(60.0).max(LEAST_REQUESTS / rate);
        plan.to = plan.from + (seconds * 1_000.0) as u64;
        plan.sources = self.dice.log_between(5.0, 50_000.0).min(rate * seconds).max(1.0) as u32;
        scenario.multiple = rate / self.usual;
        self.shape(scenario, &mut plan);
        scenario.to = plan.to;
        scenario.streams.push(Box::new(Attack::new(plan.clone(), scenario.seed)));
        scenario.attack = Some(plan);
    }

    /// What is particular to the family.
    fn shape(&mut self, scenario: &mut CampaignScenario, plan: &mut CampaignAttack) {
        let any = [Disguise::Library, Disguise::Forged, Disguise::Browser, Disguise::Unknown];
        let dice = &mut self.dice;
        match scenario.family {
            CampaignFamily::PlainFlood => {
                plan.target = AttackTarget::OnePage;
                plan.disguise = dice.pick(&any[..3]);
            }
            CampaignFamily::ManyPages => plan.disguise = dice.pick(&any[..2]),
            CampaignFamily::BrowserAssets => {
                plan.asset_share = dice.between(0.1, 0.7);
                plan.answers = dice.pick(&[
                    ChallengeReplies::Nothing,
                    ChallengeReplies::Redirects,
                    ChallengeReplies::Browser,
                ]);
            }
            CampaignFamily::ForgedAgents => plan.disguise = Disguise::Forged,
            CampaignFamily::UnknownAgent => plan.disguise = Disguise::Unknown,
            CampaignFamily::OneSource => {
                plan.sources = 1 + dice.below(3) as u32;
                plan.disguise = dice.pick(&any);
                plan.target = dice.pick(&[
                    AttackTarget::OnePage,
                    AttackTarget::AnyPage,
                    AttackTarget::Busting,
                ]);
            }
            CampaignFamily::AssetFlood => plan.target = AttackTarget::Asset,
            CampaignFamily::Pulses | CampaignFamily::Adaptive => self.course(scenario.family, plan),
            CampaignFamily::WithCrowd => {
                plan.disguise = dice.pick(&any);
                self.crowd_before(scenario, plan);
            }
            CampaignFamily::Probing => {
                plan.target = AttackTarget::Probes;
                plan.disguise = dice.pick(&[Disguise::Library, Disguise::Unknown]);
                plan.sources = dice.log_between(1.0, 20.0) as u32;
            }
            CampaignFamily::CacheBusting
            | CampaignFamily::Stuffing
            | CampaignFamily::SlowSearch
            | CampaignFamily::LowAndSlow => {
                self.slow(scenario, plan);
            }
            CampaignFamily::Ramping => self.ramp(scenario, plan),
            CampaignFamily::ColdStart => {
                plan.to = plan.to.clamp(900_000, 3_600_000);
                plan.rate = plan.rate.clamp(2.0, self.most / 900.0);
                plan.disguise = dice.pick(&any);
            }
            _ => {}
        }
    }

    /// Attacks that pause, or change their tactics.
    fn course(&mut self, family: CampaignFamily, plan: &mut CampaignAttack) {
        let dice = &mut self.dice;
        if family == CampaignFamily::Pulses {
            let on = 10_000 + dice.below(30_000);
            plan.course = Course::Pulses(on, 20_000 + dice.below(100_000));
            plan.target = dice.pick(&[AttackTarget::OnePage, AttackTarget::AnyPage]);
            plan.to = plan.from + (4 + dice.below(5)) * (on + 60_000);
        } else {
            plan.course = Course::Adaptive(60_000 + dice.below(240_000));
            plan.answers = dice.pick(&[ChallengeReplies::Nothing, ChallengeReplies::Redirects]);
            plan.to = plan.from + 1_200_000;
            plan.rate = plan.rate.min(self.most / 300.0);
        }
    }

    /// From nothing to sixty times the usual rate.
    fn ramp(&mut self, scenario: &mut CampaignScenario, plan: &mut CampaignAttack) {
        plan.course = Course::Ramp;
        plan.rate = self.usual * 60.0;
        let seconds = (2.0 * self.most / plan.rate).clamp(600.0, 7_200.0);
        plan.to = plan.from + (seconds * 1_000.0) as u64;
        plan.sources = self.dice.log_between(50.0, 20_000.0) as u32;
        scenario.multiple = 60.0;
    }

    /// A crowd comes a while before the attack, and is still there.
    fn crowd_before(&mut self, scenario: &mut CampaignScenario, plan: &CampaignAttack) {
        let lead = 20_000 + self.dice.below(180_000);
        let visits = self.visits() * self.dice.log_between(2.0, 8.0);
        let crowd = CrowdPlan {
            course: CrowdCourse::Peak(self.dice.between(5.0, 60.0), 600.0),
            visits: visits.min(30.0),
            referrer: 4,
            marked: self.dice.chance(0.5),
            addresses: 0,
            known_share: 0.1,
            from: scenario.from.saturating_sub(lead),
            to: plan.to,
        };
        scenario.streams.push(Box::new(Crowd::new(crowd, scenario.seed)));
    }

    fn visits(&self) -> f64 {
        self.site.visit_rate(self.site.start).max(0.000_5)
    }

    /// Slow attacks: against the load of what they ask for, from many sources that each ask seldom.
    fn slow(&mut self, scenario: &mut CampaignScenario, plan: &mut CampaignAttack) {
        let (visits, means) = (self.visits(), self.site.means);
        let (target, usual) = match scenario.family {
            CampaignFamily::CacheBusting => (AttackTarget::Busting, visits * means.direct),
            CampaignFamily::Stuffing => (AttackTarget::Login, visits * means.logins),
            CampaignFamily::SlowSearch => (AttackTarget::Search, visits * means.searches),
            _ => (AttackTarget::AnyPage, visits * means.direct),
        };
        plan.target = target;
        plan.disguise = self.dice.pick(&[Disguise::Browser, Disguise::Browser, Disguise::Library]);
        let multiple = self.dice.log_between(2.0, 15.0);
        plan.rate = (usual * multiple).clamp(0.006, 300.0);
        scenario.multiple = plan.rate / usual.max(1e-6);
        let seconds = self.dice.log_between(600.0, 3_600.0 * self.scale).min(self.most / plan.rate);
        let seconds = seconds.max(420.0).max(LEAST_REQUESTS / plan.rate);
        plan.to = plan.from + (seconds * 1_000.0) as u64;
        plan.sources = (plan.rate * 60.0).clamp(10.0, 50_000.0) as u32;
    }

    fn event(mut self, scenario: &mut CampaignScenario, people: &mut People) {
        let minutes = |n: f64| (n * 60_000.0) as u64;
        let from = scenario.from;
        match scenario.family {
            CampaignFamily::Calm => {
                let seconds = (self.most / self.usual).clamp(3_600.0, 7.0 * 86_400.0);
                // Weeks are learnt only of the smallest sites.
                let most =
                    if self.site.rate < 0.2 { 7.0 * 86_400.0 } else { 5.0 * 3_600.0 * self.scale };
                scenario.to = from + (seconds.min(most) * 1_000.0) as u64;
            }
            CampaignFamily::Launch
            | CampaignFamily::Mailing
            | CampaignFamily::Debate
            | CampaignFamily::ElectionNight => {
                self.crowd(scenario);
            }
            CampaignFamily::SchoolClass => {
                scenario.to = from + minutes(25.0);
                let pupils = self.dice.between(15.0, 32.0);
                let crowd = CrowdPlan {
                    course: CrowdCourse::Peak(20.0, 240.0),
                    visits: pupils / 60.0,
                    referrer: 0,
                    marked: false,
                    addresses: 1,
                    known_share: 0.5,
                    from,
                    to: scenario.to,
                };
                scenario.streams.push(Box::new(Crowd::new(crowd, scenario.seed)));
            }
            CampaignFamily::Silence => {
                let to = from + minutes(self.dice.log_between(2.0, 60.0));
                people.silent = Some((from, to));
                self.rush(scenario, to);
            }
            CampaignFamily::OriginErrors => {
                let to = from + minutes(self.dice.log_between(1.0, 30.0));
                scenario.outage = Some((from, to));
                self.rush(scenario, to);
            }
            CampaignFamily::Deployment => {
                scenario.to = from + minutes(20.0);
                people.refetch_from = Some((from, scenario.to));
            }
            _ => self.program(scenario),
        }
    }

    /// People come back together when the site is there again.
    fn rush(&mut self, scenario: &mut CampaignScenario, back: u64) {
        scenario.to = back + 600_000;
        let crowd = CrowdPlan {
            course: CrowdCourse::Peak(15.0, 90.0),
            visits: (self.visits() * self.dice.between(1.0, 6.0)).min(20.0),
            referrer: 0,
            marked: false,
            addresses: 0,
            known_share: 0.4,
            from: back,
            to: scenario.to,
        };
        scenario.streams.push(Box::new(Crowd::new(crowd, scenario.seed)));
    }

    fn crowd(&mut self, scenario: &mut CampaignScenario) {
        let dice = &mut self.dice;
        let (course, referrer, marked, most, minutes) = match scenario.family {
            CampaignFamily::Launch => (CrowdCourse::Peak(300.0, 1_500.0), 4, false, 20.0, 40.0),
            CampaignFamily::Mailing => {
                (CrowdCourse::Peak(dice.between(10.0, 60.0), 600.0), 5, true, 60.0, 25.0)
            }
            CampaignFamily::Debate => {
                (CrowdCourse::Peak(dice.between(8.0, 40.0), 240.0), 2, false, 60.0, 15.0)
            }
            _ => (CrowdCourse::Level(600.0), 0, false, 12.0, 40.0),
        };
        scenario.multiple = dice.log_between(2.0, most);
        let per_visit = self.site.means.all;
        let visits = self.usual / per_visit * scenario.multiple;
        // The whole of it is within the budget.
        let visits = visits.min(self.most / per_visit / 500.0);
        scenario.multiple = visits * per_visit / self.usual;
        scenario.to = scenario.from + (minutes * 60_000.0) as u64;
        let crowd = CrowdPlan {
            course,
            visits,
            referrer,
            marked,
            addresses: 0,
            known_share: self.dice.between(0.0, 0.4),
            from: scenario.from,
            to: scenario.to,
        };
        scenario.streams.push(Box::new(Crowd::new(crowd, scenario.seed)));
        if scenario.family == CampaignFamily::Mailing && self.dice.chance(0.5) {
            let senders = self.dice.log_between(3.0, 60.0) as u32;
            Self::use_programs(
                scenario,
                Program::LinkScanners,
                f64::from(senders) / 30.0,
                senders,
                0.5,
            );
        }
    }

    fn use_programs(
        scenario: &mut CampaignScenario,
        program: Program,
        rate: f64,
        senders: u32,
        minutes: f64,
    ) {
        let to = scenario.from + (minutes * 60_000.0) as u64;
        scenario.to = scenario.to.max(to);
        let plan = ProgramPlan { program, rate, senders, from: scenario.from, to };
        scenario.streams.push(Box::new(Programs::new(plan, scenario.seed)));
    }

    /// Programs, at a rate that has to do with the site's.
    fn program(&mut self, scenario: &mut CampaignScenario) {
        let usual = self.usual;
        let dice = &mut self.dice;
        let factor = dice.log_between(1.0, 8.0);
        scenario.multiple = factor;
        // Requests per use.
        let (program, per_use, minutes) = match scenario.family {
            CampaignFamily::Crawling => (Program::Crawler, 1.0, 20.0),
            CampaignFamily::OwnJob => (Program::Job, 1.0, dice.between(0.2, 3.0)),
            CampaignFamily::LinkScanning => (Program::LinkScanners, 1.0, dice.between(0.3, 2.0)),
            CampaignFamily::Documents => (Program::DocumentReaders, 9.0, 20.0),
            CampaignFamily::Revalidating => (Program::Revalidation, 6.0, 20.0),
            CampaignFamily::Typing => (Program::Typeahead, 7.0, 20.0),
            CampaignFamily::PollingPages => (Program::Polling, 14.0, 25.0),
            CampaignFamily::MapTiles => (Program::Map, 80.0, 20.0),
            CampaignFamily::Episodes => (Program::Podcast, 12.0, 20.0),
            CampaignFamily::Subscriptions => (Program::Calendars, 1.0, dice.between(0.3, 3.0)),
            _ => (Program::App, 1.0, 25.0),
        };
        let (rate, senders) = match program {
            Program::Crawler => (usual.clamp(0.3, 5.0), 1),
            Program::Job => (dice.log_between(3.0, 20.0), 1),
            Program::LinkScanners | Program::Calendars => {
                let senders = dice.log_between(5.0, 150.0);
                (senders / (minutes * 60.0), senders as u32)
            }
            Program::App | Program::AppBefore => {
                let senders = (usual * factor * 30.0).clamp(10.0, 3_000.0);
                (senders / 30.0, senders as u32)
            }
            _ => {
                let uses = (usual * factor).min(50.0) / per_use;
                (uses, ((uses * 300.0) as u32).max(3))
            }
        };
        Self::use_programs(scenario, program, rate, senders, minutes);
        if program == Program::App {
            // The app was there before; it asked seldom.
            let (rate, from) = (usual / 20.0, scenario.from);
            let before =
                ProgramPlan { program: Program::AppBefore, rate, senders, from: 0, to: from };
            scenario.streams.push(Box::new(Programs::new(before, scenario.seed)));
        }
    }
}
