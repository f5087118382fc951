//! The checker of press statements: a text, sentence by sentence.
//!
//! A sentence is supported only if each of its words was accounted for: compared with the record,
//! or on the short list of words that assert nothing. What is left over is named, and the sentence
//! is not supported. So the checker may fail to read a true sentence; it never supports one that it
//! did not read.
//!
//! Words get their classes from `lexicon.txt`, clauses their meaning from `frames.txt`; `facts` holds
//! what the record says about each meaning, and `judge` compares.

#![allow(
    clippy::match_same_arms,
    reason = "tables: one line for each class of words, where people look for it"
)]

mod clauses;
mod facts;
mod ignorance;
mod judge;
mod language;
mod lexicon;
mod moments;
mod names;
mod numbers;
mod read;
mod render;
mod segments;
mod sentences;
mod spans;
mod tokens;
mod units;

use core::ops::Range;

use portcullis_incident::{Incident, TimeWindow};
use portcullis_model::WallTime;
use serde::Serialize;

use self::facts::Facts;
use crate::{ClaimKind, Finding, LocalZone};

/// The longest text that is checked, in bytes. The statement of 2019 had 600.
pub const TEXT_BYTES: usize = 64 * 1024;

/// Why a text was not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// It is too long.
    #[error(
        "the text has {bytes} bytes; at most {TEXT_BYTES} are checked at a time: give the press \
         statement alone"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

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
    fn local(&self, at: WallTime) -> i64 {
        self.zone.local_millis(at)
    }

    fn period(&self, window: TimeWindow) -> String {
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
    /// Some of it was not read, or nothing on record bears on it.
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

/// Checks a text against an incident, or against none: then nothing about an attack is supported.
pub fn check(
    text: &str,
    incident: Option<&Incident>,
    context: &CheckContext,
) -> Result<Check, CheckError> {
    if text.len() > TEXT_BYTES {
        return Err(CheckError::TooLong { bytes: text.len() });
    }
    let first_at = context.first_at.or(incident.map(Incident::onset));
    let context = &CheckContext { first_at, ..context.clone() };
    let facts = Facts::new(incident, context);
    let sentences = sentences::split(text).into_iter();
    Ok(Check {
        incident: incident.map(|i| i.id.clone()),
        rehearsal: incident.is_some_and(|i| i.rehearsal),
        sentences: sentences.map(|at| read::sentence(text, at, &facts, context)).collect(),
    })
}

impl Check {
    /// Whether each sentence is supported or asserts nothing.
    pub fn passes(&self) -> bool {
        let fine = |v: SentenceResult| {
            matches!(v, SentenceResult::Supported | SentenceResult::AssertsNothing)
        };
        self.sentences.iter().all(|s| fine(s.result))
    }

    /// How many sentences have this result.
    pub fn count(&self, result: SentenceResult) -> usize {
        let have = self.sentences.iter().filter(|s| s.result == result);
        have.count()
    }
}
