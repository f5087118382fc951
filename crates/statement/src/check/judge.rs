//! What a clause asserts, compared with the record.

use super::clauses::Found;
use super::facts::Each;
use super::facts::{
    BRIEF_MS, Basis, Facts, LONG_MS, MINOR_BASIS_POINTS, SERIOUS_BASIS_POINTS, Scope,
};
use super::moments::MomentRole;
use super::numbers::{Number, ONE};
use super::segments::{Measured, Segment};
use super::spans::{Span, SpanRole, rounded};
use super::units::{Group, Part, Phrase, Role, Tense, Unit};
use super::{Assertion, CheckContext, TimeWindow};
use crate::{ClaimKind, Finding};

/// How the words before a clause mean it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stance {
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
}

/// What the record says about a clause.
#[derive(Clone, Debug)]
pub(super) struct Judgement {
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
    /// It counts events: "two attacks since Tuesday".
    counted: bool,
    /// Units that describe it in a way that nothing was compared with.
    pub(super) left_over: Vec<usize>,
}

/// What clauses are compared with.
pub(super) struct Judge<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) context: &'a CheckContext,
    pub(super) segments: &'a [Segment],
    pub(super) units: &'a [Unit],
}

impl Judge<'_> {
    /// Judges a clause. `subject` is that of an earlier clause, for a clause without one.
    pub(super) fn judge(&self, found: &Found, stance: Stance, subject: Option<&Phrase>) -> Judgement {
        let group = self.group(found);
        let phrases = self.phrases(found, subject);
        let pronoun = found.core.first().is_some_and(|unit| {
            matches!(self.units[*unit].role, Role::Pronoun("It", _))
        });
        let inherited = subject.filter(|_| found.elided || pronoun);
        let scope = self.scope(found, &phrases, inherited);
        let predicate = match self.predicate(found, group) {
            "restored" if phrases.iter().any(|(_, p)| p.class == "Site") => "site-restored",
            predicate => predicate,
        };
        let compared = is_comparison(predicate).then(|| self.comparison(predicate, &scope));
        let denied = self.denied(found, group, stance, &phrases, predicate);
        let basis = match predicate {
            "reported" => self.facts.reported(&self.recipients(found)),
            _ if compared.is_some() => compared.unwrap_or_default(),
            _ if denied && self.others(&phrases) => self.of_others(predicate),
            _ if denied && scope.sites.len() > 1 => self.of_any(predicate, &scope),
            _ if scope.sites.len() > 1 => self.of_all(predicate, &scope),
            _ => self.facts.of(predicate, &scope),
        };
        let mut judgement = Judgement {
            predicate,
            kind: basis.kind,
            assertion: Assertion::Made,
            finding: basis.finding.unwrap_or(Finding::NotShown),
            because: basis.because.clone(),
            items: Vec::new(),
            leaves: basis.leaves.clone(),
            windows: basis.windows.clone(),
            counted: phrases.iter().any(|(_, p)| p.count.is_some() && is_event(p.class)),
            left_over: Vec::new(),
        };
        let is_attack_itself = predicate == "attack"
            && group.is_some_and(|g| g.class == "be")
            && phrases.first().is_some_and(|(u, p)| p.ordinal.is_some() && Some(u) != found.core.first());
        if is_attack_itself && !matches!(self.units[found.core[0]].role, Role::Pronoun("There", _)) {
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
            self.people(found.core.first().copied().unwrap_or(0), subject, &mut judgement);
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
                Role::Reference(n) => self.reference(unit, n, &recipients, predicate, &mut judgement),
                _ => self.adjunct(unit, predicate, &basis, &scope, &mut judgement),
            }
        }
        let counted_out = self.counted_out(found, group);
        if counted_out && !matches!(predicate, "served" | "unserved") {
            let unit = found.core[0];
            judgement.items.push(item(Finding::NotMeasurable, "how many it was not is not on record", unit));
        }
        self.tense(found, group, predicate, &mut judgement);
        self.conclude(group, stance, denied, &mut judgement);
        self.presupposed(found, stance, &mut judgement);
        judgement
    }

    fn group(&self, found: &Found) -> Option<&Group> {
        found.core.iter().find_map(|unit| match &self.units[*unit].role {
            Role::Verb(group) | Role::Copula(group) => Some(group),
            _ => None,
        })
    }

    fn phrases(&self, found: &Found, subject: Option<&Phrase>) -> Vec<(usize, Phrase)> {
        let nouns = found.core.iter().filter_map(|unit| match &self.units[*unit].role {
            Role::Noun(phrase) | Role::Prepositional(_, phrase) => Some((*unit, phrase.clone())),
            // "most of them"
            Role::Pronoun("It", part) if *part != Part::Open => {
                Some((*unit, Phrase { part: *part, ..subject.cloned()? }))
            }
            _ => None,
        });
        nouns.collect()
    }

    /// The predicate of a form, with its tense: "is available" is about now.
    fn predicate(&self, found: &Found, group: Option<&Group>) -> &'static str {
        let now = group.is_some_and(|g| {
            matches!(g.tense, Tense::Present) || (g.tense == Tense::Continuing && !g.ing)
        });
        match found.frame.predicate {
            "stayed-up" if now => "up-now",
            "ongoing" if !now => "attack",
            "mitigated" if self.uncontrolled(found, group) => "uncontrolled",
            "stayed-up" if self.uncontrolled(found, group) => "down",
            "stayed-up" if self.since(found) && group.is_some_and(|g| g.perfect) => "up-now",
            "served" if self.counted_out(found, group) => "unserved",
            "unserved" if self.counted_out(found, group) => "served",
            predicate => predicate,
        }
    }

    /// "was not under control for twenty seconds" says how long it was not.
    fn uncontrolled(&self, found: &Found, group: Option<&Group>) -> bool {
        let negated = group.is_some_and(|g| !g.negations.is_multiple_of(2));
        let lasted = |unit: &usize| {
            matches!(self.units[*unit].role, Role::Span(Span { role: SpanRole::Lasted, .. }))
        };
        negated && found.adjuncts.iter().any(lasted)
    }

    fn since(&self, found: &Found) -> bool {
        found.adjuncts.iter().any(|unit| {
            matches!(self.units[*unit].role, Role::Moment(m) if m.role == MomentRole::Since)
        })
    }

    /// Whether a clause says of a number or a part of something that it is not so: "a hundred requests
    /// were not answered" does not deny that a hundred were.
    fn counted_out(&self, found: &Found, group: Option<&Group>) -> bool {
        let negated = group.is_some_and(|g| !g.negations.is_multiple_of(2));
        let first = found.core.first().map(|unit| &self.units[*unit].role);
        let counted = match first {
            Some(Role::Noun(phrase)) => {
                phrase.count.is_some()
                    || phrase.share.is_some()
                    || matches!(phrase.part, Part::Few | Part::Some | Part::Many)
            }
            Some(Role::Pronoun(_, part)) => matches!(part, Part::Few | Part::Some | Part::Many),
            _ => false,
        };
        negated && counted
    }

    fn scope(&self, found: &Found, phrases: &[(usize, Phrase)], inherited: Option<&Phrase>) -> Scope {
        let mut scope = Scope::default();
        let described = found.adjuncts.iter().filter_map(|unit| match &self.units[*unit].role {
            Role::Prepositional(preposition, phrase)
                if matches!(*preposition, "On" | "To" | "During" | "For" | "By" | "With" | "Of" | "Under") =>
            {
                Some(phrase)
            }
            _ => None,
        });
        let waves = self.facts.incident.map_or(0, |i| i.waves.len().max(i.outages.items.len()) as u64);
        for phrase in phrases.iter().map(|(_, p)| p).chain(described).chain(inherited) {
            for site in &phrase.sites {
                if !scope.sites.contains(site) {
                    scope.sites.push(*site);
                }
            }
            let adjective = |wanted| phrase.adjectives.iter().any(|(class, _)| *class == wanted);
            if is_event(phrase.class) {
                scope.ordinal = scope.ordinal.or(phrase.ordinal);
                if adjective("Latest") && waves > 0 {
                    scope.ordinal = scope.ordinal.or(Some(waves));
                }
                if adjective("First") {
                    scope.ordinal = scope.ordinal.or(Some(1));
                }
            }
        }
        scope.moments = self.moments(found);
        scope.per_second = found.adjuncts.iter().any(|u| self.units[*u].role == Role::Word("PerSecond"));
        scope.total = found.adjuncts.iter().any(|u| self.units[*u].role == Role::Word("InTotal"));
        scope.each = phrases.iter().find_map(|(_, phrase)| {
            let both = phrase.count.is_some_and(|n| {
                n.bound == super::numbers::Bound::Between && n.low == n.high
            });
            match phrase.part {
                _ if !is_event(phrase.class) || scope.total => None,
                Part::No => Some(Each::Any),
                Part::All => Some(Each::All),
                _ if both => Some(Each::All),
                _ => None,
            }
        });
        self.by_day(found, &mut scope);
        scope
    }

    fn moments(&self, found: &Found) -> Vec<super::moments::Moment> {
        let moments = found.adjuncts.iter().filter_map(|unit| match self.units[*unit].role {
            Role::Moment(moment) => Some(moment),
            _ => None,
        });
        moments.collect()
    }

    /// "Tuesday's attack" and "the attack on Tuesday" mean the wave of that day, if there is one only.
    fn by_day(&self, found: &Found, scope: &mut Scope) {
        let Some(incident) = self.facts.incident else { return };
        let several = found.adjuncts.iter().any(|u| self.units[*u].role == Role::Word("Twice"));
        if scope.ordinal.is_some() || incident.waves.len() < 2 || several || scope.moments.len() > 1 {
            return;
        }
        for unit in &found.adjuncts {
            let Role::Moment(moment) = self.units[*unit].role else { continue };
            if moment.role != MomentRole::At {
                continue;
            }
            let on = incident.waves.iter().enumerate().filter(|(_, wave)| {
                let window = TimeWindow::new(wave.onset, wave.until(incident.as_of.at));
                moment.holds(window, self.context) == Some(true)
            });
            let on: Vec<usize> = on.map(|(i, _)| i).collect();
            if let [one] = on[..] {
                scope.ordinal = Some(one as u64 + 1);
            }
        }
    }

    fn recipients(&self, found: &Found) -> Vec<usize> {
        let units = found.core.iter().chain(&found.adjuncts);
        let all = units.filter_map(|unit| match &self.units[*unit].role {
            Role::Noun(phrase) | Role::Prepositional(_, phrase) => Some(&phrase.recipients),
            _ => None,
        });
        all.flatten().copied().collect()
    }

    /// Compares what a noun phrase says beyond its noun.
    fn phrase(
        &self,
        unit: usize,
        phrase: &Phrase,
        predicate: &'static str,
        basis: &Basis,
        scope: &Scope,
        out: &mut Judgement,
    ) {
        self.people(unit, phrase, out);
        self.part(unit, phrase, predicate, basis, out);
        if let Some(number) = phrase.of_count {
            let protected = self.facts.incident.map_or(0, |i| i.protected.len() as u64);
            let values = if phrase.class == "Site" { Some(&[protected][..]) } else { None };
            self.count(unit, number, values, phrase.class, out);
        }
        if let Some(number) = phrase.count.filter(|_| phrase.class != "Recipient") {
            let class = if phrase.class == "Wave" { "Attack" } else { phrase.class };
            let values = match scope.per_second {
                true if phrase.class == "Requests" => Some(basis.rates.as_slice()),
                _ => basis.count(class),
            };
            self.count(unit, number, values, phrase.class, out);
        }
        if let Some(number) = phrase.share {
            out.items.push(compare_share(unit, number, &basis.shares));
        }
        if let Some(number) = phrase.site_count {
            self.count(unit, number, basis.count("Site"), "Site", out);
        }
        for (class, _) in &phrase.adjectives {
            self.adjective(unit, class, phrase.class, basis, scope, out);
        }
        for marker in &phrase.also {
            self.marker(unit, marker, basis, out);
        }
        let limited = phrase.class != "Site"
            && (!phrase.adjectives.is_empty() || matches!(phrase.part, Part::Few | Part::Some));
        if phrase.only && phrase.count.is_none() && !limited {
            let finding = match basis.only {
                Some(true) => Finding::Supported,
                Some(false) => Finding::Contradicted,
                None => Finding::NotMeasurable,
            };
            out.items.push(item(finding, "\u{201c}only\u{201d} leaves out all others", unit));
        }
    }

    /// What people did, and whether something is behind this gate at all.
    fn people(&self, unit: usize, phrase: &Phrase, out: &mut Judgement) {
        let reported = out.predicate == "reported";
        let classes = [phrase.class].into_iter().chain(phrase.also.iter().copied());
        for class in classes {
            let (finding, why) = match class {
                "OtherSite" => (Finding::NotShown, "nothing about it is on record: it is not behind this gate, or not by this name"),
                "Team" | "Provider" => (Finding::NotShown, "what people and providers did is not recorded"),
                "Actor" => (Finding::NotMeasurable, "no instrument shows who did it; a source is the address of the last machine, not its user"),
                "Technical" => (Finding::NotShown, "no instrument records faults of this kind"),
                "Everyone" => (Finding::NotMeasurable, "people are not counted one by one"),
                "Report" if !reported => (Finding::NotMeasurable, "what others say is not on record"),
                _ => continue,
            };
            out.items.push(item(finding, why, unit));
        }
    }

    fn part(
        &self,
        unit: usize,
        phrase: &Phrase,
        predicate: &str,
        basis: &Basis,
        out: &mut Judgement,
    ) {
        let affected = |test: &dyn Fn(u64) -> bool, rubric: &str| {
            let counted = matches!(phrase.class, "Requests" | "GoodRequests" | "Traffic");
            match basis.affected.filter(|_| counted) {
                Some(share) if test(share) => item(Finding::Supported, rubric, unit),
                Some(_) => item(Finding::Contradicted, rubric, unit),
                None => item(Finding::NotMeasurable, "people are not counted one by one", unit),
            }
        };
        match phrase.part {
            Part::Some if phrase.class == "Site" && phrase.plural && matches!(predicate, "attack" | "down") => {
                // More than one is said.
                let two = Number { low: 2 * ONE, high: u128::MAX, grain: ONE, bound: super::numbers::Bound::AtLeast };
                self.count(unit, two, basis.count("Site"), "Site", out);
            }
            Part::Open | Part::Any | Part::No | Part::Some => {}
            Part::Many
                if matches!(phrase.class, "Requests" | "Traffic" | "Surge")
                    && matches!(predicate, "attack" | "surge") =>
            {
                let large = self.facts.of("large-here", &Scope::default());
                out.items.push(item(large.finding.unwrap_or(Finding::NotShown), large.because, unit));
            }
            Part::Many => out.items.push(affected(&|s| s >= 5_000, "most or many is half or more")),
            Part::NearlyAll => {
                out.items.push(affected(&|s| s >= 9_000, "nearly all is nine in ten or more"));
            }
            Part::Few => {
                out.items.push(affected(&|s| s < MINOR_BASIS_POINTS, "few is under one in a hundred"));
            }
            Part::All => {
                let holds = match phrase.class {
                    "Site" => basis.all_sites,
                    "Requests" | "GoodRequests" if !basis.shares.is_empty() => {
                        Some(basis.shares.iter().all(|s| *s == 10_000))
                    }
                    "Measure" if matches!(predicate, "released" | "restored") => Some(true),
                    "Recipient" => Some(true),
                    "Attack" | "Wave"
                        if matches!(predicate, "detected" | "acted" | "mitigated" | "brief" | "over") =>
                    {
                        Some(true)
                    }
                    "Attack" | "Wave" if phrase.count.is_some() || phrase.plural => {
                        // "both attacks", "all the attacks": waves, not attempts one by one.
                        (phrase.class == "Wave" || phrase.count.is_some()).then_some(true)
                    }
                    _ => None,
                };
                let finding = match holds {
                    Some(true) => Finding::Supported,
                    Some(false) => Finding::Contradicted,
                    None => Finding::NotMeasurable,
                };
                out.items.push(item(finding, "nothing that is counted at a gate is known to the last case", unit));
            }
        }
    }

    fn count(
        &self,
        unit: usize,
        number: Number,
        values: Option<&[u64]>,
        class: &str,
        out: &mut Judgement,
    ) {
        let Some(values) = values.filter(|values| !values.is_empty()) else {
            let why = match class {
                "People" => "people are not counted",
                _ => "nothing on record counts this",
            };
            out.items.push(item(Finding::NotMeasurable, why, unit));
            return;
        };
        let holds = values.iter().any(|value| number.holds(u128::from(*value) * ONE));
        let finding = if holds { Finding::Supported } else { Finding::Contradicted };
        out.items.push(item(finding, format!("on record: {}", listed(values)), unit));
    }

    fn adjective(
        &self,
        unit: usize,
        class: &'static str,
        noun: &str,
        basis: &Basis,
        scope: &Scope,
        out: &mut Judgement,
    ) {
        let event = is_attack(noun);
        let effect = matches!(noun, "Disruption" | "Impact" | "Outage" | "Errors");
        let of = |predicate: &str| {
            let basis = self.facts.of(predicate, scope);
            (basis.finding.unwrap_or(Finding::NotShown), basis.because)
        };
        let opposite = |(finding, why): (Finding, String)| (finding.of_the_negation(), why);
        let (finding, why) = match class {
            "Big" if event => of("large"),
            "Small" if event => of("small"),
            "Brief" if event => of("brief"),
            "Long" if event => of("long"),
            "Soph" if event => of("sophisticated"),
            "Unsoph" if event => opposite(of("sophisticated")),
            "LargeHere" if event || noun == "Surge" => of("large-here"),
            "Failed" if event => of("failed"),
            "Successful" if event => opposite(of("failed")),
            "Another" if event => of("waves"),
            "Isolated" if event => opposite(of("waves")),
            "Malicious" if event || matches!(noun, "Requests" | "Traffic" | "Connections" | "Surge") => of("attack"),
            "Automatic" if event || noun == "Requests" => of("attack"),
            "First" | "Latest" if event || effect => return,
            "Unsolicited" if matches!(noun, "Surge" | "Traffic" | "Requests") || event => of("surge"),
            "Big" | "High" if matches!(noun, "Surge" | "Traffic" | "Requests") => of("large-here"),
            "Small" if effect => below(basis.affected, MINOR_BASIS_POINTS, "small is under one request in a hundred"),
            "Big" if effect => opposite(below(basis.affected, SERIOUS_BASIS_POINTS, "serious is one request in twenty or more")),
            "Brief" if effect => shorter(&basis.lasted, BRIEF_MS, "short is under ten minutes"),
            "Long" if effect => opposite(shorter(&basis.lasted, LONG_MS, "long is an hour or more")),
            "Up" if noun == "Site" => return,
            "Automatic" if matches!(noun, "Measure" | "Defence") => of("acted"),
            "Another" if noun == "Measure" => return,
            "Plain" | "Other" => return,
            "Isolated" if effect => shorter(&basis.lasted, BRIEF_MS, "short is under ten minutes"),
            "Clean" if matches!(noun, "People" | "GoodRequests") => return,
            "Record" => (Finding::NotMeasurable, "no history is on record to compare with".to_owned()),
            "Intent" => (Finding::NotMeasurable, "no instrument measures intentions, or who it was".to_owned()),
            "Opinion" => (Finding::NotMeasurable, "an opinion; the figures are not".to_owned()),
            _ => (Finding::NotMeasurable, "nothing on record measures this".to_owned()),
        };
        out.items.push(item(finding, why, unit));
    }

    fn marker(&self, unit: usize, marker: &str, basis: &Basis, out: &mut Judgement) {
        let finding = match marker {
            "ForAll" | "OnAll" => match basis.all_sites {
                Some(true) => Finding::Supported,
                Some(false) => Finding::Contradicted,
                None => Finding::NotMeasurable,
            },
            "ForMany" | "ForFew" => Finding::NotMeasurable,
            _ => return,
        };
        out.items.push(item(finding, "how many it was is not on record like this", unit));
    }

    fn adjunct(
        &self,
        unit: usize,
        predicate: &'static str,
        basis: &Basis,
        scope: &Scope,
        out: &mut Judgement,
    ) {
        match &self.units[unit].role {
            Role::Moment(moment) if moment.each().len() > 1 => {
                let decided = moment.each().into_iter().map(|m| {
                    basis.windows.iter().any(|window| m.holds(*window, self.context) == Some(true))
                });
                let all = decided.fold(true, |all, one| all && one);
                let finding = if all { Finding::Supported } else { Finding::Contradicted };
                let why = format!("on record: {}", windows(&basis.windows, self.context));
                out.items.push(item(finding, why, unit));
            }
            Role::Moment(moment) => {
                let lasting = moment.role == MomentRole::Since
                    && matches!(predicate, "attack" | "down" | "slow" | "disrupted" | "degraded" | "surge");
                if lasting && out.counted && basis.windows.iter().all(|w| moment.begins_by(w.from, self.context)) {
                    out.items.push(item(Finding::Supported, String::new(), unit));
                    return;
                }
                if lasting && !self.facts.lasts(predicate) {
                    out.items.push(item(Finding::Contradicted, "it does not last where the record ends", unit));
                    return;
                }
                let decided: Vec<Option<bool>> =
                    basis.windows.iter().map(|window| moment.holds(*window, self.context)).collect();
                let (finding, why) = if decided.contains(&Some(true)) {
                    (Finding::Supported, String::new())
                } else if decided.is_empty() || decided.contains(&None) {
                    (Finding::NotShown, "no time on record to compare with".to_owned())
                } else {
                    (Finding::Contradicted, format!("on record: {}", windows(&basis.windows, self.context)))
                };
                out.items.push(item(finding, why, unit));
            }
            Role::Span(span) => {
                let gap = self.gap(unit, *span, basis, scope);
                out.items.push(gap.unwrap_or_else(|| self.span(unit, *span, predicate, basis, scope.each)));
            }
            Role::Quantity(number, measured) => {
                out.items.push(quantity(unit, *number, *measured, basis));
            }
            Role::Word(class) => self.word(unit, class, predicate, basis, out),
            Role::Prepositional(preposition, phrase) => {
                self.prepositional(unit, preposition, phrase, predicate, basis, scope, out);
            }
            Role::Negation => {}
            _ => out.left_over.push(unit),
        }
    }

    /// A reference or a channel must be on the receipt of the recipient that is named.
    fn reference(
        &self,
        unit: usize,
        n: usize,
        recipients: &[usize],
        predicate: &str,
        out: &mut Judgement,
    ) {
        let notification = self.facts.incident.and_then(|i| i.notifications.items.get(n));
        let Some(notification) = notification.filter(|_| predicate == "reported") else {
            out.left_over.push(unit);
            return;
        };
        let to = notification.receipt.recipient.to_lowercase();
        let same = recipients.iter().all(|n| {
            let name = self.facts.names.recipients.get(*n);
            name.is_some_and(|name| name.on_receipts.iter().any(|called| to.contains(called)))
        });
        let finding = if same { Finding::Supported } else { Finding::Contradicted };
        out.items.push(item(finding, format!("it is on the receipt of {to}"), unit));
    }

    /// "thirteen hours after the first": the time between two events.
    fn gap(&self, unit: usize, span: Span, basis: &Basis, scope: &Scope) -> Option<Item> {
        let next = self.units.get(unit + 1)?;
        let Role::Prepositional("After", phrase) = &next.role else { return None };
        if !is_event(phrase.class) {
            return None;
        }
        let ordinal = phrase.ordinal;
        if ordinal.is_some() && ordinal == scope.ordinal {
            return None;
        }
        let no_waves = self.facts.incident.is_none_or(|i| i.waves.is_empty());
        let outage = matches!(phrase.class, "Outage" | "Disruption");
        let event = if outage || (phrase.class == "One" && no_waves) { "down" } else { "attack" };
        let reference = self.facts.of(event, &Scope { ordinal, ..Scope::default() });
        let mut gaps: Vec<u64> = Vec::new();
        for window in &basis.windows {
            for before in reference.windows.iter().filter(|w| w.to <= window.from) {
                gaps.push(window.from.millis() - before.from.millis());
                gaps.push(window.from.millis() - before.to.millis());
            }
        }
        let holds = gaps.iter().any(|gap| rounded(span.length, *gap));
        let each: Vec<String> = gaps.iter().map(|ms| portcullis_incident::words::span(*ms)).collect();
        let finding = if holds { Finding::Supported } else { Finding::Contradicted };
        Some(item(finding, format!("on record: {}", each.join(" or ")), unit))
    }

    fn span(
        &self,
        unit: usize,
        span: Span,
        predicate: &str,
        basis: &Basis,
        each: Option<Each>,
    ) -> Item {
        let values = match (span.role, predicate) {
            (SpanRole::Lasted, "detected" | "acted" | "mitigated") => &basis.within,
            (SpanRole::Lasted, _) => &basis.lasted,
            _ => &basis.within,
        };
        if values.is_empty() && basis.finding == Some(Finding::Contradicted) {
            return item(Finding::Contradicted, "there was none of any length", unit);
        }
        if values.is_empty() {
            let why = "no length of time on record to compare with";
            return item(Finding::NotMeasurable, why, unit);
        }
        let fits = |millis: &u64| match span.role {
            SpanRole::Within => span.holds(*millis),
            _ => rounded(span.length, *millis),
        };
        let lasted = span.role == SpanRole::Lasted && !basis.each.is_empty();
        let holds = match each {
            Some(Each::All) if lasted => basis.each.iter().all(fits),
            Some(Each::Any) if lasted => basis.each.iter().any(fits),
            _ => values.iter().any(fits),
        };
        let listed: Vec<String> =
            values.iter().map(|ms| portcullis_incident::words::span(*ms)).collect();
        let finding = if holds { Finding::Supported } else { Finding::Contradicted };
        item(finding, format!("on record: {}", listed.join(" or ")), unit)
    }

    /// Adverbs.
    fn word(
        &self,
        unit: usize,
        class: &'static str,
        predicate: &'static str,
        basis: &Basis,
        out: &mut Judgement,
    ) {
        let of = |predicate: &str| {
            let basis = self.facts.of(predicate, &Scope::default());
            (basis.finding.unwrap_or(Finding::NotShown), basis.because)
        };
        let attack = matches!(predicate, "attack" | "begin" | "end" | "over" | "failed" | "mitigated" | "blocked");
        let (finding, why) = match class {
            "Neutral" | "Currently" | "InTotal" | "Confirm" | "OnRecord" => return,
            "Peakly" if matches!(predicate, "attack" | "surge" | "blocked" | "large-here") => return,
            "Throughout" if matches!(predicate, "stayed-up" | "down" | "went-down" | "disrupted" | "slow" | "normal" | "served" | "unserved" | "blocked" | "surge" | "challenged" | "refused" | "acted") => return,
            "Swift" if matches!(predicate, "acted" | "detected" | "mitigated" | "failed" | "blocked") => of("swift"),
            "Swift" if predicate == "restored" => (Finding::NotMeasurable, "no rubric for how soon".to_owned()),
            "Success" if matches!(predicate, "mitigated" | "failed" | "blocked") => of("failed"),
            "Normally" if matches!(predicate, "stayed-up" | "up-now" | "normal") => of("normal"),
            "Normally" if matches!(predicate, "mitigated" | "failed" | "blocked") => of("failed"),
            "Auto" => of("automatic"),
            "Twice" => {
                let counts = basis.count("Attack").or(basis.count("Outage")).unwrap_or(&[]);
                let finding = if counts.contains(&2) { Finding::Supported } else { Finding::Contradicted };
                (finding, "how often it was is counted".to_owned())
            }
            "Once" if matches!(predicate, "attack" | "down" | "went-down" | "adapted") => {
                let counts = basis.count("Attack").or(basis.count("Outage")).or(basis.count("Tactic"));
                let once = counts.unwrap_or(&[]).contains(&1);
                (if once { Finding::Supported } else { Finding::Contradicted }, "how often it was is counted".to_owned())
            }
            "PerSecond" if !basis.rates.is_empty() => return,
            "Only"
                if matches!(
                    self.units.get(unit + 1).map(|u| &u.role),
                    Some(Role::Word("Once" | "Twice" | "Briefly") | Role::Span(_) | Role::Quantity(..) | Role::Number(_))
                ) =>
            {
                return;
            }
            "Forwarded" if matches!(predicate, "served" | "unserved") => return,
            "Very" if matches!(predicate, "slow" | "brief" | "small") => return,
            "Briefly" if matches!(predicate, "challenged") => return,
            "Again" if attack => of("waves"),
            "Again" if matches!(predicate, "up-now" | "restored" | "normal" | "stayed-up") => return,
            "Again" if matches!(predicate, "down" | "went-down") => {
                let twice = basis.count("Outage").is_some_and(|n| n.iter().any(|n| *n > 1));
                let finding = if twice { Finding::Supported } else { Finding::Contradicted };
                (finding, "outages are counted".to_owned())
            }
            "Briefly" if matches!(predicate, "down" | "went-down" | "slow" | "disrupted" | "degraded" | "attack") => {
                shorter(&basis.lasted, BRIEF_MS, "short is under ten minutes")
            }
            "Full" if matches!(predicate, "restored" | "normal" | "returned") => of("normal"),
            "Full" if matches!(predicate, "down" | "went-down") => {
                let whole = basis.affected == Some(10_000) && basis.finding == Some(Finding::Supported);
                let finding = if whole { Finding::Supported } else { Finding::Contradicted };
                (finding, "some requests were answered".to_owned())
            }
            "Full" if matches!(predicate, "stayed-up" | "served") => {
                let whole = !basis.shares.is_empty() && basis.shares.iter().all(|s| *s == 10_000);
                let finding = if whole { Finding::Supported } else { Finding::Contradicted };
                (finding, "not every request was answered".to_owned())
            }
            "Still" if matches!(predicate, "down" | "slow" | "disrupted" | "attack" | "surge" | "degraded") => {
                let finding = if self.facts.lasts(predicate) { Finding::Supported } else { Finding::Contradicted };
                (finding, "it does not last where the record ends".to_owned())
            }
            "Still" if matches!(predicate, "ongoing" | "up-now" | "normal" | "stayed-up") => return,
            "Ever" => (Finding::NotMeasurable, "no history is on record to compare with".to_owned()),
            _ => {
                out.left_over.push(unit);
                return;
            }
        };
        out.items.push(item(finding, why, unit));
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of one comparison")]
    fn prepositional(
        &self,
        unit: usize,
        preposition: &str,
        phrase: &Phrase,
        predicate: &'static str,
        basis: &Basis,
        scope: &Scope,
        out: &mut Judgement,
    ) {
        // "of the three platforms behind our gate": those that are protected.
        if preposition == "Of" && phrase.class == "Site" && phrase.sites.is_empty() {
            let protected = self.facts.incident.map_or(0, |i| i.protected.len() as u64);
            if let Some(number) = phrase.count {
                self.count(unit, number, Some(&[protected]), "Site", out);
            }
            return;
        }
        let effect = matches!(predicate, "slow" | "disrupted" | "degraded" | "down" | "went-down" | "challenged" | "unserved");
        let defended = matches!(predicate, "mitigated" | "failed" | "blocked" | "stayed-up" | "detected" | "acted" | "challenged" | "refused" | "slow");
        let known = match (preposition, phrase.class) {
            ("By" | "Cause", "Attack" | "Wave" | "Requests" | "Traffic") if effect || predicate == "attack" => {
                self.during_attack(unit, predicate, basis, out);
                true
            }
            ("By", "Attacker") if predicate == "attack" => true,
            ("By", "Outage") if effect => true,
            ("Than", "One") => true,
            ("During" | "On" | "After", "One") => {
                self.lies(unit, phrase, basis, preposition != "After", out);
                true
            }
            ("By", "Defence" | "Measure" | "Site" | "Party") if defended => true,
            ("By", "Challenge") if matches!(predicate, "slow" | "challenged" | "disrupted") => true,
            ("Cause", "Measure" | "Challenge") if matches!(predicate, "slow" | "challenged" | "disrupted") => true,
            ("Cause", "Defence" | "Measure") if matches!(predicate, "failed" | "mitigated" | "stayed-up" | "blocked") => {
                let basis = self.facts.of("defended", scope);
                out.items.push(item(basis.finding.unwrap_or(Finding::NotShown), basis.because, unit));
                true
            }
            ("On" | "To" | "Of" | "For" | "From" | "About", "Site" | "Party") => true,
            ("From", "Sources") => true,
            ("For" | "To" | "On" | "Of" | "From", "People") => true,
            ("During" | "On", "Attack" | "Wave" | "Outage") => {
                self.lies(unit, phrase, basis, true, out);
                true
            }
            ("During" | "On", "Surge" | "Incident" | "Disruption") => true,
            ("Before", "Outage") if matches!(predicate, "slow" | "degraded" | "disrupted") => self.precedes(basis),
            ("To", "Attack" | "Wave") if predicate == "adapted" => true,
            ("Than", "Normal") if predicate == "surge" => true,
            ("Than", "Attack" | "Wave" | "Outage" | "One") if is_comparison(predicate) => true,
            ("Of", "Attack" | "Wave") if matches!(predicate, "detected" | "acted" | "mitigated") => true,
            ("After", "Attack" | "Wave" | "Outage") if !effect => {
                self.lies(unit, phrase, basis, false, out);
                true
            }
            ("After", "Incident" | "Measure") => !effect,
            ("With" | "Of" | "To" | "By", "Requests" | "Traffic" | "Attack" | "Wave" | "Connections") => {
                matches!(predicate, "attack" | "blocked" | "surge")
            }
            ("To" | "About" | "For" | "As", "Recipient" | "Incident" | "Attack" | "Outage") => predicate == "reported",
            ("With", "Reference") => predicate == "reported",
            ("Of" | "From" | "By" | "With", "Report" | "Recipient") => predicate == "reported",
            _ => false,
        };
        if !known {
            let cause = preposition == "Cause" || (preposition == "By" && effect);
            let why = if cause {
                "no instrument measures causes: what happened at the same time is on record, and not why"
            } else {
                ""
            };
            if why.is_empty() {
                out.left_over.push(unit);
            } else {
                out.items.push(item(Finding::NotMeasurable, why, unit));
            }
            self.people(unit, phrase, out);
            return;
        }
        self.phrase(unit, phrase, predicate, basis, scope, out);
    }

    /// Whether what is on record was during an event, or after it began.
    fn lies(&self, unit: usize, phrase: &Phrase, basis: &Basis, during: bool, out: &mut Judgement) {
        let no_waves = self.facts.incident.is_none_or(|i| i.waves.is_empty());
        let outage = phrase.class == "Outage" || (phrase.class == "One" && no_waves);
        let event = if outage { "down" } else { "attack" };
        let scope = Scope { ordinal: phrase.ordinal, ..Scope::default() };
        let reference = self.facts.of(event, &scope).windows;
        if basis.windows.is_empty() || reference.is_empty() {
            return;
        }
        let holds = basis.windows.iter().any(|w| {
            reference.iter().any(|r| match (during, phrase.ordinal) {
                (true, _) => w.from <= r.to && r.from <= w.to,
                (false, Some(_)) => w.from >= r.to,
                (false, None) => w.from >= r.from,
            })
        });
        if !holds {
            let why = format!("on record: {}", windows(&basis.windows, self.context));
            out.items.push(item(Finding::Contradicted, why, unit));
        }
    }

    /// Whether something on record began before an outage.
    fn precedes(&self, basis: &Basis) -> bool {
        let Some(incident) = self.facts.incident else { return false };
        let mut outages = incident.outages.iter();
        outages.any(|outage| basis.windows.iter().any(|w| w.from < outage.onset))
    }

    /// An effect is put down to the attack if it is on record during a wave, and not before.
    fn during_attack(&self, unit: usize, predicate: &str, basis: &Basis, out: &mut Judgement) {
        let Some(incident) = self.facts.incident else { return };
        let attack = self.facts.of("attack", &Scope::default());
        let finding = match attack.finding {
            Some(Finding::Supported) => {
                let as_of = incident.as_of.at;
                let inside = |w: &TimeWindow| {
                    incident.waves.iter().any(|v| w.from >= v.onset && w.from <= v.until(as_of))
                };
                let any = predicate == "attack" || basis.windows.iter().any(inside);
                if any { Finding::Supported } else { Finding::NotMeasurable }
            }
            Some(other) => other,
            None => Finding::NotShown,
        };
        out.items.push(item(finding, attack.because, unit));
    }

    fn tense(&self, found: &Found, group: Option<&Group>, predicate: &str, out: &mut Judgement) {
        let Some(group) = group else { return };
        let recorded = found.adjuncts.iter().any(|unit| self.units[*unit].role == Role::Word("OnRecord"));
        if recorded {
            return;
        }
        let unit = found.core.iter().copied().find(|unit| {
            matches!(self.units[*unit].role, Role::Verb(_) | Role::Copula(_))
        });
        let unit = unit.unwrap_or(found.core[0]);
        let lasting = matches!(predicate, "attack" | "down" | "slow" | "disrupted" | "degraded" | "surge");
        let add = |finding, why: &str| Some(item(finding, why, unit));
        let more = match group.tense {
            Tense::Future => add(Finding::NotMeasurable, "the future is not on record"),
            Tense::Conditional => add(Finding::NotMeasurable, "what would be is not on record"),
            Tense::Possible if !group.perfect => {
                add(Finding::NotMeasurable, "what may be is not on record")
            }
            Tense::Infinitive => add(Finding::NotMeasurable, "an aim is not an event on record"),
            Tense::Continuing if group.ing => None,
            Tense::Continuing | Tense::Present if lasting => {
                match self.facts.lasts(predicate) {
                    true => None,
                    false => add(Finding::Contradicted, "it does not last where the record ends"),
                }
            }
            Tense::Continuing if !matches!(predicate, "up-now" | "normal" | "ongoing" | "served") => {
                add(Finding::NotShown, "what is being done is not on record as done")
            }
            Tense::Present
                if matches!(self.units[unit].role, Role::Verb(_))
                    && !group.passive
                    && !matches!(predicate, "up-now" | "normal" | "ongoing" | "stayed-up" | "over") =>
            {
                add(Finding::NotMeasurable, "a habit is not an event on record")
            }
            _ => None,
        };
        out.items.extend(more);
    }

    /// "The attack did not …" takes an attack for granted, and "during the outage" an outage.
    fn presupposed(&self, found: &Found, stance: Stance, out: &mut Judgement) {
        for unit in found.core.iter().chain(&found.adjuncts) {
            let phrase = match &self.units[*unit].role {
                Role::Noun(phrase) => phrase,
                Role::Prepositional(_, phrase) => phrase,
                _ => continue,
            };
            let about = match phrase.class {
                "Attack" | "Wave" | "Attacker" | "Attempt" => "attack",
                "Outage" => "down",
                "Disruption" => "disrupted",
                _ => continue,
            };
            // What an attack caused takes it for granted too.
            let agent = found.core.first() == Some(unit)
                && matches!(out.predicate, "down" | "went-down" | "slow" | "disrupted" | "degraded" | "capacity" | "low-impact");
            let open = matches!(phrase.part, Part::No | Part::Any)
                || (stance != Stance::Plain && !phrase.definite);
            if open || !(phrase.definite || agent) {
                continue;
            }
            let basis = self.facts.of(about, &Scope::default());
            let finding = basis.finding.unwrap_or(Finding::NotShown);
            if finding != Finding::Supported {
                out.items.push(item(finding, basis.because, *unit));
                out.finding = worst(out.finding, finding);
            }
        }
    }

    /// Whether the sites are all but those that were named: "no other platform".
    fn others(&self, phrases: &[(usize, Phrase)]) -> bool {
        phrases.iter().any(|(_, phrase)| {
            phrase.class == "Site"
                && phrase.sites.is_empty()
                && phrase.adjectives.iter().any(|(class, _)| *class == "Other")
        })
    }

    /// The record on the platforms that nothing is on record for.
    fn of_others(&self, predicate: &'static str) -> Basis {
        let spared = self.facts.names.sites.iter().enumerate().filter(|(_, site)| {
            self.facts.incident.is_some_and(|i| {
                i.platform(&site.platform).is_none()
                    && !i.outages.iter().any(|outage| outage.platform == site.platform)
            })
        });
        let sites: Vec<usize> = spared.map(|(n, _)| n).collect();
        let concerned = self.facts.incident.map_or(0, |i| i.platforms.len());
        if sites.is_empty() || concerned > 1 {
            return Basis::default();
        }
        self.of_any(predicate, &Scope { sites, ..Scope::default() })
    }

    /// One event compared with the one that follows "than".
    fn comparison(&self, predicate: &'static str, scope: &Scope) -> Basis {
        let than = self.units.iter().find_map(|unit| match &unit.role {
            Role::Prepositional("Than", phrase) if is_event(phrase.class) => Some(phrase),
            _ => None,
        });
        let ordinal = than.and_then(|phrase| phrase.ordinal);
        let other = Scope { ordinal, ..Scope::default() };
        let both = ordinal.filter(|n| scope.ordinal.is_some_and(|m| m != *n));
        let figures = both.and_then(|_| self.facts.compared(predicate, scope, &other));
        let Some((a, b)) = figures else {
            return Basis {
                finding: Some(Finding::NotMeasurable),
                because: "nothing on record to compare with".to_owned(),
                ..Basis::default()
            };
        };
        let holds = match predicate {
            "longer" | "larger" => a > b,
            _ => a < b,
        };
        let finding = if holds { Finding::Supported } else { Finding::Contradicted };
        Basis {
            finding: Some(finding),
            because: "Both are on record.".to_owned(),
            ..Basis::default()
        }
    }

    /// What is denied of several sites is denied of each: the record on the one that speaks most against
    /// the denial.
    fn of_any(&self, predicate: &'static str, scope: &Scope) -> Basis {
        let each = scope.sites.iter().map(|site| {
            self.facts.of(predicate, &Scope { sites: vec![*site], ..scope.clone() })
        });
        let against = |basis: &Basis| match basis.finding {
            Some(Finding::Supported) => 2,
            Some(Finding::Contradicted) => 0,
            _ => 1,
        };
        each.max_by_key(against).unwrap_or_default()
    }

    /// What is said of several sites is said of each.
    fn of_all(&self, predicate: &'static str, scope: &Scope) -> Basis {
        let each = scope.sites.iter().map(|site| {
            self.facts.of(predicate, &Scope { sites: vec![*site], ..scope.clone() })
        });
        let against = |basis: &Basis| match basis.finding {
            Some(Finding::Supported) => 0,
            Some(Finding::Contradicted) => 3,
            Some(Finding::NotMeasurable) => 2,
            _ => 1,
        };
        let worst = each.max_by_key(against).unwrap_or_default();
        match worst.finding {
            // All hold: the figures are those of all together.
            Some(Finding::Supported) => self.facts.of(predicate, scope),
            _ => worst,
        }
    }

    /// Whether the clause denies what its form asserts.
    fn denied(
        &self,
        found: &Found,
        group: Option<&Group>,
        stance: Stance,
        phrases: &[(usize, Phrase)],
        predicate: &str,
    ) -> bool {
        let mut negations = u32::from(found.frame.negative) + u32::from(stance == Stance::Denied);
        for unit in found.core.iter().chain(&found.adjuncts) {
            negations += match &self.units[*unit].role {
                Role::Verb(_) | Role::Copula(_)
                    if self.counted_out(found, group)
                        || (self.uncontrolled(found, group)
                            && matches!(predicate, "uncontrolled" | "detected" | "acted" | "restored" | "down")
                            && !matches!(found.frame.predicate, "down" | "went-down")) =>
                {
                    0
                }
                Role::Verb(group) | Role::Copula(group) => group.negations,
                Role::Negation => 1,
                Role::Prepositional("Without", _) => 1,
                Role::Pronoun(_, Part::No) | Role::Pronoun("Nothing", _) => 1,
                _ => 0,
            };
        }
        let none = |phrase: &&(usize, Phrase)| {
            phrase.1.part == Part::No || phrase.1.also.contains(&"ForNone")
        };
        negations += phrases.iter().filter(none).count() as u32;
        !negations.is_multiple_of(2)
    }

    /// The finding on the whole clause.
    fn conclude(&self, group: Option<&Group>, stance: Stance, denied: bool, out: &mut Judgement) {
        let whole = out.items.iter().map(|item| item.finding).fold(out.finding, worst);
        let possible = group.is_some_and(|g| g.tense == Tense::Possible) || stance == Stance::Possible;
        // A denial holds if any part of what it denies is contradicted.
        let (assertion, finding) = match (stance, denied) {
            (Stance::Conditional, _) => (Assertion::LeftOpen, Finding::NotMeasurable),
            (Stance::Unsure, _) => (Assertion::LeftOpen, unsure(whole)),
            (Stance::NoEvidence, false) => (Assertion::Denied, no_evidence(whole, out.predicate)),
            (Stance::NoEvidence, true) => (Assertion::Made, Finding::NotShown),
            (_, true) if has_unmeasurable(out) => (Assertion::Denied, Finding::NotMeasurable),
            (_, true) => (Assertion::Denied, whole.of_the_negation()),
            (_, false) => (Assertion::Made, whole),
        };
        let open = possible && stance != Stance::Unsure && finding == Finding::NotShown && !has_unmeasurable(out);
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

fn has_unmeasurable(out: &Judgement) -> bool {
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
    Item { finding, why: why.into(), unit }
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

fn below(share: Option<u64>, limit: u64, rubric: &str) -> (Finding, String) {
    match share {
        Some(share) if share < limit => (Finding::Supported, rubric.to_owned()),
        Some(_) => (Finding::Contradicted, rubric.to_owned()),
        None => (Finding::NotMeasurable, rubric.to_owned()),
    }
}

fn shorter(lasted: &[u64], limit: u64, rubric: &str) -> (Finding, String) {
    match lasted.iter().max() {
        Some(longest) if *longest < limit => (Finding::Supported, rubric.to_owned()),
        Some(_) => (Finding::Contradicted, rubric.to_owned()),
        None => (Finding::NotMeasurable, rubric.to_owned()),
    }
}

/// A share in per cent with those on record, in hundredths of a per cent.
fn compare_share(unit: usize, mut number: Number, shares: &[u64]) -> Item {
    // A share is rounded to whole per cents at most, and all is all.
    number.grain = if number.low == 100 * ONE { 0 } else { number.grain.min(ONE) };
    let holds = shares.iter().any(|share| number.holds(u128::from(*share) * ONE / 100));
    let each: Vec<String> =
        shares.iter().map(|share| portcullis_incident::words::share(*share)).collect();
    if shares.is_empty() {
        return item(Finding::NotMeasurable, "no share of this is on record", unit);
    }
    let finding = if holds { Finding::Supported } else { Finding::Contradicted };
    item(finding, format!("on record: {}", each.join(" or ")), unit)
}

fn quantity(unit: usize, number: Number, measured: Measured, basis: &Basis) -> Item {
    let (values, scale, what) = match measured {
        Measured::Share => return compare_share(unit, number, &basis.shares),
        Measured::Rate => (&basis.rates, ONE, "per second"),
        Measured::TimesNormal => (&basis.times_normal, ONE / 10, "tenths of the normal"),
        Measured::Occasions => {
            let counts = basis.count("Attack").or(basis.count("Outage")).or(basis.count("Tactic"));
            match counts {
                Some(counts) => {
                    let holds = counts.iter().any(|n| number.holds(u128::from(*n) * ONE));
                    let finding = if holds { Finding::Supported } else { Finding::Contradicted };
                    return item(finding, format!("on record: {}", listed(counts)), unit);
                }
                None => return item(Finding::NotMeasurable, "nothing on record counts this", unit),
            }
        }
        Measured::TimesCapacity => (&basis.times_capacity, ONE / 10, "tenths of what was handled"),
        Measured::Other => {
            return item(Finding::NotMeasurable, "nothing on record is measured in this unit", unit);
        }
    };
    if values.is_empty() {
        return item(Finding::NotMeasurable, "no rate of this is on record", unit);
    }
    let holds = values.iter().any(|value| number.holds(u128::from(*value) * scale));
    let finding = if holds { Finding::Supported } else { Finding::Contradicted };
    item(finding, format!("on record: {} {what}", listed(values)), unit)
}

fn listed(values: &[u64]) -> String {
    let mut each: Vec<String> =
        values.iter().map(|n| portcullis_incident::words::count(*n)).collect();
    each.dedup();
    each.join(" or ")
}

fn windows(windows: &[TimeWindow], context: &CheckContext) -> String {
    let each: Vec<String> = windows.iter().take(3).map(|w| context.period(*w)).collect();
    each.join("; ")
}
