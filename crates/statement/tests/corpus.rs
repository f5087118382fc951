//! The checker on the corpus: paraphrases of sentences from real statements, labelled against four
//! ledgers by someone who did not write the rules.
#![allow(clippy::unwrap_used)]

#[path = "corpus/ledgers.rs"]
mod ledgers;

use std::collections::BTreeMap;

use portcullis_incident::{Incident, fold};
use portcullis_statement::{Check, CheckContext, SentenceResult, check};

/// One sentence of the corpus.
struct Labelled {
    incident: String,
    text: String,
    label: String,
}

fn corpus(json: &str) -> Vec<Labelled> {
    let all: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
    let field = |value: &serde_json::Value, name: &str| value[name].as_str().unwrap().to_owned();
    all.iter()
        .map(|one| Labelled {
            incident: field(one, "incident"),
            text: field(one, "text"),
            label: field(one, "label"),
        })
        .collect()
}

fn incidents() -> BTreeMap<&'static str, Incident> {
    let names = ["two-waves", "small-attack", "crowd", "outage"];
    names.into_iter().map(|name| (name, fold(ledgers::entries(name)).remove(0))).collect()
}

fn checked(incident: &Incident, text: &str) -> Check {
    let names = ["The Harbour Party", "Harbour Party", "Lantern Aid", "Wexbourne Borough Council", "St Brannoc's Hospital Trust"];
    let context = CheckContext {
        made_at: Some(incident.as_of.at),
        names: names.map(str::to_owned).to_vec(),
        ..CheckContext::default()
    };
    check(text, Some(incident), &context).unwrap()
}

/// Counts of one half.
#[derive(Debug, Default)]
struct Score {
    true_sentences: usize,
    recalled: usize,
    supported: usize,
    false_supported: Vec<String>,
    missed: Vec<String>,
}

fn score(json: &str) -> Score {
    let incidents = incidents();
    let mut score = Score::default();
    for one in corpus(json) {
        let check = checked(&incidents[one.incident.as_str()], &one.text);
        let supported = check.sentences.iter().all(|s| s.result == SentenceResult::Supported);
        let is_true = matches!(one.label.as_str(), "true" | "stands");
        score.true_sentences += usize::from(is_true);
        score.supported += usize::from(supported);
        score.recalled += usize::from(supported && is_true);
        if supported && !is_true {
            score.false_supported.push(format!("{} [{}] {}\n{}", one.incident, one.label, one.text, check.to_text()));
        }
        if !supported && is_true {
            score.missed.push(format!("{} {}\n{}", one.incident, one.text, check.to_text()));
        }
    }
    score
}

#[test]
fn dev() {
    let json = std::fs::read_to_string(std::env::var("CORPUS").unwrap_or("/work/corpus/dev.json".into())).unwrap();
    let score = score(&json);
    for text in &score.missed {
        println!("MISSED {text}");
    }
    for text in &score.false_supported {
        println!("FALSE {text}");
    }
    println!(
        "true {} recalled {} supported {} false {}",
        score.true_sentences,
        score.recalled,
        score.supported,
        score.false_supported.len()
    );
}
