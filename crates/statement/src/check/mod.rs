//! The checker of press statements: a text, sentence by sentence.
//!
//! A sentence is supported only if each of its words was accounted for: compared with the record,
//! or on the short list of words that assert nothing. What is left over is named, and the sentence
//! is not supported. So the checker may fail to read a true sentence; it never supports one that it
//! did not read.
//!
//! Words get their classes from `lexicon.txt`, clauses their meaning from `frames.txt`; `facts` holds
//! what the record says about each meaning, and `judge` compares.

// module order: tokens sentences outcome
// module order: lexicon numbers
// module order: spans moments
// module order: content
// module order: names
// module order: segments
// module order: units language
// module order: clauses
// module order: facts
// module order: judge
// module order: parsed
// module order: ignorance
// module order: read
// module order: render

#![allow(
    clippy::match_same_arms,
    reason = "tables: one line for each class of words, where people look for it"
)]

mod clauses;
mod content;
mod facts;
mod ignorance;
mod judge;
mod language;
mod lexicon;
mod moments;
mod names;
mod numbers;
mod outcome;
mod parsed;
mod read;
mod render;
mod segments;
mod sentences;
mod spans;
mod tokens;
mod units;

use portcullis_incident::Incident;

use self::facts::Facts;
pub use self::outcome::{
    Assertion, Check, CheckContext, CheckedSentence, MatchedClaim, RejectedPhrase, SentenceResult,
};

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
