//! The thresholds of a drill, in whole numbers.

use super::card::{ScoreCard, ServiceLevel};
use super::threshold::Threshold;
use crate::gate_facts::CrowdAssessment;
use crate::recording::RunRecording;

/// The share of people who must be served in every attack phase with the gate, in percent.
const SERVED_MIN_PERCENT: u32 = 99;

/// The share of people below which a site without the gate counts as down, in percent.
const DOWN_MAX_PERCENT: u32 = 50;

/// How long the gate may take to declare an attack, in milliseconds.
const DETECTION_MAX_MS: u32 = 2_000;

pub(super) fn thresholds(card: &ScoreCard, with: &RunRecording) -> Vec<Threshold> {
    let mut thresholds = Vec::new();
    for (phase, span) in card.phases.iter().zip(&with.phases).filter(|(phase, _)| phase.is_attack) {
        thresholds.push(Threshold {
            name: format!("{}: served with the gate", phase.title),
            required: format!("at least {SERVED_MIN_PERCENT}%"),
            measured: format_share(&phase.with),
            met: phase.with.serves_at_least(SERVED_MIN_PERCENT),
        });
        if span.down_without_gate {
            thresholds.push(Threshold {
                name: format!("{}: served without it", phase.title),
                required: format!("below {DOWN_MAX_PERCENT}%"),
                measured: format_share(&phase.without),
                met: phase.without.requested > 0
                    && !phase.without.serves_at_least(DOWN_MAX_PERCENT),
            });
        }
    }
    if with.phases.iter().any(|phase| phase.has_crowd) {
        let crowd = &card.with.flash_crowd;
        thresholds.push(Threshold {
            name: "Flash crowd: people refused with the gate".to_owned(),
            required: "none".to_owned(),
            measured: format!("{} of {}", crowd.refused, crowd.requested),
            met: crowd.requested > 0 && crowd.refused == 0,
        });
        thresholds.push(Threshold {
            name: "Flash crowd: how the gate classified it".to_owned(),
            required: "no attack".to_owned(),
            measured: card.crowd.as_str().to_owned(),
            met: matches!(card.crowd, CrowdAssessment::Surge | CrowdAssessment::Unnoticed),
        });
    }
    for (number, wave) in (1..).zip(&card.waves) {
        thresholds.push(Threshold {
            name: format!("Wave {number}: time until an attack was declared"),
            required: format!("at most {}", format_seconds(DETECTION_MAX_MS)),
            measured: wave.detected_after_ms.map_or_else(not_recorded, format_seconds),
            met: wave.detected_after_ms.is_some_and(|after_ms| after_ms <= DETECTION_MAX_MS),
        });
        thresholds.push(Threshold {
            name: format!("Wave {number}: full speed after it"),
            required: "recorded".to_owned(),
            measured: wave.full_speed_after_ms.map_or_else(not_recorded, |after_ms| {
                format!("{} after its end", format_seconds(after_ms))
            }),
            met: wave.full_speed_after_ms.is_some(),
        });
    }
    thresholds
}

impl CrowdAssessment {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            CrowdAssessment::NoCrowd => "no crowd",
            CrowdAssessment::Unnoticed => "unnoticed",
            CrowdAssessment::Surge => "surge",
            CrowdAssessment::Attack => "attack",
        }
    }
}

/// A share with the count it rests on.
pub(super) fn format_share(service: &ServiceLevel) -> String {
    match service.served_share() {
        Some(share) => {
            format!("{} ({} of {})", format_percent(share), service.served, service.requested)
        }
        None => "no requests".to_owned(),
    }
}

/// Hundredths of a percent to one decimal, rounded down: 99.97 is not 100.
pub(super) fn format_percent(hundredths: u32) -> String {
    format!("{}.{}%", hundredths / 100, hundredths / 10 % 10)
}

/// Milliseconds as seconds to one decimal, rounded up: 2.01 is not 2.0.
pub(super) fn format_seconds(ms: u32) -> String {
    let tenths = ms.div_ceil(100);
    format!("{}.{} s", tenths / 10, tenths % 10)
}

pub(super) fn not_recorded() -> String {
    "not recorded".to_owned()
}
