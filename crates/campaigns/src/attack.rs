//! Attacks.

use crate::dice::Dice;
use crate::ordinary::{Stage, Stream};
use crate::request::{Follow, Party, PlannedRequest, Query};
use crate::sender::{
    ChallengeReplies, FORGED, Kind, LIBRARIES, PEOPLE, Sender, UNKNOWN, public_address,
};
use crate::site::SiteModel;

/// What an attack asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttackTarget {
    /// One page again and again.
    OnePage,
    /// Any page.
    AnyPage,
    /// One page, each time with another query.
    Busting,
    /// Logins: a form that is sent.
    Login,
    /// Searches for words.
    Search,
    /// Addresses that do not exist.
    Probes,
    /// One asset.
    Asset,
}

/// Whose user agents it names, and how its requests are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disguise {
    /// A library that names itself.
    Library,
    /// Popular names, a library's order of fields.
    Forged,
    /// Real browsers, or programs that copy them exactly.
    Browser,
    /// One name that hardly comes.
    Unknown,
}

/// How the rate changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Course {
    Flat,
    /// From nothing to the full rate, in a line.
    Ramp,
    /// On and off, in milliseconds.
    Pulses(u64, u64),
    /// Stops for this many milliseconds when most of it is stopped.
    Adaptive(u64),
}

/// One attack.
#[derive(Debug, Clone)]
pub(crate) struct CampaignAttack {
    pub target: AttackTarget,
    pub disguise: Disguise,
    pub course: Course,
    /// Requests per second at its highest, without assets.
    pub rate: f64,
    pub sources: u32,
    /// Of pages, how many are followed by some of their assets.
    pub asset_share: f64,
    pub answers: ChallengeReplies,
    /// From and to, in milliseconds.
    pub from: u64,
    pub to: u64,
}

/// An attack in progress.
pub(crate) struct Attack {
    plan: CampaignAttack,
    dice: Dice,
    bots: Vec<u32>,
    turn: usize,
    page: usize,
    paused_until: u64,
}

impl Attack {
    pub(crate) fn new(plan: CampaignAttack, seed: u64) -> Self {
        let mut dice = Dice::new(seed, 20);
        let page = dice.below(3) as usize;
        Self { plan, dice, bots: Vec::new(), turn: 0, page, paused_until: 0 }
    }

    /// The share of the full rate at `at`.
    fn share(&self, at: u64) -> f64 {
        let since = at - self.plan.from;
        match self.plan.course {
            Course::Flat | Course::Adaptive(_) => 1.0,
            Course::Ramp => since as f64 / (self.plan.to - self.plan.from) as f64,
            Course::Pulses(on, off) => f64::from(u8::from(since % (on + off) < on)),
        }
    }

    fn make_bots(&mut self, stage: &mut Stage<'_>) {
        let dice = &mut self.dice;
        let library = dice.pick(&LIBRARIES.collect::<Vec<_>>());
        let unknown = dice.pick(&UNKNOWN.collect::<Vec<_>>());
        // Botnets are not spread evenly: half are in few networks.
        let networks: Vec<u32> = (0..40).map(|_| public_address(dice) & !0xffff).collect();
        for _ in 0..self.plan.sources {
            let source = if dice.chance(0.5) {
                dice.pick(&networks) + dice.below(0xffff) as u32
            } else {
                public_address(dice)
            };
            let agent = match self.plan.disguise {
                Disguise::Library => library,
                Disguise::Unknown => unknown,
                Disguise::Forged => dice.pick(&FORGED.collect::<Vec<_>>()),
                Disguise::Browser => dice.below(PEOPLE as u64 / 3) as u16,
            };
            let language = dice.below(6) as u8;
            let bot = Sender { source, agent, language, answers: self.plan.answers };
            self.bots.push(stage.plan.sender(bot));
        }
    }

    fn request(&mut self, site: &SiteModel) -> PlannedRequest {
        // In turn, so that each of many sources asks seldom.
        self.turn = (self.turn + 1 + usize::from(self.dice.chance(0.3))) % self.bots.len();
        let mut request = PlannedRequest::page(self.bots[self.turn], 0, Party::Attack);
        let page = &site.pages[self.page.min(site.pages.len() - 1)];
        match self.plan.target {
            AttackTarget::OnePage => request.path = page.path,
            AttackTarget::AnyPage => {
                let at = self.dice.by_weight(&site.page_sums);
                request.path = site.pages[at].path;
                if self.dice.chance(0.5) {
                    request.referrer = 1;
                }
            }
            AttackTarget::Busting => {
                request.path = page.path;
                request.query = Query { form: Query::BUST, number: u64::from(self.dice.word()) };
            }
            AttackTarget::Login => (request.path, request.kind) = (site.login, Kind::Form),
            AttackTarget::Search => {
                request.path = site.search;
                request.query = Query { form: Query::SEARCH, number: self.dice.below(100_000) };
            }
            AttackTarget::Probes => {
                request.path = site.probe;
                request.number = self.dice.below(20_000) as u32;
            }
            AttackTarget::Asset => match site.common.first() {
                Some((path, kind)) => (request.path, request.kind) = (*path, *kind),
                None => request.path = page.path,
            },
        }
        if self.dice.chance(self.plan.asset_share) {
            request.follow = Follow::Assets(2 + self.dice.below(8) as u8);
        }
        request
    }
}

impl Stream for Attack {
    fn fill(&mut self, stage: &mut Stage<'_>, from: u64, to: u64) {
        let (from, to) = (from.max(self.plan.from), to.min(self.plan.to));
        if from >= to {
            return;
        }
        if self.bots.is_empty() {
            self.make_bots(stage);
        }
        if let Course::Adaptive(pause) = self.plan.course
            && stage.attack_stopped > 0.6
            && from >= self.paused_until
        {
            self.paused_until = from + pause;
        }
        let mut at = from;
        while at < to {
            let end = (at + 1_000).min(to);
            if at >= self.paused_until {
                let mean = self.plan.rate * self.share(at) * (end - at) as f64 / 1_000.0;
                for _ in 0..self.dice.poisson(mean) {
                    let begin = at + self.dice.below(end - at);
                    let request = self.request(stage.site);
                    stage.plan.push(begin, request);
                }
            }
            at = end;
        }
    }
}
