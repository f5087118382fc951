//! One figure, one value: every figure of a claim against a second, naive computation from the events,
//! on a thousand random days; and the parts of a statement against each other.
#![allow(clippy::unwrap_used)]

#[path = "../../incident/tests/campaign_day/mod.rs"]
mod campaign_day;

use campaign_day::{Day, Load, MAIN, QUIET, evidence, time};
use portcullis_incident::{Incident, fold};
use portcullis_model::{
    Entry, Event, EvidenceKind, Outcome, Reason, SourceCount, Tally, Verdict, WallTime, WaveFigures,
};
use portcullis_statement::{Claim, StatementContext, assess, build};
use proptest::prelude::*;

/// One attack of a random day: seconds of quiet before it, of it unmitigated, and of it mitigated.
#[derive(Clone, Copy, Debug)]
struct Attack {
    quiet: u64,
    open: u64,
    held: u64,
    through: u64,
    refused: u64,
    challenged: u64,
    failed: u64,
}

fn attack() -> impl Strategy<Value = Attack> {
    (60..400u64, 1..8u64, 1..90u64, 0..900u64, 0..5_000u64, 0..2_000u64, 0..200u64).prop_map(
        |(quiet, open, held, through, refused, challenged, failed)| Attack {
            quiet,
            open,
            held,
            through,
            refused,
            challenged,
            failed,
        },
    )
}

/// A day with attacks on one platform, each detected a second after its onset.
fn day(attacks: &[Attack]) -> Vec<(u64, Entry)> {
    let mut day = Day::begin("2026-11-23T08:30:00Z", false);
    let seconds = |day: &mut Day, n: u64, load: Load| {
        for _ in 0..n {
            day.pass(1_000);
            day.tally(MAIN, load);
        }
    };
    for (wave, one) in (1u32..).zip(attacks) {
        seconds(&mut day, one.quiet, QUIET);
        let onset = WallTime(day.at);
        let open = Load { through: one.through, failed_per_thousand: one.failed, ..QUIET };
        seconds(&mut day, 1, open);
        let seen = evidence(EvidenceKind::RepeatedRequests, 91, 50, "91% repeated");
        let more = evidence(EvidenceKind::StalledHeaders, 40, 20, "40 stalled");
        day.tell(Event::AttackBegan {
            wave,
            platform: MAIN.into(),
            activities: vec!["search".into()],
            onset,
            evidence: vec![seen, more],
            baseline_milli: 12_000,
        });
        seconds(&mut day, one.open, open);
        let after_ms = day.at - onset.millis();
        day.tell(Event::Mitigated { wave, platform: MAIN.into(), after_ms });
        let passed = one.challenged / 10;
        let held = Load { signature: one.refused, challenged: one.challenged, passed, ..QUIET };
        seconds(&mut day, one.held, held);
        day.tell(Event::AttackEnded {
            wave,
            platform: MAIN.into(),
            figures: WaveFigures {
                offered: 0,
                forwarded: 0,
                stopped: 0,
                peak_offered_per_second: 0,
                peak_forwarded_per_second: 0,
                peak_stalled_headers: 40,
                peak_sources: SourceCount::UnderTen,
                sources: None,
                evidence_kinds: 2,
                changes: 0,
            },
        });
    }
    seconds(&mut day, 60, QUIET);
    day.entries
}

/// The figures once more: one pass over the events for each, without the fold.
struct Naive {
    tallies: Vec<Tally>,
    /// Onset, detection, mitigation, end, in milliseconds.
    waves: Vec<[u64; 4]>,
}

impl Naive {
    fn new(entries: &[(u64, Entry)]) -> Self {
        let mut waves: Vec<[u64; 4]> = Vec::new();
        for (_, entry) in entries {
            let at = entry.at.millis();
            match &entry.event {
                Event::AttackBegan { onset, .. } => waves.push([onset.millis(), at, 0, 0]),
                Event::Mitigated { .. } => waves.last_mut().unwrap()[2] = at,
                Event::AttackEnded { .. } => waves.last_mut().unwrap()[3] = at,
                _ => {}
            }
        }
        let during = |tally: &Tally| {
            waves.iter().any(|w| tally.to.millis() > w[0] && tally.from.millis() < w[3])
        };
        let tallies = entries.iter().filter_map(|(_, entry)| match &entry.event {
            Event::Tallied(tally) if tally.platform == MAIN && during(tally) => Some(tally.clone()),
            _ => None,
        });
        Self { tallies: tallies.collect(), waves }
    }

    fn sum(&self, of: impl Fn(&Tally) -> u64) -> u64 {
        self.tallies.iter().map(of).sum()
    }

    fn by_verdict(&self, wanted: &[Verdict]) -> u64 {
        let counts = |tally: &Tally| {
            let reasons = tally.reasons.iter();
            let mine = reasons.filter(|(name, _)| {
                Reason::ALL.iter().any(|r| r.as_str() == **name && wanted.contains(&r.verdict()))
            });
            mine.map(|(_, n)| n).sum::<u64>()
        };
        self.sum(counts)
    }

    fn reason(&self, reason: Reason) -> u64 {
        self.sum(|tally| tally.reasons.get(reason.as_str()).copied().unwrap_or(0))
    }

    fn stopped(&self) -> u64 {
        let given = self.reason(Reason::ChallengeIssued);
        let passed = self.reason(Reason::ChallengePassed).min(given);
        given - passed + self.by_verdict(&[Verdict::Refuse]) + self.connections()
    }

    /// Connections that were closed: reasons of connections are counted with those of requests.
    fn connections(&self) -> u64 {
        self.sum(|tally| tally.reasons.get("header-timeout").copied().unwrap_or(0))
    }

    fn served_share(&self) -> u64 {
        let outcome = |name: &str| self.sum(|tally| tally.outcomes.get(name).copied().unwrap_or(0));
        let all: u64 = Outcome::ALL
            .iter()
            .filter(|o| o.origin_result().is_some())
            .map(|o| outcome(o.as_str()))
            .sum();
        outcome("served") * 10_000 / all
    }

    /// The value of a figure of this name; `None` for one that is not computed here.
    fn value(&self, name: &str) -> Option<u64> {
        let slowest = |i: usize| self.waves.iter().map(|w| w[i] - w[0]).max();
        Some(match name {
            "waves" | "waves mitigated for good" => self.waves.len() as u64,
            "slowest detection after an onset" => slowest(1)?,
            "slowest first mitigation after an onset" => slowest(2)?,
            "the waves together lasted" => self.waves.iter().map(|w| w[3] - w[0]).sum(),
            "time not mitigated, all waves together" => {
                self.waves.iter().map(|w| w[2] - w[0]).sum()
            }
            "offered on main during its waves" => self.sum(|tally| tally.reasons.values().sum()),
            "busiest moment on main, offered" => {
                self.tallies.iter().map(|tally| tally.peak_offered_per_second).max()?
            }
            "busiest moment against the baseline of main" => {
                self.tallies.iter().map(|tally| tally.peak_offered_per_second).max()? * 10 / 12
            }
            "forwarded requests that the origin of main answered" => self.served_share(),
            "stopped before the origin" => self.stopped(),
            _ => return None,
        })
    }
}

fn only(entries: Vec<(u64, Entry)>) -> Incident {
    let mut incidents = fold(entries);
    assert_eq!(incidents.len(), 1);
    incidents.remove(0)
}

/// The same name has the same value in every claim.
fn one_value_each(claims: &[Claim]) -> Result<(), TestCaseError> {
    let figures: Vec<_> = claims.iter().flat_map(|claim| &claim.figures).collect();
    for figure in &figures {
        for other in figures.iter().filter(|other| other.name == figure.name) {
            prop_assert_eq!(figure.value, other.value, "{}", figure.name);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn each_figure_is_what_a_second_computation_gives(
        attacks in proptest::collection::vec(attack(), 1..4)
    ) {
        let entries = day(&attacks);
        let naive = Naive::new(&entries);
        let incident = only(entries);
        let claims = assess(&incident);
        one_value_each(&claims)?;
        let mut compared = 0;
        for figure in claims.iter().flat_map(|claim| &claim.figures) {
            if let Some(value) = naive.value(&figure.name) {
                prop_assert_eq!(figure.value, value, "{}", figure.name);
                compared += 1;
            }
        }
        prop_assert!(compared >= 10, "{} figures compared", compared);
        // What the press may quote is the same share.
        let statement = build(&incident, &StatementContext::default());
        let share = incident.attack().served_share().unwrap();
        let quoted = statement.press.quotable.join(" ");
        let whole = share == 10_000;
        prop_assert!(whole || quoted.contains(&portcullis_incident::words::share(share)), "{}", quoted);
        prop_assert_eq!(statement.window.from, time("2026-11-23T08:30:00Z") + core::time::Duration::from_secs(attacks[0].quiet));
    }
}
