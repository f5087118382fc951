//! A statement: claims with their findings, a checkpoint and proofs.

use portcullis_incident::{Incident, TimeWindow, hypotheses};
use portcullis_model::WallTime;
use serde::Serialize;

use crate::press::{PressDetails, PressSummary, summarise};
use crate::{Claim, Finding, assess};

/// What the caller knows and the incident does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatementContext {
    /// The signed head of the ledger, as text.
    pub checkpoint: String,
    /// The key that signs it, in the form of a signed note's verifier key.
    pub vkey: String,
    /// When the statement is made.
    pub generated_at: WallTime,
    /// Who makes it.
    pub organisation: Option<String>,
    /// Portcullis' version.
    pub version: String,
    /// For the press.
    pub press: PressDetails,
}

/// The proof that a leaf is in the ledger under the statement's checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeafProof {
    /// The leaf.
    pub leaf: u64,
    /// The proof, as the ledger writes it.
    pub proof: String,
}

/// Claims with their findings, a checkpoint and proofs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// The version of this format: [`Statement::FORMAT`].
    pub format: u32,
    /// True for a drill or a replay: nothing of this is about a real attack.
    pub rehearsal: bool,
    /// The incident.
    pub incident: String,
    /// Who makes the statement.
    pub organisation: Option<String>,
    /// When it is made.
    pub generated_at: WallTime,
    /// Portcullis' version.
    pub version: String,
    /// From the first wave's onset to the last one's end.
    pub window: TimeWindow,
    /// Whether the attack continues where the ledger ends.
    pub ongoing: bool,
    /// Platforms that were attacked.
    pub platforms: Vec<String>,
    /// Protected platforms on which no attack was recorded.
    pub not_attacked: Vec<String>,
    /// The last leaf that was read.
    pub as_of_leaf: u64,
    /// When that was recorded.
    pub as_of: WallTime,
    /// What a press officer needs first.
    pub press: PressSummary,
    /// The claims.
    pub claims: Vec<Claim>,
    /// What was not recorded, in sentences. Empty if nothing is known to be missing.
    pub coverage: Vec<String>,
    /// The only sentence about who did it.
    pub attribution: &'static str,
    /// What a ledger cannot prove.
    pub limits: &'static [&'static str],
    /// The signed head of the ledger.
    pub checkpoint: String,
    /// The key that signs it.
    pub vkey: String,
    /// Proofs of the leaves that the claims name; the caller fills them in.
    pub proofs: Vec<LeafProof>,
}

/// The limits that every statement lists.
const LIMITS: &[&str] = &[
    "The ledger proves that nothing in it was changed or taken out since the checkpoint was signed. \
     It does not prove that what was written was true: that rests on the gate's own counting.",
    "The gate sees what reaches it. What a provider filtered before, and what never arrived, is not \
     in these figures.",
    "Every figure holds for the window and the leaves that are named with it, and for nothing else.",
];

/// Gaps in the record that a statement lists one by one.
const GAPS: usize = 12;

/// Makes the statement of an incident. [`Statement::proofs`] is left empty: ask
/// [`Statement::leaves_to_prove`] and fill it in.
pub fn build(incident: &Incident, context: &StatementContext) -> Statement {
    let claims = assess(incident);
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    Statement {
        format: Statement::FORMAT,
        rehearsal: incident.rehearsal,
        incident: incident.id.clone(),
        organisation: context.organisation.clone(),
        generated_at: context.generated_at,
        version: context.version.clone(),
        window: incident.window(),
        ongoing: incident.ongoing(),
        platforms: owned(incident.attacked()),
        not_attacked: owned(incident.not_attacked()),
        as_of_leaf: incident.as_of.leaf,
        as_of: incident.as_of.at,
        press: summarise(incident, &claims, &context.press),
        claims,
        coverage: incident.coverage.describe(GAPS),
        attribution: hypotheses::ATTRIBUTION,
        limits: LIMITS,
        checkpoint: context.checkpoint.clone(),
        vkey: context.vkey.clone(),
        proofs: Vec::new(),
    }
}

impl Statement {
    /// The version of the JSON format.
    pub const FORMAT: u32 = 2;

    /// The leaves that the claims name, ascending, each once.
    pub fn leaves_to_prove(&self) -> Vec<u64> {
        let mut leaves: Vec<u64> = self.claims.iter().flat_map(Claim::leaves).collect();
        leaves.sort_unstable();
        leaves.dedup();
        leaves
    }

    /// How many claims have this finding.
    pub fn count(&self, finding: Finding) -> usize {
        self.claims.iter().filter(|c| c.finding == finding).count()
    }

    /// As JSON, for programs.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        json.expect("a statement has only string keys, so it always serialises") + "\n"
    }
}
