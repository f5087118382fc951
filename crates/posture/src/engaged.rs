//! The procedures engaged on one platform.

use portcullis_model::{Cost, Effect, Measure, Procedure, Signature, SourceLimits, Time};
use portcullis_watch::ProcedureCounts;
use serde::{Deserialize, Serialize};

use crate::ladder::ActiveRungs;

/// A procedure with its effect and cost so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EngagedProcedure {
    pub procedure: Procedure,
    pub effect: Effect,
    pub cost: Cost,
}

impl EngagedProcedure {
    pub(crate) fn new(procedure: Procedure, collateral_per_million: u32) -> Self {
        let cost = Cost { collateral_per_million, ..Cost::default() };
        Self { procedure, effect: Effect::default(), cost }
    }
}

/// The engaged procedures, in the order in which they were engaged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EngagedList {
    list: Vec<EngagedProcedure>,
    /// Whether the gate has to be given the list again.
    changed: bool,
}

impl EngagedList {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &EngagedProcedure> {
        self.list.iter()
    }

    fn measures(&self) -> impl Iterator<Item = &Measure> {
        self.list.iter().map(|e| &e.procedure.measure)
    }

    /// The place of the first procedure that `matches`.
    pub(crate) fn position(&self, matches: impl Fn(&Procedure) -> bool) -> Option<usize> {
        self.list.iter().position(|engaged| matches(&engaged.procedure))
    }

    /// Whether the list changed since this was last asked.
    pub(crate) fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    pub(crate) fn push(&mut self, engaged: EngagedProcedure) {
        self.list.push(engaged);
        self.changed = true;
    }

    pub(crate) fn remove(&mut self, at: usize) -> EngagedProcedure {
        self.changed = true;
        self.list.remove(at)
    }

    /// Adds one tick's counts; `offered` is what all activities of the platform were offered.
    pub(crate) fn count(&mut self, counts: &[ProcedureCounts], offered: u64) {
        for engaged in &mut self.list {
            engaged.effect.seen += offered;
            let Some(c) = counts.iter().find(|c| c.id == engaged.procedure.id) else {
                continue;
            };
            let challenged = matches!(engaged.procedure.measure, Measure::Challenge(_));
            engaged.effect.stopped = (engaged.effect.stopped + c.stopped)
                .saturating_sub(if challenged { c.answered } else { 0 });
            engaged.cost.delayed += c.answered;
            engaged.cost.refused_with_token += c.with_token;
        }
    }

    /// Moves every expiry to `expires` that comes before `unless_after`.
    pub(crate) fn renew(&mut self, expires: Time, unless_after: Time) {
        for engaged in &mut self.list {
            if engaged.procedure.expires < unless_after {
                engaged.procedure.expires = expires;
                self.changed = true;
            }
        }
    }

    /// The place of a procedure that has expired.
    pub(crate) fn expired(&self, now: Time) -> Option<usize> {
        self.position(|procedure| procedure.expires <= now)
    }

    /// The place of the procedure that visitors notice most; the latest of several.
    pub(crate) fn most_noticed(&self) -> Option<usize> {
        (0..self.list.len()).max_by_key(|at| self.list[*at].procedure.measure.noticed())
    }

    pub(crate) fn rungs(&self, ordinary: SourceLimits) -> ActiveRungs {
        ActiveRungs::of(self.measures(), ordinary)
    }

    /// The signatures that are refused.
    pub(crate) fn signatures(&self) -> impl Iterator<Item = &Signature> {
        self.measures().filter_map(|measure| match measure {
            Measure::RefuseSignature(signature) => Some(signature),
            _ => None,
        })
    }
}
