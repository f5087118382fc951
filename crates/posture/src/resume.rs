//! Numbers that continue over a restart.

use std::collections::BTreeMap;

use portcullis_model::Event;

/// The highest numbers that earlier runs of the same ledger used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// The highest procedure number used.
    pub procedures: u32,
    /// The highest wave number by platform name.
    pub waves: BTreeMap<String, u32>,
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
            _ => {}
        }
    }
}
