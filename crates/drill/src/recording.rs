//! The recording of one run: a sample for each page, form, feed or attack request, and a series by
//! second.

use std::sync::atomic::{AtomicU32, Ordering};

use serde::Serialize;

use crate::plan::VisitorKind;
use crate::scenario::{Scenario, Tactic, WaveSpan, merge_adjacent};

/// One run of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunRecording {
    /// The scenario's name.
    pub scenario: String,
    /// The seed of its plan.
    pub seed: u64,
    /// The phases with their start and end.
    pub phases: Vec<PhaseSpan>,
    /// When the run started, in milliseconds since the Unix epoch: the zero of every offset here.
    pub started_unix_ms: u64,
    /// How long the scenario lasts, in milliseconds.
    pub lasts_ms: u32,
    /// The requests of visitors and attackers, in chronological order.
    pub samples: Vec<Sample>,
    /// The same, and the load on the origin, by second.
    pub seconds: Vec<Second>,
    /// When attackers changed their tactics.
    pub tactic_changes: Vec<TacticChange>,
    /// Attack requests that were planned and not sent: too many were outstanding, or a bot of a
    /// token farm was waiting for its token.
    pub held_back: u64,
    /// The most requests that reached the origin within one second.
    pub origin_peak_per_second: u64,
}

/// A phase with its start and end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhaseSpan {
    /// Its identifier.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Its beginning, in milliseconds from the start.
    pub from_ms: u32,
    /// Its end.
    pub to_ms: u32,
    /// Whether it contains an attack.
    pub is_attack: bool,
    /// Whether a crowd came.
    pub has_crowd: bool,
    /// Whether the site must be down in it without a gate.
    pub down_without_gate: bool,
}

/// One page, form, feed or attack request, and its outcome.
///
/// For people that is a whole page with its assets, a form with the page it leads to, or a feed,
/// however many requests it took. For attackers it is one request with what it was led on to; for
/// slow headers one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// The index of the phase in which it began.
    pub phase: u16,
    /// The client.
    pub client: ClientKind,
    /// The visitor's number in the plan, or the bot's in its rung.
    pub visitor: u32,
    /// When it began, in milliseconds from the start.
    pub start_ms: u32,
    /// How long it took, in microseconds, until it was whole or had failed.
    pub latency_micros: u32,
    /// HTTP requests that were sent for it.
    pub requests: u16,
    /// The outcome.
    pub outcome: SampleOutcome,
}

/// The kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientKind {
    /// A person, or a person's feed reader.
    Person(VisitorKind),
    /// An attacker.
    Attacker(Tactic),
}

/// The outcome of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum SampleOutcome {
    /// The complete response arrived before the timeout.
    Served,
    /// The same, after a challenge: a redirect that the origin did not ask for, or a page to wait
    /// on.
    ServedAfterChallenge {
        /// Round trips that the challenge added.
        round_trips: u8,
    },
    /// Something else arrived.
    Refused {
        /// The last status.
        status: u16,
    },
    /// The timeout ended first.
    TimedOut,
    /// No connection, or it ended early.
    ConnectionFailed,
}

impl SampleOutcome {
    /// Whether the requested page arrived.
    pub fn is_served(self) -> bool {
        matches!(self, SampleOutcome::Served | SampleOutcome::ServedAfterChallenge { .. })
    }
}

/// An attacker went one rung up its ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TacticChange {
    /// When, in milliseconds from the start.
    pub at_ms: u32,
    /// What no longer worked.
    pub from: Tactic,
    /// What was tried next.
    pub to: Tactic,
}

/// One second of a run. People's pages count in the second in which they were requested.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Second {
    /// Requests that attackers sent.
    pub attack_requests: u32,
    /// Connections that attackers held open with slow headers, at most, within the second.
    pub slow_connections: u32,
    /// Requests that people sent, assets included.
    pub people_requests: u32,
    /// Pages, forms and feeds that visitors requested and received.
    pub people_served: u32,
    /// Those that they did not receive.
    pub people_failed: u32,
    /// Requests that reached the origin.
    pub origin_requests: u32,
    /// The 95th percentile of how long served people waited, in milliseconds; `None` if no page was
    /// served.
    pub people_p95_ms: Option<u32>,
}

impl Second {
    /// Requests per second that visitors and attackers sent together.
    pub fn offered(&self) -> u32 {
        self.attack_requests + self.people_requests
    }
}

impl RunRecording {
    /// The contiguous stretches of attack, in order.
    pub fn waves(&self) -> Vec<WaveSpan> {
        merge_adjacent(
            self.phases
                .iter()
                .filter(|phase| phase.is_attack)
                .map(|phase| WaveSpan { from_ms: phase.from_ms, to_ms: phase.to_ms }),
        )
    }

    /// People's samples.
    pub fn people(&self) -> impl Iterator<Item = (VisitorKind, &Sample)> {
        self.samples.iter().filter_map(|sample| match sample.client {
            ClientKind::Person(kind) => Some((kind, sample)),
            ClientKind::Attacker(_) => None,
        })
    }
}

/// The phases of a scenario as spans.
pub(crate) fn phase_spans(scenario: &Scenario) -> Vec<PhaseSpan> {
    scenario
        .spans()
        .map(|(from_ms, to_ms, phase)| PhaseSpan {
            name: phase.name.to_owned(),
            title: phase.title.to_owned(),
            from_ms,
            to_ms,
            is_attack: phase.is_attack(),
            has_crowd: phase.crowd > 0,
            down_without_gate: phase.down_without_gate,
        })
        .collect()
}

/// Puts the series together. `origin_by_tenth` begins at the start of the run.
pub(crate) fn per_second(
    lasts_ms: u32,
    samples: &[Sample],
    counters: &RunCounters,
    origin_by_tenth: &[u32],
) -> Vec<Second> {
    let count = lasts_ms.div_ceil(1_000) as usize;
    let mut seconds = vec![Second::default(); count];
    let mut waits: Vec<Vec<u32>> = vec![Vec::new(); count];
    for sample in samples {
        let index = (sample.start_ms / 1_000) as usize;
        let (Some(second), Some(waits)) = (seconds.get_mut(index), waits.get_mut(index)) else {
            continue;
        };
        if let ClientKind::Person(_) = sample.client {
            if sample.outcome.is_served() {
                second.people_served += 1;
                waits.push(sample.latency_micros / 1_000);
            } else {
                second.people_failed += 1;
            }
        }
    }
    for (index, second) in seconds.iter_mut().enumerate() {
        let live = counters.second(index);
        second.attack_requests = live.attack_requests;
        second.people_requests = live.people_requests;
        second.slow_connections = live.slow_connections;
        waits[index].sort_unstable();
        second.people_p95_ms = percentile(&waits[index], 95);
        second.origin_requests = origin_by_tenth.iter().skip(index * 10).take(10).copied().sum();
    }
    seconds
}

/// The smallest value that at least `percent` of the sorted values do not exceed (nearest rank);
/// `None` of nothing.
pub(crate) fn percentile(sorted: &[u32], percent: usize) -> Option<u32> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Counters that are updated during the run, for its series and for progress reports.
pub(crate) struct RunCounters {
    seconds: Vec<SecondCounters>,
}

#[derive(Default)]
struct SecondCounters {
    attack_requests: AtomicU32,
    slow_connections: AtomicU32,
    people_requests: AtomicU32,
    people_served: AtomicU32,
    people_failed: AtomicU32,
}

impl RunCounters {
    /// Counters for a run of `lasts_ms`, and for the time in which the last responses arrive.
    pub(crate) fn new(lasts_ms: u32) -> Self {
        let count = lasts_ms.div_ceil(1_000) as usize + 15;
        RunCounters {
            seconds: std::iter::repeat_with(SecondCounters::default).take(count).collect(),
        }
    }

    pub(crate) fn attack_request(&self, at_ms: u32) {
        self.count(at_ms, |live| &live.attack_requests);
    }

    pub(crate) fn people_request(&self, at_ms: u32) {
        self.count(at_ms, |live| &live.people_requests);
    }

    pub(crate) fn people_outcome(&self, at_ms: u32, served: bool) {
        self.count(at_ms, |live| if served { &live.people_served } else { &live.people_failed });
    }

    /// Records that `open` connections are held open with slow headers now.
    pub(crate) fn slow_connections(&self, at_ms: u32, open: u32) {
        if let Some(live) = self.seconds.get((at_ms / 1_000) as usize) {
            live.slow_connections.fetch_max(open, Ordering::Relaxed);
        }
    }

    fn count(&self, at_ms: u32, which: impl Fn(&SecondCounters) -> &AtomicU32) {
        if let Some(live) = self.seconds.get((at_ms / 1_000) as usize) {
            which(live).fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was counted in this second so far; outcomes by when they became known.
    pub(crate) fn second(&self, index: usize) -> Second {
        let Some(live) = self.seconds.get(index) else {
            return Second::default();
        };
        Second {
            attack_requests: live.attack_requests.load(Ordering::Relaxed),
            slow_connections: live.slow_connections.load(Ordering::Relaxed),
            people_requests: live.people_requests.load(Ordering::Relaxed),
            people_served: live.people_served.load(Ordering::Relaxed),
            people_failed: live.people_failed.load(Ordering::Relaxed),
            origin_requests: 0,
            people_p95_ms: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(percentile(&[7], 99), Some(7));
        assert_eq!(percentile(&[1, 2, 3, 4], 50), Some(2));
        assert_eq!(percentile(&(1..=100).collect::<Vec<_>>(), 95), Some(95));
    }

    proptest! {
        #[test]
        fn enough_values_do_not_exceed_a_percentile(
            mut values in proptest::collection::vec(0_u32..1_000, 1..200),
            percent in 1_usize..=100,
        ) {
            values.sort_unstable();
            let found = percentile(&values, percent).unwrap();
            let below = values.iter().filter(|&&value| value <= found).count();
            prop_assert!(below * 100 >= values.len() * percent);
            prop_assert!(values.contains(&found));
        }
    }

    #[test]
    fn a_page_counts_in_the_second_in_which_it_was_requested() {
        let sample = |start_ms, latency_micros, outcome| Sample {
            phase: 0,
            client: ClientKind::Person(VisitorKind::Everyday),
            visitor: 0,
            start_ms,
            latency_micros,
            requests: 1,
            outcome,
        };
        let samples = [
            sample(900, 400_000, SampleOutcome::Served),
            sample(1_100, 20_000, SampleOutcome::ServedAfterChallenge { round_trips: 1 }),
            sample(1_200, 4_000_000, SampleOutcome::TimedOut),
        ];
        let counters = RunCounters::new(2_000);
        counters.people_request(950);
        counters.attack_request(1_999);
        counters.slow_connections(1_000, 30);
        counters.slow_connections(1_500, 20);
        let origin = [1; 25];
        let seconds = per_second(2_000, &samples, &counters, &origin);
        assert_eq!(
            seconds,
            [
                Second {
                    people_requests: 1,
                    people_served: 1,
                    origin_requests: 10,
                    people_p95_ms: Some(400),
                    ..Second::default()
                },
                Second {
                    attack_requests: 1,
                    slow_connections: 30,
                    people_served: 1,
                    people_failed: 1,
                    origin_requests: 10,
                    people_p95_ms: Some(20),
                    ..Second::default()
                },
            ]
        );
    }
}
