//! The facts that the gate's ledger records about a run, in the time of the run.
//!
//! The caller reads the ledger and passes its events as [`GateEvent`]s; [`GateFacts::new`] relates
//! them to the waves that were sent.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::recording::RunRecording;
use crate::scenario::WaveSpan;

/// One event in the gate's ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateEvent {
    /// When, in milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// What.
    pub kind: GateEventKind,
}

/// The kinds of events that a drill scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateEventKind {
    /// A surge was noticed, without calling it an attack.
    SurgeDetected,
    /// An attack was declared.
    AttackDetected,
    /// The first procedure against it was engaged, or the attack was found to be contained.
    Mitigated,
    /// The posture changed; the text to show, such as `open to guarded`.
    PostureChanged(String),
    /// No procedure is engaged any more, and every activity is back within its baseline.
    FullSpeed,
}

/// The gate's actions during the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateFacts {
    /// For each wave that was sent, in order.
    pub waves: Vec<WaveFacts>,
    /// How it classified the flash crowd.
    pub crowd: CrowdAssessment,
    /// Accepted connections and streams that it cut, from the run's start on, by reason.
    pub cuts: BTreeMap<String, u64>,
    /// Every event in chronological order, for the plot.
    pub labels: Vec<EventLabel>,
}

/// The gate's actions during one wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WaveFacts {
    /// When the wave was sent.
    pub sent: WaveSpan,
    /// Milliseconds from its first request until an attack was declared.
    pub detected_after_ms: Option<u32>,
    /// Milliseconds from its first request until it was mitigated.
    pub mitigated_after_ms: Option<u32>,
    /// Milliseconds from its end until full speed was recorded, before the next wave began.
    pub full_speed_after_ms: Option<u32>,
}

/// How the gate classified the flash crowd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrowdAssessment {
    /// There was none.
    NoCrowd,
    /// Nothing was recorded about it.
    Unnoticed,
    /// It was noticed as a surge.
    Surge,
    /// It was wrongly classified as an attack.
    Attack,
}

/// An event with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventLabel {
    /// When, in milliseconds from the run's start.
    pub at_ms: u32,
    /// What happened.
    pub label: String,
}

impl GateFacts {
    /// Relates the ledger's events to the run with the gate. Events from before the run are left
    /// out; those after its end count, since full speed may be recorded after the last visitor
    /// left. `cuts`: the connections and streams that the gate cut from the run's start on, by
    /// reason.
    pub fn new(with: &RunRecording, events: &[GateEvent], cuts: BTreeMap<String, u64>) -> Self {
        let mut events: Vec<(u32, &GateEventKind)> = events
            .iter()
            .filter_map(|event| {
                let at_ms = event.unix_ms.checked_sub(with.started_unix_ms)?;
                Some((u32::try_from(at_ms).ok()?, &event.kind))
            })
            .collect();
        events.sort_by_key(|(at_ms, _)| *at_ms);

        GateFacts {
            waves: wave_facts(&with.waves(), &events),
            crowd: assess_crowd(with, &events),
            cuts,
            labels: events
                .iter()
                .map(|(at_ms, kind)| EventLabel { at_ms: *at_ms, label: label(kind) })
                .collect(),
        }
    }
}

/// The time of the first event of this kind within the period.
fn first(
    events: &[(u32, &GateEventKind)],
    kind: &GateEventKind,
    from_ms: u32,
    to_ms: u32,
) -> Option<u32> {
    events
        .iter()
        .find(|(at_ms, event)| *event == kind && (from_ms..to_ms).contains(at_ms))
        .map(|(at_ms, _)| *at_ms)
}

fn wave_facts(spans: &[WaveSpan], events: &[(u32, &GateEventKind)]) -> Vec<WaveFacts> {
    spans
        .iter()
        .enumerate()
        .map(|(index, &sent)| {
            let next_ms = spans.get(index + 1).map_or(u32::MAX, |next| next.from_ms);
            let within = |kind| first(events, kind, sent.from_ms, sent.to_ms);
            let full_speed = first(events, &GateEventKind::FullSpeed, sent.to_ms, next_ms);
            WaveFacts {
                sent,
                detected_after_ms: within(&GateEventKind::AttackDetected)
                    .map(|at_ms| at_ms - sent.from_ms),
                mitigated_after_ms: within(&GateEventKind::Mitigated)
                    .map(|at_ms| at_ms - sent.from_ms),
                full_speed_after_ms: full_speed.map(|at_ms| at_ms - sent.to_ms),
            }
        })
        .collect()
}

/// The worst assessment of all crowd phases without an attack.
fn assess_crowd(with: &RunRecording, events: &[(u32, &GateEventKind)]) -> CrowdAssessment {
    with.phases
        .iter()
        .filter(|phase| phase.has_crowd && !phase.is_attack)
        .map(|phase| {
            let seen = |kind| first(events, kind, phase.from_ms, phase.to_ms).is_some();
            if seen(&GateEventKind::AttackDetected) {
                CrowdAssessment::Attack
            } else if seen(&GateEventKind::SurgeDetected) {
                CrowdAssessment::Surge
            } else {
                CrowdAssessment::Unnoticed
            }
        })
        .max_by_key(|assessment| *assessment as u8)
        .unwrap_or(CrowdAssessment::NoCrowd)
}

/// The label of an event in the plot.
fn label(kind: &GateEventKind) -> String {
    match kind {
        GateEventKind::SurgeDetected => "surge noticed".to_owned(),
        GateEventKind::AttackDetected => "attack declared".to_owned(),
        GateEventKind::Mitigated => "mitigated".to_owned(),
        GateEventKind::PostureChanged(text) => text.clone(),
        GateEventKind::FullSpeed => "full speed".to_owned(),
    }
}
