//! The score card: a comparison of two runs, and whether the gate met its thresholds.

mod card;
mod text;
mod threshold;
mod thresholds;

use crate::gate_facts::GateFacts;
use crate::recording::RunRecording;
use crate::traffic::{ANNOUNCED_WAIT_LIMIT, PAGE_TIMEOUT};

pub use card::{PhaseScore, RunScore, ScoreCard, ServiceLevel};
pub use threshold::Threshold;

impl ScoreCard {
    /// Scores two runs of the same plan, and what the ledger records about the one with the gate.
    pub fn new(without: &RunRecording, with: &RunRecording, facts: &GateFacts) -> Self {
        let phases = with
            .phases
            .iter()
            .enumerate()
            .map(|(index, span)| PhaseScore {
                name: span.name.clone(),
                title: span.title.clone(),
                from_ms: span.from_ms,
                to_ms: span.to_ms,
                is_attack: span.is_attack,
                without: ServiceLevel::for_phase(without, index),
                with: ServiceLevel::for_phase(with, index),
            })
            .collect::<Vec<_>>();
        let mut card = ScoreCard {
            scenario: with.scenario.clone(),
            seed: with.seed,
            lasts_ms: with.lasts_ms,
            page_timeout_ms: PAGE_TIMEOUT.as_millis() as u32,
            announced_wait_limit_ms: ANNOUNCED_WAIT_LIMIT.as_millis() as u32,
            phases,
            without: RunScore::from_recording(without),
            with: RunScore::from_recording(with),
            waves: facts.waves.clone(),
            crowd: facts.crowd,
            cuts: facts.cuts.clone(),
            thresholds: Vec::new(),
            met: false,
        };
        card.thresholds = thresholds::thresholds(&card, with);
        card.met = card.thresholds.iter().all(|threshold| threshold.met);
        card
    }
}

#[cfg(test)]
mod tests;
