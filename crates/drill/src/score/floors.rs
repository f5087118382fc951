//! What a gate has to reach in a drill. Whole numbers decide.

use serde::Serialize;

use super::{ScoreCard, Service};
use crate::facts::CrowdJudgement;
use crate::recording::Recording;

/// The share of people who must be served in every attack phase with the gate, in percent.
const SERVED_PERCENT: u32 = 99;

/// The share of people below which a site without the gate counts as down, in percent.
const DOWN_PERCENT: u32 = 50;

/// How long the gate may take to declare an attack, in milliseconds.
const DETECTED_MS: u32 = 2_000;

/// One thing that had to be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Floor {
    /// What.
    pub what: String,
    /// How much of it.
    pub floor: String,
    /// How much it was, with the count it rests on.
    pub measured: String,
    /// Whether that is enough.
    pub met: bool,
}

pub(super) fn floors(card: &ScoreCard, with: &Recording) -> Vec<Floor> {
    let mut floors = Vec::new();
    for (phase, span) in card.phases.iter().zip(&with.phases).filter(|(phase, _)| phase.is_attack) {
        floors.push(Floor {
            what: format!("{}: served with the gate", phase.title),
            floor: format!("at least {SERVED_PERCENT}%"),
            measured: share(&phase.with),
            met: phase.with.serves_at_least(SERVED_PERCENT),
        });
        if span.down_without_gate {
            floors.push(Floor {
                what: format!("{}: served without it", phase.title),
                floor: format!("below {DOWN_PERCENT}%"),
                measured: share(&phase.without),
                met: phase.without.asked > 0 && !phase.without.serves_at_least(DOWN_PERCENT),
            });
        }
    }
    if with.phases.iter().any(|phase| phase.has_crowd) {
        let crowd = &card.with.flash_crowd;
        floors.push(Floor {
            what: "Flash crowd: people refused with the gate".to_owned(),
            floor: "none".to_owned(),
            measured: format!("{} of {}", crowd.refused, crowd.asked),
            met: crowd.asked > 0 && crowd.refused == 0,
        });
        floors.push(Floor {
            what: "Flash crowd: what the gate called it".to_owned(),
            floor: "no attack".to_owned(),
            measured: card.crowd.words().to_owned(),
            met: matches!(card.crowd, CrowdJudgement::Surge | CrowdJudgement::Unremarked),
        });
    }
    for (number, wave) in (1..).zip(&card.waves) {
        floors.push(Floor {
            what: format!("Wave {number}: time until an attack was declared"),
            floor: format!("at most {}", seconds(DETECTED_MS)),
            measured: wave.detected_after_ms.map_or_else(not_recorded, seconds),
            met: wave.detected_after_ms.is_some_and(|after_ms| after_ms <= DETECTED_MS),
        });
        floors.push(Floor {
            what: format!("Wave {number}: full speed after it"),
            floor: "recorded".to_owned(),
            measured: wave.full_speed_after_ms.map_or_else(not_recorded, |after_ms| {
                format!("{} after its end", seconds(after_ms))
            }),
            met: wave.full_speed_after_ms.is_some(),
        });
    }
    floors
}

impl CrowdJudgement {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            CrowdJudgement::NotRehearsed => "not rehearsed",
            CrowdJudgement::Unremarked => "unremarked",
            CrowdJudgement::Surge => "surge",
            CrowdJudgement::Attack => "attack",
        }
    }
}

/// A share with the count it rests on.
pub(super) fn share(service: &Service) -> String {
    match service.served_share() {
        Some(share) => {
            format!("{} ({} of {})", percent(share), service.served, service.asked)
        }
        None => "nobody asked".to_owned(),
    }
}

/// Hundredths of a percent to one decimal, rounded down: 99.97 is not 100.
pub(super) fn percent(hundredths: u32) -> String {
    format!("{}.{}%", hundredths / 100, hundredths / 10 % 10)
}

/// Milliseconds as seconds to one decimal, rounded up: 2.01 is not 2.0.
pub(super) fn seconds(ms: u32) -> String {
    let tenths = ms.div_ceil(100);
    format!("{}.{} s", tenths / 10, tenths % 10)
}

pub(super) fn not_recorded() -> String {
    "not recorded".to_owned()
}
