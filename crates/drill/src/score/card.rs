//! The content of a score card: service levels without and with the gate.

use std::collections::BTreeMap;

use serde::Serialize;

use super::threshold::Threshold;
use crate::gate_facts::{CrowdAssessment, WaveFacts};
use crate::plan::VisitorKind;
use crate::recording::{ClientKind, RunRecording, Sample, SampleOutcome, percentile};

/// The result of a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScoreCard {
    /// The scenario's name.
    pub scenario: String,
    /// The seed of its plan.
    pub seed: u64,
    /// How long each run lasted, in milliseconds.
    pub lasts_ms: u32,
    /// How long visitors waited for a page, in milliseconds.
    pub page_timeout_ms: u32,
    /// How much longer they waited on pages that announce a wait.
    pub announced_wait_limit_ms: u32,
    /// Phase by phase.
    pub phases: Vec<PhaseScore>,
    /// The whole run without the gate.
    pub without: RunScore,
    /// The whole run with the gate.
    pub with: RunScore,
    /// The gate's actions during each wave.
    pub waves: Vec<WaveFacts>,
    /// How it classified the flash crowd.
    pub crowd: CrowdAssessment,
    /// Accepted connections and streams that it cut, by reason.
    pub cuts: BTreeMap<String, u64>,
    /// The thresholds.
    pub thresholds: Vec<Threshold>,
    /// Whether all of them are met.
    pub met: bool,
}

/// One phase in both runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhaseScore {
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
    /// Without the gate.
    pub without: ServiceLevel,
    /// With the gate.
    pub with: ServiceLevel,
}

/// The service that visitors received in a period. All counts are of pages with their
/// assets, forms with their answers, and feeds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ServiceLevel {
    /// Requested.
    pub requested: u32,
    /// Arrived completely within the timeout.
    pub served: u32,
    /// Of those, after a challenge.
    pub challenged: u32,
    /// Answered with another response.
    pub refused: u32,
    /// Not arrived within the timeout.
    pub timed_out: u32,
    /// No connection, or it ended early.
    pub connection_failed: u32,
    /// The median wait of those served, in milliseconds.
    pub p50_ms: Option<u32>,
    /// The 95th percentile.
    pub p95_ms: Option<u32>,
    /// The 99th percentile.
    pub p99_ms: Option<u32>,
}

/// A whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RunScore {
    /// All visitors.
    pub people: ServiceLevel,
    /// Visitors who followed the link in the mail.
    pub flash_crowd: ServiceLevel,
    /// Requests of visitors and attackers in the busiest second.
    pub peak_offered_per_second: u32,
    /// Requests that reached the origin in the busiest second.
    pub peak_origin_per_second: u64,
    /// Attackers' requests and slow connections.
    pub attack_attempts: u32,
    /// Of those, how many got the page, or held their connection until they let go.
    pub attack_succeeded: u32,
    /// How often an attacker changed its tactics.
    pub tactic_changes: u32,
    /// Attack requests that were planned and not sent: too many were outstanding, or a bot of a
    /// token farm was waiting for its token.
    pub held_back: u64,
}

impl ServiceLevel {
    /// Summarises samples.
    fn from_samples<'a>(samples: impl Iterator<Item = &'a Sample>) -> Self {
        let mut service = ServiceLevel::default();
        let mut waits = Vec::new();
        for sample in samples {
            service.requested += 1;
            match sample.outcome {
                SampleOutcome::Served => {}
                SampleOutcome::ServedAfterChallenge { .. } => service.challenged += 1,
                SampleOutcome::Refused { .. } => service.refused += 1,
                SampleOutcome::TimedOut => service.timed_out += 1,
                SampleOutcome::ConnectionFailed => service.connection_failed += 1,
            }
            if sample.outcome.is_served() {
                service.served += 1;
                waits.push(sample.latency_micros / 1_000);
            }
        }
        waits.sort_unstable();
        service.p50_ms = percentile(&waits, 50);
        service.p95_ms = percentile(&waits, 95);
        service.p99_ms = percentile(&waits, 99);
        service
    }

    pub(super) fn for_phase(recording: &RunRecording, phase: usize) -> Self {
        ServiceLevel::from_samples(
            recording
                .people()
                .filter(|(_, sample)| usize::from(sample.phase) == phase)
                .map(|(_, sample)| sample),
        )
    }

    /// Whether at least `percent` of the requests were served; false without requests.
    pub fn serves_at_least(&self, percent: u32) -> bool {
        self.requested > 0
            && u64::from(self.served) * 100 >= u64::from(self.requested) * u64::from(percent)
    }

    /// The share served in hundredths of a percent, rounded down; `None` without requests.
    pub fn served_share(&self) -> Option<u32> {
        (u64::from(self.served) * 10_000)
            .checked_div(u64::from(self.requested))
            .map(|share| share as u32)
    }
}

impl RunScore {
    pub(super) fn from_recording(recording: &RunRecording) -> Self {
        let of_crowd = |kind| kind == VisitorKind::FlashCrowd;
        let attacks = || {
            recording.samples.iter().filter_map(|sample| match sample.client {
                ClientKind::Attacker(tactic) => Some((tactic, sample)),
                ClientKind::Person(_) => None,
            })
        };
        let succeeded = attacks()
            .filter(|(tactic, sample)| match tactic {
                crate::scenario::Tactic::SlowHeaders => sample.outcome == SampleOutcome::TimedOut,
                _ => sample.outcome.is_served(),
            })
            .count();
        RunScore {
            people: ServiceLevel::from_samples(recording.people().map(|(_, sample)| sample)),
            flash_crowd: ServiceLevel::from_samples(
                recording.people().filter(|(kind, _)| of_crowd(*kind)).map(|(_, sample)| sample),
            ),
            peak_offered_per_second: recording
                .seconds
                .iter()
                .map(crate::recording::Second::offered)
                .max()
                .unwrap_or(0),
            peak_origin_per_second: recording.origin_peak_per_second,
            attack_attempts: attacks().count() as u32,
            attack_succeeded: succeeded as u32,
            tactic_changes: recording.tactic_changes.len() as u32,
            held_back: recording.held_back,
        }
    }
}
