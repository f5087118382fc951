//! The checker on what people really wrote, and on anything at all.
#![allow(clippy::unwrap_used)]

#[path = "../../incident/tests/campaign_day/mod.rs"]
mod campaign_day;

use Assertion::{Denied, Made};
use ClaimKind as K;
use SentenceResult::{Rejected, Supported};
use campaign_day::whole;
use portcullis_incident::{Incident, fold};
use portcullis_model::Event;
use portcullis_statement::{
    Assertion, Check, CheckError, CheckedSentence, ClaimKind, Finding, SentenceResult, TEXT_BYTES,
    check,
};
use proptest::prelude::*;

/// What the Labour Party said on 12 November 2019.
const STATEMENT_2019: &str = "We have experienced a sophisticated and large-scale cyber-attack on \
Labour digital platforms. We took swift action and these attempts failed due to our robust security \
systems. The integrity of all our platforms was maintained and we are confident that no data breach \
occurred. Our security procedures have slowed down some of our campaign activities, but these were \
restored this morning and we are back up to full speed. We have reported the matter to the National \
Cyber Security Centre.";

/// What its head of campaigns wrote to campaigners the same day.
const MAIL_2019: &str = "Yesterday afternoon our security systems identified that, in a very short \
period of time, there were large-scale and sophisticated attacks on Labour Party platforms which had \
the intention of taking our systems entirely offline. Every single one of these attempts failed due \
to our robust security systems and the integrity of all our platforms and data was maintained.";

fn incident() -> Incident {
    fold(whole(false)).remove(0)
}

fn checked(text: &str) -> Check {
    check(text, Some(&incident())).unwrap()
}

fn one(text: &str) -> CheckedSentence {
    let mut check = checked(text);
    assert_eq!(check.sentences.len(), 1, "{check:?}");
    check.sentences.remove(0)
}

fn stance(text: &str, kind: ClaimKind) -> Option<(Assertion, Finding)> {
    let sentence = one(text);
    let found = sentence.matched.iter().find(|r| r.claim == kind);
    found.map(|r| (r.assertion, r.finding))
}

#[test]
fn the_statement_of_2019_is_checked_sentence_by_sentence() {
    insta::assert_snapshot!(checked(STATEMENT_2019).to_text());
}

#[test]
fn the_mail_of_2019_is_checked_sentence_by_sentence() {
    insta::assert_snapshot!(checked(MAIL_2019).to_text());
}

#[test]
fn a_check_as_json_names_claims_words_and_leaves() {
    insta::assert_snapshot!(checked(MAIL_2019).to_json());
}

#[test]
fn the_statement_of_2019_does_not_pass_and_names_the_same_claims_as_the_table() {
    let check = checked(STATEMENT_2019);
    assert!(!check.passes());
    let claims: Vec<Vec<ClaimKind>> =
        check.sentences.iter().map(|s| s.matched.iter().map(|r| r.claim).collect()).collect();
    assert_eq!(
        claims,
        [
            vec![K::Attack, K::Sophisticated, K::LargeScale, K::Platforms],
            vec![K::SwiftAction, K::AttemptsFailed, K::BecauseOfDefences],
            vec![K::Integrity, K::NoBreach],
            vec![K::SlowedDown, K::Restored, K::FullSpeed],
            vec![K::Reported],
        ]
    );
    let verdicts: Vec<SentenceResult> = check.sentences.iter().map(|s| s.result).collect();
    assert_eq!(verdicts, [Rejected, Supported, Rejected, Supported, Supported]);
}

#[test]
fn an_accurate_text_passes() {
    let check = checked(
        "Dear supporters,\n\nOn Monday our website was attacked. Our security systems detected the \
         attack within seconds. Some visitors were delayed. Everything is restored and we are back \
         at full speed. We do not yet know whether any data was accessed. We have reported the \
         matter to the NCSC.\n\nThank you for your support.",
    );
    assert!(check.passes(), "{}", check.to_text());
    assert_eq!(check.count(SentenceResult::NotAboutIncident), 2, "{}", check.to_text());
}

#[test]
fn a_negation_turns_a_claim_round() {
    let found = |text, kind| stance(text, kind).map(|(stance, _)| stance);
    assert_eq!(found("The attack was not sophisticated.", K::Sophisticated), Some(Denied));
    assert_eq!(found("No data was stolen.", K::NoBreach), Some(Made));
    assert_eq!(found("Nothing was stolen.", K::NoBreach), Some(Made));
    assert_eq!(found("Our services were not affected.", K::SlowedDown), Some(Denied));
    assert_eq!(found("Supporters\u{2019} data was stolen.", K::NoBreach), Some(Denied));
    assert_eq!(found("We found no evidence of any data breach.", K::NoBreach), Some(Made));
    assert_eq!(found("The attempts did not fail.", K::AttemptsFailed), Some(Denied));
    assert_eq!(found("The attack was not successful.", K::AttemptsFailed), Some(Made));
    assert_eq!(found("The site never went down.", K::StayedUp), Some(Made));
    assert_eq!(found("The site went down.", K::StayedUp), Some(Denied));
    assert_eq!(found("Integrity was not compromised.", K::Integrity), Some(Made));
    assert_eq!(found("Not only was it sophisticated.", K::Sophisticated), Some(Made));
}

#[test]
fn denying_what_is_contradicted_is_supported() {
    let sentence = one("The attack was not large-scale.");
    assert_eq!(sentence.result, SentenceResult::Supported, "{sentence:?}");
}

#[test]
fn saying_that_it_continues_denies_that_it_failed() {
    let found = stance("The attack is ongoing.", K::AttemptsFailed);
    assert_eq!(found, Some((Denied, Finding::Contradicted)));
}

#[test]
fn what_is_left_open_is_not_rejected() {
    for text in [
        "We are investigating whether any data was accessed.",
        "We will report the matter to the NCSC.",
        "It may have been a sophisticated attack.",
    ] {
        assert_eq!(one(text).result, SentenceResult::Supported, "{text}");
    }
}

#[test]
fn who_did_it_and_what_they_wanted_cannot_be_measured() {
    for text in [
        "We believe Russia is behind it.",
        "It was state-sponsored.",
        "They were trying to influence the election.",
        "The NCSC calls it a category 3 incident.",
    ] {
        let sentence = one(text);
        assert_eq!(sentence.result, SentenceResult::NotMeasurable, "{sentence:?}");
        assert!(!sentence.suggestions.is_empty());
    }
    assert!(!checked("Russia did it.").passes());
}

#[test]
fn absolutes_are_refused_with_a_claim_and_ignored_elsewhere() {
    assert_eq!(one("Every single attack failed.").result, SentenceResult::Rejected);
    assert_eq!(
        one("Every single one of you matters to this campaign.").result,
        SentenceResult::NotAboutIncident
    );
}

#[test]
fn hidden_letters_and_wide_letters_hide_nothing() {
    let sentence = one("It was so\u{200b}phis\u{ad}ticated and \u{ff4c}arge scale.");
    let kinds: Vec<ClaimKind> = sentence.matched.iter().map(|r| r.claim).collect();
    assert_eq!(kinds, [ClaimKind::Sophisticated, ClaimKind::LargeScale]);
}

#[test]
fn without_an_incident_nothing_is_supported() {
    let check = check(STATEMENT_2019, None).unwrap();
    assert!(!check.passes());
    for sentence in &check.sentences {
        assert_eq!(sentence.result, SentenceResult::Rejected);
        assert!(sentence.leaves.is_empty());
    }
}

#[test]
fn a_receipt_is_what_makes_reported_true() {
    let entries = campaign_day::without(false, |e| matches!(e, Event::ReceiptRecorded(_)));
    let incident = fold(entries).remove(0);
    let check = check("We have reported the matter to the NCSC.", Some(&incident)).unwrap();
    assert_eq!(check.sentences[0].result, SentenceResult::Rejected);
    assert_eq!(check.sentences[0].suggestions, ["We are reporting the matter to the NCSC."]);
}

#[test]
fn other_recipients_need_a_receipt_too() {
    let informed = one("The police and the ICO have been informed.");
    assert_eq!(informed.result, SentenceResult::Rejected);
    let mut entries = whole(false);
    for (_, entry) in &mut entries {
        if let Event::ReceiptRecorded(receipt) = &mut entry.event {
            receipt.recipient = "Metropolitan Police".into();
        }
    }
    let incident = fold(entries).remove(0);
    let check = check("We have informed the police.", Some(&incident)).unwrap();
    assert_eq!(check.sentences[0].result, SentenceResult::Supported);
    assert_eq!(check.sentences[0].leaves, [1205]);
    assert_eq!(informed.suggestions, ["We are informing the police."]);
    assert_eq!(one("We will inform the police.").result, SentenceResult::Supported);
}

#[test]
fn a_negation_ends_with_its_clause() {
    let sentence = one("There was no data breach and all our systems are safe.");
    let stances: Vec<Assertion> = sentence.matched.iter().map(|r| r.assertion).collect();
    assert_eq!(stances, [Made, Made], "{sentence:?}");
}

#[test]
fn a_text_that_is_too_long_is_refused_with_its_limit() {
    let long = "a".repeat(TEXT_BYTES + 1);
    let error = check(&long, None).unwrap_err();
    assert_eq!(error, CheckError::TooLong { bytes: TEXT_BYTES + 1 });
    assert!(error.to_string().contains("65536"));
    assert!(check(&long[1..], None).is_ok());
}

#[test]
fn the_longest_texts_are_checked() {
    // A search in quadratic time would take minutes.
    let text = "attack on our systems not failed due to data ".repeat(TEXT_BYTES / 45);
    check(&text, Some(&incident())).unwrap();
    let text = "A. attack! ".repeat(TEXT_BYTES / 11);
    check(&text, None).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_checked_each_sentence_exactly_once(text in "\\PC{0,400}") {
        exactly_once(&text)?;
    }

    #[test]
    fn text_made_of_awkward_parts_is_checked_each_sentence_exactly_once(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("Mr. "), Just(". "), Just("! "), Just("\n\n"), Just("\r\n- "), Just("..."),
                Just("\u{201d} "), Just("\u{3002}"), Just("attack"), Just(" not "), Just("3.5"),
                Just("every single "), Just("\u{200b}"), Just("\u{301}"), Just("no data breach"),
                Just("sophisticated "), Just("1. "), Just("U.K. "), Just("\u{0}"), Just("\u{1f3f4}"),
            ],
            0..60,
        )
    ) {
        exactly_once(&parts.concat())?;
    }
}

/// The sentences are in order, do not overlap, and leave out white space only.
fn exactly_once(text: &str) -> Result<(), TestCaseError> {
    let check = check(text, None).unwrap();
    let mut end = 0;
    for sentence in &check.sentences {
        prop_assert!(sentence.at.start >= end);
        prop_assert!(text[end..sentence.at.start].trim().is_empty());
        prop_assert_eq!(&text[sentence.at.clone()], sentence.sentence.as_str());
        prop_assert!(!sentence.sentence.trim().is_empty());
        end = sentence.at.end;
        for refused in &sentence.rejected {
            prop_assert_eq!(&text[refused.at.clone()], refused.phrase.as_str());
        }
    }
    prop_assert!(text[end..].trim().is_empty());
    let _ = (check.to_text(), check.to_json());
    Ok(())
}
