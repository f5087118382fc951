//! The gate's own events: `started`, `taken-over`, `reloaded`, `stopped`, `recording-gap`.

use portcullis_model::{Event, PlatformFacts, WallTime};

use crate::gate_start::GateStart;
use crate::{Gap, GapCause, LeafRef, TimeWindow};

/// What the ledger holds of the running gate so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct GateRun {
    start: Option<GateStart>,
    stopped: bool,
}

/// What an event of the gate means for everything that lasts.
#[derive(Debug, Default)]
pub(crate) struct GateChange {
    /// The gate's run ended at this time; this leaf records it.
    pub(crate) ended: Option<LeafRef>,
    /// Nothing was recorded for a time.
    pub(crate) gap: Option<Gap>,
}

impl GateRun {
    /// Takes the next event. `previous` is the last leaf before it.
    pub(crate) fn apply(
        &mut self,
        stamp: LeafRef,
        previous: Option<LeafRef>,
        event: &Event,
    ) -> GateChange {
        let was_stopped = core::mem::replace(&mut self.stopped, matches!(event, Event::Stopped));
        match event {
            Event::Started { version, configuration, platforms, rehearsal, .. } => {
                self.begin(version, configuration, platforms, *rehearsal);
                previous.map_or_else(GateChange::default, |previous| {
                    let cause = if was_stopped { GapCause::Stopped } else { GapCause::Crash };
                    started_again(stamp, previous, cause)
                })
            }
            Event::TakenOver {
                version, configuration, platforms, rehearsal, continues, ..
            } => {
                self.begin(version, configuration, platforms, *rehearsal);
                match previous.filter(|_| !*continues) {
                    Some(previous) => started_again(stamp, previous, GapCause::Replaced),
                    None => GateChange::default(),
                }
            }
            Event::Reloaded { configuration, platforms } => {
                if let Some(start) = &mut self.start {
                    start.configuration.clone_from(configuration);
                    start.platforms.clone_from(platforms);
                }
                GateChange::default()
            }
            Event::LedgerReplaced { before, version, configuration, platforms, rehearsal } => {
                self.begin(version, configuration, platforms, *rehearsal);
                gap_at(stamp, stamp.at, GapCause::LedgerReplaced { leaves: before.size })
            }
            Event::ForkAccepted { reason, last_seen: _ } => {
                gap_at(stamp, stamp.at, GapCause::Fork { reason: reason.clone() })
            }
            Event::ClockStepped { by_ms, expected } => {
                gap_at(stamp, *expected, GapCause::ClockStep { by_ms: *by_ms })
            }
            Event::Stopped => GateChange { ended: Some(stamp), gap: None },
            Event::RecordingGap { since, lost } => {
                let window = TimeWindow::new(*since, stamp.at);
                let cause = GapCause::Recording { lost: *lost };
                GateChange { ended: None, gap: Some(Gap { window, cause, leaf: stamp.leaf }) }
            }
            _ => GateChange::default(),
        }
    }

    fn begin(
        &mut self,
        version: &str,
        configuration: &str,
        platforms: &[PlatformFacts],
        rehearsal: bool,
    ) {
        self.start = Some(GateStart {
            version: version.to_owned(),
            configuration: configuration.to_owned(),
            platforms: platforms.to_vec(),
            rehearsal,
        });
    }

    /// The content of the last `started` and `reloaded`, if the ledger holds one.
    pub(crate) const fn start(&self) -> Option<&GateStart> {
        self.start.as_ref()
    }
}

/// A gap between two times, in whichever order, that does not end the gate's run.
fn gap_at(stamp: LeafRef, other: WallTime, cause: GapCause) -> GateChange {
    let window = TimeWindow::new(other.min(stamp.at), other.max(stamp.at));
    GateChange { ended: None, gap: Some(Gap { window, cause, leaf: stamp.leaf }) }
}

/// A crash is not recorded: the next start shows it. The run ended with the last leaf before.
fn started_again(stamp: LeafRef, previous: LeafRef, cause: GapCause) -> GateChange {
    let last = previous.at.min(stamp.at);
    let window = TimeWindow::new(last, stamp.at);
    GateChange {
        ended: Some(LeafRef { at: last, leaf: stamp.leaf }),
        gap: Some(Gap { window, cause, leaf: stamp.leaf }),
    }
}
