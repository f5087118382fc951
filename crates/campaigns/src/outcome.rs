//! What a campaign shows: found or not, how soon, at what cost.

use serde::Serialize;

use crate::family::{CampaignFamily, Demand};
use crate::played::Played;
use crate::request::Party;
use crate::truth::RecordedEvent;

/// An attack that is recorded so long after the last request still belongs to it, in milliseconds.
const GRACE: u64 = 60_000;

/// When something was found.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Found {
    /// Milliseconds after the onset.
    pub after_ms: u64,
    /// Requests of the attack up to then.
    pub requests: u64,
}

/// The reported figures of an attack against what was sent, in thousandths of the latter.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct FigureError {
    /// Of all requests from the reported onset to the end.
    pub offered: u64,
    /// Of the most in a second.
    pub peak: u64,
}

/// A recorded attack without an attack.
#[derive(Debug, Clone, Serialize)]
pub struct FalseAttack {
    /// Milliseconds from the beginning of the observation; negative before it.
    pub at_ms: i64,
    /// Whether an innocent event was in progress.
    pub during_event: bool,
    /// The kinds of evidence.
    pub evidence: Vec<&'static str>,
}

/// What a campaign shows.
#[derive(Debug, Clone, Serialize)]
pub struct CampaignOutcome {
    /// Its seed.
    pub seed: u64,
    /// Its family.
    pub family: CampaignFamily,
    /// Its site.
    pub site: String,
    /// The site's rate at noon.
    pub site_rate: f64,
    /// The attack's or the event's load against the usual.
    pub multiple: f64,
    /// Requests per second of the attack at its highest.
    pub rate: f64,
    /// Sources of the attack.
    pub sources: u32,
    /// Seconds that the attack or event lasts.
    pub seconds: f64,
    /// Recorded as an attack.
    pub found: Option<Found>,
    /// Recorded as a surge.
    pub surge: Option<Found>,
    /// Recorded as a surge, with an origin that is degraded or procedures that are engaged.
    pub harmful: bool,
    /// The moment by which the rule demands it, in milliseconds after the onset.
    pub deadline_ms: Option<u64>,
    /// Attacks that were recorded for the one.
    pub events: u32,
    /// Attacks that were recorded without one.
    pub false_attacks: Vec<FalseAttack>,
    /// Surges in time without an attack and without an event.
    pub calm_surges: u32,
    /// Seconds of time without an attack and without an event.
    pub calm_seconds: u64,
    /// Seconds of innocent events.
    pub event_seconds: u64,
    /// Requests of people since the event or attack began, and those that the gate kept from the site.
    pub people: u64,
    /// See `people`.
    pub people_hurt: u64,
    /// The same for legitimate programs.
    pub programs: u64,
    /// See `programs`.
    pub programs_hurt: u64,
    /// Requests of people that the origin could not serve.
    pub people_failed: u64,
    /// Requests of the attack, and those of them that reached the origin.
    pub attack: u64,
    /// See `attack`.
    pub attack_through: u64,
    /// Milliseconds from the last request of the attack until nothing was engaged and no attack recorded.
    pub let_go_ms: Option<u64>,
    /// Milliseconds from the onset until nineteen of twenty requests of people are served for half a
    /// minute.
    pub people_through_ms: Option<u64>,
    /// How far the figures of the first attack are off.
    pub figures: Option<FigureError>,
    /// Whether the rule of the family is kept; `None` where nothing is demanded.
    pub kept: Option<bool>,
    /// Why not.
    pub why: String,
}

impl CampaignOutcome {
    pub(crate) fn of(played: &Played<'_>) -> Self {
        let scenario = &played.scenario;
        let truth = &played.world.truth;
        let plan = scenario.attack.as_ref();
        let [people, crowd] = truth.fates.people();
        let [robots, programs] = truth.fates.programs();
        let attack = truth.fates.attack();
        let mut outcome = Self {
            seed: scenario.seed,
            family: scenario.family,
            site: played.world.site.summary(),
            site_rate: played.world.site.rate,
            multiple: scenario.multiple,
            rate: plan.map_or(0.0, |plan| plan.rate),
            sources: plan.map_or(0, |plan| plan.sources),
            seconds: (scenario.to - scenario.from) as f64 / 1_000.0,
            found: None,
            surge: None,
            harmful: false,
            deadline_ms: None,
            events: 0,
            false_attacks: Vec::new(),
            calm_surges: 0,
            calm_seconds: 0,
            event_seconds: 0,
            people: people.all() + crowd.all(),
            people_hurt: people.hurt() + crowd.hurt(),
            programs: robots.all() + programs.all(),
            programs_hurt: robots.hurt() + programs.hurt(),
            people_failed: people.failed + crowd.failed,
            attack: attack.all(),
            attack_through: attack.served + attack.served_after_challenge + attack.failed,
            let_go_ms: plan.and(played.open_at).map(|open| open.saturating_sub(scenario.to)),
            people_through_ms: plan.and_then(|_| truth.people_through(scenario.from, scenario.to)),
            figures: None,
            kept: None,
            why: String::new(),
        };
        outcome.count_time(played);
        outcome.read_judgements(played);
        outcome.judge(played);
        outcome
    }

    fn count_time(&mut self, played: &Played<'_>) {
        let scenario = &played.scenario;
        let during = (scenario.to - scenario.from) / 1_000;
        let before = scenario.from / 1_000;
        self.calm_seconds = before;
        match (scenario.family, scenario.attack.is_some()) {
            (_, true) => {}
            (CampaignFamily::Calm, _) => self.calm_seconds += during,
            _ => self.event_seconds = during + (played.end - scenario.to) / 1_000,
        }
    }

    fn read_judgements(&mut self, played: &Played<'_>) {
        let scenario = &played.scenario;
        let truth = &played.world.truth;
        let attack = scenario.attack.as_ref().map(|plan| (plan.from, plan.to));
        let within = |at: u64| attack.is_some_and(|(from, to)| at >= from && at <= to + GRACE);
        let found = |at: u64| Found {
            after_ms: at.saturating_sub(scenario.from),
            requests: truth.between(scenario.from, at)[Party::Attack as usize],
        };
        let calm_until =
            if scenario.family == CampaignFamily::Calm { played.end } else { scenario.from };
        let mut open: Option<u64> = None;
        let (mut surge_at, mut engaged_at) = (None, None);
        for (at, judgement) in &truth.judgements {
            match judgement {
                RecordedEvent::AttackBegan { onset, evidence, .. } if within(*at) => {
                    self.events += 1;
                    self.found.get_or_insert(found(*at));
                    open = Some(onset.millis().saturating_sub(scenario.start.millis()));
                    let _ = evidence;
                }
                RecordedEvent::AttackBegan { evidence, .. } => {
                    let after = attack.is_some_and(|(_, to)| *at > to);
                    self.false_attacks.push(FalseAttack {
                        at_ms: at.cast_signed() - scenario.observed_from.cast_signed(),
                        during_event: *at >= scenario.from && !after,
                        evidence: evidence.iter().map(|e| e.kind.as_str()).collect(),
                    });
                }
                RecordedEvent::AttackEnded { figures } => {
                    if let Some(onset) = open.take()
                        && self.figures.is_none()
                    {
                        let sent: u64 = truth.between(onset, *at).iter().sum();
                        let peak = truth.peak_second(onset, *at);
                        let off = |said: u64, real: u64| said.abs_diff(real) * 1_000 / real.max(1);
                        self.figures = (sent >= 200).then(|| FigureError {
                            offered: off(figures.offered, sent),
                            peak: off(figures.peak_offered_per_second, peak),
                        });
                    }
                }
                RecordedEvent::SurgeBegan { .. } if within(*at) => {
                    self.surge.get_or_insert(found(*at));
                    surge_at.get_or_insert(*at);
                }
                RecordedEvent::SurgeBegan { .. } => {
                    self.calm_surges += u32::from(*at < calm_until);
                }
                RecordedEvent::Engaged(_) | RecordedEvent::Origin(_) if within(*at) => {
                    engaged_at.get_or_insert(*at);
                }
                _ => {}
            }
        }
        self.harmful = surge_at.is_some() && engaged_at.is_some();
    }

    /// Compares with the rule of the family.
    fn judge(&mut self, played: &Played<'_>) {
        let scenario = &played.scenario;
        if !self.false_attacks.is_empty() {
            let first = &self.false_attacks[0];
            self.why = format!(
                "false attack {} s after the observation began: {}",
                first.at_ms / 1_000,
                first.evidence.join(", ")
            );
        }
        let rule = scenario.family.rule();
        if rule == Demand::Innocent {
            self.kept = Some(self.false_attacks.is_empty());
            return;
        }
        let Some(seconds) = self.deadline_seconds(scenario.family, rule, played) else { return };
        let hundredth = played.world.truth.attack_request(100);
        let hundredth = hundredth.map_or(u64::MAX, |at| at.saturating_sub(scenario.from));
        let deadline = hundredth.max((seconds * 1_000.0) as u64);
        self.deadline_ms = Some(deadline);
        let surge = self.surge.filter(|_| self.harmful);
        // The tick in which the deadline is ends with it.
        let timely = |found: Option<Found>| found.is_some_and(|f| f.after_ms <= deadline + 250);
        let kept = timely(self.found) || timely(surge);
        self.kept = Some(kept);
        if !kept {
            let late = match self.found {
                None => "not found".to_owned(),
                Some(f) => format!(
                    "found after {:.1} s and {} requests, allowed were {:.1} s",
                    f.after_ms as f64 / 1_000.0,
                    f.requests,
                    deadline as f64 / 1_000.0
                ),
            };
            self.why = if self.why.is_empty() { late } else { format!("{late}; {}", self.why) };
        }
    }

    /// The seconds that the rule allows; `None` where it demands nothing.
    fn deadline_seconds(
        &self,
        family: CampaignFamily,
        rule: Demand,
        played: &Played<'_>,
    ) -> Option<f64> {
        let _ = family;
        match rule {
            Demand::Flood => (self.multiple >= 3.0 && self.seconds >= 60.0).then_some(5.0),
            Demand::Slow => (self.multiple >= 1.99).then_some(300.0),
            Demand::Ramp => {
                // Three times the usual load is added: the whole is four times.
                let plan = played.scenario.attack.as_ref()?;
                let seconds = (plan.to - plan.from) as f64 / 1_000.0;
                Some(seconds * 3.0 / self.multiple)
            }
            Demand::None | Demand::Innocent => None,
        }
    }
}
