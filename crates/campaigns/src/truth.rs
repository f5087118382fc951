//! What was really sent, and what was said about it.

use portcullis_model::{Event, Evidence, Posture, WallTime, WaveFigures};
use serde::Serialize;

use crate::request::{PARTIES, Party};

/// The outcome of requests.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct RequestCounts {
    pub served: u64,
    /// Challenged, and served later.
    pub served_after_challenge: u64,
    pub challenged: u64,
    /// Challenged, and never served.
    pub lost: u64,
    pub refused: u64,
    /// Of these, for the limit of an ordinary day.
    pub over_ordinary_limit: u64,
    /// Not served by the origin.
    pub failed: u64,
}

impl RequestCounts {
    pub(crate) const fn all(&self) -> u64 {
        self.served + self.served_after_challenge + self.lost + self.refused + self.failed
    }

    /// Those that the gate kept from the site.
    pub(crate) const fn hurt(&self) -> u64 {
        self.lost + self.refused - self.over_ordinary_limit
    }
}

/// The outcome of requests, by party; people and programs apart.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PartyCounts([[RequestCounts; 2]; PARTIES]);

impl PartyCounts {
    pub(crate) fn of(&mut self, party: Party, person: bool) -> &mut RequestCounts {
        &mut self.0[party as usize][usize::from(person)]
    }

    /// People of ordinary days and of events together.
    pub(crate) fn people(&self) -> [RequestCounts; 2] {
        [self.0[Party::People as usize][1], self.0[Party::Event as usize][1]]
    }

    pub(crate) fn programs(&self) -> [RequestCounts; 2] {
        [self.0[Party::Robots as usize][0], self.0[Party::Event as usize][0]]
    }

    pub(crate) const fn attack(&self) -> RequestCounts {
        let [a, b] = self.0[Party::Attack as usize];
        RequestCounts {
            served: a.served + b.served,
            served_after_challenge: a.served_after_challenge + b.served_after_challenge,
            challenged: a.challenged + b.challenged,
            lost: a.lost + b.lost,
            refused: a.refused + b.refused,
            over_ordinary_limit: a.over_ordinary_limit + b.over_ordinary_limit,
            failed: a.failed + b.failed,
        }
    }
}

/// One second as the judge saw it.
#[derive(Debug, Clone)]
pub(crate) struct SecondRow {
    pub second: u64,
    pub expected_milli: u64,
    pub forwarded: u64,
    pub posture: Posture,
    pub wave: Option<u32>,
    pub over: Vec<String>,
    pub evidence: Vec<String>,
    pub degradation: Option<String>,
    pub procedures: Vec<&'static str>,
}

/// A judgement that opens or closes something.
#[derive(Debug, Clone)]
pub(crate) enum RecordedEvent {
    AttackBegan { onset: WallTime, evidence: Vec<Evidence>, baseline_milli: u64 },
    AttackChanged { evidence: Vec<Evidence> },
    AttackEnded { figures: WaveFigures },
    SurgeBegan { per_second: u64, baseline_milli: u64, activities: Vec<String> },
    SurgeEnded,
    Engaged(String),
    Released(String),
    Posture(Posture),
    Origin(String),
}

/// What was sent, and what was said about it.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// Requests by tick and party, without empty ticks.
    pub ticks: Vec<(u64, [u32; PARTIES])>,
    pub fates: PartyCounts,
    /// Requests of people by second: served, and not. Without empty seconds.
    pub people: Vec<(u64, [u32; 2])>,
    pub judgements: Vec<(u64, RecordedEvent)>,
    /// Whether an attack is recorded that has not ended.
    pub attacked: bool,
    pub wants_rows: bool,
    pub rows: Vec<SecondRow>,
}

impl Truth {
    /// Counts a request in the tick after `ticks`.
    pub(crate) fn count(&mut self, ticks: u64, party: Party) {
        if self.ticks.last().is_none_or(|(last, _)| *last != ticks) {
            self.ticks.push((ticks, [0; PARTIES]));
        }
        if let Some((_, counts)) = self.ticks.last_mut() {
            counts[party as usize] += 1;
        }
    }

    /// Counts a request of an ordinary visitor that was served, or not.
    pub(crate) fn person_served(&mut self, at: u64, party: Party, served: bool) {
        if party != Party::People {
            return;
        }
        let second = at / 1_000;
        if self.people.last().is_none_or(|(last, _)| *last < second) {
            self.people.push((second, [0; 2]));
        }
        if let Some((_, counts)) = self.people.last_mut() {
            counts[usize::from(!served)] += 1;
        }
    }

    /// How long after `from` people get through: from then on, for half a minute, at least nineteen
    /// of twenty of their requests are served. `None` if never before `to`.
    pub(crate) fn people_through(&self, from: u64, to: u64) -> Option<u64> {
        let (from, to) = (from / 1_000, to / 1_000);
        (from..to).find_map(|second| {
            let begin = self.people.partition_point(|(at, _)| *at < second);
            let within = self.people[begin..].iter().take_while(|(at, _)| *at < second + 30);
            let (served, not) =
                within.fold((0, 0), |(a, b), (_, [served, not])| (a + served, b + not));
            (served > 0 && not * 20 <= served + not).then_some((second - from) * 1_000)
        })
    }

    /// Files an event.
    pub(crate) fn judged(&mut self, at: u64, event: Event) {
        let judgement = match event {
            Event::AttackBegan { onset, evidence, baseline_milli, .. } => {
                RecordedEvent::AttackBegan { onset, evidence, baseline_milli }
            }
            Event::AttackChanged { evidence, .. } => RecordedEvent::AttackChanged { evidence },
            Event::AttackEnded { figures, .. } => RecordedEvent::AttackEnded { figures },
            Event::SurgeBegan { per_second, baseline_milli, activities, .. } => {
                RecordedEvent::SurgeBegan { per_second, baseline_milli, activities }
            }
            Event::SurgeEnded { .. } => RecordedEvent::SurgeEnded,
            Event::ProcedureEngaged(facts) => {
                RecordedEvent::Engaged(format!("{} ({})", facts.measure, facts.reason))
            }
            Event::ProcedureReleased { reason, .. } => RecordedEvent::Released(reason),
            Event::PostureChanged { to, .. } => RecordedEvent::Posture(to),
            Event::OriginDegraded { summary, .. } => RecordedEvent::Origin(summary),
            Event::OriginDown { .. } => RecordedEvent::Origin("down".into()),
            Event::OriginUp { .. } => RecordedEvent::Origin("up".into()),
            _ => return,
        };
        match &judgement {
            RecordedEvent::AttackBegan { .. } => self.attacked = true,
            RecordedEvent::AttackEnded { .. } => self.attacked = false,
            _ => {}
        }
        self.judgements.push((at, judgement));
    }

    /// Requests from `from` to before `to` (milliseconds), by party.
    pub(crate) fn between(&self, from: u64, to: u64) -> [u64; PARTIES] {
        let begin = self.ticks.partition_point(|(tick, _)| tick * 250 < from);
        let mut sums = [0; PARTIES];
        for (tick, counts) in &self.ticks[begin..] {
            if tick * 250 >= to {
                break;
            }
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += u64::from(*count);
            }
        }
        sums
    }

    /// When the `n`-th request of the attack was sent: the end of its tick.
    pub(crate) fn attack_request(&self, n: u64) -> Option<u64> {
        let mut sum = 0;
        self.ticks.iter().find_map(|(tick, counts)| {
            sum += u64::from(counts[Party::Attack as usize]);
            (sum >= n).then_some((tick + 1) * 250)
        })
    }

    /// The most requests of all parties in any second that begins with a tick within the span.
    pub(crate) fn peak_second(&self, from: u64, to: u64) -> u64 {
        let begin = self.ticks.partition_point(|(tick, _)| (tick + 1) * 250 <= from);
        let within: Vec<(u64, u64)> = self.ticks[begin..]
            .iter()
            .take_while(|(tick, _)| tick * 250 < to)
            .map(|(tick, counts)| (*tick, counts.iter().map(|n| u64::from(*n)).sum()))
            .collect();
        let (mut first, mut sum, mut peak) = (0, 0, 0);
        for (tick, count) in &within {
            sum += count;
            while within[first].0 + 4 <= *tick {
                sum -= within[first].1;
                first += 1;
            }
            peak = peak.max(sum);
        }
        peak
    }
}
