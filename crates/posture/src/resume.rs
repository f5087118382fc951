//! Numbers that continue over a restart.

use std::collections::BTreeMap;

use portcullis_model::Event;
use serde::{Deserialize, Serialize};

/// The highest numbers that earlier runs of the same ledger used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// The highest procedure number used.
    pub procedures: u32,
    /// The highest wave number by platform name.
    pub waves: BTreeMap<String, u32>,
    /// The machine of the last start, as `started` names it.
    pub machine: Option<String>,
}

impl Resume {
    /// Reads the numbers in one event of an earlier run.
    pub fn learn(&mut self, event: &Event) {
        match event {
            Event::ProcedureEngaged(facts) => {
                self.procedures = self.procedures.max(facts.id.0.get());
            }
            Event::AttackBegan { wave, platform, .. } => {
                let highest = self.waves.entry(platform.clone()).or_default();
                *highest = (*highest).max(*wave);
            }
            Event::Started { machine, .. } | Event::TakenOver { machine, .. } => {
                self.machine.clone_from(machine);
            }
            // The machine is named by the log's key, which is another one from here on.
            Event::LedgerReplaced { .. } => self.machine = None,
            _ => {}
        }
    }
}
