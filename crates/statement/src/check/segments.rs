//! A sentence as words of known classes, numbers, times and names.

use super::content::{Content, Measured, Segment};
use super::lexicon::{Form, WordKind, lexicon};
use super::moments::moment;
use super::names::KnownNames;
use super::numbers::{Number, ONE, limit, number, ordinal, phrase_at};
use super::spans::span;
use super::tokens::SentenceToken;

/// The segments of a sentence, in order; every token is in exactly one.
pub(super) fn segments(tokens: &[SentenceToken], names: &KnownNames) -> Vec<Segment> {
    let mut all: Vec<Segment> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let (content, length) = longest(tokens, at, names, &all);
        let classes = verb_classes(tokens, at, length);
        all.push(Segment { content, classes, first: at, last: at + length - 1 });
        at += length;
    }
    all
}

/// The classes of all verbs of this length that begin at `at`.
fn verb_classes(tokens: &[SentenceToken], at: usize, length: usize) -> Vec<&'static str> {
    let entries = lexicon().at(tokens, at);
    let verbs = entries.filter(|(entry, n)| *n == length && entry.kind == WordKind::Verb);
    let mut classes: Vec<&'static str> = verbs.map(|(entry, _)| entry.class).collect();
    classes.dedup();
    classes
}

fn longest(
    tokens: &[SentenceToken],
    at: usize,
    names: &KnownNames,
    before: &[Segment],
) -> (Content, usize) {
    if tokens[at].mark && !tokens[at].is("\"") {
        let mark = Content::Word { kind: WordKind::Punctuation, class: "Mark", form: Form::Base };
        return (mark, 1);
    }
    let mut best = (Content::Unknown, 0);
    let mut offer = |found: Option<(Content, usize)>| {
        if let Some((content, length)) = found
            && length > best.1
        {
            best = (content, length);
        }
    };
    offer(span(tokens, at).map(|(s, n)| (Content::Span(s), n)));
    offer(quantity(tokens, at));
    offer(moment(tokens, at).map(|(m, n)| (Content::Moment(m), n)));
    offer(names.at(tokens, at));
    offer(word(tokens, at, before));
    offer(number(tokens, at).map(|(n, length)| (Content::Number(n), length)));
    offer(ordinal(&tokens[at]).map(|n| (Content::Ordinal(n), 1)));
    offer(Some((Content::Unknown, 1)));
    // "the council's main website" is the platform `website`.
    if let Content::Word { class: "Site", .. } = best.0
        && best.1 > 1
        && let Some((name, 1)) = names.at(tokens, at + best.1 - 1)
    {
        best.0 = name;
    }
    best
}

/// A number with its unit.
fn quantity(tokens: &[SentenceToken], at: usize) -> Option<(Content, usize)> {
    let skipped = usize::from(tokens[at].is("by") || tokens[at].is("at"));
    let share = fraction(tokens, at + skipped);
    let (number, length) = match (share, number(tokens, at + skipped)) {
        (Some(share), _) => {
            return Some((Content::Quantity(share.0, Measured::Share), skipped + share.1));
        }
        (None, found) => found?,
    };
    let end = at + skipped + length;
    let units = UNITS.iter().map(|(unit, measured)| (phrase_at(tokens, end, unit), *measured));
    if let Some((more, measured)) = units.max_by_key(|(more, _)| *more).filter(|(n, _)| *n > 0) {
        return Some((Content::Quantity(number, measured), skipped + length + more));
    }
    None
}

/// Units after a number, the longest first where one begins with another.
const UNITS: &[(&str, Measured)] = &[
    ("requests per second", Measured::Rate),
    ("requests a second", Measured::Rate),
    ("requests each second", Measured::Rate),
    ("requests every second", Measured::Rate),
    ("requests in a second", Measured::Rate),
    ("requests in one second", Measured::Rate),
    ("requests in a single second", Measured::Rate),
    ("hits per second", Measured::Rate),
    ("hits a second", Measured::Rate),
    ("calls per second", Measured::Rate),
    ("page requests per second", Measured::Rate),
    ("page requests a second", Measured::Rate),
    ("web requests per second", Measured::Rate),
    ("web requests a second", Measured::Rate),
    ("queries per second", Measured::Rate),
    ("queries a second", Measured::Rate),
    ("per second", Measured::Rate),
    ("a second", Measured::Rate),
    ("every second", Measured::Rate),
    ("each second", Measured::Rate),
    ("rps", Measured::Rate),
    ("requests per minute", Measured::Other),
    ("requests a minute", Measured::Other),
    ("requests per hour", Measured::Other),
    ("requests an hour", Measured::Other),
    ("per minute", Measured::Other),
    ("a minute", Measured::Other),
    ("per hour", Measured::Other),
    ("an hour", Measured::Other),
    ("gigabits per second", Measured::Other),
    ("terabits per second", Measured::Other),
    ("gbps", Measured::Other),
    ("percent", Measured::Share),
    ("per cent", Measured::Share),
    ("pc", Measured::Share),
    ("times our normal level of traffic", Measured::TimesNormal),
    ("times our normal traffic", Measured::TimesNormal),
    ("times our usual traffic", Measured::TimesNormal),
    ("times its normal traffic", Measured::TimesNormal),
    ("times its usual traffic", Measured::TimesNormal),
    ("times the site normal traffic", Measured::TimesNormal),
    ("times the site usual traffic", Measured::TimesNormal),
    ("times the normal traffic", Measured::TimesNormal),
    ("times the usual traffic", Measured::TimesNormal),
    ("times as high as usual", Measured::TimesNormal),
    ("times as high as normal", Measured::TimesNormal),
    ("times as heavy as usual", Measured::TimesNormal),
    ("times as great as usual", Measured::TimesNormal),
    ("times what is usual there", Measured::TimesNormal),
    ("times what it usually gets", Measured::TimesNormal),
    ("times what it usually receives", Measured::TimesNormal),
    ("times what we usually get", Measured::TimesNormal),
    ("times what the site usually gets", Measured::TimesNormal),
    ("times what the service usually gets", Measured::TimesNormal),
    ("times the ordinary rate", Measured::TimesNormal),
    ("times the ordinary level", Measured::TimesNormal),
    ("times its ordinary rate", Measured::TimesNormal),
    ("times its ordinary level", Measured::TimesNormal),
    ("times our ordinary level", Measured::TimesNormal),
    ("times our ordinary rate", Measured::TimesNormal),
    ("times the number of requests that is usual", Measured::TimesNormal),
    ("times more requests than usual", Measured::TimesNormal),
    ("times more requests than normal", Measured::TimesNormal),
    ("times normal traffic", Measured::TimesNormal),
    ("times usual traffic", Measured::TimesNormal),
    ("times ordinary traffic", Measured::TimesNormal),
    ("times our ordinary traffic", Measured::TimesNormal),
    ("times its ordinary traffic", Measured::TimesNormal),
    ("times the ordinary traffic", Measured::TimesNormal),
    ("times our baseline", Measured::TimesNormal),
    ("times the baseline", Measured::TimesNormal),
    ("times its baseline", Measured::TimesNormal),
    ("times its own baseline", Measured::TimesNormal),
    ("times our own baseline", Measured::TimesNormal),
    ("times the site own baseline", Measured::TimesNormal),
    ("times the site baseline", Measured::TimesNormal),
    ("times the normal level", Measured::TimesNormal),
    ("times the usual level", Measured::TimesNormal),
    ("times our normal level", Measured::TimesNormal),
    ("times our usual level", Measured::TimesNormal),
    ("times its normal level", Measured::TimesNormal),
    ("times its usual level", Measured::TimesNormal),
    ("times normal levels", Measured::TimesNormal),
    ("times usual levels", Measured::TimesNormal),
    ("times the normal rate", Measured::TimesNormal),
    ("times our normal rate", Measured::TimesNormal),
    ("times the usual rate", Measured::TimesNormal),
    ("times our usual rate", Measured::TimesNormal),
    ("times its usual rate", Measured::TimesNormal),
    ("times its normal rate", Measured::TimesNormal),
    ("times what is normal", Measured::TimesNormal),
    ("times what is usual", Measured::TimesNormal),
    ("times what is normal for us", Measured::TimesNormal),
    ("times what is usual for us", Measured::TimesNormal),
    ("times what we normally see", Measured::TimesNormal),
    ("times what we usually see", Measured::TimesNormal),
    ("times what we would normally see", Measured::TimesNormal),
    ("times what the site normally sees", Measured::TimesNormal),
    ("times what the site usually sees", Measured::TimesNormal),
    ("times more than usual", Measured::TimesNormal),
    ("times more than normal", Measured::TimesNormal),
    ("times higher than usual", Measured::TimesNormal),
    ("times higher than normal", Measured::TimesNormal),
    ("times as much as usual", Measured::TimesNormal),
    ("times as much as normal", Measured::TimesNormal),
    ("times as much traffic as usual", Measured::TimesNormal),
    ("times as much traffic as normal", Measured::TimesNormal),
    ("times as many requests as usual", Measured::TimesNormal),
    ("times as many requests as normal", Measured::TimesNormal),
    ("times more traffic than usual", Measured::TimesNormal),
    ("times more traffic than normal", Measured::TimesNormal),
    ("times as many as usual", Measured::TimesNormal),
    ("times as many as normal", Measured::TimesNormal),
    ("times the normal volume", Measured::TimesNormal),
    ("times the usual volume", Measured::TimesNormal),
    ("times our normal volume", Measured::TimesNormal),
    ("times our usual volume", Measured::TimesNormal),
    ("times normal", Measured::TimesNormal),
    ("times usual", Measured::TimesNormal),
    ("times the average", Measured::TimesNormal),
    ("times our average", Measured::TimesNormal),
    ("times", Measured::Occasions),
    ("times what our origin was ever seen to handle", Measured::TimesCapacity),
    ("times what our origin has been seen to handle", Measured::TimesCapacity),
    ("times what our server has been seen to handle", Measured::TimesCapacity),
    ("times what our servers have been seen to handle", Measured::TimesCapacity),
    ("times what our servers had been seen to handle", Measured::TimesCapacity),
    ("times the most that our origin has handled", Measured::TimesCapacity),
];

/// `a third of`, `half of`, `fewer than one in a hundred`.
fn fraction(tokens: &[SentenceToken], at: usize) -> Option<(Number, usize)> {
    if let Some((bound, skipped)) = limit(tokens, at)
        && let Some((number, length)) = fraction(tokens, at + skipped)
    {
        return Some((number.bound(bound), skipped + length));
    }
    if phrase_at(tokens, at, "half a per") + phrase_at(tokens, at, "half a percent") == 0
        && let Some(found) = whole_fraction(tokens, at)
    {
        return Some(found);
    }
    for phrase in [
        "half a per cent",
        "half a percent",
        "half of one per cent",
        "half a per cent of",
        "half of a per cent",
    ] {
        let length = phrase_at(tokens, at, phrase);
        if length > 0 {
            return Some((Number::exactly(ONE / 2, ONE / 10), length));
        }
    }
    // In thousandths of a per cent: one in a thousand is a tenth.
    let length = phrase_at(tokens, at, "one in a thousand");
    (length > 0).then(|| (Number::exactly(ONE / 10, ONE / 10), length))
}

/// The longest entry of the lexicon. Of several that are equally long, the words before decide whether
/// it is a noun or a verb.
fn word(tokens: &[SentenceToken], at: usize, before: &[Segment]) -> Option<(Content, usize)> {
    let mut found = lexicon().at(tokens, at).peekable();
    let longest = found.peek()?.1;
    let same: Vec<_> = found.take_while(|(_, length)| *length == longest).collect();
    let wanted = wanted(before);
    let after = after(before);
    let best = same.iter().min_by_key(|(entry, _)| rank(entry.kind, entry.form, wanted, after))?;
    let (entry, length) = best;
    let content = Content::Word { kind: entry.kind, class: entry.class, form: entry.form };
    Some((content, *length))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Noun,
    Verb,
    Open,
}

/// What follows determiners and adjectives is a noun; what follows a pronoun, an auxiliary or "to", a
/// verb.
fn wanted(before: &[Segment]) -> Wanted {
    let mut last = before.iter().rev();
    let last =
        last.find(|s| !matches!(s.kind(), Some(WordKind::Negation)) && s.class() != "Neutral");
    let Some(segment) = last else { return Wanted::Noun };
    match segment.kind() {
        Some(WordKind::Determiner | WordKind::Adjective) => Wanted::Noun,
        Some(WordKind::Pronoun | WordKind::Auxiliary | WordKind::Modal) => Wanted::Verb,
        Some(WordKind::Connector) if segment.class() == "To" => Wanted::Verb,
        Some(WordKind::Connector) if segment.class() == "Which" => Wanted::Verb,
        Some(WordKind::Connector) => Wanted::Noun,
        Some(WordKind::Noun) => Wanted::Verb,
        _ => match segment.content {
            Content::Number(_) | Content::Ordinal(_) => Wanted::Noun,
            Content::Recipient(_) | Content::OwnName => Wanted::Verb,
            _ => Wanted::Open,
        },
    }
}

/// The auxiliary before a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// "be", "have", "get": a participle or an adjective follows.
    Be,
    /// "will", "did", "to": an infinitive follows.
    Modal,
    Nothing,
}

fn after(before: &[Segment]) -> After {
    let mut last = before.iter().rev();
    let last = last.find(|s| !matches!(s.kind(), Some(WordKind::Negation | WordKind::Other)));
    match last.map(|s| (s.kind(), s.class())) {
        Some((Some(WordKind::Auxiliary), "do")) => After::Modal,
        Some((Some(WordKind::Auxiliary), _)) => After::Be,
        Some((Some(WordKind::Modal), _) | (Some(WordKind::Connector), "To")) => After::Modal,
        _ => After::Nothing,
    }
}

/// The smaller, the better.
const fn rank(kind: WordKind, form: Form, wanted: Wanted, after: After) -> u8 {
    let past = matches!(form, Form::Past | Form::PastOrParticiple | Form::Participle);
    match (kind, wanted) {
        (WordKind::Auxiliary | WordKind::Modal | WordKind::Negation | WordKind::Determiner, _) => 0,
        (WordKind::Noun, Wanted::Noun) => 1,
        (WordKind::Verb, _) if matches!(after, After::Be) => match form {
            Form::Base | Form::Third => 6,
            _ => 1,
        },
        (WordKind::Verb, _) if matches!(after, After::Modal) => match form {
            Form::Base => 1,
            _ => 6,
        },
        (WordKind::Verb, Wanted::Verb) if past => 1,
        (WordKind::Verb, Wanted::Verb) => 2,
        (WordKind::Verb, _) if past => 2,
        (WordKind::Adjective, _) if matches!(after, After::Be) => 2,
        (WordKind::Connector | WordKind::Pronoun, _) => 3,
        (WordKind::Adjective, _) => 4,
        (WordKind::Noun, Wanted::Open) => 5,
        (WordKind::Other, _) => 6,
        _ => 7,
    }
}

fn whole_fraction(tokens: &[SentenceToken], at: usize) -> Option<(Number, usize)> {
    for (phrase, percent) in [
        ("half of", 50),
        ("half", 50),
        ("a third of", 33),
        ("two thirds of", 67),
        ("three quarters of", 75),
        ("a quarter of", 25),
        ("nine in ten", 90),
        ("nine out of ten", 90),
        ("one in ten", 10),
        ("one in twenty", 5),
        ("one in five", 20),
        ("one in a hundred", 1),
        ("one in four", 25),
        ("one in three", 33),
        ("one in two", 50),
    ] {
        let length = phrase_at(tokens, at, phrase);
        if length > 0 && !(phrase == "half" && tokens.get(at + 1).is_some_and(|t| t.is("a"))) {
            return Some((Number::exactly(percent * ONE, ONE), length));
        }
    }
    None
}
