//! The checker of press statements: a text, sentence by sentence.
//!
//! Claims are recognised by rules over words, so the checker errs: it may miss a claim that is
//! put in an unusual way, and it may see one where none is made. It never changes what the ledger
//! finds on a claim.

mod render;
mod rules;
mod sentences;
mod tokens;

use core::ops::Range;

use portcullis_incident::{Incident, grade, hypotheses};
use serde::Serialize;

use self::rules::{
    ABSOLUTES, NOTIFICATIONS, OUT_OF_SCOPE, OutOfScope, Polarity, RECIPIENTS, RULES, leaves_open,
    negates,
};
use self::tokens::{PatternMatch, WordToken, find, tokens};
use crate::{Claim, ClaimKind, Finding, assess};

/// The longest text that is checked, in bytes. The statement of 2019 had 600.
pub const TEXT_BYTES: usize = 64 * 1024;

/// How many words before a phrase a negation still reaches it.
const NEGATION_REACH: usize = 6;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SentenceResult {
    /// All that was recognised in it is supported, or left open.
    Supported,
    /// Something in it is not supported.
    Rejected,
    /// It claims what nothing could measure, and nothing else that is refused.
    NotMeasurable,
    /// No claim was recognised in it.
    NotAboutIncident,
}

/// How a sentence states a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assertion {
    /// It makes the claim.
    Made,
    /// It states the opposite.
    Denied,
    /// It leaves it open, or announces it.
    LeftOpen,
}

/// A claim that was recognised in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MatchedClaim {
    /// The claim.
    pub claim: ClaimKind,
    /// How the sentence states it.
    pub assertion: Assertion,
    /// The ledger's finding on what the sentence states.
    pub finding: Finding,
    /// Why.
    pub because: String,
    /// The words that it was recognised by.
    pub phrase: String,
}

/// Words that the evidence does not carry.
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
    /// Claims that were recognised.
    pub matched: Vec<MatchedClaim>,
    /// Words that are refused.
    pub rejected: Vec<RejectedPhrase>,
    /// The nearest wordings that the figures support, for what was refused.
    pub suggestions: Vec<String>,
    /// What was not checked.
    pub notes: Vec<String>,
    /// The leaves behind the claims that were recognised.
    pub leaves: Vec<u64>,
}

/// Checks a text against an incident, or against none: then nothing about an attack is supported.
pub fn check(text: &str, incident: Option<&Incident>) -> Result<Check, CheckError> {
    if text.len() > TEXT_BYTES {
        return Err(CheckError::TooLong { bytes: text.len() });
    }
    let claims = incident.map_or_else(without_incident, assess);
    let unmeasurable = Unmeasurable::new(incident);
    let receipts = incident.map_or_else(Vec::new, receipts);
    Ok(Check {
        incident: incident.map(|i| i.id.clone()),
        rehearsal: incident.is_some_and(|i| i.rehearsal),
        sentences: sentences::split(text)
            .into_iter()
            .map(|at| check_sentence(text, at, &claims, &unmeasurable, &receipts))
            .collect(),
    })
}

impl Check {
    /// Whether no sentence is rejected: each is supported, or is not about the incident.
    pub fn passes(&self) -> bool {
        let fine = |v: SentenceResult| {
            matches!(v, SentenceResult::Supported | SentenceResult::NotAboutIncident)
        };
        self.sentences.iter().all(|s| fine(s.result))
    }

    /// How many sentences have this verdict.
    pub fn count(&self, verdict: SentenceResult) -> usize {
        let have = self.sentences.iter().filter(|s| s.result == verdict);
        have.count()
    }
}

fn without_incident() -> Vec<Claim> {
    let claim = |kind: &ClaimKind| {
        Claim::new(*kind, Finding::NotShown, "No incident is on record.")
            .wording("Nothing about an attack is on record.")
    };
    ClaimKind::ALL.iter().map(claim).collect()
}

/// Answers to what cannot be measured.
struct Unmeasurable {
    /// What the traffic would have done, as far as that is known.
    intention: String,
}

impl Unmeasurable {
    fn new(incident: Option<&Incident>) -> Self {
        let ratio = incident
            .and_then(|incident| grade::scale(incident).sustained_to_capacity)
            .filter(|figure| figure.value > 10);
        Self {
            intention: ratio.map_or_else(
                || "What those behind the traffic wanted is not known.".to_owned(),
                |ratio| {
                    format!(
                        "The traffic, if unblocked, would have been {} what our origin has been \
                         seen to handle; what those behind it wanted is not known.",
                        ratio.text()
                    )
                },
            ),
        }
    }

    const fn why(topic: OutOfScope) -> &'static str {
        match topic {
            OutOfScope::Intention => "no instrument measures intentions",
            OutOfScope::Actor => {
                "no instrument shows who did it; a source is the address of the last machine, not \
                 its user"
            }
            OutOfScope::Category => "only the NCSC and law enforcement assign a category",
        }
    }

    fn suggestion(&self, topic: OutOfScope) -> String {
        match topic {
            OutOfScope::Intention => self.intention.clone(),
            OutOfScope::Actor => hypotheses::ATTRIBUTION.to_owned(),
            OutOfScope::Category => "No category has been assigned that we know of.".to_owned(),
        }
    }
}

fn check_sentence(
    text: &str,
    at: Range<usize>,
    claims: &[Claim],
    unmeasurable: &Unmeasurable,
    receipts: &[(String, u64)],
) -> CheckedSentence {
    let tokens = tokens(&text[at.clone()], at.start);
    let span = |m: &PatternMatch| tokens[m.first].at.start..tokens[m.last].at.end;
    let mut out = CheckedSentence {
        sentence: text[at.clone()].to_owned(),
        at,
        result: SentenceResult::NotAboutIncident,
        matched: Vec::new(),
        rejected: Vec::new(),
        suggestions: Vec::new(),
        notes: Vec::new(),
        leaves: Vec::new(),
    };
    let mut suggestions = Vec::new();
    for (kind, polarity, found) in match_claims(&tokens) {
        let Some(claim) = claims.iter().find(|c| c.kind == kind) else {
            continue;
        };
        let assertion_made = assertion(kind, polarity, &found, &tokens);
        let finding = match assertion_made {
            Assertion::Made | Assertion::LeftOpen => claim.finding,
            Assertion::Denied => claim.finding.of_the_negation(),
        };
        let at = span(&found);
        let words = text[at.clone()].to_owned();
        if assertion_made != Assertion::LeftOpen && finding != Finding::Supported {
            out.rejected.push(RejectedPhrase {
                phrase: words.clone(),
                at,
                why: format!("{}: {}", finding.as_str(), claim.because),
            });
            suggestions.push(claim.sentence.clone());
        }
        out.leaves.extend(claim.leaves());
        out.matched.push(MatchedClaim {
            claim: kind,
            assertion: assertion_made,
            finding,
            because: claim.because.clone(),
            phrase: words,
        });
    }
    let other = other_notification(&tokens, receipts);
    if let Some((found, NotificationStatus::NoReceipt(recipient))) = &other {
        out.rejected.push(RejectedPhrase {
            phrase: text[span(found)].to_owned(),
            at: span(found),
            why: format!("not shown: no receipt on record names {recipient}"),
        });
        suggestions.push(format!("We are informing {recipient}."));
    }
    if let Some((_, NotificationStatus::Receipt(leaf))) = other {
        out.leaves.push(leaf);
        out.notes.push(format!("A receipt is on record (leaf {leaf})."));
    }
    let measured = out.rejected.len();
    for (topic, patterns) in OUT_OF_SCOPE {
        if let Some(found) = longest(patterns, &tokens) {
            out.rejected.push(RejectedPhrase {
                phrase: text[span(&found)].to_owned(),
                at: span(&found),
                why: format!("not measurable: {}", Unmeasurable::why(*topic)),
            });
            suggestions.push(unmeasurable.suggestion(*topic));
        }
    }
    let mut beyond_words = measured > 0;
    if !out.matched.is_empty() {
        for (pattern, why) in ABSOLUTES {
            if let Some(found) = find(pattern, &tokens).first() {
                out.rejected.push(RejectedPhrase {
                    phrase: text[span(found)].to_owned(),
                    at: span(found),
                    why: (*why).to_owned(),
                });
                beyond_words = true;
            }
        }
    }
    out.result = if beyond_words {
        SentenceResult::Rejected
    } else if !out.rejected.is_empty() {
        SentenceResult::NotMeasurable
    } else if out.matched.is_empty() && other.is_none() {
        SentenceResult::NotAboutIncident
    } else {
        SentenceResult::Supported
    };
    for wording in suggestions {
        if !out.suggestions.contains(&wording) {
            out.suggestions.push(wording);
        }
    }
    out.notes.extend(notes(&out, &tokens));
    out.rejected.sort_by_key(|r| (r.at.start, r.at.end));
    out.leaves.sort_unstable();
    out.leaves.dedup();
    out
}

/// Recipients on record in lower case, with the leaves of their receipts.
fn receipts(incident: &Incident) -> Vec<(String, u64)> {
    let receipts = incident.notifications.iter();
    receipts.map(|t| (t.receipt.recipient.to_lowercase(), t.stamp.leaf)).collect()
}

/// The record about a recipient other than the NCSC that, by the sentence, was notified.
enum NotificationStatus {
    /// A receipt, in this leaf.
    Receipt(u64),
    /// None that names this recipient.
    NoReceipt(&'static str),
    /// The sentence only announces it.
    Announced,
}

fn other_notification(
    tokens: &[WordToken],
    receipts: &[(String, u64)],
) -> Option<(PatternMatch, NotificationStatus)> {
    let found = longest(NOTIFICATIONS, tokens)?;
    if assertion(ClaimKind::Reported, Polarity::Positive, &found, tokens) != Assertion::Made {
        return Some((found, NotificationStatus::Announced));
    }
    let mut leaf = None;
    for (word, name, called) in RECIPIENTS {
        if !tokens.iter().any(|t| t.word == *word) {
            continue;
        }
        let mut receipts = receipts.iter();
        let receipt = receipts.find(|(to, _)| called.iter().any(|c| to.contains(c)));
        let Some((_, at)) = receipt else {
            return Some((found, NotificationStatus::NoReceipt(name)));
        };
        leaf = Some(*at);
    }
    leaf.map(|leaf| (found, NotificationStatus::Receipt(leaf)))
}

/// The claims of a sentence, each once, by its longest phrase, in the order of [`ClaimKind`].
fn match_claims(tokens: &[WordToken]) -> Vec<(ClaimKind, Polarity, PatternMatch)> {
    let mut found: Vec<(ClaimKind, Polarity, PatternMatch)> = Vec::new();
    // Rules that ask for company come second.
    let (independent, dependent): (Vec<_>, Vec<_>) =
        RULES.iter().partition(|r| r.requires.is_empty());
    for rule in independent.into_iter().chain(dependent) {
        let company =
            |(kind, _, _): &(ClaimKind, Polarity, PatternMatch)| rule.requires.contains(kind);
        if !rule.requires.is_empty() && !found.iter().any(company) {
            continue;
        }
        let Some(best) = longest(rule.patterns, tokens) else {
            continue;
        };
        match found.iter_mut().find(|(kind, _, _)| *kind == rule.kind) {
            Some(known) if length(&best) > length(&known.2) => {
                *known = (rule.kind, rule.polarity, best);
            }
            Some(_) => {}
            None => found.push((rule.kind, rule.polarity, best)),
        }
    }
    found.sort_by_key(|(kind, _, _)| *kind);
    found
}

const fn length(found: &PatternMatch) -> usize {
    found.last - found.first
}

/// The longest match of any pattern; of equally long ones the first.
fn longest(patterns: &[&str], tokens: &[WordToken]) -> Option<PatternMatch> {
    let mut best: Option<PatternMatch> = None;
    for found in patterns.iter().flat_map(|pattern| find(pattern, tokens)) {
        if best.as_ref().is_none_or(|b| length(&found) > length(b)) {
            best = Some(found);
        }
    }
    best
}

/// How a sentence states a claim: negations before the phrase in its clause, and inside it
/// where the pattern does not name them, turn it round.
fn assertion(
    kind: ClaimKind,
    polarity: Polarity,
    found: &PatternMatch,
    tokens: &[WordToken],
) -> Assertion {
    let clause = tokens[found.first].clause;
    let before: Vec<&WordToken> =
        tokens[..found.first].iter().rev().take_while(|t| t.clause == clause).collect();
    let phrase = tokens[found.first..=found.last].iter();
    let mut words = before.iter().copied().chain(phrase);
    if words.any(|t| leaves_open(kind, &t.word)) {
        return Assertion::LeftOpen;
    }
    let near = before.iter().take(NEGATION_REACH);
    // "Not only …" states both.
    let only = |t: &&&WordToken| {
        let next = tokens.iter().find(|other| other.at.start > t.at.start);
        next.is_none_or(|next| next.word != "only")
    };
    let outside = near.filter(only).filter(|t| negates(&t.word)).count();
    let inside = found.between.iter();
    let inside = inside.filter(|i| negates(&tokens[**i].word)).count();
    let turned = (outside + inside) % 2 == 1;
    match (polarity, turned) {
        (Polarity::Positive, false) | (Polarity::Negative, true) => Assertion::Made,
        (Polarity::Positive, true) | (Polarity::Negative, false) => Assertion::Denied,
    }
}

fn notes(checked: &CheckedSentence, tokens: &[WordToken]) -> Vec<String> {
    let mut notes = Vec::new();
    if checked.matched.is_empty() {
        return notes;
    }
    let many = ["dozens", "hundreds", "thousands", "thousand", "millions", "million", "billion"];
    let number = |t: &WordToken| {
        t.word.starts_with(|c: char| c.is_ascii_digit()) || many.contains(&t.word.as_str())
    };
    if tokens.iter().any(number) {
        notes.push(
            "Numbers in the sentence were not compared; those on record are in the statement."
                .to_owned(),
        );
    }
    let relative =
        ["today", "yesterday", "morning", "afternoon", "evening", "tonight", "overnight"];
    if tokens.iter().any(|t| relative.contains(&t.word.as_str())) {
        notes.push(
            "The time of day in the sentence was not compared; times on record are in UTC."
                .to_owned(),
        );
    }
    if checked.matched.iter().any(|r| r.assertion == Assertion::LeftOpen) {
        notes.push(
            "Part of the sentence leaves its subject open; that part is supported.".to_owned(),
        );
    }
    notes
}
