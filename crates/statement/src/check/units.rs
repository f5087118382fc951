//! Segments put together: noun phrases, verb groups, and what describes them.

use super::content::{Content, Measured, Segment};
use super::lexicon::{Form, WordKind};
use super::moments::SaidTime;
use super::numbers::Number;
use super::spans::Span;

/// How much of a whole a noun phrase names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantifier {
    /// Not said.
    Open,
    No,
    Any,
    /// Nine in ten or more.
    NearlyAll,
    Few,
    Some,
    Many,
    All,
}

/// A noun with what is before it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Phrase {
    /// The class of its noun; `Site` for a name of a site, `Recipient` for one of a recipient.
    pub(super) class: &'static str,
    pub(super) part: Quantifier,
    pub(super) count: Option<Number>,
    /// Of how many: "one of our three platforms".
    pub(super) of_count: Option<Number>,
    pub(super) share: Option<Number>,
    pub(super) ordinal: Option<u64>,
    pub(super) plural: bool,
    pub(super) definite: bool,
    pub(super) only: bool,
    /// Of how many sites it is: "an attack on three of our platforms".
    pub(super) site_count: Option<Number>,
    /// Numbers of names.
    pub(super) sites: Vec<usize>,
    pub(super) recipients: Vec<usize>,
    /// Classes of adjectives with their segments.
    pub(super) adjectives: Vec<(&'static str, usize)>,
    /// One of several sites has no name: "the website and the shop".
    pub(super) unnamed: bool,
    /// Nouns joined by "and".
    pub(super) also: Vec<&'static str>,
}

/// When a verb says that something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tense {
    Past,
    Present,
    /// "is being", "are restoring".
    Continuing,
    Future,
    /// "may", "might", "could".
    Possible,
    /// "would", "should".
    Conditional,
    /// "to restore".
    Infinitive,
}

/// A verb with what is before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) class: &'static str,
    pub(super) tense: Tense,
    pub(super) passive: bool,
    /// "has been", "have blocked".
    pub(super) perfect: bool,
    pub(super) negations: u32,
    /// Every class that its verb has.
    pub(super) classes: Vec<&'static str>,
    /// Without any auxiliary, and in a form that may be a past participle: "caused".
    pub(super) bare: bool,
    /// Without any auxiliary, in the form of "hitting".
    pub(super) ing: bool,
    /// Segments of adverbs between its words.
    pub(super) adverbs: Vec<usize>,
}

impl Group {
    /// Whether its verb is of a class.
    pub(super) fn is(&self, class: &'static str) -> bool {
        self.classes.contains(&class)
    }

    /// Whether it may be a participle without an auxiliary: "an attack detected on Monday".
    pub(super) const fn bare_participle(&self) -> bool {
        self.bare
    }
}

/// What a unit is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Role {
    Noun(Phrase),
    /// A pronoun, or a determiner without a noun: `We`, `It`, `Nothing`.
    Pronoun(&'static str, Quantifier),
    Verb(Group),
    /// "is", "was", "have been" without a verb after it.
    Copula(Group),
    Adjective(&'static str),
    Connector(&'static str),
    /// A preposition with its noun.
    Prepositional(&'static str, Phrase),
    /// A word of the lexicon that is none of these.
    Word(&'static str),
    Negation,
    Quantity(Number, Measured),
    Number(Number),
    Span(Span),
    Moment(SaidTime),
    Reference(usize),
    Mark,
    Unknown,
}

/// Segments that belong together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SentenceUnit {
    pub(super) role: Role,
    /// Its first and last segment.
    pub(super) first: usize,
    pub(super) last: usize,
}

/// The units of a sentence, in order; every segment is in exactly one.
pub(super) fn units(segments: &[Segment]) -> Vec<SentenceUnit> {
    let mut units = Vec::new();
    let mut at = 0;
    while at < segments.len() {
        let (role, length) = noun_phrase(segments, at)
            .or_else(|| verb_group(segments, at))
            .unwrap_or_else(|| (single(&segments[at]), 1));
        units.push(SentenceUnit { role, first: at, last: at + length - 1 });
        at += length;
    }
    prepositions(join_adjectives(join_nouns(from_people(units))))
}

fn single(segment: &Segment) -> Role {
    match &segment.content {
        Content::Word { kind, class, .. } => match kind {
            WordKind::Noun => Role::Unknown,
            WordKind::Determiner => match *class {
                "Det" | "Indef" => Role::Word("Neutral"),
                "Demo" => Role::Pronoun("It", Quantifier::Open),
                class => Role::Pronoun("It", part_of(class)),
            },
            WordKind::Pronoun => Role::Pronoun(class, Quantifier::Open),
            WordKind::Adjective => Role::Adjective(class),
            WordKind::Negation => Role::Negation,
            WordKind::Connector => Role::Connector(class),
            WordKind::Punctuation => Role::Mark,
            WordKind::Modal | WordKind::Auxiliary => Role::Unknown,
            _ => Role::Word(class),
        },
        Content::Quantity(number, measured) => Role::Quantity(*number, *measured),
        Content::Number(number) => Role::Number(*number),
        Content::Span(span) => Role::Span(*span),
        Content::Moment(moment) => Role::Moment(*moment),
        Content::Reference(n) => Role::Reference(*n),
        Content::OwnName => Role::Word("Neutral"),
        _ => Role::Unknown,
    }
}

fn part_of(class: &str) -> Quantifier {
    match class {
        "No" => Quantifier::No,
        "Any" => Quantifier::Any,
        "All" => Quantifier::All,
        "Some" => Quantifier::Some,
        "Many" => Quantifier::Many,
        "Few" => Quantifier::Few,
        "NearlyAll" => Quantifier::NearlyAll,
        _ => Quantifier::Open,
    }
}

impl Phrase {
    const fn empty() -> Self {
        Self {
            class: "",
            part: Quantifier::Open,
            count: None,
            of_count: None,
            share: None,
            ordinal: None,
            plural: false,
            definite: false,
            only: false,
            site_count: None,
            sites: Vec::new(),
            recipients: Vec::new(),
            adjectives: Vec::new(),
            unnamed: false,
            also: Vec::new(),
        }
    }
}

/// A noun with the determiners, numbers and adjectives before it.
fn noun_phrase(segments: &[Segment], start: usize) -> Option<(Role, usize)> {
    let mut phrase = Phrase::empty();
    let mut at = start;
    while let Some(segment) = segments.get(at) {
        match &segment.content {
            Content::Word { kind: WordKind::Determiner, class, .. } => {
                phrase.definite |= matches!(*class, "Det" | "Demo");
                if !matches!(*class, "Det" | "Demo" | "Indef") {
                    phrase.part = part_of(class);
                }
            }
            Content::Number(number) if phrase.count.is_some() => phrase.of_count = Some(*number),
            Content::Number(number) => phrase.count = Some(*number),
            Content::Quantity(number, Measured::Share) if phrase.count.is_none() => {
                phrase.share = Some(*number);
            }
            Content::Ordinal(n) => phrase.ordinal = Some(*n),
            // "the target of an attack": the attack is another noun.
            Content::Word { kind: WordKind::Adjective, class: "Under", .. } => break,
            Content::Word { kind: WordKind::Adjective, class, .. } => {
                phrase.adjectives.push((class, at));
            }
            Content::Word { class: "Only", .. } => phrase.only = true,
            Content::Word { class: "Very" | "Almost", .. }
                if segments.get(at + 1).is_some_and(|s| {
                    matches!(s.kind(), Some(WordKind::Adjective | WordKind::Determiner))
                }) => {}
            Content::Word { class: "Of", .. }
                if at > start
                    && (phrase.count.is_some()
                        || phrase.share.is_some()
                        || phrase.part != Quantifier::Open) => {}
            Content::Word { class: "And", .. }
                if !phrase.adjectives.is_empty()
                    && segments
                        .get(at + 1)
                        .is_some_and(|s| s.kind() == Some(WordKind::Adjective)) => {}
            Content::Word { class: "Neutral", .. }
                if segment.last == segment.first
                    && at > start
                    && segments.get(at + 1).is_some_and(starts_noun) => {}
            Content::OwnName if segments.get(at + 1).is_some_and(starts_noun) => {}
            _ => break,
        }
        at += 1;
    }
    let end = match head(segments, at, &mut phrase) {
        Some(end) => end,
        // "the first": which of what was counted before.
        None if phrase.ordinal.is_some() && phrase.definite && phrase.adjectives.is_empty() => {
            phrase.class = "One";
            at
        }
        None => return None,
    };
    let end = tail(segments, end, &mut phrase);
    Some((Role::Noun(phrase), end - start))
}

fn starts_noun(segment: &Segment) -> bool {
    segment.kind() == Some(WordKind::Noun)
        || segment.kind() == Some(WordKind::Adjective)
        || matches!(segment.content, Content::Site(_) | Content::OwnName)
}

/// The noun, or nouns put together: the last one says what it is.
fn head(segments: &[Segment], start: usize, phrase: &mut Phrase) -> Option<usize> {
    let mut at = start;
    while let Some(segment) = segments.get(at) {
        match segment.content {
            Content::Word { kind: WordKind::Noun, class, form } => {
                if !may_follow(phrase.class, class) {
                    break;
                }
                let of_people = phrase.class == "People" && class == "Requests";
                phrase.class = if of_people { "GoodRequests" } else { class };
                phrase.plural = form == Form::Plural;
            }
            Content::Site(n) => {
                if !matches!(phrase.class, "" | "Site" | "Party" | "People") {
                    break;
                }
                phrase.class = "Site";
                phrase.sites.push(n);
            }
            Content::Recipient(n) => {
                if !phrase.class.is_empty() {
                    break;
                }
                phrase.class = "Recipient";
                phrase.recipients.push(n);
            }
            Content::OwnName if phrase.class.is_empty() => phrase.class = "Party",
            _ => break,
        }
        at += 1;
    }
    (!phrase.class.is_empty()).then_some(at)
}

/// Which nouns may be put together, and the second says what the whole is.
fn may_follow(first: &str, second: &str) -> bool {
    match first {
        "" | "Party" => true,
        "People" => matches!(second, "Site" | "Data" | "Requests" | "GoodRequests"),
        "Site" => matches!(
            second,
            "Site"
                | "People"
                | "Requests"
                | "GoodRequests"
                | "Traffic"
                | "Availability"
                | "Outage"
                | "Disruption"
                | "Integrity"
                | "Content"
                | "Errors"
                | "Attack"
                | "Capacity"
                | "Surge"
        ),
        "Attack" => matches!(second, "Requests" | "Wave" | "Traffic" | "Connections" | "Sources"),
        "Defence" => matches!(second, "Site" | "Measure" | "Defence" | "Team"),
        "Measure" => matches!(second, "Measure" | "Defence"),
        "Team" => matches!(second, "Team"),
        "Data" => matches!(second, "Breach" | "Data" | "Integrity"),
        "Traffic" => matches!(second, "Surge"),
        "Disruption" => matches!(second, "Disruption"),
        _ => false,
    }
}

/// What follows a noun and belongs to it: "of our website", "on our site", "to the public".
fn tail(segments: &[Segment], start: usize, phrase: &mut Phrase) -> usize {
    let mut at = start;
    loop {
        let Some(preposition) = segments.get(at).map(Segment::class) else { return at };
        if !matches!(preposition, "Of" | "On" | "To" | "From" | "For" | "By" | "During" | "With") {
            return at;
        }
        let Some((Role::Noun(inner), length)) = noun_phrase(segments, at + 1) else { return at };
        if !belongs(phrase.class, preposition, &inner) {
            return at;
        }
        absorb(phrase, preposition, inner);
        at += 1 + length;
    }
}

fn belongs(outer: &str, preposition: &str, inner: &Phrase) -> bool {
    let plain = inner.count.is_none() && inner.share.is_none() && inner.ordinal.is_none();
    match (outer, preposition) {
        ("Wave", "Of") => matches!(inner.class, "Attack" | "Requests" | "Traffic"),
        ("Attack", "Of") => matches!(inner.class, "Requests" | "Traffic"),
        ("Attack" | "Wave", "On") => matches!(inner.class, "Site" | "OtherSite" | "Party"),
        ("People", "Of" | "To" | "On") => inner.class == "Site" && plain,
        ("Requests" | "GoodRequests" | "Traffic" | "Connections", "To" | "On" | "For") => {
            inner.class == "Site" && plain
        }
        ("Requests" | "GoodRequests", "From" | "By") => inner.class == "People" && plain,
        ("Site" | "Data" | "Content", "Of" | "On") => {
            matches!(inner.class, "Party" | "Site" | "People")
        }
        ("Availability", "Of" | "To") => inner.class == "Site",
        ("Impact", "Of") => inner.class == "Attack",
        ("Incident", "With" | "On") => inner.class == "Site",
        ("Integrity", "Of") => matches!(inner.class, "Site" | "Data" | "Content" | "OtherSite"),
        ("Outage" | "Disruption" | "Errors", "Of" | "On" | "To" | "For" | "With") => {
            matches!(inner.class, "Site" | "People" | "OtherSite" | "GoodRequests")
        }
        ("Impact", "On" | "To" | "For") => {
            matches!(inner.class, "Site" | "People" | "Data" | "OtherSite" | "Party")
        }
        ("Breach", "Of") => matches!(inner.class, "Data" | "Site" | "Integrity" | "OtherSite"),
        ("Surge", "Of" | "To" | "On") => {
            matches!(inner.class, "Requests" | "Traffic" | "People" | "Site")
        }
        ("Capacity", "Of") => inner.class == "Site",
        ("Report", "Of") => matches!(inner.class, "Breach" | "Outage" | "Attack"),
        _ => false,
    }
}

fn absorb(phrase: &mut Phrase, preposition: &str, inner: Phrase) {
    // A part of the people or platforms that are named behind: "disruption for some visitors".
    if matches!(phrase.class, "Outage" | "Disruption" | "Impact" | "Availability" | "Errors")
        || (phrase.class == "Integrity" && inner.part == Quantifier::All)
    {
        if phrase.part == Quantifier::Open || phrase.part == Quantifier::Any {
            phrase.part = if inner.part == Quantifier::No { Quantifier::No } else { phrase.part };
        }
        if inner.part != Quantifier::Open && inner.part != Quantifier::Any {
            phrase.also.push(part_marker(inner.part));
        }
    }
    if matches!(phrase.class, "Requests") && inner.class == "People" {
        phrase.class = "GoodRequests";
    }
    if inner.class == "OtherSite" {
        phrase.also.push("OtherSite");
    }
    if phrase.class == "Attack" && preposition == "On" {
        phrase.also.push("OnSite");
        phrase.site_count = inner.count;
        if inner.part == Quantifier::All {
            phrase.also.push("OnAll");
        }
    }
    if inner.class == "Data" {
        phrase.also.push("Data");
    }
    phrase.sites.extend(inner.sites);
    phrase.adjectives.extend(inner.adjectives);
    phrase.only |= inner.only;
}

const fn part_marker(part: Quantifier) -> &'static str {
    match part {
        Quantifier::All => "ForAll",
        Quantifier::Many => "ForMany",
        Quantifier::Few => "ForFew",
        Quantifier::No => "ForNone",
        _ => "ForSome",
    }
}

/// The auxiliaries, negations and adverbs before a verb, and the verb.
fn verb_group(segments: &[Segment], start: usize) -> Option<(Role, usize)> {
    let mut state = Auxiliaries::default();
    let mut at = start;
    let mut last_auxiliary = None;
    while let Some(segment) = segments.get(at) {
        match segment.kind() {
            Some(WordKind::Auxiliary) => {
                state.add(segment.class(), is_past(segments, at));
                last_auxiliary = Some(at);
            }
            Some(WordKind::Modal) => {
                state.modal = Some(segment.class());
                last_auxiliary = Some(at);
            }
            Some(WordKind::Negation) if at > start || next_is_verb(segments, at) => {
                state.negations += 1;
            }
            Some(WordKind::Connector)
                if segment.class() == "To"
                    && next_is_verb(segments, at)
                    && segment.first == segment.last =>
            {
                state.infinitive = true;
            }
            // "have since been lifted"
            Some(WordKind::Connector)
                if segment.class() == "When"
                    && last_auxiliary.is_some()
                    && next_is_verb(segments, at) => {}
            Some(WordKind::Other) if is_adverb(segment.class()) && next_is_verb(segments, at) => {
                state.adverbs.push(at);
            }
            _ => break,
        }
        at += 1;
    }
    let verb = segments.get(at).filter(|s| s.kind() == Some(WordKind::Verb));
    match verb {
        Some(verb) => {
            let mut group = state.group(verb.class(), verb.form());
            group.classes.clone_from(&verb.classes);
            Some((Role::Verb(group), at + 1 - start))
        }
        None => {
            let mut end = last_auxiliary? + 1;
            state.adverbs.retain(|adverb| *adverb < end);
            // Negations after the last auxiliary belong to it: "was not".
            while segments.get(end).is_some_and(|s| s.kind() == Some(WordKind::Negation)) {
                end += 1;
            }
            let role = if state.be {
                Role::Copula(state.group("be", Form::Base))
            } else if state.have && state.modal.is_none() {
                Role::Verb(Group {
                    passive: false,
                    perfect: false,
                    ..state.group("suffer", Form::PastOrParticiple)
                })
            } else {
                return None;
            };
            Some((role, end - start))
        }
    }
}

fn is_adverb(class: &str) -> bool {
    matches!(
        class,
        "Swift"
            | "Full"
            | "Partly"
            | "Briefly"
            | "Normally"
            | "Success"
            | "Auto"
            | "Again"
            | "Neutral"
            | "Currently"
            | "Still"
            | "Only"
            | "Almost"
            | "Very"
            | "Throughout"
            | "Once"
            | "Swiftly"
    )
}

fn next_is_verb(segments: &[Segment], at: usize) -> bool {
    segments[at + 1..]
        .iter()
        .find(|s| !matches!(s.kind(), Some(WordKind::Other | WordKind::Negation)))
        .is_some_and(|s| {
            matches!(s.kind(), Some(WordKind::Verb | WordKind::Auxiliary | WordKind::Modal))
        })
}

/// Whether an auxiliary is in the past. The word itself is not kept in a segment, so its form says it.
fn is_past(segments: &[Segment], at: usize) -> bool {
    matches!(segments[at].form(), Form::Past | Form::PastOrParticiple)
}

#[derive(Clone, Debug, Default)]
struct Auxiliaries {
    be: bool,
    being: bool,
    have: bool,
    done: bool,
    modal: Option<&'static str>,
    infinitive: bool,
    negations: u32,
    past: bool,
    adverbs: Vec<usize>,
}

impl Auxiliaries {
    fn add(&mut self, class: &str, past: bool) {
        match class {
            "be" if self.be => self.being = true,
            "be" | "get" => self.be = true,
            "have" => self.have = true,
            "do" => self.done = true,
            _ => {}
        }
        self.past |= past;
    }

    fn group(&self, class: &'static str, form: Form) -> Group {
        let participle = matches!(form, Form::Participle | Form::PastOrParticiple);
        let none = !self.be && !self.have && self.modal.is_none() && !self.infinitive;
        let tense = match self.modal {
            Some("Will") => Tense::Future,
            Some("May" | "Seem") => Tense::Possible,
            Some("Would") => Tense::Conditional,
            Some("Could") if self.have => Tense::Conditional,
            Some("Could") => Tense::Past,
            Some("Can") => Tense::Present,
            Some("Had") => Tense::Past,
            _ if self.infinitive && self.modal.is_none() => Tense::Infinitive,
            _ if form == Form::Ing && self.be && self.past => Tense::Past,
            _ if form == Form::Ing && (self.be || none) => Tense::Continuing,
            _ if self.be && self.being => Tense::Continuing,
            _ if none && !self.past && matches!(form, Form::Base | Form::Third) => Tense::Present,
            _ if self.be && participle && !self.past && !self.have => Tense::Present,
            _ if self.be && !self.past && !self.have && form == Form::Base => Tense::Present,
            _ => Tense::Past,
        };
        Group {
            adverbs: self.adverbs.clone(),
            class,
            tense,
            passive: self.be && participle,
            perfect: self.have,
            negations: self.negations,
            classes: vec![class],
            bare: none && !self.done && participle,
            ing: none && form == Form::Ing,
        }
    }
}

/// Nouns of one kind joined by "and" or a comma become one: "main and shop", "the police and the ICO".
fn join_nouns(units: Vec<SentenceUnit>) -> Vec<SentenceUnit> {
    let mut joined: Vec<SentenceUnit> = Vec::new();
    let mut rest = units.into_iter().peekable();
    while let Some(unit) = rest.next() {
        let join =
            match (joined.len().checked_sub(2).map(|i| &joined[i].role), joined.last(), &unit.role)
            {
                (
                    Some(Role::Noun(before)),
                    Some(SentenceUnit { role: Role::Connector("Nor"), .. }),
                    Role::Noun(now),
                ) => before.part == Quantifier::No && joins(before, now),
                (
                    Some(Role::Noun(before)),
                    Some(SentenceUnit { role: Role::Connector("And"), .. }),
                    Role::Noun(now),
                ) => {
                    joins(before, now)
                        && !rest.peek().is_some_and(|next| {
                            matches!(next.role, Role::Verb(_) | Role::Copula(_))
                                && starts_clause(before, now)
                        })
                }
                (
                    Some(Role::Noun(before)),
                    Some(SentenceUnit { role: Role::Mark, .. }),
                    Role::Noun(now),
                ) => before.class == now.class && !before.sites.is_empty() && !now.sites.is_empty(),
                _ => false,
            };
        if !join {
            joined.push(unit);
            continue;
        }
        joined.pop();
        if let (Some(last), Role::Noun(now)) = (joined.last_mut(), unit.role) {
            last.last = unit.last;
            if let Role::Noun(before) = &mut last.role {
                before.unnamed |= now.unnamed
                    || (before.class == "Site" && before.sites.is_empty() != now.sites.is_empty());
                before.sites.extend(now.sites);
                before.recipients.extend(now.recipients);
                before.adjectives.extend(now.adjectives);
                if now.class != before.class {
                    before.also.push(now.class);
                }
                before.also.extend(now.also);
                before.plural = true;
                if before.part == Quantifier::Open {
                    before.part = now.part;
                }
            }
        }
    }
    joined
}

/// "We blocked the attack and the site stayed up": the second noun begins a clause.
fn starts_clause(before: &Phrase, now: &Phrase) -> bool {
    before.class != now.class
}

fn joins(before: &Phrase, now: &Phrase) -> bool {
    let same = before.class == now.class
        && (before.count.is_none() || now.count.is_none())
        && before.ordinal.is_none()
        && now.ordinal.is_none();
    let kin = |a: &str, b: &str| {
        matches!(
            (a, b),
            ("Site", "Data" | "OtherSite" | "People" | "Party")
                | ("Party", "People" | "Site")
                | ("OtherSite", "Site" | "Data")
                | ("Data", "Site" | "OtherSite" | "Content")
                | ("People", "Site" | "Team")
                | ("Team", "Defence" | "Provider")
                | ("Defence", "Measure" | "Team" | "Provider" | "Defence")
                | ("Measure", "Defence")
                | ("Content", "Data")
                | ("Outage", "Disruption" | "Breach" | "Errors")
                | ("Disruption", "Outage" | "Errors")
                | ("Breach", "Outage")
                | ("Recipient", "Provider" | "Actor" | "People" | "Party")
                | ("Integrity", "Availability")
        )
    };
    same || kin(before.class, now.class)
}

/// A preposition takes the noun after it, unless a clause begins there: "because our systems failed".
fn prepositions(units: Vec<SentenceUnit>) -> Vec<SentenceUnit> {
    let mut out: Vec<SentenceUnit> = Vec::new();
    let mut rest = units.into_iter().peekable();
    while let Some(unit) = rest.next() {
        let Role::Noun(phrase) = &unit.role else {
            out.push(unit);
            continue;
        };
        let Some(Role::Connector(preposition)) = out.last().map(|last| &last.role) else {
            out.push(unit);
            continue;
        };
        let takes = match *preposition {
            "By" | "For" | "To" | "On" | "From" | "During" | "Of" | "About" | "As" | "Than"
            | "Under" => true,
            "Cause" | "After" | "Without" | "With" | "When" | "Before" | "Until" => {
                !matches!(rest.peek().map(|next| &next.role), Some(Role::Verb(_) | Role::Copula(_)))
            }
            _ => false,
        };
        if !takes {
            out.push(unit);
            continue;
        }
        let role = Role::Prepositional(preposition, phrase.clone());
        if let Some(last) = out.last_mut() {
            last.role = role;
            last.last = unit.last;
        }
    }
    out
}

/// "slow or down"
fn join_adjectives(units: Vec<SentenceUnit>) -> Vec<SentenceUnit> {
    let mut joined: Vec<SentenceUnit> = Vec::new();
    for unit in units {
        let before = joined.len().checked_sub(2).map(|i| &joined[i].role);
        let and = matches!(joined.last().map(|u| &u.role), Some(Role::Connector("And")));
        let both = match (before, &unit.role) {
            (Some(Role::Adjective(a)), Role::Adjective(b)) if and => match (*a, *b) {
                ("Slow", "Down") | ("Down", "Slow") => Some("SlowOrDown"),
                (a, b) if a == b => Some(a),
                _ => None,
            },
            _ => None,
        };
        match both {
            Some(class) => {
                joined.pop();
                if let Some(last) = joined.last_mut() {
                    last.role = Role::Adjective(class);
                    last.last = unit.last;
                }
            }
            None => joined.push(unit),
        }
    }
    joined
}

/// "four requests that probably came from people" are requests of people.
fn from_people(units: Vec<SentenceUnit>) -> Vec<SentenceUnit> {
    let mut out: Vec<SentenceUnit> = Vec::new();
    for unit in units {
        if unit.role == Role::Word("FromPeople")
            && let Some(SentenceUnit { role: Role::Noun(phrase), last, .. }) = out.last_mut()
            && phrase.class == "Requests"
        {
            phrase.class = "GoodRequests";
            *last = unit.last;
            continue;
        }
        out.push(unit);
    }
    out
}
