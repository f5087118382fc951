//! Events that bring unusual traffic without hostility.

use crate::dice::Dice;
use crate::ordinary::{Stage, Stream};
use crate::request::{Follow, Party, PlannedRequest, Query};
use crate::sender::{
    APP, APP_BEFORE, ChallengeReplies, JOB, Kind, LINK_SCANNERS, READERS, ROBOTS, Sender,
    public_address,
};
use crate::visit;

/// How the rate of a crowd changes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CrowdCourse {
    /// Up within seconds, then less and less: the two spans in seconds.
    Peak(f64, f64),
    /// Up, and on that level to the end: the rise in seconds.
    Level(f64),
}

/// People who come for a reason, all to one page.
#[derive(Debug, Clone)]
pub(crate) struct CrowdPlan {
    pub course: CrowdCourse,
    /// Visits per second at the highest.
    pub visits: f64,
    pub referrer: u8,
    /// Each link has a number for its reader.
    pub marked: bool,
    /// All of them come from this number of addresses; zero: from anywhere.
    pub addresses: u32,
    /// Of the visitors, how many have been here before and have the assets.
    pub known_share: f64,
    pub from: u64,
    pub to: u64,
}

/// A crowd in progress.
pub(crate) struct Crowd {
    plan: CrowdPlan,
    dice: Dice,
    page: usize,
    known: Vec<u32>,
    addresses: Vec<u32>,
}

impl Crowd {
    pub(crate) fn new(plan: CrowdPlan, seed: u64) -> Self {
        let mut dice = Dice::new(seed, 30);
        let page = dice.below(5) as usize;
        let addresses = (0..plan.addresses).map(|_| public_address(&mut dice)).collect();
        Self { plan, dice, page, known: Vec::new(), addresses }
    }

    fn share(&self, at: u64) -> f64 {
        let since = (at - self.plan.from) as f64 / 1_000.0;
        match self.plan.course {
            CrowdCourse::Level(rise) => (since / rise).min(1.0),
            CrowdCourse::Peak(rise, _) if since < rise => since / rise,
            CrowdCourse::Peak(rise, fall) => (-(since - rise) / fall).exp(),
        }
    }

    fn visit(&mut self, stage: &mut Stage<'_>) -> PlannedRequest {
        let dice = &mut self.dice;
        let known = dice.chance(self.plan.known_share);
        let sender = if known && !self.known.is_empty() {
            dice.pick(&self.known)
        } else {
            let people = &stage.site.population;
            let person = if self.addresses.is_empty() {
                people.person(dice)
            } else {
                let address = dice.pick(&self.addresses);
                people.person_at(address, dice)
            };
            let person = stage.plan.sender(person);
            self.known.push(person);
            person
        };
        let page = &stage.site.pages[self.page.min(stage.site.pages.len() - 1)];
        let mut request = PlannedRequest::page(sender, page.path, Party::Event);
        request.referrer = self.plan.referrer;
        if self.plan.marked {
            let number = u64::from(dice.word());
            request.query = Query { form: Query::MAIL, number };
        }
        let pages_left = if dice.chance(0.5) { 0 } else { visit::pages_left(dice) };
        request.follow = Follow::Visit { pages_left, cached: known };
        request
    }
}

impl Stream for Crowd {
    fn fill(&mut self, stage: &mut Stage<'_>, from: u64, to: u64) {
        let (from, to) = (from.max(self.plan.from), to.min(self.plan.to));
        let mut at = from;
        while at < to {
            let end = (at + 1_000).min(to);
            let mean = self.plan.visits * self.share(at) * (end - at) as f64 / 1_000.0;
            for _ in 0..self.dice.poisson(mean) {
                let begin = at + self.dice.below(end - at);
                let request = self.visit(stage);
                stage.plan.push(begin, request);
            }
            at = end;
        }
    }
}

/// Programs that people or operators of sites use, doing what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// A robot that reads the whole site.
    Crawler,
    /// Scanners that open every link of a newsletter before its readers do.
    LinkScanners,
    /// Viewers of a document: part after part.
    DocumentReaders,
    /// Episodes, part after part, by their programs.
    Podcast,
    /// Calendars and feeds that all fetch on the hour.
    Calendars,
    /// A map that is moved: some tens of pictures each time.
    Map,
    /// People who type into a search field that asks at every letter.
    Typeahead,
    /// A page with news that stays open.
    Polling,
    /// The party's app on ordinary days.
    AppBefore,
    /// The party's app after an update that asks too often.
    App,
    /// A job of the site's own: a fresh copy of every page.
    Job,
    /// Browsers that ask whether their copies are current.
    Revalidation,
}

/// A program in use.
#[derive(Debug, Clone)]
pub(crate) struct ProgramPlan {
    pub program: Program,
    /// Uses per second.
    pub rate: f64,
    pub senders: u32,
    pub from: u64,
    pub to: u64,
}

/// Programs in use.
pub(crate) struct Programs {
    plan: ProgramPlan,
    dice: Dice,
    senders: Vec<u32>,
    turn: u64,
}

impl Programs {
    pub(crate) fn new(plan: ProgramPlan, seed: u64) -> Self {
        Self { plan, dice: Dice::new(seed, 31), senders: Vec::new(), turn: 0 }
    }

    fn sender(&mut self, stage: &mut Stage<'_>) -> u32 {
        if (self.senders.len() as u32) < self.plan.senders {
            let dice = &mut self.dice;
            let person = stage.site.population.person(dice);
            let program = |dice: &mut Dice, agent| Sender {
                source: public_address(dice),
                agent,
                language: 0,
                answers: ChallengeReplies::Redirects,
            };
            let sender = match self.plan.program {
                Program::Crawler => program(dice, ROBOTS.start + 1),
                Program::LinkScanners => {
                    let agent = dice.pick(&LINK_SCANNERS.collect::<Vec<_>>());
                    program(dice, agent)
                }
                Program::Podcast | Program::Calendars => {
                    let agent = dice.pick(&READERS.collect::<Vec<_>>());
                    program(dice, agent)
                }
                Program::App => {
                    Sender { answers: ChallengeReplies::Redirects, agent: APP, ..person }
                }
                Program::AppBefore => {
                    Sender { answers: ChallengeReplies::Redirects, agent: APP_BEFORE, ..person }
                }
                Program::Job => Sender { source: 0x0a00_0005, ..program(dice, JOB) },
                Program::DocumentReaders
                | Program::Map
                | Program::Typeahead
                | Program::Polling
                | Program::Revalidation => person,
            };
            self.senders.push(stage.plan.sender(sender));
            return self.senders[self.senders.len() - 1];
        }
        self.dice.pick(&self.senders)
    }

    fn used(&mut self, stage: &mut Stage<'_>, at: u64) {
        let sender = self.sender(stage);
        let site = stage.site;
        self.turn += 1;
        let mut request = PlannedRequest::page(sender, site.article, Party::Event);
        match self.plan.program {
            Program::Crawler | Program::Job => request.number = self.turn as u32,
            Program::LinkScanners => {
                request.path = site.pages[0].path;
                let number = u64::from(self.dice.word());
                request.query = Query { form: Query::MAIL, number };
            }
            Program::DocumentReaders => return self.parts(stage, at, sender, site.document, 12),
            Program::Podcast => return self.parts(stage, at, sender, site.episode, 20),
            Program::Calendars => {
                request.path = if self.dice.chance(0.5) { site.calendar } else { site.feed };
                request.kind = Kind::File;
                request.revalidates = self.dice.chance(0.5);
            }
            Program::Map => return self.tiles(stage, at, sender),
            Program::Typeahead => {
                self.open_page(stage, at, &request);
                let at = at + 1_500;
                let word = self.dice.below(400);
                visit::type_letters(site, &request, word, at, stage.plan, &mut self.dice);
                return;
            }
            Program::Polling => {
                self.open_page(stage, at, &request);
                visit::poll(site, &request, at, 5, stage.plan, &mut self.dice);
                return;
            }
            Program::AppBefore | Program::App => {
                (request.path, request.kind) = (site.api, Kind::Data);
                request.number = self.dice.below(4) as u32;
            }
            Program::Revalidation => {
                request.path = site.pages[self.dice.by_weight(&site.page_sums)].path;
                request.revalidates = true;
                request.follow = Follow::Visit { pages_left: 1, cached: true };
            }
        }
        stage.plan.push(at, request);
    }

    /// Who types or waits for news opened the page with its assets; one in twelve did so elsewhere.
    fn open_page(&mut self, stage: &mut Stage<'_>, at: u64, request: &PlannedRequest) {
        if self.dice.chance(11.0 / 12.0) {
            let page = PlannedRequest { follow: Follow::Assets(6), ..*request };
            stage.plan.push(at, page);
        }
    }

    fn parts(&mut self, stage: &mut Stage<'_>, at: u64, sender: u32, path: u16, most: u64) {
        let mut request = PlannedRequest::page(sender, path, Party::Event);
        request.kind = Kind::Part;
        request.number = self.dice.below(3) as u32;
        let mut at = at;
        for _ in 0..3 + self.dice.below(most) {
            stage.plan.push(at, request);
            at += 80 + self.dice.exponential(400.0) as u64;
        }
    }

    fn tiles(&mut self, stage: &mut Stage<'_>, at: u64, sender: u32) {
        let mut request = PlannedRequest::page(sender, stage.site.tile, Party::Event);
        request.kind = Kind::Picture;
        request.referrer = 1;
        for _ in 0..2 + self.dice.below(6) {
            let moved = at + self.dice.below(30_000);
            for _ in 0..8 + self.dice.below(16) {
                request.number = self.dice.below(4_000) as u32;
                stage.plan.push(moved + self.dice.below(700), request);
            }
        }
    }
}

impl Stream for Programs {
    fn fill(&mut self, stage: &mut Stage<'_>, from: u64, to: u64) {
        let (from, to) = (from.max(self.plan.from), to.min(self.plan.to));
        let mut at = from;
        while at < to {
            let end = (at + 1_000).min(to);
            let mean = self.plan.rate * (end - at) as f64 / 1_000.0;
            for _ in 0..self.dice.poisson(mean) {
                let begin = at + self.dice.below(end - at);
                self.used(stage, begin);
            }
            at = end;
        }
    }
}
