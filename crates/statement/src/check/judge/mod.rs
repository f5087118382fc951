//! What a clause asserts, compared with the record.

mod descriptions;
mod noun_phrases;
mod scopes;

use portcullis_incident::TimeWindow;

use super::clauses::FoundClause;
use super::content::Segment;
use super::facts::{Basis, ClauseScope, Facts};
use super::moments::MomentRole;
use super::outcome::{Assertion, CheckContext};
use super::spans::{Span, SpanRole};
use super::units::{Group, Phrase, Quantifier, Role, SentenceUnit, Tense};
use crate::{ClaimKind, Finding};

/// How the words before a clause mean it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attitude {
    /// It is asserted.
    Plain,
    /// "It is not true that …".
    Denied,
    /// "There is no evidence that …".
    NoEvidence,
    /// "We do not know whether …", "we cannot rule out that …".
    Unsure,
    /// "It is possible that …".
    Possible,
    /// "If …".
    Conditional,
}

/// One thing of a clause that was compared.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) finding: Finding,
    pub(super) why: String,
    /// The unit that says it.
    pub(super) unit: usize,
    /// The segment in it, if one word says it.
    pub(super) segment: Option<usize>,
}

/// What the record says about a clause.
#[derive(Clone, Debug)]
pub(super) struct ComparedClause {
    pub(super) predicate: &'static str,
    pub(super) kind: Option<ClaimKind>,
    pub(super) assertion: Assertion,
    /// On what the clause states.
    pub(super) finding: Finding,
    pub(super) because: String,
    pub(super) items: Vec<Item>,
    pub(super) leaves: Vec<u64>,
    /// When it was, by the record.
    pub(super) windows: Vec<TimeWindow>,
    /// It denies what its form asserts.
    denied: bool,
    /// It counts events: "two attacks since Tuesday".
    counted: bool,
    /// Units that describe it in a way that nothing was compared with.
    pub(super) left_over: Vec<usize>,
}

/// What clauses are compared with.
pub(super) struct ClauseComparison<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) context: &'a CheckContext,
    pub(super) segments: &'a [Segment],
    pub(super) units: &'a [SentenceUnit],
}

impl ClauseComparison<'_> {
    /// Judges a clause. `subject` is that of an earlier clause, for a clause without one.
    pub(super) fn compare(
        &self,
        found: &FoundClause,
        stance: Attitude,
        subject: Option<&Phrase>,
    ) -> ComparedClause {
        let group = self.group(found);
        let phrases = self.phrases(found, subject);
        let pronoun = found
            .core
            .first()
            .is_some_and(|unit| matches!(self.units[*unit].role, Role::Pronoun("It", _)));
        let inherited = subject.filter(|_| found.elided || pronoun);
        let scope = self.scope(found, &phrases, inherited);
        let predicate = match self.predicate(found, group) {
            "restored" if phrases.iter().any(|(_, p)| p.class == "Site") => "site-restored",
            predicate => predicate,
        };
        let compared = is_comparison(predicate).then(|| self.comparison(predicate, &scope));
        let denied = self.denied(found, group, stance, &phrases, predicate);
        let several = scope.sites.len() + usize::from(scope.unnamed) > 1;
        let basis = match predicate {
            "reported" => self.facts.reported(&self.recipients(found)),
            _ if compared.is_some() => compared.unwrap_or_default(),
            // Other services may not be behind the gate: nothing is on record for them.
            _ if denied && Self::others(&phrases) => Basis::default(),
            _ if denied && several => self.of_any(predicate, &scope),
            _ if several => self.of_all(predicate, &scope),
            _ => self.facts.of(predicate, &scope),
        };
        let mut judgement = ComparedClause {
            predicate,
            kind: basis.kind,
            assertion: Assertion::Made,
            finding: basis.finding.unwrap_or(Finding::NotShown),
            because: basis.because.clone(),
            items: Vec::new(),
            leaves: basis.leaves.clone(),
            windows: basis.windows.clone(),
            denied,
            counted: phrases.iter().any(|(_, p)| p.count.is_some() && is_event(p.class)),
            left_over: Vec::new(),
        };
        let is_attack_itself = predicate == "attack"
            && group.is_some_and(|g| g.class == "be")
            && phrases
                .first()
                .is_some_and(|(u, p)| p.ordinal.is_some() && Some(u) != found.core.first());
        if is_attack_itself && !matches!(self.units[found.core[0]].role, Role::Pronoun("There", _))
        {
            let unit = found.core[0];
            judgement.items.push(item(Finding::NotMeasurable, "no history is on record", unit));
        }
        for (unit, phrase) in &phrases {
            self.phrase(*unit, phrase, predicate, &basis, &scope, &mut judgement);
        }
        for unit in &found.core {
            let Role::Adjective(class) = self.units[*unit].role else { continue };
            let noun = found.core.first().map(|unit| &self.units[*unit].role);
            let noun = match noun {
                Some(Role::Noun(phrase)) => phrase.class,
                _ => subject.map_or("", |phrase| phrase.class),
            };
            if matches!(noun, "Disruption" | "Impact" | "Outage" | "Errors")
                && predicate == "disrupted"
            {
                self.adjective(*unit, class, noun, &basis, &scope, &mut judgement);
            }
        }
        if let Some(subject) = subject.filter(|_| found.elided) {
            Self::people(found.core.first().copied().unwrap_or(0), subject, &mut judgement);
        }
        let adverbs = group.map_or(&[][..], |g| g.adverbs.as_slice());
        for adverb in adverbs {
            let class = self.segments[*adverb].class();
            let unit = found.core.first().copied().unwrap_or(0);
            self.word(unit, class, predicate, &basis, &mut judgement);
        }
        let measured = found.core.iter().copied().filter(|unit| {
            matches!(self.units[*unit].role, Role::Quantity(..) | Role::Reference(_))
        });
        let described: Vec<usize> = measured.chain(found.adjuncts.iter().copied()).collect();
        let recipients = self.recipients(found);
        for unit in described {
            match self.units[unit].role {
                Role::Reference(n) => {
                    self.reference(unit, n, &recipients, predicate, &mut judgement);
                }
                _ => self.adjunct(unit, predicate, &basis, &scope, &mut judgement),
            }
        }
        let counted_out = self.counted_out(found, group);
        if counted_out && !matches!(predicate, "served" | "unserved") {
            let unit = found.core[0];
            judgement.items.push(item(
                Finding::NotMeasurable,
                "how many it was not is not on record",
                unit,
            ));
        }
        self.tense(found, group, predicate, &mut judgement);
        Self::conclude(group, stance, denied, &mut judgement);
        self.presupposed(found, stance, &mut judgement);
        judgement
    }

    fn group(&self, found: &FoundClause) -> Option<&Group> {
        found.core.iter().find_map(|unit| match &self.units[*unit].role {
            Role::Verb(group) | Role::Copula(group) => Some(group),
            _ => None,
        })
    }

    fn phrases(&self, found: &FoundClause, subject: Option<&Phrase>) -> Vec<(usize, Phrase)> {
        let nouns = found.core.iter().filter_map(|unit| match &self.units[*unit].role {
            Role::Noun(phrase) | Role::Prepositional(_, phrase) => Some((*unit, phrase.clone())),
            // "most of them"
            Role::Pronoun("It", part) if *part != Quantifier::Open => {
                Some((*unit, Phrase { part: *part, ..subject.cloned()? }))
            }
            _ => None,
        });
        nouns.collect()
    }

    /// The predicate of a form, with its tense: "is available" is about now.
    fn predicate(&self, found: &FoundClause, group: Option<&Group>) -> &'static str {
        let now = group.is_some_and(|g| {
            matches!(g.tense, Tense::Present) || (g.tense == Tense::Continuing && !g.ing)
        });
        match found.frame.predicate {
            "stayed-up" if now => "up-now",
            "ongoing" if !now => "attack",
            "in-place" if !now => "acted",
            "mitigated" if self.uncontrolled(found, group) => "uncontrolled",
            "stayed-up" if self.uncontrolled(found, group) => "down",
            "stayed-up" if self.since(found) && group.is_some_and(|g| g.perfect) => "up-now",
            "served" if self.counted_out(found, group) => "unserved",
            "unserved" if self.counted_out(found, group) => "served",
            predicate => predicate,
        }
    }

    /// "was not under control for twenty seconds" says how long it was not.
    fn uncontrolled(&self, found: &FoundClause, group: Option<&Group>) -> bool {
        let negated = group.is_some_and(|g| !g.negations.is_multiple_of(2));
        let lasted = |unit: &usize| {
            matches!(self.units[*unit].role, Role::Span(Span { role: SpanRole::Lasted, .. }))
        };
        negated && found.adjuncts.iter().any(lasted)
    }

    fn since(&self, found: &FoundClause) -> bool {
        found.adjuncts.iter().any(
            |unit| matches!(self.units[*unit].role, Role::Moment(m) if m.role == MomentRole::Since),
        )
    }

    /// Whether a clause says of a number or a part of something that it is not so: "a hundred requests
    /// were not answered" does not deny that a hundred were.
    fn counted_out(&self, found: &FoundClause, group: Option<&Group>) -> bool {
        let negated = group.is_some_and(|g| !g.negations.is_multiple_of(2));
        let first = found.core.first().map(|unit| &self.units[*unit].role);
        let counted = match first {
            Some(Role::Noun(phrase)) => {
                phrase.count.is_some()
                    || phrase.share.is_some()
                    || matches!(phrase.part, Quantifier::Few | Quantifier::Some | Quantifier::Many)
            }
            Some(Role::Pronoun(_, part)) => {
                matches!(part, Quantifier::Few | Quantifier::Some | Quantifier::Many)
            }
            _ => false,
        };
        negated && counted
    }

    fn tense(
        &self,
        found: &FoundClause,
        group: Option<&Group>,
        predicate: &str,
        out: &mut ComparedClause,
    ) {
        let Some(group) = group else { return };
        let recorded =
            found.adjuncts.iter().any(|unit| self.units[*unit].role == Role::Word("OnRecord"));
        if recorded {
            return;
        }
        let unit = found
            .core
            .iter()
            .copied()
            .find(|unit| matches!(self.units[*unit].role, Role::Verb(_) | Role::Copula(_)));
        let unit = unit.unwrap_or(found.core[0]);
        let lasting =
            matches!(predicate, "attack" | "down" | "slow" | "disrupted" | "degraded" | "surge");
        let add = |finding, why: &str| Some(item(finding, why, unit));
        let more = match group.tense {
            Tense::Future => add(Finding::NotMeasurable, "the future is not on record"),
            Tense::Conditional => add(Finding::NotMeasurable, "what would be is not on record"),
            Tense::Possible if !group.perfect => {
                add(Finding::NotMeasurable, "what may be is not on record")
            }
            Tense::Infinitive => add(Finding::NotMeasurable, "an aim is not an event on record"),
            Tense::Continuing if group.ing => None,
            Tense::Continuing | Tense::Present if lasting => match self.facts.lasts(predicate) {
                true => None,
                false => add(Finding::Contradicted, "it does not last where the record ends"),
            },
            Tense::Continuing
                if !matches!(predicate, "up-now" | "normal" | "ongoing" | "served") =>
            {
                add(Finding::NotShown, "what is being done is not on record as done")
            }
            Tense::Present
                if matches!(self.units[unit].role, Role::Verb(_))
                    && !group.passive
                    && !matches!(
                        predicate,
                        "up-now" | "normal" | "ongoing" | "stayed-up" | "over"
                    ) =>
            {
                add(Finding::NotMeasurable, "a habit is not an event on record")
            }
            _ => None,
        };
        out.items.extend(more);
    }

    /// "The attack did not …" takes an attack for granted, and "during the outage" an outage.
    fn presupposed(&self, found: &FoundClause, stance: Attitude, out: &mut ComparedClause) {
        for unit in found.core.iter().chain(&found.adjuncts) {
            let (Role::Noun(phrase) | Role::Prepositional(_, phrase)) = &self.units[*unit].role
            else {
                continue;
            };
            let about = match phrase.class {
                "Attack" | "Wave" | "Attacker" | "Attempt" => "attack",
                "Outage" => "down",
                "Disruption" => "disrupted",
                _ => continue,
            };
            // What an attack caused takes it for granted too.
            let agent = found.core.first() == Some(unit)
                && matches!(
                    out.predicate,
                    "down"
                        | "went-down"
                        | "slow"
                        | "disrupted"
                        | "degraded"
                        | "capacity"
                        | "low-impact"
                );
            let open = matches!(phrase.part, Quantifier::No | Quantifier::Any)
                || (stance != Attitude::Plain && !phrase.definite);
            if open || !(phrase.definite || agent) {
                continue;
            }
            let basis = self.facts.of(about, &ClauseScope::default());
            let finding = basis.finding.unwrap_or(Finding::NotShown);
            if finding != Finding::Supported {
                out.items.push(item(finding, basis.because, *unit));
                out.finding = worst(out.finding, finding);
            }
        }
    }

    /// Whether the clause denies what its form asserts.
    fn denied(
        &self,
        found: &FoundClause,
        group: Option<&Group>,
        stance: Attitude,
        phrases: &[(usize, Phrase)],
        predicate: &str,
    ) -> bool {
        let mut negations = u32::from(found.frame.negative) + u32::from(stance == Attitude::Denied);
        for unit in found.core.iter().chain(&found.adjuncts) {
            negations += match &self.units[*unit].role {
                Role::Verb(_) | Role::Copula(_)
                    if self.counted_out(found, group)
                        || (self.uncontrolled(found, group)
                            && matches!(
                                predicate,
                                "uncontrolled" | "detected" | "acted" | "restored" | "down"
                            )
                            && !matches!(found.frame.predicate, "down" | "went-down")) =>
                {
                    0
                }
                Role::Verb(group) | Role::Copula(group) => group.negations,
                Role::Negation
                | Role::Prepositional("Without", _)
                | Role::Pronoun(_, Quantifier::No)
                | Role::Pronoun("Nothing", _) => 1,
                _ => 0,
            };
        }
        let none = |phrase: &&(usize, Phrase)| {
            phrase.1.part == Quantifier::No || phrase.1.also.contains(&"ForNone")
        };
        negations += phrases.iter().filter(none).count() as u32;
        !negations.is_multiple_of(2)
    }

    /// The finding on the whole clause.
    fn conclude(group: Option<&Group>, stance: Attitude, denied: bool, out: &mut ComparedClause) {
        let whole = out.items.iter().map(|item| item.finding).fold(out.finding, worst);
        let possible =
            group.is_some_and(|g| g.tense == Tense::Possible) || stance == Attitude::Possible;
        // A denial holds if any part of what it denies is contradicted.
        let (assertion, finding) = match (stance, denied) {
            (Attitude::Conditional, _) => (Assertion::LeftOpen, Finding::NotMeasurable),
            // A name that is only asked about is an accusation all the same.
            (Attitude::Unsure, _) if out.predicate == "actor" => {
                (Assertion::LeftOpen, Finding::NotMeasurable)
            }
            (Attitude::Unsure, _) => (Assertion::LeftOpen, unsure(whole)),
            (Attitude::NoEvidence, false) => (Assertion::Denied, no_evidence(whole, out.predicate)),
            (Attitude::NoEvidence, true) => (Assertion::Made, Finding::NotShown),
            (_, true) if has_unmeasurable(out) => (Assertion::Denied, Finding::NotMeasurable),
            (_, true) => (Assertion::Denied, whole.of_the_negation()),
            (_, false) => (Assertion::Made, whole),
        };
        let open = possible
            && stance != Attitude::Unsure
            && finding == Finding::NotShown
            && !has_unmeasurable(out);
        out.assertion = if open { Assertion::LeftOpen } else { assertion };
        out.finding = if open { Finding::Supported } else { finding };
        if denied && finding == Finding::Supported {
            // What contradicted the opposite is no fault.
            out.items.clear();
        } else if denied {
            for item in &mut out.items {
                item.finding = item.finding.of_the_negation();
            }
        }
    }
}

fn has_unmeasurable(out: &ComparedClause) -> bool {
    out.items.iter().any(|item| item.finding == Finding::NotMeasurable)
}

/// "We do not know whether": true of what is not shown, and of nothing else.
const fn unsure(finding: Finding) -> Finding {
    match finding {
        Finding::NotShown | Finding::NotMeasurable => Finding::Supported,
        Finding::Supported | Finding::Contradicted => Finding::Contradicted,
    }
}

/// "There is no evidence that": true only of what an instrument watched for and did not find.
fn no_evidence(finding: Finding, predicate: &str) -> Finding {
    match finding {
        Finding::Contradicted => Finding::Supported,
        Finding::Supported => Finding::Contradicted,
        Finding::NotMeasurable if matches!(predicate, "actor" | "intent") => Finding::NotShown,
        other => other,
    }
}

/// The finding on two things that are both asserted.
pub(super) const fn worst(a: Finding, b: Finding) -> Finding {
    match (a, b) {
        (Finding::Contradicted, _) | (_, Finding::Contradicted) => Finding::Contradicted,
        (Finding::NotMeasurable, _) | (_, Finding::NotMeasurable) => Finding::NotMeasurable,
        (Finding::NotShown, _) | (_, Finding::NotShown) => Finding::NotShown,
        (Finding::Supported, Finding::Supported) => Finding::Supported,
    }
}

fn item(finding: Finding, why: impl Into<String>, unit: usize) -> Item {
    Item { finding, why: why.into(), unit, segment: None }
}

fn is_attack(noun: &str) -> bool {
    matches!(noun, "Attack" | "Wave" | "Incident" | "Attempt")
}

fn is_comparison(predicate: &str) -> bool {
    matches!(predicate, "longer" | "shorter" | "larger" | "smaller")
}

/// Whether a noun names something that is counted: the second attack, the second outage.
fn is_event(noun: &str) -> bool {
    is_attack(noun) || matches!(noun, "Outage" | "Disruption" | "One")
}

fn listed(values: &[u64]) -> String {
    let mut each: Vec<String> =
        values.iter().map(|n| portcullis_incident::words::count(*n)).collect();
    each.dedup();
    each.join(" or ")
}
