//! What a check takes for granted, and what it answers.

use core::ops::Range;

use portcullis_incident::TimeWindow;
use portcullis_model::WallTime;
use serde::Serialize;

use crate::{ClaimKind, Finding, LocalZone};

/// What the text takes for granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckContext {
    /// When the statement is made: what "today" and "Tuesday" mean. Without it, times that depend on
    /// it are not compared.
    pub made_at: Option<WallTime>,
    /// Local time.
    pub zone: LocalZone,
    /// Names of the organisation.
    pub names: Vec<String>,
    /// What "the next day" follows; filled with the incident's onset if it is empty.
    pub first_at: Option<WallTime>,
}

impl CheckContext {
    /// Milliseconds since 1970 in local time.
    pub(super) fn local(&self, at: WallTime) -> i64 {
        self.zone.local_millis(at)
    }

    pub(super) fn period(&self, window: TimeWindow) -> String {
        self.zone.period(window)
    }
}

/// A text, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The incident that it was checked against, if there is one.
    pub incident: Option<String>,
    /// True if that incident is a drill or a replay.
    pub rehearsal: bool,
    /// Each sentence, once, in order.
    pub sentences: Vec<CheckedSentence>,
}

/// The result for one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SentenceResult {
    /// All of it was read and compared, and the record supports it.
    Supported,
    /// The record contradicts something in it, or does not show it.
    Rejected,
    /// It claims what nothing could measure, and nothing else that is refused.
    NotMeasurable,
    /// Some of it was not read, or nothing on record is about it.
    NotChecked,
    /// It is not in English.
    NotRead,
    /// Thanks, apologies and greetings.
    AssertsNothing,
}

/// How a sentence states a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assertion {
    /// It makes the claim.
    Made,
    /// It states the opposite.
    Denied,
    /// It leaves it open.
    LeftOpen,
}

/// A clause that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MatchedClaim {
    /// The claim of a statement that it belongs to, if there is one.
    pub claim: Option<ClaimKind>,
    /// What was read: `attack`, `down`.
    pub reading: &'static str,
    /// How the sentence states it.
    pub assertion: Assertion,
    /// The finding on what the sentence states.
    pub finding: Finding,
    /// Why.
    pub because: String,
    /// The words that it was read from.
    pub phrase: String,
}

/// Words that the evidence does not carry, or that were not checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RejectedPhrase {
    /// The words, as they were written.
    pub phrase: String,
    /// Their range in the text, in bytes.
    pub at: Range<usize>,
    /// Why they are refused.
    pub why: String,
}

/// A sentence, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedSentence {
    /// The sentence.
    pub sentence: String,
    /// Its range in the text, in bytes.
    pub at: Range<usize>,
    /// The result for it.
    pub result: SentenceResult,
    /// Clauses that were read.
    pub matched: Vec<MatchedClaim>,
    /// Words that are refused.
    pub rejected: Vec<RejectedPhrase>,
    /// Words that were not checked.
    pub unchecked: Vec<RejectedPhrase>,
    /// The nearest wordings that the figures support, for what was refused.
    pub suggestions: Vec<String>,
    /// What a reader should know about the result.
    pub notes: Vec<String>,
    /// The leaves behind the clauses that were read.
    pub leaves: Vec<u64>,
}
