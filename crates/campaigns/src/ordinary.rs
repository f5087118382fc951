//! What comes on ordinary days: people, robots, readers, monitors, the site's own jobs.

use portcullis_model::WallTime;

use crate::dice::Dice;
use crate::request::{Follow, Party, PlannedRequest, PlannedTraffic};
use crate::sender::{
    ChallengeReplies, JOB, Kind, MONITOR, READERS, ROBOTS, Sender, public_address,
};
use crate::site::SiteModel;
use crate::visit;

/// What the senders of a campaign can know when they plan their next requests.
pub(crate) struct Stage<'a> {
    pub site: &'a SiteModel,
    pub plan: &'a mut PlannedTraffic,
    /// The wall clock at zero.
    pub start: WallTime,
    /// Of the attack's requests of the last seconds, the share that was challenged or refused.
    pub attack_stopped: f64,
}

impl Stage<'_> {
    pub(crate) fn wall(&self, at: u64) -> WallTime {
        WallTime(self.start.millis() + at)
    }
}

/// One cause of requests.
pub(crate) trait Stream {
    /// Plans what begins from `from` to before `to`, in milliseconds.
    fn fill(&mut self, stage: &mut Stage<'_>, from: u64, to: u64);
}

/// People who visit the site.
pub(crate) struct People {
    dice: Dice,
    /// People who may come back.
    known: Vec<u32>,
    most_known: usize,
    /// The logarithm of how the present minutes differ from the season.
    wobble: f64,
    /// The same for the day.
    day: f64,
    day_number: u64,
    /// No visits in this stretch.
    pub silent: Option<(u64, u64)>,
    /// Every asset has a new name from here on: who comes back has none of them once.
    pub refetch_from: Option<(u64, u64)>,
}

impl People {
    pub(crate) fn new(site: &SiteModel, seed: u64) -> Self {
        Self {
            dice: Dice::new(seed, 10),
            known: Vec::new(),
            most_known: (site.rate * 2_000.0).clamp(40.0, 20_000.0) as usize,
            wobble: 0.0,
            day: 0.0,
            day_number: 0,
            silent: None,
            refetch_from: None,
        }
    }

    fn sender(&mut self, stage: &mut Stage<'_>) -> (u32, bool) {
        let dice = &mut self.dice;
        if !self.known.is_empty() && dice.chance(stage.site.returning_share) {
            return (dice.pick(&self.known), true);
        }
        let person = stage.plan.sender(stage.site.population.person(dice));
        if self.known.len() < self.most_known {
            self.known.push(person);
        } else {
            let at = dice.below(self.known.len() as u64) as usize;
            self.known[at] = person;
        }
        (person, false)
    }

    /// The mean of a minute varies about the season, and that of a day too.
    fn unevenness(&mut self, site: &SiteModel, wall: WallTime, seconds: f64) -> f64 {
        let day = wall.seconds() / 86_400;
        if day != self.day_number {
            self.day_number = day;
            self.day = 0.15 * self.dice.normal();
        }
        // Forgotten within some minutes.
        let kept = (-seconds / 400.0).exp();
        let fresh = site.unevenness * (1.0 - kept * kept).sqrt();
        self.wobble = self.wobble * kept + fresh * self.dice.normal();
        (self.wobble + self.day).exp()
    }
}

impl Stream for People {
    fn fill(&mut self, stage: &mut Stage<'_>, from: u64, to: u64) {
        let mut at = from;
        while at < to {
            let end = (at + 5_000).min(to);
            let wall = stage.wall(at);
            let seconds = (end - at) as f64 / 1_000.0;
            let factor = self.unevenness(stage.site, wall, seconds);
            let mean = stage.site.visit_rate(wall) * seconds * factor;
            for _ in 0..self.dice.poisson(mean) {
                let begin = at + self.dice.below(end - at);
                if self.silent.is_some_and(|(from, to)| (from..to).contains(&begin)) {
                    continue;
                }
                let (sender, mut known) = self.sender(stage);
                known &= !self.refetch_from.is_some_and(|(from, to)| (from..to).contains(&begin));
                let request = visit::landing(stage.site, sender, known, &mut self.dice);
                stage.plan.push(begin, request);
            }
            at = end;
        }
    }
}

/// Requests that come at a pace of their sender: a crawler, a monitor, a feed reader.
pub(crate) struct Robot {
    dice: Dice,
    sender: Sender,
    number: Option<u32>,
    /// Milliseconds between two requests, on average, and whether they are exact.
    pause: u64,
    exact: bool,
    what: RobotWork,
    next: u64,
}

#[derive(Debug, Clone, Copy)]
enum RobotWork {
    /// Page after page.
    Crawl,
    /// The same again.
    One(u16, Kind),
    /// Addresses that never existed.
    Probe,
}

impl Stream for Robot {
    fn fill(&mut self, stage: &mut Stage<'_>, from: u64, to: u64) {
        if self.next < from {
            self.next = from + self.dice.below(self.pause.max(1));
        }
        while self.next < to {
            let sender = *self.number.get_or_insert_with(|| stage.plan.sender(self.sender));
            let mut request = PlannedRequest::page(sender, 0, Party::Robots);
            match self.what {
                RobotWork::Crawl if self.dice.chance(0.4) => {
                    request.path = stage.site.article;
                    request.number = self.dice.below(3_000) as u32;
                }
                RobotWork::Crawl => {
                    let at = self.dice.below(stage.site.pages.len() as u64) as usize;
                    request.path = stage.site.pages[at].path;
                }
                RobotWork::One(path, kind) => {
                    (request.path, request.kind) = (path, kind);
                    request.revalidates = kind == Kind::File && self.dice.chance(0.5);
                }
                RobotWork::Probe => {
                    request.path = stage.site.probe;
                    request.number = self.dice.below(5_000) as u32;
                }
            }
            stage.plan.push(self.next, request);
            let pause = if self.exact {
                self.pause
            } else {
                self.dice.exponential(self.pause as f64) as u64
            };
            self.next += pause.max(20);
        }
    }
}

/// The robots of an ordinary day on this site.
pub(crate) fn robots(site: &SiteModel, seed: u64) -> Vec<Box<dyn Stream>> {
    let mut dice = Dice::new(seed, 11);
    let mut all: Vec<Box<dyn Stream>> = Vec::new();
    let dice = &mut dice;
    let mut add = |dice: &mut Dice, agent, answers, pause: f64, exact, what| {
        let sender = Sender { source: public_address(dice), agent, language: 0, answers };
        let pause = (pause * 1_000.0) as u64;
        let next = dice.below(pause.max(1));
        let dice = dice.clone();
        all.push(Box::new(Robot { dice, sender, number: None, pause, exact, what, next }));
    };
    // Half of what robots ask for is crawling.
    let rate = (site.rate * site.robot_share).max(0.002);
    let crawlers = 1 + dice.below(4);
    for _ in 0..crawlers {
        let pause = 2.0 * crawlers as f64 / rate;
        let agent = dice.pick(&ROBOTS.collect::<Vec<_>>());
        add(dice, agent, ChallengeReplies::Redirects, pause.max(0.4), false, RobotWork::Crawl);
    }
    let readers = (rate * 300.0).clamp(1.0, 40.0) as u64;
    for _ in 0..readers {
        let agent = dice.pick(&READERS.collect::<Vec<_>>());
        let file = dice.pick(&[site.feed, site.feed, site.calendar]);
        let pause = dice.pick(&[900.0, 1_800.0, 3_600.0]);
        add(
            dice,
            agent,
            ChallengeReplies::Redirects,
            pause,
            true,
            RobotWork::One(file, Kind::File),
        );
    }
    let pause = dice.pick(&[60.0, 60.0, 300.0]);
    let home = site.pages[0].path;
    add(dice, MONITOR, ChallengeReplies::Redirects, pause, true, RobotWork::One(home, Kind::Page));
    add(dice, UNKNOWN_PROBER, ChallengeReplies::Nothing, 2_400.0, false, RobotWork::Probe);
    if site.job_requests > 0 {
        all.push(Box::new(Job::new(site, seed)));
    }
    all
}

/// The agent of those who look for holes on every site.
const UNKNOWN_PROBER: u16 = 84;

/// The site's own job: some requests at five past each hour, as fast as one program asks, and more
/// at ten past three.
pub(crate) struct Job {
    dice: Dice,
    requests: u64,
    number: Option<u32>,
}

impl Job {
    pub(crate) fn new(site: &SiteModel, seed: u64) -> Self {
        Self { dice: Dice::new(seed, 12), requests: site.job_requests, number: None }
    }
}

impl Stream for Job {
    fn fill(&mut self, stage: &mut Stage<'_>, from: u64, to: u64) {
        let wall = |at: u64| (stage.start.millis() + at) / 1_000;
        // Each whole minute that begins within.
        let first = wall(from).div_ceil(60) * 60;
        let mut minute = first;
        while minute * 1_000 < stage.start.millis() + to {
            let (hour, of_hour) = (minute / 3_600 % 24, minute / 60 % 60);
            let count = match (hour, of_hour) {
                (3, 10) => self.requests * 3,
                (_, 5) => self.requests,
                _ => 0,
            };
            let mut at = (minute * 1_000).saturating_sub(stage.start.millis()) + 800;
            for n in 0..count {
                let sender = *self.number.get_or_insert_with(|| {
                    let job = Sender {
                        source: 0x0a00_0005,
                        agent: JOB,
                        language: 0,
                        answers: ChallengeReplies::Redirects,
                    };
                    stage.plan.sender(job)
                });
                let mut request = PlannedRequest::page(sender, stage.site.article, Party::Robots);
                request.number = n as u32;
                request.follow = Follow::Nothing;
                stage.plan.push(at, request);
                at += 30 + self.dice.exponential(90.0) as u64;
            }
            minute += 60;
        }
    }
}
