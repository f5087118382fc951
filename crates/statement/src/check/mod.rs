//! The checker of press statements: what somebody wrote, sentence by sentence.
//!
//! Claims are recognised by rules over words, so the checker errs: it may miss a claim that is
//! put in an unusual way, and it may see one where none is made. It never changes what the ledger
//! says to a claim.

mod render;
mod rules;
mod sentences;
mod tokens;

use core::ops::Range;

use portcullis_incident::{Incident, grade, hypotheses};
use serde::Serialize;

use self::rules::{ABSOLUTES, RECIPIENTS, RULES, Sense, TOLD, TOPICS, Topic, leaves_open, negates};
use self::tokens::{Match, Token, find, tokens};
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
    pub sentences: Vec<Checked>,
}

/// What became of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All that was recognised in it is supported, or left open.
    Stands,
    /// Something in it is not supported.
    Refused,
    /// It says what nothing could measure, and nothing else that is refused.
    CannotBeMeasured,
    /// No claim was recognised in it.
    NotAboutIncident,
}

/// How a sentence speaks of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stance {
    /// It makes the claim.
    Asserts,
    /// It says the opposite.
    Denies,
    /// It leaves it open, or announces it.
    LeavesOpen,
}

/// A claim that was recognised in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recognised {
    /// The claim.
    pub claim: ClaimKind,
    /// How the sentence speaks of it.
    pub stance: Stance,
    /// What the ledger says to what the sentence says.
    pub finding: Finding,
    /// Why.
    pub because: String,
    /// The words that it was recognised by.
    pub words: String,
}

/// Words that the evidence does not carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedWords {
    /// The words, as they were written.
    pub words: String,
    /// Where they stand in the text, in bytes.
    pub at: Range<usize>,
    /// Why they are refused.
    pub why: String,
}

/// A sentence, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The sentence.
    pub sentence: String,
    /// Where it stands in the text, in bytes.
    pub at: Range<usize>,
    /// What became of it.
    pub verdict: Verdict,
    /// Claims that were recognised.
    pub recognised: Vec<Recognised>,
    /// Words that are refused.
    pub refused: Vec<RefusedWords>,
    /// The nearest wordings that the figures support, for what was refused.
    pub nearest: Vec<String>,
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
    let beyond = Beyond::new(incident);
    let told = incident.map_or_else(Vec::new, receipts);
    Ok(Check {
        incident: incident.map(|i| i.id.clone()),
        rehearsal: incident.is_some_and(|i| i.rehearsal),
        sentences: sentences::split(text)
            .into_iter()
            .map(|at| sentence(text, at, &claims, &beyond, &told))
            .collect(),
    })
}

impl Check {
    /// Whether nothing is refused: every sentence stands, or is not about the incident.
    pub fn passes(&self) -> bool {
        let fine = |v: Verdict| matches!(v, Verdict::Stands | Verdict::NotAboutIncident);
        self.sentences.iter().all(|s| fine(s.verdict))
    }

    /// How many sentences have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        let have = self.sentences.iter().filter(|s| s.verdict == verdict);
        have.count()
    }
}

fn without_incident() -> Vec<Claim> {
    let claim = |kind: &ClaimKind| {
        Claim::new(*kind, Finding::NotShown, "No incident is on record.")
            .say("Nothing about an attack is on record.")
    };
    ClaimKind::ALL.iter().map(claim).collect()
}

/// Answers to what cannot be measured.
struct Beyond {
    /// What the traffic would have done, as far as that can be said.
    intention: String,
}

impl Beyond {
    fn new(incident: Option<&Incident>) -> Self {
        let ratio = incident
            .and_then(|incident| grade::scale(incident).of_borne)
            .filter(|figure| figure.value > 10);
        Self {
            intention: ratio.map_or_else(
                || "What those behind the traffic wanted is not known.".to_owned(),
                |ratio| {
                    format!(
                        "The traffic, if unblocked, would have been {} what our origin has been \
                         seen to bear; what those behind it wanted is not known.",
                        ratio.text()
                    )
                },
            ),
        }
    }

    const fn why(topic: Topic) -> &'static str {
        match topic {
            Topic::Intention => "no instrument measures what somebody wanted",
            Topic::Actor => {
                "no instrument shows who did it; a source is where the last machine stood, not \
                 who sat at it"
            }
            Topic::Category => "only the NCSC and law enforcement assign a category",
        }
    }

    fn nearest(&self, topic: Topic) -> String {
        match topic {
            Topic::Intention => self.intention.clone(),
            Topic::Actor => hypotheses::ATTRIBUTION.to_owned(),
            Topic::Category => "No category has been assigned that we know of.".to_owned(),
        }
    }
}

fn sentence(
    text: &str,
    at: Range<usize>,
    claims: &[Claim],
    beyond: &Beyond,
    told: &[(String, u64)],
) -> Checked {
    let tokens = tokens(&text[at.clone()], at.start);
    let span = |m: &Match| tokens[m.first].at.start..tokens[m.last].at.end;
    let mut out = Checked {
        sentence: text[at.clone()].to_owned(),
        at,
        verdict: Verdict::NotAboutIncident,
        recognised: Vec::new(),
        refused: Vec::new(),
        nearest: Vec::new(),
        notes: Vec::new(),
        leaves: Vec::new(),
    };
    let mut nearest = Vec::new();
    for (kind, sense, found) in recognise(&tokens) {
        let Some(claim) = claims.iter().find(|c| c.kind == kind) else {
            continue;
        };
        let stance = stance(kind, sense, &found, &tokens);
        let finding = match stance {
            Stance::Asserts | Stance::LeavesOpen => claim.finding,
            Stance::Denies => claim.finding.of_the_opposite(),
        };
        let at = span(&found);
        let words = text[at.clone()].to_owned();
        if stance != Stance::LeavesOpen && finding != Finding::Supported {
            out.refused.push(RefusedWords {
                words: words.clone(),
                at,
                why: format!("{}: {}", finding.word(), claim.because),
            });
            nearest.push(claim.sentence.clone());
        }
        out.leaves.extend(claim.leaves());
        out.recognised.push(Recognised {
            claim: kind,
            stance,
            finding,
            because: claim.because.clone(),
            words,
        });
    }
    let elsewhere = told_elsewhere(&tokens, told);
    if let Some((found, Told::NoReceipt(recipient))) = &elsewhere {
        out.refused.push(RefusedWords {
            words: text[span(found)].to_owned(),
            at: span(found),
            why: format!("not shown: no receipt on record names {recipient}"),
        });
        nearest.push(format!("We are informing {recipient}."));
    }
    if let Some((_, Told::Receipt(leaf))) = elsewhere {
        out.leaves.push(leaf);
        out.notes.push(format!("A receipt is on record (leaf {leaf})."));
    }
    let measured = out.refused.len();
    for (topic, patterns) in TOPICS {
        if let Some(found) = longest(patterns, &tokens) {
            out.refused.push(RefusedWords {
                words: text[span(&found)].to_owned(),
                at: span(&found),
                why: format!("not measurable: {}", Beyond::why(*topic)),
            });
            nearest.push(beyond.nearest(*topic));
        }
    }
    let mut beyond_words = measured > 0;
    if !out.recognised.is_empty() {
        for (pattern, why) in ABSOLUTES {
            if let Some(found) = find(pattern, &tokens).first() {
                out.refused.push(RefusedWords {
                    words: text[span(found)].to_owned(),
                    at: span(found),
                    why: (*why).to_owned(),
                });
                beyond_words = true;
            }
        }
    }
    out.verdict = if beyond_words {
        Verdict::Refused
    } else if !out.refused.is_empty() {
        Verdict::CannotBeMeasured
    } else if out.recognised.is_empty() && elsewhere.is_none() {
        Verdict::NotAboutIncident
    } else {
        Verdict::Stands
    };
    for wording in nearest {
        if !out.nearest.contains(&wording) {
            out.nearest.push(wording);
        }
    }
    out.notes.extend(notes(&out, &tokens));
    out.refused.sort_by_key(|r| (r.at.start, r.at.end));
    out.leaves.sort_unstable();
    out.leaves.dedup();
    out
}

/// Recipients on record in lower case, with the leaves of their receipts.
fn receipts(incident: &Incident) -> Vec<(String, u64)> {
    let told = incident.receipts.iter();
    told.map(|t| (t.receipt.recipient.to_lowercase(), t.stamp.leaf)).collect()
}

/// What is on record about somebody beside the NCSC who, a sentence says, was told.
enum Told {
    /// A receipt, in this leaf.
    Receipt(u64),
    /// None that names this recipient.
    NoReceipt(&'static str),
    /// The sentence only announces it.
    Announced,
}

fn told_elsewhere(tokens: &[Token], told: &[(String, u64)]) -> Option<(Match, Told)> {
    let found = longest(TOLD, tokens)?;
    if stance(ClaimKind::Reported, Sense::For, &found, tokens) != Stance::Asserts {
        return Some((found, Told::Announced));
    }
    let mut leaf = None;
    for (word, name, called) in RECIPIENTS {
        if !tokens.iter().any(|t| t.word == *word) {
            continue;
        }
        let mut receipts = told.iter();
        let receipt = receipts.find(|(to, _)| called.iter().any(|c| to.contains(c)));
        let Some((_, at)) = receipt else {
            return Some((found, Told::NoReceipt(name)));
        };
        leaf = Some(*at);
    }
    leaf.map(|leaf| (found, Told::Receipt(leaf)))
}

/// The claims of a sentence, each once, by its longest phrase, in the order of [`ClaimKind`].
fn recognise(tokens: &[Token]) -> Vec<(ClaimKind, Sense, Match)> {
    let mut found: Vec<(ClaimKind, Sense, Match)> = Vec::new();
    // Rules that ask for company come second.
    let (alone, beside): (Vec<_>, Vec<_>) = RULES.iter().partition(|r| r.beside.is_empty());
    for rule in alone.into_iter().chain(beside) {
        let company = |(kind, _, _): &(ClaimKind, Sense, Match)| rule.beside.contains(kind);
        if !rule.beside.is_empty() && !found.iter().any(company) {
            continue;
        }
        let Some(best) = longest(rule.patterns, tokens) else {
            continue;
        };
        match found.iter_mut().find(|(kind, _, _)| *kind == rule.kind) {
            Some(known) if length(&best) > length(&known.2) => {
                *known = (rule.kind, rule.sense, best);
            }
            Some(_) => {}
            None => found.push((rule.kind, rule.sense, best)),
        }
    }
    found.sort_by_key(|(kind, _, _)| *kind);
    found
}

const fn length(found: &Match) -> usize {
    found.last - found.first
}

/// The longest match of any pattern; of equally long ones the first.
fn longest(patterns: &[&str], tokens: &[Token]) -> Option<Match> {
    let mut best: Option<Match> = None;
    for found in patterns.iter().flat_map(|pattern| find(pattern, tokens)) {
        if best.as_ref().is_none_or(|b| length(&found) > length(b)) {
            best = Some(found);
        }
    }
    best
}

/// How a sentence speaks of a claim: negations before the phrase in its clause, and inside it
/// where the pattern does not name them, turn it round.
fn stance(kind: ClaimKind, sense: Sense, found: &Match, tokens: &[Token]) -> Stance {
    let clause = tokens[found.first].clause;
    let before: Vec<&Token> =
        tokens[..found.first].iter().rev().take_while(|t| t.clause == clause).collect();
    let phrase = tokens[found.first..=found.last].iter();
    let mut words = before.iter().copied().chain(phrase);
    if words.any(|t| leaves_open(kind, &t.word)) {
        return Stance::LeavesOpen;
    }
    let near = before.iter().take(NEGATION_REACH);
    // "Not only …" says both.
    let only = |t: &&&Token| {
        let next = tokens.iter().find(|other| other.at.start > t.at.start);
        next.is_none_or(|next| next.word != "only")
    };
    let outside = near.filter(only).filter(|t| negates(&t.word)).count();
    let inside = found.between.iter();
    let inside = inside.filter(|i| negates(&tokens[**i].word)).count();
    let turned = (outside + inside) % 2 == 1;
    match (sense, turned) {
        (Sense::For, false) | (Sense::Against, true) => Stance::Asserts,
        (Sense::For, true) | (Sense::Against, false) => Stance::Denies,
    }
}

fn notes(checked: &Checked, tokens: &[Token]) -> Vec<String> {
    let mut notes = Vec::new();
    if checked.recognised.is_empty() {
        return notes;
    }
    let many = ["dozens", "hundreds", "thousands", "thousand", "millions", "million", "billion"];
    let number = |t: &Token| {
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
    if checked.recognised.iter().any(|r| r.stance == Stance::LeavesOpen) {
        notes.push("Part of the sentence leaves open what it speaks of; that stands.".to_owned());
    }
    notes
}
