//! The clauses of a sentence, by the forms in `frames.txt`.

use std::sync::LazyLock;

use super::content::Measured;
use super::units::{Group, Phrase, Role, SentenceUnit};

/// A part of a form.
#[derive(Clone, Debug)]
enum FormPart {
    Noun(&'static str),
    Adjective(&'static str),
    Verb(&'static str, Option<bool>),
    Copula,
    Prepositional(&'static str, &'static str),
}

/// A form of a clause.
#[derive(Clone, Debug)]
pub(super) struct ClauseForm {
    parts: Vec<Vec<FormPart>>,
    may_elide: bool,
    pub(super) predicate: &'static str,
    pub(super) negative: bool,
    #[cfg(test)]
    example: &'static str,
}

static FRAMES: LazyLock<Vec<ClauseForm>> = LazyLock::new(|| {
    let lines = include_str!("frames.txt").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).filter_map(read).collect()
});

/// All forms.
pub(super) fn frames() -> &'static [ClauseForm] {
    &FRAMES
}

fn read(line: &'static str) -> Option<ClauseForm> {
    let (form, meaning) = line.split_once(" => ")?;
    let (predicate, example) = meaning.split_once(" | ")?;
    let (form, may_elide) = match form.strip_prefix('^') {
        Some(form) => (form, true),
        None => (form, false),
    };
    let parts = form.split(' ').map(|part| part.split('|').map(one).collect()).collect();
    let (predicate, negative) = match predicate.strip_suffix('!') {
        Some(predicate) => (predicate, true),
        None => (predicate, false),
    };
    #[cfg(not(test))]
    let _ = example;
    Some(ClauseForm {
        parts,
        may_elide,
        predicate,
        negative,
        #[cfg(test)]
        example,
    })
}

fn one(text: &'static str) -> FormPart {
    if text == "cop" {
        return FormPart::Copula;
    }
    if let Some(class) = text.strip_prefix('~') {
        return FormPart::Adjective(class);
    }
    if let Some((preposition, class)) = text.split_once(':') {
        return FormPart::Prepositional(preposition, class);
    }
    if text.starts_with(char::is_uppercase) {
        return FormPart::Noun(text);
    }
    match text.split_once('.') {
        Some((class, voice)) => FormPart::Verb(class, Some(voice == "p")),
        None => FormPart::Verb(text, None),
    }
}

/// A form that was found.
#[derive(Clone, Debug)]
pub(super) struct FoundClause {
    pub(super) frame: &'static ClauseForm,
    /// The units of its parts.
    pub(super) core: Vec<usize>,
    /// The units in between and behind that describe it.
    pub(super) adjuncts: Vec<usize>,
    /// The first unit after it.
    pub(super) end: usize,
    /// The subject, if an earlier clause has it.
    pub(super) elided: bool,
    /// The copula too: "slow and unstable".
    pub(super) without_copula: bool,
    /// A past form was taken as a participle: "a website attacked".
    bare_passive: bool,
}

/// What came before a clause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before<'a> {
    /// The last clause's subject.
    pub(super) subject: Option<&'a Phrase>,
    /// Classes of all nouns that "it" may mean; empty at the beginning.
    pub(super) antecedents: &'a [&'static str],
    /// The last clause was "it was …": another adjective may follow.
    pub(super) after_copula: bool,
}

/// The longest forms that begin at `at`: several, if a clause may be read in several ways.
pub(super) fn find(units: &[SentenceUnit], at: usize, before: Before<'_>) -> Vec<FoundClause> {
    let mut best: Vec<FoundClause> = Vec::new();
    for frame in frames() {
        let whole = matches(frame, units, at, 0, before);
        let found = whole.or_else(|| {
            let class = before.subject?.class;
            let fits = frame.may_elide && first_fits(frame, class);
            let second = matches!(frame.parts.get(1).map(Vec::as_slice), Some([FormPart::Copula]));
            let found = if fits { matches(frame, units, at, 1, before) } else { None };
            match found {
                None if fits && before.after_copula && second => {
                    matches(frame, units, at, 2, before)
                }
                found => found,
            }
        });
        let Some(found) = found else { continue };
        match best.first().map(weight) {
            Some(known) if known > weight(&found) => {}
            Some(known) if known == weight(&found) => {
                let same = |b: &FoundClause| {
                    b.frame.predicate == frame.predicate && b.frame.negative == frame.negative
                };
                if !best.iter().any(same) {
                    best.push(found);
                }
            }
            _ => best = vec![found],
        }
    }
    // "The attack stopped" is in the active if it can be.
    if best.iter().any(|found| !found.bare_passive) {
        best.retain(|found| !found.bare_passive);
    }
    best
}

fn weight(found: &FoundClause) -> (usize, usize) {
    (found.core.len() + usize::from(found.elided), found.end)
}

fn first_fits(frame: &ClauseForm, class: &str) -> bool {
    let first = frame.parts.first().into_iter().flatten();
    first.into_iter().any(|part| matches!(part, FormPart::Noun(noun) if is_a(class, noun)))
}

/// Whether a noun of class `class` may be where `wanted` is.
fn is_a(class: &str, wanted: &str) -> bool {
    class == wanted
        || (wanted == "We" && class == "Party")
        || (wanted == "Attack" && class == "Wave")
        || (wanted == "Requests" && class == "Connections")
        || (wanted == "Site" && class == "OtherSite")
        || (wanted == "Defence" && class == "Team")
        || (wanted == "Defence" && class == "Provider")
        || (wanted == "We" && class == "Team")
        || (wanted == "Recipient" && class == "Provider")
        || (wanted == "Attacker" && class == "Actor")
        || (wanted == "Attack" && matches!(class, "Attempt" | "Attacker"))
        || (wanted == "People" && class == "Everyone")
        || (class == "One" && matches!(wanted, "Attack" | "Wave" | "Outage"))
}

fn matches(
    frame: &'static ClauseForm,
    units: &[SentenceUnit],
    start: usize,
    elided: usize,
    before: Before<'_>,
) -> Option<FoundClause> {
    let mut found = FoundClause {
        frame,
        core: Vec::new(),
        adjuncts: Vec::new(),
        end: start,
        elided: elided > 0,
        without_copula: elided > 1,
        bare_passive: false,
    };
    let mut at = start;
    for (i, part) in frame.parts.iter().enumerate().skip(elided) {
        loop {
            let unit = units.get(at)?;
            let first = found.core.is_empty();
            let pronoun = match unit.role {
                Role::Pronoun("It", super::units::Quantifier::Open) => true,
                // "most of them"
                Role::Pronoun("It", _) => first && !before.antecedents.is_empty(),
                _ => false,
            };
            let meant = pronoun && may_mean(part, before);
            if meant || (!pronoun && part.iter().any(|alternative| fits(alternative, unit, first)))
            {
                found.core.push(at);
                at += 1;
                break;
            }
            if (i == 0 || found.core.is_empty()) || !may_be_between(&unit.role) {
                return None;
            }
            found.adjuncts.push(at);
            at += 1;
        }
    }
    found.bare_passive = is_bare_passive(&found, units);
    if found.core.is_empty() || (found.bare_passive && active_after_all(&found, units, at)) {
        return None;
    }
    found.end = trailing(units, at, &mut found.adjuncts);
    Some(found)
}

/// Whether a verb that was taken as a participle is in the active: "we attacked …".
fn active_after_all(found: &FoundClause, units: &[SentenceUnit], next: usize) -> bool {
    let first = found.core.first().map(|unit| &units[*unit].role);
    let object = units.get(next).map(|unit| &unit.role);
    matches!(first, Some(Role::Pronoun("We", _)))
        || matches!(object, Some(Role::Noun(_) | Role::Pronoun(..)))
}

fn is_bare_passive(found: &FoundClause, units: &[SentenceUnit]) -> bool {
    let passive = |part: &FormPart| matches!(part, FormPart::Verb(_, Some(true)));
    let wanted = found.frame.parts.iter().any(|part| part.iter().any(passive));
    let bare = found.core.iter().any(
        |unit| matches!(&units[*unit].role, Role::Verb(group) if group.bare && !group.passive),
    );
    wanted && bare
}

/// Whether "it" may mean one of a part's nouns.
fn may_mean(part: &[FormPart], before: Before<'_>) -> bool {
    let nouns = || {
        part.iter().filter_map(|p| match p {
            FormPart::Noun(noun) => Some(*noun),
            _ => None,
        })
    };
    match before.antecedents {
        [] => nouns().any(|noun| noun == "It"),
        classes => classes.iter().any(|class| nouns().any(|noun| is_a(class, noun))),
    }
}

fn fits(part: &FormPart, unit: &SentenceUnit, first: bool) -> bool {
    match (part, &unit.role) {
        (FormPart::Noun(wanted), Role::Noun(phrase)) => is_a(phrase.class, wanted),
        (FormPart::Noun("Requests" | "Rate"), Role::Quantity(_, Measured::Rate)) => true,
        (FormPart::Noun("Reference"), Role::Reference(_)) => true,
        (
            FormPart::Noun("Times"),
            Role::Quantity(_, Measured::TimesNormal | Measured::TimesCapacity),
        ) => true,
        (FormPart::Noun("Anything" | "People"), Role::Pronoun("Nothing", _)) => true,
        (FormPart::Noun(wanted), Role::Pronoun(class, super::units::Quantifier::Open)) => {
            wanted == class
        }
        (FormPart::Noun("People"), Role::Pronoun("It", part)) if first => {
            *part != super::units::Quantifier::Open
        }
        (FormPart::Adjective(wanted), Role::Adjective(class)) => wanted == class,
        (FormPart::Copula, Role::Copula(_)) => true,
        (FormPart::Verb(wanted, passive), Role::Verb(group)) => verb_fits(wanted, *passive, group),
        (FormPart::Prepositional(wanted, class), Role::Prepositional(preposition, phrase)) => {
            let same = *wanted == "to" || preposition.eq_ignore_ascii_case(wanted);
            same && is_a(phrase.class, class)
        }
        _ => false,
    }
}

fn verb_fits(wanted: &'static str, passive: Option<bool>, group: &Group) -> bool {
    let voice = match passive {
        None => true,
        Some(true) => group.passive || group.bare_participle(),
        Some(false) => !group.passive,
    };
    group.is(wanted) && voice
}

/// What may be between the parts of a clause.
fn may_be_between(role: &Role) -> bool {
    if let Role::Prepositional("With" | "Without", phrase) = role
        && matches!(phrase.class, "Outage" | "Disruption" | "Impact" | "Breach" | "Data" | "Errors")
    {
        return false;
    }
    matches!(
        role,
        Role::Moment(_)
            | Role::Span(_)
            | Role::Quantity(..)
            | Role::Word(_)
            | Role::Prepositional(..)
            | Role::Negation
    )
}

/// What follows a clause and describes it.
fn trailing(units: &[SentenceUnit], start: usize, adjuncts: &mut Vec<usize>) -> usize {
    let describes = |role: &Role| match role {
        Role::Word(class) => !is_prefix(class),
        Role::Number(_) | Role::Reference(_) => true,
        role => may_be_between(role),
    };
    let mut at = start;
    loop {
        while units.get(at).is_some_and(|unit| describes(&unit.role)) {
            adjuncts.push(at);
            at += 1;
        }
        // ", on Monday," and "and 10:06" belong to it too.
        let joint =
            matches!(units.get(at).map(|u| &u.role), Some(Role::Mark | Role::Connector("And")));
        let mut end = at + 1;
        while units.get(end).is_some_and(|unit| describes(&unit.role)) {
            end += 1;
        }
        let closes =
            matches!(units.get(end).map(|u| &u.role), None | Some(Role::Mark | Role::Connector(_)));
        if !joint || end == at + 1 || !closes {
            return at;
        }
        adjuncts.extend(at + 1..end);
        at = end;
    }
}

/// Whether words of a class say how the clause after them is meant.
pub(super) fn is_prefix(class: &str) -> bool {
    matches!(
        class,
        "Confirm"
            | "Denial"
            | "FalseThat"
            | "NoEvid"
            | "CantRule"
            | "Unsure"
            | "Looking"
            | "Perhaps"
            | "Say"
            | "ReportThat"
            | "Ignorance"
    )
}

#[cfg(test)]
mod tests {
    use super::super::names::KnownNames;
    use super::super::segments::segments;
    use super::super::tokens::tokens;
    use super::super::units::units;
    use super::*;

    #[test]
    fn every_form_reads_its_example() {
        let names = KnownNames::default();
        let mut wrong = Vec::new();
        // References are known by the ledger alone.
        let by_ledger = |frame: &&ClauseForm| {
            frame.example.contains("CRN-1") || frame.example.contains("INC-1")
        };
        for frame in frames().iter().filter(|frame| !by_ledger(frame)) {
            let units = units(&segments(&tokens(frame.example, 0), &names));
            let before = Before { subject: None, antecedents: &[], after_copula: false };
            let found = (0..units.len()).flat_map(|at| find(&units, at, before));
            let same = |f: &FoundClause| {
                f.frame.predicate == frame.predicate && f.frame.negative == frame.negative
            };
            if !found.into_iter().any(|f| same(&f)) {
                wrong.push(frame.example);
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
