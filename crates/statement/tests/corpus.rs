//! The checker on the corpus: paraphrases of sentences from real statements, adapted to four invented
//! organisations and labelled against their ledgers by a reader who did not write the rules. Half of
//! it was kept apart from the rules.
#![allow(clippy::unwrap_used)]

#[path = "corpus/ledgers.rs"]
mod ledgers;

use std::collections::BTreeMap;
use std::fmt::Write;

use portcullis_incident::{Incident, fold};
use portcullis_statement::{Check, CheckContext, SentenceResult, check};
use serde::Deserialize;

/// The half that the rules were written with.
const DEV: &str = include_str!("corpus/dev.json");
/// The half that was kept apart.
const HELD_OUT: &str = include_str!("corpus/held-out.json");

/// Sentences by the author of the rules, written to break them: true ones, and rewrites that are not.
const OWN: &str = include_str!("corpus/own.json");

/// One sentence of the corpus.
#[derive(Deserialize)]
struct Labelled {
    incident: String,
    #[serde(default)]
    kind: String,
    text: String,
    /// `true`, `false` or `not-shown`.
    label: String,
}

/// Counts of one half, or of one kind in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Score {
    sentences: u32,
    of_true: u32,
    recalled: u32,
    supported: u32,
}

impl Score {
    fn add(&mut self, is_true: bool, supported: bool) {
        self.sentences += 1;
        self.of_true += u32::from(is_true);
        self.supported += u32::from(supported);
        self.recalled += u32::from(is_true && supported);
    }

    fn recall(self) -> u32 {
        self.recalled * 100 / self.of_true.max(1)
    }

    fn precision(self) -> u32 {
        (self.recalled * 100).checked_div(self.supported).unwrap_or(100)
    }
}

fn incidents() -> BTreeMap<&'static str, Incident> {
    let names = ["two-waves", "small-attack", "crowd", "outage"];
    names.into_iter().map(|name| (name, fold(ledgers::entries(name)).remove(0))).collect()
}

fn checked(incident: &Incident, text: &str) -> Check {
    let names = [
        "The Harbour Party",
        "Harbour Party",
        "Lantern Aid",
        "Wexbourne Borough Council",
        "St Brannoc's Hospital Trust",
    ];
    let context = CheckContext {
        made_at: Some(incident.as_of.at),
        names: names.map(str::to_owned).to_vec(),
        ..CheckContext::default()
    };
    check(text, Some(incident), &context).unwrap()
}

fn supported(check: &Check) -> bool {
    check.sentences.iter().all(|s| s.result == SentenceResult::Supported)
}

/// The score of a half by kind, and the sentences that are supported and should not be.
fn score(json: &str) -> (BTreeMap<String, Score>, Score, Vec<String>) {
    let incidents = incidents();
    let (mut kinds, mut whole) = (BTreeMap::<String, Score>::new(), Score::default());
    let mut wrong = Vec::new();
    let corpus: Vec<Labelled> = serde_json::from_str(json).unwrap();
    for one in corpus {
        let check = checked(&incidents[one.incident.as_str()], &one.text);
        let (is_true, supported) = (one.label == "true", supported(&check));
        whole.add(is_true, supported);
        kinds.entry(one.kind).or_default().add(is_true, supported);
        if supported && !is_true {
            wrong.push(format!("{} ({}): {}", one.incident, one.label, check.to_text()));
        }
    }
    (kinds, whole, wrong)
}

/// The rows of the table in docs/statement-corpus.md.
fn table(kinds: &BTreeMap<String, Score>, whole: Score) -> String {
    let mut out = String::new();
    let rows = kinds.iter().map(|(kind, score)| (kind.as_str(), *score)).chain([("all", whole)]);
    for (kind, s) in rows {
        let share = if s.of_true == 0 { "\u{2013}".to_owned() } else { format!("{}%", s.recall()) };
        let wrong = s.supported - s.recalled;
        let _ = writeln!(
            out,
            "| {kind} | {} | {} | {} | {share} | {wrong} |",
            s.sentences, s.of_true, s.recalled
        );
    }
    out
}

#[test]
fn no_false_sentence_of_the_half_for_development_is_supported() {
    let (kinds, whole, wrong) = score(DEV);
    println!("{}", table(&kinds, whole));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(whole.recall() >= DEV_RECALL, "recall {}%", whole.recall());
    assert!(whole.precision() >= 95, "precision {}%", whole.precision());
}

#[test]
fn the_half_that_was_kept_apart_is_read_as_well_as_when_it_was_measured() {
    let (kinds, whole, wrong) = score(HELD_OUT);
    println!("{}", table(&kinds, whole));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(whole.recall() >= HELD_OUT_RECALL, "recall {}%", whole.recall());
    assert!(whole.precision() >= 95, "precision {}%", whole.precision());
}

#[test]
fn sentences_written_to_break_the_rules_do_not() {
    let (_, whole, wrong) = score(OWN);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(whole.recall() >= 85, "recall {}%", whole.recall());
}

#[test]
fn no_sentence_that_asserts_too_much_is_supported_without_words_that_say_why() {
    let incidents = incidents();
    for json in [DEV, HELD_OUT] {
        let corpus: Vec<Labelled> = serde_json::from_str(json).unwrap();
        for one in corpus.iter().filter(|one| one.label != "true") {
            let check = checked(&incidents[one.incident.as_str()], &one.text);
            for sentence in &check.sentences {
                let named = !sentence.rejected.is_empty()
                    || !sentence.unchecked.is_empty()
                    || !sentence.notes.is_empty();
                let nothing = sentence.result == SentenceResult::AssertsNothing;
                let fine = sentence.result == SentenceResult::Supported;
                assert!(named || nothing || fine, "{}", check.to_text());
            }
        }
    }
}

#[test]
fn sentences_in_other_languages_are_not_read() {
    let incidents = incidents();
    for json in [DEV] {
        let corpus: Vec<Labelled> = serde_json::from_str(json).unwrap();
        for one in corpus.iter().filter(|one| one.kind == "language") {
            let check = checked(&incidents[one.incident.as_str()], &one.text);
            let read = check.sentences.iter().find(|s| s.result != SentenceResult::NotRead);
            assert!(read.is_none(), "{}", check.to_text());
        }
    }
}

/// Floor of the half for development, in per cent: as measured when the rules were written.
const DEV_RECALL: u32 = 85;
/// Floor of the half that was kept apart, as measured once, on 28 November 2026.
const HELD_OUT_RECALL: u32 = 55;
