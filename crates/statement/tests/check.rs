//! The checker on what people really wrote, and on anything at all.
#![allow(clippy::unwrap_used)]

#[path = "../../incident/tests/campaign_day/mod.rs"]
mod campaign_day;

use SentenceResult::{AssertsNothing, NotChecked, NotMeasurable, NotRead, Rejected, Supported};
use campaign_day::{time, whole};
use portcullis_incident::{Incident, fold};
use portcullis_model::{Event, WallTime};
use portcullis_statement::{
    Assertion, Check, CheckContext, CheckError, CheckedSentence, ClaimKind, LocalZone,
    SentenceResult, StatementContext, TEXT_BYTES, build, check,
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

fn context() -> CheckContext {
    CheckContext {
        made_at: Some(time("2026-11-24T12:00:00Z")),
        names: vec!["Labour".to_owned(), "Labour Party".to_owned()],
        ..CheckContext::default()
    }
}

fn checked(text: &str) -> Check {
    check(text, Some(&incident()), &context()).unwrap()
}

fn one(text: &str) -> CheckedSentence {
    let mut check = checked(text);
    assert_eq!(check.sentences.len(), 1, "{check:?}");
    check.sentences.remove(0)
}

fn results(sentences: &[&str], expected: SentenceResult) {
    for text in sentences {
        let sentence = one(text);
        assert_eq!(sentence.result, expected, "{}", checked(text).to_text());
    }
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
fn a_check_as_json_names_clauses_words_and_leaves() {
    insta::assert_snapshot!(checked(MAIL_2019).to_json());
}

#[test]
fn the_statement_of_2019_does_not_pass_and_the_report_to_the_ncsc_does() {
    let check = checked(STATEMENT_2019);
    assert!(!check.passes());
    let results: Vec<SentenceResult> = check.sentences.iter().map(|s| s.result).collect();
    assert_eq!(results[0], Rejected, "{}", check.to_text());
    // "robust" is an opinion.
    assert_eq!(results[1], NotMeasurable, "{}", check.to_text());
    assert_eq!(results[2], Rejected, "{}", check.to_text());
    assert_eq!(results[4], Supported, "{}", check.to_text());
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
    assert_eq!(check.count(AssertsNothing), 2, "{}", check.to_text());
}

#[test]
fn numbers_durations_dates_and_places_are_compared() {
    results(
        &[
            "The attack peaked at about 4,600 requests per second.",
            "The first attack lasted a little over four minutes.",
            "We were attacked twice.",
            "The second attack began at 9.40 am on Tuesday.",
            "Our search function was attacked.",
        ],
        Supported,
    );
    results(
        &[
            "The attack peaked at 50,000 requests per second.",
            "The first attack lasted two hours.",
            "Five waves hit our website.",
            "The second attack began at 10.40 am on Tuesday.",
            "We have been under attack since Tuesday.",
            "Our shop was attacked.",
        ],
        Rejected,
    );
    let payments = one("There was an attack on our payment systems.");
    assert_ne!(payments.result, Supported, "{payments:?}");
}

#[test]
fn a_refused_number_is_named_with_the_one_on_record() {
    let sentence = one("The attack peaked at 50,000 requests per second.");
    let named = &sentence.rejected[0];
    assert!(named.phrase.contains("50,000"), "{named:?}");
    assert!(named.why.contains("4,633"), "{named:?}");
}

#[test]
fn every_clause_counts_and_the_worst_finding_is_that_of_the_sentence() {
    let sentence = one("Our website was attacked and it was down for two hours.");
    assert_eq!(sentence.result, Rejected);
    assert_eq!(sentence.matched.len(), 2, "{sentence:?}");
    results(&["We were attacked by Russia.", "The attack was deliberate."], NotMeasurable);
    results(
        &[
            "The website stayed up because our systems are robust.",
            "It was the largest attack ever.",
        ],
        NotMeasurable,
    );
}

#[test]
fn negations_are_counted_where_they_reach() {
    results(
        &[
            "The attack was not large-scale.",
            "The website was not down.",
            "At no time did the website go down.",
            "Neither the shop nor the leaflets page was attacked.",
            "It is not true that the shop was attacked.",
            "Reports that the shop was attacked are wrong.",
            "The attack was not unsuccessful.",
        ][..6],
        Supported,
    );
    results(
        &[
            "The attack was not unsuccessful.",
            "The website was not attacked.",
            "Neither the website nor the shop was attacked.",
            "It is not true that we were attacked twice.",
        ],
        Rejected,
    );
}

#[test]
fn what_was_not_watched_may_be_called_unknown_and_nothing_else() {
    results(
        &[
            "We do not know whether any data was accessed.",
            "We cannot rule out that data was accessed.",
            "We do not know who was behind the attack.",
        ],
        Supported,
    );
    results(
        &[
            "No data was accessed.",
            "We have no evidence that data was accessed.",
            "Our data is safe.",
            "Nothing was stolen.",
        ],
        Rejected,
    );
}

#[test]
fn what_is_announced_or_supposed_is_not_read_as_done() {
    for text in [
        "We will report the matter to the NCSC.",
        "We are restoring the website.",
        "If there had been an attack, we would have reported it to the NCSC.",
        "We block attacks every day.",
        "The attack might return.",
    ] {
        assert_ne!(one(text).result, Supported, "{}", checked(text).to_text());
    }
}

#[test]
fn words_that_are_not_known_are_named_and_the_sentence_does_not_pass() {
    let sentence = one("On Monday our website was attacked by purple squirrels.");
    assert_eq!(sentence.result, NotChecked, "{sentence:?}");
    let named: Vec<&str> = sentence.unchecked.iter().map(|part| part.phrase.as_str()).collect();
    assert_eq!(named, ["by", "purple", "squirrels"]);
    assert!(!checked("Our manifesto is out tomorrow.").passes());
}

#[test]
fn other_languages_are_not_read() {
    results(
        &[
            "Nuestro sitio web fue atacado dos veces.",
            "Unsere Website wurde nicht angegriffen.",
            "Notre site a été attaqué par des pirates.",
            "Ο ιστότοπός μας δέχτηκε επίθεση.",
        ],
        NotRead,
    );
}

#[test]
fn times_are_local() {
    let zone = LocalZone { offsets: vec![(WallTime(0), 3_600, "CET".to_owned())] };
    let context = CheckContext { zone, ..context() };
    let result = |text: &str| check(text, Some(&incident()), &context).unwrap().sentences[0].result;
    assert_eq!(result("The first attack began at 11.02 on Monday."), Supported);
    assert_eq!(result("The first attack began at 10.02 on Monday."), Rejected);
}

#[test]
fn today_is_the_day_of_the_statement() {
    assert_eq!(one("The second attack came this morning.").result, Supported);
    assert_eq!(one("The first attack came yesterday.").result, Supported);
    let unknown = CheckContext::default();
    let check = check("The second attack came today.", Some(&incident()), &unknown).unwrap();
    assert_eq!(check.sentences[0].result, Rejected);
}

#[test]
fn hidden_letters_and_wide_letters_hide_nothing() {
    let sentence = one("It was a so\u{200b}phis\u{ad}ticated and \u{ff4c}arge scale attack.");
    assert_eq!(sentence.rejected.len(), 2, "{sentence:?}");
}

#[test]
fn without_an_incident_nothing_is_supported() {
    let check = check(STATEMENT_2019, None, &context()).unwrap();
    assert!(!check.passes());
    for sentence in &check.sentences {
        assert_ne!(sentence.result, Supported);
        assert!(sentence.leaves.is_empty());
    }
}

#[test]
fn a_receipt_is_what_makes_reported_true() {
    let entries = campaign_day::without(false, |e| matches!(e, Event::ReceiptRecorded(_)));
    let incident = fold(entries).remove(0);
    let text = "We have reported the matter to the NCSC.";
    let check = check(text, Some(&incident), &context()).unwrap();
    assert_eq!(check.sentences[0].result, Rejected);
    assert_eq!(check.sentences[0].suggestions, ["No report to the NCSC is on record."]);
}

#[test]
fn each_recipient_needs_a_receipt() {
    assert_eq!(one("We informed the NCSC and the police.").result, Rejected);
    let mut entries = whole(false);
    for (_, entry) in &mut entries {
        if let Event::ReceiptRecorded(receipt) = &mut entry.event {
            receipt.recipient = "Metropolitan Police".into();
        }
    }
    let incident = fold(entries).remove(0);
    let check = check("We have informed the police.", Some(&incident), &context()).unwrap();
    assert_eq!(check.sentences[0].result, Supported);
    assert_eq!(check.sentences[0].leaves, [1205]);
}

#[test]
fn a_clause_that_leaves_its_subject_open_is_marked() {
    let sentence = one("We do not know whether any data was accessed.");
    assert_eq!(sentence.matched[0].claim, Some(ClaimKind::NoBreach));
    assert_eq!(sentence.matched[0].assertion, Assertion::LeftOpen);
}

#[test]
fn the_lines_that_a_press_officer_may_quote_pass_the_check() {
    let incident = incident();
    let statement = build(&incident, &StatementContext::default());
    for line in &statement.press.quotable {
        let check = check(line, Some(&incident), &CheckContext::default()).unwrap();
        assert!(check.passes(), "{}", check.to_text());
    }
}

#[test]
fn a_check_as_a_page_marks_what_was_refused_and_fetches_nothing() {
    let page =
        checked("Our <b>website</b> was attacked by purple squirrels for two hours.").to_html();
    assert!(page.contains("<mark class=\"unchecked\">purple</mark>"), "{page}");
    assert!(!page.contains("<b>"), "{page}");
    for foreign in ["http:", "https:", "<script", "src=", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn a_text_that_is_too_long_is_refused_with_its_limit() {
    let long = "a".repeat(TEXT_BYTES + 1);
    let error = check(&long, None, &context()).unwrap_err();
    assert_eq!(error, CheckError::TooLong { bytes: TEXT_BYTES + 1 });
    assert!(error.to_string().contains("65536"));
    assert!(check(&long[1..], None, &context()).is_ok());
}

#[test]
fn the_longest_texts_are_checked() {
    // A search in quadratic time would take minutes.
    let text = "attack on our systems not failed due to data ".repeat(TEXT_BYTES / 45);
    check(&text, Some(&incident()), &context()).unwrap();
    let text = "A. attack! ".repeat(TEXT_BYTES / 11);
    check(&text, None, &context()).unwrap();
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
                Just(" at no time did "), Just(" was it: no"), Just("half a million "), Just(" per cent"),
                Just(" to nine"), Just(" than the first "), Just(" for hours "), Just(" 99999999999999999 "),
            ],
            0..60,
        )
    ) {
        exactly_once(&parts.concat())?;
    }

    /// A sentence with any word that is not known is never supported.
    #[test]
    fn a_word_that_is_not_known_is_never_passed_over(at in 0usize..6, word in "zq[a-z]{3,8}") {
        let mut words: Vec<&str> = "On Monday our website was attacked".split(' ').collect();
        words.insert(at, &word);
        let check = check(&(words.join(" ") + "."), Some(&incident()), &context()).unwrap();
        prop_assert!(!check.passes(), "{}", check.to_text());
    }
}

/// The sentences are in order, do not overlap, and leave out white space only.
fn exactly_once(text: &str) -> Result<(), TestCaseError> {
    let check = check(text, None, &context()).unwrap();
    let mut end = 0;
    for sentence in &check.sentences {
        prop_assert!(sentence.at.start >= end);
        prop_assert!(text[end..sentence.at.start].trim().is_empty());
        prop_assert_eq!(&text[sentence.at.clone()], sentence.sentence.as_str());
        prop_assert!(!sentence.sentence.trim().is_empty());
        end = sentence.at.end;
        for refused in sentence.rejected.iter().chain(&sentence.unchecked) {
            prop_assert_eq!(&text[refused.at.clone()], refused.phrase.as_str());
        }
    }
    prop_assert!(text[end..].trim().is_empty());
    let _ = (check.to_text(), check.to_json(), check.to_html());
    Ok(())
}
