//! One sentence: read, compared, and what is left over.

use core::ops::Range;

use super::clauses::{Before, FoundClause, find, is_prefix};
use super::facts::{ATTRIBUTION, Facts};
use super::ignorance;
use super::judge::{Attitude, ClauseComparison, ComparedClause, Item};
use super::language::is_foreign;
use super::outcome::{
    Assertion, CheckContext, CheckedSentence, MatchedClaim, RejectedPhrase, SentenceResult,
};
use super::parsed::Parsed;
use super::units::{Phrase, Quantifier, Role, SentenceUnit};
use crate::Finding;

/// The longest sentence that is read, in words and marks. Statements have up to 80.
const SENTENCE_WORDS: usize = 200;

/// What a sentence turned out to say.
#[derive(Default)]
struct SentenceReading {
    judged: Vec<(FoundClause, ComparedClause)>,
    /// Findings that belong to no clause.
    apart: Vec<Item>,
    left_over: Vec<usize>,
}

/// Checks one sentence.
pub(super) fn sentence(
    text: &str,
    at: Range<usize>,
    facts: &Facts<'_>,
    context: &CheckContext,
) -> CheckedSentence {
    let parsed = Parsed::new(text, &at, facts);
    let mut out = CheckedSentence {
        sentence: text[at.clone()].to_owned(),
        at,
        result: SentenceResult::NotChecked,
        matched: Vec::new(),
        rejected: Vec::new(),
        unchecked: Vec::new(),
        suggestions: Vec::new(),
        notes: Vec::new(),
        leaves: Vec::new(),
    };
    if parsed.tokens.is_empty() {
        out.result = SentenceResult::AssertsNothing;
        return out;
    }
    if is_foreign(&parsed.tokens) {
        out.result = SentenceResult::NotRead;
        out.notes.push("Only English is read: nothing in this sentence was checked.".to_owned());
        return out;
    }
    if parsed.tokens.len() > SENTENCE_WORDS {
        out.notes.push(format!(
            "The sentence has more than {SENTENCE_WORDS} words and marks: divide it, and it is read."
        ));
        return out;
    }
    if is_courtesy(&parsed) {
        out.result = SentenceResult::AssertsNothing;
        return out;
    }
    if parsed.tokens.iter().any(|token| token.is("?")) {
        out.notes.push(
            "A question asserts nothing that could be checked, and may suggest something."
                .to_owned(),
        );
        return out;
    }
    let reading = read(&parsed, facts, context);
    report(&parsed, facts, reading, &mut out);
    out
}

/// Thanks, apologies, requests and greetings that mention nothing that could be checked.
fn is_courtesy(parsed: &Parsed<'_>) -> bool {
    const BEGIN: &[&str] =
        &["thank", "thanks", "please", "sorry", "apologies", "dear", "hello", "regards", "best"];
    const SECOND: &[&str] = &["thank", "apologise", "apologize", "appreciate", "regret", "sorry"];
    let word = |n: usize| parsed.tokens.get(n).map(|token| token.text.as_str());
    let ours = matches!(word(0), Some("we" | "i"));
    let second = word(1).filter(|w| !matches!(*w, "are" | "am" | "would" | "want" | "sincerely"));
    let verb = second
        .or(word(2))
        .filter(|w| !matches!(*w, "like" | "very" | "to"))
        .or(word(3))
        .or(word(4));
    let begins = word(0).is_some_and(|w| BEGIN.contains(&w))
        || (ours && verb.is_some_and(|w| SECOND.contains(&w)));
    // Only words about people, and those that say nothing: a courtesy may carry a claim.
    let plain = |unit: &SentenceUnit| match &unit.role {
        Role::Noun(phrase) => {
            matches!(phrase.class, "People" | "Party" | "Incident" | "Disruption")
        }
        Role::Verb(group) => !group.is("hit") && !group.is("block") && !group.is("failed"),
        Role::Quantity(..)
        | Role::Number(_)
        | Role::Moment(_)
        | Role::Span(_)
        | Role::Adjective(_)
        | Role::Prepositional("Cause", _) => false,
        Role::Prepositional(_, phrase) => {
            matches!(phrase.class, "People" | "Party" | "Disruption")
        }
        _ => true,
    };
    begins && parsed.tokens.len() <= 16 && parsed.units.iter().all(plain)
}

fn read(parsed: &Parsed<'_>, facts: &Facts<'_>, context: &CheckContext) -> SentenceReading {
    let judge =
        ClauseComparison { facts, context, segments: &parsed.segments, units: &parsed.units };
    if let Some(judged) = ignorance::read(parsed, &judge) {
        let (apart, mut left_over) = judged;
        if apart.is_empty() {
            left_over = (0..parsed.units.len()).collect();
        }
        let reading = SentenceReading { apart, left_over, ..SentenceReading::default() };
        return reading;
    }
    let mut walk = Walk {
        parsed,
        comparison: judge,
        stance: Attitude::Plain,
        subject: None,
        pending: Vec::new(),
        cause: None,
        reading: SentenceReading::default(),
        after_copula: false,
        order: None,
        antecedents: Vec::new(),
        end: parsed.units.len(),
    };
    walk.whole_stance();
    let mut at = 0;
    while at < walk.end {
        at = walk.step(at);
    }
    walk.finish()
}

/// A walk through the units of a sentence.
struct Walk<'a> {
    parsed: &'a Parsed<'a>,
    comparison: ClauseComparison<'a>,
    stance: Attitude,
    subject: Option<Phrase>,
    /// Units before a clause that describe it.
    pending: Vec<usize>,
    /// The unit that gives the next clause as the cause of the last one.
    cause: Option<usize>,
    reading: SentenceReading,
    /// The last clause was "it was …": another adjective may follow.
    after_copula: bool,
    /// How the next clause is in time to the last one, and the word that says it.
    order: Option<(Order, usize)>,
    /// Classes of the nouns of the last clause.
    antecedents: Vec<&'static str>,
    /// Where the clauses end.
    end: usize,
}

impl Walk<'_> {
    /// What holds for the whole sentence: "Reports that … are wrong", "Whether … we do not know".
    fn whole_stance(&mut self) {
        let units = &self.parsed.units;
        let word = |class: &'static str| units.iter().any(|unit| unit.role == Role::Word(class));
        let whether = units.iter().any(|unit| unit.role == Role::Connector("Whether"));
        if word("Ignorance") && whether {
            self.stance = Attitude::Unsure;
        }
        let ends = match &units[..] {
            [
                ..,
                SentenceUnit { role: Role::Copula(group), .. },
                SentenceUnit { role: Role::Adjective(class), .. },
            ] => Some((group.negations, *class)),
            _ => None,
        };
        if let (true, Some((negations, class @ ("False" | "True")))) =
            (word("ReportThat") || self.parsed.tokens.first().is_some_and(|t| t.is("that")), ends)
        {
            let is_false = (class == "False") == negations.is_multiple_of(2);
            self.stance = if is_false { Attitude::Denied } else { Attitude::Plain };
            self.end = units.len() - 2;
            // "that is wrong"
            if self.end > 0
                && matches!(
                    units[self.end - 1].role,
                    Role::Pronoun("It", _) | Role::Word("Neutral")
                )
            {
                self.end -= 1;
            }
        }
    }

    /// Reads the unit at `at` or the clause that begins there; returns where to continue.
    fn step(&mut self, at: usize) -> usize {
        let units = &self.parsed.units;
        let role = units[at].role.clone();
        match &role {
            Role::Mark => return at + 1,
            Role::Word(class) if is_prefix(class) => {
                self.prefix(at, class);
                return at + 1;
            }
            Role::Word("Neutral") => return at + 1,
            Role::Connector(class) => {
                self.connector(at, class);
                return at + 1;
            }
            _ => {}
        }
        let before = Before {
            subject: self.subject.as_ref(),
            antecedents: &self.antecedents,
            after_copula: self.after_copula,
        };
        let found = find(units, at, before);
        if !found.is_empty() {
            return self.clause(found);
        }
        match role {
            Role::Word(_)
            | Role::Moment(_)
            | Role::Span(_)
            | Role::Quantity(..)
            | Role::Negation => {
                self.pending.push(at);
            }
            Role::Prepositional(
                "On" | "To" | "During" | "After" | "By" | "For" | "Of" | "From" | "Cause" | "When"
                | "Before" | "Until" | "Than" | "About" | "Under",
                _,
            ) => {
                self.pending.push(at);
            }
            Role::Noun(phrase) if self.only_mentioned(at) => self.subject = Some(phrase),
            Role::Pronoun("We" | "It", Quantifier::Open) if self.only_mentioned(at) => {}
            _ => self.reading.left_over.push(at),
        }
        at + 1
    }

    /// Whether a noun is followed by a clause about it: "our website, which …".
    fn only_mentioned(&self, at: usize) -> bool {
        matches!(
            self.parsed.units.get(at + 1).map(|unit| &unit.role),
            Some(Role::Mark | Role::Connector("Which"))
        )
    }

    fn prefix(&mut self, at: usize, class: &str) {
        self.stance = match class {
            "FalseThat" => Attitude::Denied,
            "NoEvid" => Attitude::NoEvidence,
            "CantRule" | "Unsure" => Attitude::Unsure,
            "Perhaps" => Attitude::Possible,
            "ReportThat" if self.end < self.parsed.units.len() => self.stance,
            "ReportThat" => {
                self.apart(Finding::NotMeasurable, "what others say is not on record", at);
                self.stance
            }
            "Ignorance" => {
                if self.stance != Attitude::Unsure {
                    self.reading.left_over.push(at);
                }
                self.stance
            }
            "Looking" => {
                self.apart(Finding::NotShown, "what you are doing about it is not recorded", at);
                Attitude::Unsure
            }
            "Say" => {
                self.apart(Finding::NotMeasurable, "what others say is not on record", at);
                self.stance
            }
            _ => self.stance,
        };
    }

    fn apart(&mut self, finding: Finding, why: &str, unit: usize) {
        self.reading.apart.push(Item { finding, why: why.to_owned(), unit, segment: None });
    }

    fn connector(&mut self, at: usize, class: &str) {
        match class {
            "And" | "Which" | "When" | "That" | "During" | "With" => {}
            "Before" | "Until" => self.order = Some((Order::Before, at)),
            "After" => self.order = Some((Order::After, at)),
            "While" => self.order = Some((Order::While, at)),
            "Later" => self.order = Some((Order::Later, at)),
            "But" => self.stance = Attitude::Plain,
            "Whether" if self.stance == Attitude::Unsure => {}
            "If" => self.stance = Attitude::Conditional,
            "Nor" => self.stance = Attitude::Denied,
            "Cause" => self.cause = Some(at),
            "Purpose" => {
                self.apart(Finding::NotMeasurable, "no instrument measures intentions", at);
            }
            _ => self.reading.left_over.push(at),
        }
    }

    /// Judges a clause; of several readings the worst counts.
    fn clause(&mut self, readings: Vec<FoundClause>) -> usize {
        let pending = core::mem::take(&mut self.pending);
        let mut worst: Option<(FoundClause, ComparedClause)> = None;
        for mut found in readings {
            found.adjuncts.extend(&pending);
            let judged = self.comparison.compare(&found, self.stance, self.subject.as_ref());
            let rank = |j: &ComparedClause| (severity(j.finding), j.left_over.len());
            if worst.as_ref().is_none_or(|(_, w)| rank(&judged) > rank(w)) {
                worst = Some((found, judged));
            }
        }
        let Some((found, judgement)) = worst else { return self.end };
        let end = found.end;
        self.remember(&found);
        if let Some(unit) = self.cause.take() {
            let before = self.reading.judged.last().map(|(_, judged)| judged.predicate);
            if !explains(before, judgement.predicate) {
                self.apart(
                    Finding::NotMeasurable,
                    "no instrument measures causes: what happened at the same time is on record, \
                     and not why",
                    unit,
                );
            }
        }
        self.compare_order(&judgement);
        self.reading.left_over.extend(&judgement.left_over);
        if let Some(Role::Noun(phrase)) = found.core.first().map(|u| &self.parsed.units[*u].role)
            && !found.elided
        {
            self.subject = Some(phrase.clone());
        }
        let last = found.core.iter().rev().find_map(|unit| match &self.parsed.units[*unit].role {
            Role::Copula(_) => Some(true),
            Role::Verb(_) => Some(false),
            _ => None,
        });
        self.after_copula = last.unwrap_or(found.without_copula && self.after_copula);
        self.reading.judged.push((found, judgement));
        end
    }

    /// Compares the times of two clauses that a word like "before" puts in order.
    fn compare_order(&mut self, judged: &ComparedClause) {
        let Some((order, unit)) = self.order else { return };
        // "Before it went down, …": the other clause follows.
        let Some((found, last)) = self.reading.judged.last() else { return };
        let begun = found.core.first().is_some_and(|first| *first > unit);
        self.order = None;
        let (first, second) = if begun { (judged, last) } else { (last, judged) };
        if first.assertion != Assertion::Made || second.assertion != Assertion::Made {
            return;
        }
        let start = |j: &ComparedClause| j.windows.iter().map(|w| w.from.millis()).min();
        let (Some(a), Some(b)) = (start(first), start(second)) else {
            // "while" may also contrast what has no time.
            if order != Order::While {
                self.reading.left_over.push(unit);
            }
            return;
        };
        let meet = first
            .windows
            .iter()
            .any(|a| second.windows.iter().any(|b| a.from <= b.to && b.from <= a.to));
        let holds = match order {
            Order::Before => {
                let last = |j: &ComparedClause| j.windows.iter().map(|w| w.from.millis()).max();
                let end = |j: &ComparedClause| j.windows.iter().map(|w| w.to.millis()).max();
                a < b && last(first) <= end(second)
            }
            Order::After => a >= b,
            Order::Later => a <= b,
            Order::While => meet,
        };
        if !holds {
            self.apart(Finding::Contradicted, "by the record it was not in this order", unit);
        }
    }

    /// What "it" may mean from now on.
    fn remember(&mut self, found: &FoundClause) {
        let nouns = found.core.iter().chain(&found.adjuncts).filter_map(|unit| {
            match &self.parsed.units[*unit].role {
                Role::Noun(phrase) | Role::Prepositional(_, phrase) => Some(phrase),
                _ => None,
            }
        });
        let mut classes: Vec<&'static str> = Vec::new();
        for phrase in nouns {
            classes.push(phrase.class);
            if !phrase.sites.is_empty() || phrase.also.contains(&"OnSite") {
                classes.push("Site");
            }
        }
        if !classes.is_empty() {
            self.antecedents = classes;
        }
    }

    fn finish(mut self) -> SentenceReading {
        if let Some(unit) = self.cause.take() {
            self.apart(Finding::NotMeasurable, "no instrument measures causes", unit);
        }
        // What nothing followed describes the last clause.
        let pending = core::mem::take(&mut self.pending);
        if pending.is_empty() {
            return self.reading;
        }
        match self.reading.judged.pop() {
            Some((mut found, judgement)) => {
                self.reading.left_over.retain(|unit| !judgement.left_over.contains(unit));
                found.adjuncts.extend(pending);
                let stance = self.stance;
                let again = self.comparison.compare(&found, stance, self.subject.as_ref());
                self.reading.left_over.extend(&again.left_over);
                self.reading.judged.push((found, again));
            }
            None => self.reading.left_over.extend(pending),
        }
        self.reading
    }
}

/// How two clauses are in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Before,
    After,
    While,
    /// The next clause is not earlier: "then", "once".
    Later,
}

const fn severity(finding: Finding) -> u8 {
    match finding {
        Finding::Supported => 0,
        Finding::NotShown => 1,
        Finding::NotMeasurable => 2,
        Finding::Contradicted => 3,
    }
}

/// Whether a clause may be given as the cause of another: what defence did to visitors is counted, and
/// so is the load on the origin.
fn explains(effect: Option<&str>, cause: &str) -> bool {
    matches!(
        (effect, cause),
        (Some("slow" | "challenged" | "disrupted"), "challenged" | "acted" | "refused")
            | (Some("degraded"), "surge" | "large-here")
    )
}

fn report(
    parsed: &Parsed<'_>,
    facts: &Facts<'_>,
    reading: SentenceReading,
    out: &mut CheckedSentence,
) {
    let mut worst = SentenceResult::Supported;
    let mut meet = |finding: Finding| {
        worst = match finding {
            Finding::Supported => worst,
            Finding::Contradicted | Finding::NotShown => SentenceResult::Rejected,
            Finding::NotMeasurable if worst != SentenceResult::Rejected => {
                SentenceResult::NotMeasurable
            }
            Finding::NotMeasurable => worst,
        };
    };
    for (found, judged) in &reading.judged {
        meet(judged.finding);
        clause(parsed, facts, found, judged, out);
    }
    for item in &reading.apart {
        meet(item.finding);
        if item.finding != Finding::Supported {
            let why = format!("{}: {}", item.finding.as_str(), item.why);
            out.rejected.push(parsed.words(item.unit, item.segment, why));
        }
    }
    let nothing = reading.judged.is_empty() && reading.apart.is_empty();
    let mut left_over = reading.left_over;
    left_over.sort_unstable();
    left_over.dedup();
    for unit in left_over {
        out.unchecked.push(parsed.phrase(unit, unit, "not checked"));
    }
    out.result = match worst {
        SentenceResult::Supported if nothing || !out.unchecked.is_empty() => {
            SentenceResult::NotChecked
        }
        worst => worst,
    };
    if nothing {
        out.notes.push(
            "Nothing on record is about this sentence. It would take an event in the ledger that \\
             says it, such as a receipt or a note by an operator."
                .replace("\\\n             ", ""),
        );
    }
    if out.result == SentenceResult::NotMeasurable && out.suggestions.is_empty() {
        out.suggestions.push(ATTRIBUTION.to_owned());
    }
    out.rejected.sort_by_key(|r| (r.at.start, r.at.end));
    out.leaves.sort_unstable();
    out.leaves.dedup();
}

/// Adds what a clause was read as.
fn clause(
    parsed: &Parsed<'_>,
    facts: &Facts<'_>,
    found: &FoundClause,
    judged: &ComparedClause,
    out: &mut CheckedSentence,
) {
    let first = found.core.iter().min().copied().unwrap_or(0);
    let last = found.core.iter().max().copied().unwrap_or(0);
    let whole = parsed.phrase(first, last, "");
    let fine = judged.finding == Finding::Supported;
    let refused: Vec<&Item> =
        judged.items.iter().filter(|i| i.finding != Finding::Supported).collect();
    if !fine {
        for item in &refused {
            let why = format!("{}: {}", item.finding.as_str(), item.why);
            out.rejected.push(parsed.words(item.unit, item.segment, why));
        }
        let base = format!("{}: {}", judged.finding.as_str(), judged.because);
        if refused.is_empty() {
            out.rejected.push(RejectedPhrase { why: base, ..whole.clone() });
        }
        if let Some(claim) = judged.kind.and_then(|kind| facts.claim(kind))
            && !claim.sentence.is_empty()
            && !out.suggestions.contains(&claim.sentence)
        {
            out.suggestions.push(claim.sentence.clone());
        }
    }
    out.leaves.extend(&judged.leaves);
    out.matched.push(MatchedClaim {
        claim: judged.kind,
        reading: judged.predicate,
        assertion: judged.assertion,
        finding: judged.finding,
        because: judged.because.clone(),
        phrase: whole.phrase,
    });
}
