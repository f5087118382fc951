//! Attackers: floods that are planned in advance, and a ladder of tactics that is climbed when the
//! present one no longer works.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::browser::{self, Fetch, Head};
use super::caller::{CallError, Caller, Jar, onward};
use super::{AttackLog, Ground, outcome_of, slow};
use crate::plan::{PlannedRung, Shot, path_of};
use crate::recording::{Outcome, Sample, TacticChange, Who};
use crate::scenario::Tactic;

/// How long a bot waits for an answer. Scripts are less patient than people.
const BOT_PATIENCE: Duration = Duration::from_secs(2);

/// Requests of one assault that may be outstanding. Bounds memory and file descriptors here and at
/// the target, whatever the target does.
const OUTSTANDING_MAX: usize = 256;

/// Redirects and pages to wait on that a token farm follows for one request.
const FARM_HOPS_MAX: usize = 6;

/// The longest announced wait that a token farm sits out, in seconds.
const FARM_WAIT_MAX_SECONDS: u32 = 10;

/// Over how long an attacker looks back when it judges its own success.
const JUDGED: Duration = Duration::from_secs(1);

/// Fewer answers than this say nothing.
const JUDGED_ANSWERS_MIN: usize = 30;

/// Below this share of successes in the last second the tactic is changed.
const SUCCESS_MIN_PERCENT: usize = 20;

/// Carries out one assault, rung by rung.
pub(super) async fn assault(ground: Arc<Ground>, number: usize) -> AttackLog {
    let Some(planned) = ground.plan.assaults.get(number) else {
        return AttackLog::default();
    };
    sleep_until(ground.instant(planned.from_ms)).await;
    let mut log = AttackLog::default();
    for (index, rung) in planned.rungs.iter().enumerate() {
        if rung.tactic == Tactic::SlowHeaders {
            log.samples.extend(slow::hold(&ground, planned, rung).await);
            break;
        }
        let next = planned.rungs.get(index + 1);
        let flood = Flood::new(&ground, number, index, planned.phase as u16);
        let given_up_at_ms = flood.run(next.is_some(), &mut log).await;
        let (Some(at_ms), Some(next)) = (given_up_at_ms, next) else {
            break;
        };
        log.changes.push(TacticChange { at_ms, from: rung.tactic, to: next.tactic });
    }
    log
}

/// One rung being carried out.
struct Flood {
    ground: Arc<Ground>,
    assault: usize,
    rung: usize,
    phase: u16,
    bots: Vec<Rc<Bot>>,
    judge: Rc<RefCell<Judge>>,
    samples: Rc<RefCell<Vec<Sample>>>,
}

/// One program with an address of its own.
struct Bot {
    idle: RefCell<Vec<Caller>>,
    jar: RefCell<Jar>,
    /// It follows a challenge now, and sends nothing else until it has its token.
    solving: Cell<bool>,
}

impl Flood {
    fn new(ground: &Arc<Ground>, assault: usize, rung: usize, phase: u16) -> Self {
        let bots = ground.plan.assaults[assault].rungs[rung].sources.len();
        let bot = || {
            Rc::new(Bot {
                idle: RefCell::default(),
                jar: RefCell::default(),
                solving: Cell::new(false),
            })
        };
        Flood {
            ground: Arc::clone(ground),
            assault,
            rung,
            phase,
            bots: std::iter::repeat_with(bot).take(bots).collect(),
            judge: Rc::default(),
            samples: Rc::default(),
        }
    }

    fn planned(&self) -> &PlannedRung {
        &self.ground.plan.assaults[self.assault].rungs[self.rung]
    }

    /// Sends what is planned from now on. Returns when it gave up, if it may and had to.
    async fn run(self, may_give_up: bool, log: &mut AttackLog) -> Option<u32> {
        let begun = Instant::now();
        let begun_ms = self.ground.now_ms();
        let mut outstanding = JoinSet::new();
        let mut given_up_at_ms = None;
        let mut held_back = 0;
        for shot in self.planned().shots.iter().filter(|shot| shot.at_ms >= begun_ms) {
            sleep_until(self.ground.instant(shot.at_ms)).await;
            while outstanding.try_join_next().is_some() {}
            if may_give_up
                && begun.elapsed() >= JUDGED
                && self.judge.borrow_mut().says_stopped(Instant::now())
            {
                given_up_at_ms = Some(self.ground.now_ms());
                break;
            }
            let bot = Rc::clone(&self.bots[usize::from(shot.bot)]);
            if outstanding.len() >= OUTSTANDING_MAX || bot.solving.get() {
                held_back += 1;
                continue;
            }
            outstanding.spawn_local(fire(
                Arc::clone(&self.ground),
                (self.assault, self.rung, self.phase),
                *shot,
                bot,
                Rc::clone(&self.judge),
                Rc::clone(&self.samples),
            ));
        }
        log.held_back += held_back;
        if given_up_at_ms.is_some() {
            // What is on its way is left behind, as the tool is stopped and another one started.
            outstanding.abort_all();
        }
        while outstanding.join_next().await.is_some() {}
        log.samples.append(&mut self.samples.borrow_mut());
        given_up_at_ms
    }
}

/// One request, with what it is led on to if the bot follows.
async fn fire(
    ground: Arc<Ground>,
    (assault, rung, phase): (usize, usize, u16),
    shot: Shot,
    bot: Rc<Bot>,
    judge: Rc<RefCell<Judge>>,
    samples: Rc<RefCell<Vec<Sample>>>,
) {
    let planned = &ground.plan.assaults[assault].rungs[rung];
    let begun = Instant::now();
    let start_ms = ground.now_ms();
    let kept = bot.idle.borrow_mut().pop();
    let source = planned.sources[usize::from(shot.bot)];
    let mut caller = kept.unwrap_or_else(|| Caller::new(ground.target, source));
    let mut requests = 0;
    let (outcome, hurt) =
        send(&ground, planned.tactic, shot, &bot, &mut caller, &mut requests).await;
    bot.idle.borrow_mut().push(caller);
    judge.borrow_mut().saw(Instant::now(), hurt);
    samples.borrow_mut().push(Sample {
        phase,
        who: Who::Attacker(planned.tactic),
        visitor: u32::from(shot.bot),
        start_ms,
        latency_micros: begun.elapsed().as_micros() as u32,
        requests,
        outcome,
    });
}

/// What came of it, and whether the attacker takes that for a success.
async fn send(
    ground: &Ground,
    tactic: Tactic,
    shot: Shot,
    bot: &Bot,
    caller: &mut Caller,
    requests: &mut u16,
) -> (Outcome, bool) {
    let follows = tactic == Tactic::TokenFarm;
    let mut path = path_of(tactic, shot.draw);
    let mut round_trips = 0;
    let mut bytes = Vec::with_capacity(1_024);
    let outcome = loop {
        bytes.clear();
        write_head(ground, tactic, shot, bot, &path, &mut bytes);
        *requests += 1;
        ground.tally.attack_request(ground.now_ms());
        let response = match caller.call(&bytes, Instant::now() + BOT_PATIENCE).await {
            Ok(response) => response,
            Err(CallError::TimedOut) => break Outcome::TimedOut,
            Err(CallError::Broken) => break Outcome::ConnectionFailed,
        };
        let Some(next) = onward(&response, &ground.host, &path) else {
            break match outcome_of(response.status) {
                Outcome::Served if round_trips > 0 => Outcome::ServedAfterChallenge { round_trips },
                other => other,
            };
        };
        if !follows
            || usize::from(round_trips) >= FARM_HOPS_MAX
            || next.wait_seconds > FARM_WAIT_MAX_SECONDS
        {
            // A challenge, whatever its status.
            bot.solving.set(false);
            let status = response.status;
            return (Outcome::Refused { status }, false);
        }
        round_trips += 1;
        bot.jar.borrow_mut().keep(&response);
        bot.solving.set(true);
        tokio::time::sleep(Duration::from_secs(u64::from(next.wait_seconds))).await;
        path = next.path;
    };
    if round_trips > 0 {
        bot.solving.set(false);
    }
    (outcome, hurts(outcome))
}

fn write_head(
    ground: &Ground,
    tactic: Tactic,
    shot: Shot,
    bot: &Bot,
    path: &str,
    out: &mut Vec<u8>,
) {
    let host = ground.host.as_str();
    match tactic {
        Tactic::SearchFlood | Tactic::SlowHeaders => browser::write_script_head(host, path, out),
        Tactic::CacheBusting => browser::write_rotating_head(host, path, shot.draw, out),
        Tactic::Imitation | Tactic::TokenFarm => {
            // A farm's bot is one browser; imitation takes another for each request.
            let which = match tactic {
                Tactic::TokenFarm => usize::from(shot.bot),
                _ => (shot.draw >> 16) as usize,
            };
            let cookie = bot.jar.borrow().field();
            let head = Head {
                host,
                path,
                fetch: if shot.draw.is_multiple_of(3) { Fetch::Landing } else { Fetch::Link },
                referrer: if shot.draw.is_multiple_of(3) { None } else { Some("/") },
                cookie: cookie.as_deref(),
            };
            browser::COMMON[which % browser::COMMON.len()].write_head(&head, out);
        }
    }
}

/// What an attacker takes for success: the page, or signs that the site suffers (an error of the
/// server, or no answer). A refusal and a closed connection tell it that somebody is in the way, as
/// does a challenge that is not followed.
fn hurts(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Served | Outcome::ServedAfterChallenge { .. } | Outcome::TimedOut => true,
        Outcome::Refused { status } => matches!(status, 500 | 502 | 503 | 504),
        Outcome::ConnectionFailed => false,
    }
}

/// An attacker's view of its own success over the last second.
#[derive(Default)]
struct Judge {
    answers: VecDeque<(Instant, bool)>,
    successes: usize,
}

impl Judge {
    fn saw(&mut self, now: Instant, success: bool) {
        self.answers.push_back((now, success));
        self.successes += usize::from(success);
    }

    fn says_stopped(&mut self, now: Instant) -> bool {
        while let Some(&(seen, success)) = self.answers.front() {
            if now.duration_since(seen) <= JUDGED {
                break;
            }
            self.answers.pop_front();
            self.successes -= usize::from(success);
        }
        self.answers.len() >= JUDGED_ANSWERS_MIN
            && self.successes * 100 < self.answers.len() * SUCCESS_MIN_PERCENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attacker_gives_up_a_tactic_only_when_it_was_stopped_for_a_second() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut judge = Judge::default();
        for millis in 0..500 {
            judge.saw(at(millis), true);
        }
        for millis in 500..1_400 {
            judge.saw(at(millis), false);
        }
        assert!(!judge.says_stopped(at(900)), "more than a fifth of the last second succeeded");
        assert!(judge.says_stopped(at(1_400)));
        assert!(!judge.says_stopped(at(2_399)), "too few answers say nothing");
    }

    #[test]
    fn a_site_that_is_down_is_a_success_and_a_refusal_is_not() {
        assert!(hurts(Outcome::TimedOut));
        assert!(hurts(Outcome::Refused { status: 503 }));
        assert!(!hurts(Outcome::Refused { status: 429 }));
        assert!(!hurts(Outcome::ConnectionFailed));
    }
}
