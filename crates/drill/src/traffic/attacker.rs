//! Attackers: floods that are planned in advance, and a ladder of tactics that is climbed when the
//! present one no longer works.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::client::{BrowserCookies, ClientError, HttpClient, redirect_target};
use super::context::{AttackLog, RunContext, outcome_from_status};
use super::slow_headers;
use crate::browser::{self, BrowserRequest, FetchKind};
use crate::plan::{AttackRequest, PlannedRung, attack_path};
use crate::recording::{ClientKind, Sample, SampleOutcome, TacticChange};
use crate::scenario::Tactic;

/// How long a bot waits for an answer. Scripts wait less than people.
const BOT_TIMEOUT: Duration = Duration::from_secs(2);

/// Requests of one assault that may be outstanding. Bounds memory and file descriptors here and at
/// the target, whatever the target does.
const OUTSTANDING_MAX: usize = 256;

/// Redirects and pages to wait on that a token farm follows for one request.
const FARM_HOPS_MAX: usize = 6;

/// The longest announced wait that a token farm sits out, in seconds.
const FARM_WAIT_MAX_SECONDS: u32 = 10;

/// The time over which an attacker measures its own success.
const SUCCESS_WINDOW: Duration = Duration::from_secs(1);

/// Fewer answers than this say nothing.
const RESPONSES_MIN: usize = 30;

/// Below this share of successes in the last second the tactic is changed.
const SUCCESS_MIN_PERCENT: usize = 20;

/// Carries out one assault, rung by rung.
pub(super) async fn run_attack(context: Arc<RunContext>, number: usize) -> AttackLog {
    let Some(planned) = context.plan.attacks.get(number) else {
        return AttackLog::default();
    };
    sleep_until(context.instant(planned.from_ms)).await;
    let mut log = AttackLog::default();
    for (index, rung) in planned.rungs.iter().enumerate() {
        if rung.tactic == Tactic::SlowHeaders {
            log.samples.extend(slow_headers::hold_slow_connections(&context, planned, rung).await);
            break;
        }
        let next = planned.rungs.get(index + 1);
        let flood = Flood::new(&context, number, index, planned.phase as u16);
        let changed_at_ms = flood.run(next.is_some(), &mut log).await;
        let (Some(at_ms), Some(next)) = (changed_at_ms, next) else {
            break;
        };
        log.changes.push(TacticChange { at_ms, from: rung.tactic, to: next.tactic });
    }
    log
}

/// One rung being carried out.
struct Flood {
    context: Arc<RunContext>,
    attack: usize,
    rung: usize,
    phase: u16,
    bots: Vec<Rc<BotClient>>,
    meter: Rc<RefCell<SuccessMeter>>,
    samples: Rc<RefCell<Vec<Sample>>>,
}

/// One attacking program with its own address.
struct BotClient {
    idle_clients: RefCell<Vec<HttpClient>>,
    cookies: RefCell<BrowserCookies>,
    /// It follows a challenge now, and sends nothing else until it has its token.
    solving: Cell<bool>,
}

impl Flood {
    fn new(context: &Arc<RunContext>, attack: usize, rung: usize, phase: u16) -> Self {
        let bots = context.plan.attacks[attack].rungs[rung].sources.len();
        let bot = || {
            Rc::new(BotClient {
                idle_clients: RefCell::default(),
                cookies: RefCell::default(),
                solving: Cell::new(false),
            })
        };
        Flood {
            context: Arc::clone(context),
            attack,
            rung,
            phase,
            bots: std::iter::repeat_with(bot).take(bots).collect(),
            meter: Rc::default(),
            samples: Rc::default(),
        }
    }

    fn planned(&self) -> &PlannedRung {
        &self.context.plan.attacks[self.attack].rungs[self.rung]
    }

    /// Sends what is planned from now on. Returns when it abandoned the tactic, if it may and had to.
    async fn run(self, may_give_up: bool, log: &mut AttackLog) -> Option<u32> {
        let begun = Instant::now();
        let begun_ms = self.context.now_ms();
        let mut outstanding = JoinSet::new();
        let mut changed_at_ms = None;
        let mut held_back = 0;
        for attack_request in self.planned().requests.iter().filter(|shot| shot.at_ms >= begun_ms) {
            sleep_until(self.context.instant(attack_request.at_ms)).await;
            while outstanding.try_join_next().is_some() {}
            if may_give_up
                && begun.elapsed() >= SUCCESS_WINDOW
                && self.meter.borrow_mut().is_blocked(Instant::now())
            {
                changed_at_ms = Some(self.context.now_ms());
                break;
            }
            let bot = Rc::clone(&self.bots[usize::from(attack_request.bot)]);
            if outstanding.len() >= OUTSTANDING_MAX || bot.solving.get() {
                held_back += 1;
                continue;
            }
            outstanding.spawn_local(send_and_record(
                Arc::clone(&self.context),
                (self.attack, self.rung, self.phase),
                *attack_request,
                bot,
                Rc::clone(&self.meter),
                Rc::clone(&self.samples),
            ));
        }
        log.held_back += held_back;
        if changed_at_ms.is_some() {
            // What is on its way is left behind, as the tool is stopped and another one started.
            outstanding.abort_all();
        }
        while outstanding.join_next().await.is_some() {}
        log.samples.append(&mut self.samples.borrow_mut());
        changed_at_ms
    }
}

/// One request, with what it is led on to if the bot follows.
async fn send_and_record(
    context: Arc<RunContext>,
    (assault, rung, phase): (usize, usize, u16),
    attack_request: AttackRequest,
    bot: Rc<BotClient>,
    meter: Rc<RefCell<SuccessMeter>>,
    samples: Rc<RefCell<Vec<Sample>>>,
) {
    let planned = &context.plan.attacks[assault].rungs[rung];
    let begun = Instant::now();
    let start_ms = context.now_ms();
    let idle_client = bot.idle_clients.borrow_mut().pop();
    let source = planned.sources[usize::from(attack_request.bot)];
    let mut client = idle_client.unwrap_or_else(|| HttpClient::new(context.target, source));
    let mut requests = 0;
    let (outcome, succeeded) =
        send_request(&context, planned.tactic, attack_request, &bot, &mut client, &mut requests)
            .await;
    bot.idle_clients.borrow_mut().push(client);
    meter.borrow_mut().record(Instant::now(), succeeded);
    samples.borrow_mut().push(Sample {
        phase,
        client: ClientKind::Attacker(planned.tactic),
        visitor: u32::from(attack_request.bot),
        start_ms,
        latency_micros: begun.elapsed().as_micros() as u32,
        requests,
        outcome,
    });
}

/// Sends a request; returns its outcome and whether the attacker counts it as a success.
async fn send_request(
    context: &RunContext,
    tactic: Tactic,
    attack_request: AttackRequest,
    bot: &BotClient,
    client: &mut HttpClient,
    requests: &mut u16,
) -> (SampleOutcome, bool) {
    let follows = tactic == Tactic::TokenFarm;
    let mut path = attack_path(tactic, attack_request.random);
    let mut round_trips = 0;
    let mut bytes = Vec::with_capacity(1_024);
    let outcome = loop {
        bytes.clear();
        write_head(context, tactic, attack_request, bot, &path, &mut bytes);
        *requests += 1;
        context.counters.attack_request(context.now_ms());
        let response = match client.send(&bytes, Instant::now() + BOT_TIMEOUT).await {
            Ok(response) => response,
            Err(ClientError::TimedOut) => break SampleOutcome::TimedOut,
            Err(ClientError::ConnectionLost) => break SampleOutcome::ConnectionFailed,
        };
        let Some(next) = redirect_target(&response, &context.host, &path) else {
            break match outcome_from_status(response.status) {
                SampleOutcome::Served if round_trips > 0 => {
                    SampleOutcome::ServedAfterChallenge { round_trips }
                }
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
            return (SampleOutcome::Refused { status }, false);
        }
        round_trips += 1;
        bot.cookies.borrow_mut().store(&response);
        bot.solving.set(true);
        tokio::time::sleep(Duration::from_secs(u64::from(next.wait_seconds))).await;
        path = next.path;
    };
    if round_trips > 0 {
        bot.solving.set(false);
    }
    (outcome, is_success(outcome))
}

fn write_head(
    context: &RunContext,
    tactic: Tactic,
    attack_request: AttackRequest,
    bot: &BotClient,
    path: &str,
    out: &mut Vec<u8>,
) {
    let host = context.host.as_str();
    match tactic {
        Tactic::SearchFlood | Tactic::SlowHeaders => browser::write_script_head(host, path, out),
        Tactic::CacheBusting => {
            browser::write_rotating_head(host, path, attack_request.random, out);
        }
        Tactic::Imitation | Tactic::TokenFarm => {
            // A farm's bot is one browser; imitation takes another for each request.
            let which = match tactic {
                Tactic::TokenFarm => usize::from(attack_request.bot),
                _ => (attack_request.random >> 16) as usize,
            };
            let cookie = bot.cookies.borrow().header_value();
            let head = BrowserRequest {
                host,
                path,
                fetch: if attack_request.random.is_multiple_of(3) {
                    FetchKind::Landing
                } else {
                    FetchKind::Link
                },
                referrer: if attack_request.random.is_multiple_of(3) { None } else { Some("/") },
                cookie: cookie.as_deref(),
            };
            browser::COMMON[which % browser::COMMON.len()].write_head(&head, out);
        }
    }
}

/// What an attacker takes for success: the page, or signs that the site suffers (an error of the
/// server, or no answer). A refusal and a closed connection mean that a gate is in the way, as
/// does a challenge that is not followed.
fn is_success(outcome: SampleOutcome) -> bool {
    match outcome {
        SampleOutcome::Served
        | SampleOutcome::ServedAfterChallenge { .. }
        | SampleOutcome::TimedOut => true,
        SampleOutcome::Refused { status } => matches!(status, 500 | 502 | 503 | 504),
        SampleOutcome::ConnectionFailed => false,
    }
}

/// An attacker's success rate over the last second.
#[derive(Default)]
struct SuccessMeter {
    responses: VecDeque<(Instant, bool)>,
    successes: usize,
}

impl SuccessMeter {
    fn record(&mut self, now: Instant, success: bool) {
        self.responses.push_back((now, success));
        self.successes += usize::from(success);
    }

    fn is_blocked(&mut self, now: Instant) -> bool {
        while let Some(&(seen, success)) = self.responses.front() {
            if now.duration_since(seen) <= SUCCESS_WINDOW {
                break;
            }
            self.responses.pop_front();
            self.successes -= usize::from(success);
        }
        self.responses.len() >= RESPONSES_MIN
            && self.successes * 100 < self.responses.len() * SUCCESS_MIN_PERCENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attacker_changes_its_tactic_only_when_it_was_stopped_for_a_second() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut meter = SuccessMeter::default();
        for millis in 0..500 {
            meter.record(at(millis), true);
        }
        for millis in 500..1_400 {
            meter.record(at(millis), false);
        }
        assert!(!meter.is_blocked(at(900)), "more than a fifth of the last second succeeded");
        assert!(meter.is_blocked(at(1_400)));
        assert!(!meter.is_blocked(at(2_399)), "too few answers say nothing");
    }

    #[test]
    fn a_site_that_is_down_is_a_success_and_a_refusal_is_not() {
        assert!(is_success(SampleOutcome::TimedOut));
        assert!(is_success(SampleOutcome::Refused { status: 503 }));
        assert!(!is_success(SampleOutcome::Refused { status: 429 }));
        assert!(!is_success(SampleOutcome::ConnectionFailed));
    }
}
