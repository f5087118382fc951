//! What describes a clause: times, lengths, rates, adverbs, prepositions.

use portcullis_incident::{TimeWindow, words};

use super::super::content::Measured;
use super::super::facts::{BRIEF_MS, Basis, ClauseScope, Each};
use super::super::moments::MomentRole;
use super::super::numbers::{Number, ONE};
use super::super::outcome::CheckContext;
use super::super::spans::{Span, SpanRole, rounded};
use super::super::units::{Phrase, Role};
use super::noun_phrases::{compare_share, shorter};
use super::{ClauseComparison, ComparedClause, Item, is_comparison, is_event, item, listed};
use crate::Finding;

impl ClauseComparison<'_> {
    pub(super) fn adjunct(
        &self,
        unit: usize,
        predicate: &'static str,
        basis: &Basis,
        scope: &ClauseScope,
        out: &mut ComparedClause,
    ) {
        match &self.units[unit].role {
            Role::Moment(moment) if moment.each().len() > 1 => {
                let mut decided = moment.each().into_iter().map(|m| {
                    basis.windows.iter().any(|window| m.holds(*window, self.context) == Some(true))
                });
                let all = decided.all(|one| one);
                let finding = if all { Finding::Supported } else { Finding::Contradicted };
                let why = format!("on record: {}", windows(&basis.windows, self.context));
                out.items.push(item(finding, why, unit));
            }
            Role::Moment(moment) => {
                let lasting = moment.role == MomentRole::Since
                    && matches!(
                        predicate,
                        "attack" | "down" | "slow" | "disrupted" | "degraded" | "surge"
                    );
                if lasting
                    && out.counted
                    && basis.windows.iter().all(|w| moment.begins_by(w.from, self.context))
                {
                    out.items.push(item(Finding::Supported, String::new(), unit));
                    return;
                }
                // "no attack since Wednesday": one that began later would contradict it.
                if lasting && out.denied {
                    let later =
                        basis.windows.iter().any(|w| moment.begins_by(w.from, self.context));
                    let finding = if later { Finding::Supported } else { Finding::Contradicted };
                    out.items.push(item(finding, "what began later is on record", unit));
                    return;
                }
                if lasting && !self.facts.lasts(predicate) {
                    out.items.push(item(
                        Finding::Contradicted,
                        "it does not last where the record ends",
                        unit,
                    ));
                    return;
                }
                let decided: Vec<Option<bool>> = basis
                    .windows
                    .iter()
                    .map(|window| moment.holds(*window, self.context))
                    .collect();
                let (finding, why) = if decided.contains(&Some(true)) {
                    (Finding::Supported, String::new())
                } else if decided.is_empty() || decided.contains(&None) {
                    (Finding::NotShown, "no time on record to compare with".to_owned())
                } else {
                    (
                        Finding::Contradicted,
                        format!("on record: {}", windows(&basis.windows, self.context)),
                    )
                };
                out.items.push(item(finding, why, unit));
            }
            Role::Span(span) => {
                let gap = self.gap(unit, *span, basis, scope);
                out.items.push(
                    gap.unwrap_or_else(|| Self::span(unit, *span, predicate, basis, scope.each)),
                );
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
    pub(super) fn reference(
        &self,
        unit: usize,
        n: usize,
        recipients: &[usize],
        predicate: &str,
        out: &mut ComparedClause,
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
    pub(super) fn gap(
        &self,
        unit: usize,
        span: Span,
        basis: &Basis,
        scope: &ClauseScope,
    ) -> Option<Item> {
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
        let reference = self.facts.of(event, &ClauseScope { ordinal, ..ClauseScope::default() });
        let mut gaps: Vec<u64> = Vec::new();
        for window in &basis.windows {
            for before in reference.windows.iter().filter(|w| w.to <= window.from) {
                gaps.push(window.from.millis() - before.from.millis());
                gaps.push(window.from.millis() - before.to.millis());
            }
        }
        let holds = gaps.iter().any(|gap| rounded(span.length, *gap));
        let each: Vec<String> = gaps.iter().map(|ms| words::span(*ms)).collect();
        let finding = if holds { Finding::Supported } else { Finding::Contradicted };
        Some(item(finding, format!("on record: {}", each.join(" or ")), unit))
    }

    pub(super) fn span(
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
        let listed: Vec<String> = values.iter().map(|ms| words::span(*ms)).collect();
        let finding = if holds { Finding::Supported } else { Finding::Contradicted };
        item(finding, format!("on record: {}", listed.join(" or ")), unit)
    }

    /// Adverbs.
    pub(super) fn word(
        &self,
        unit: usize,
        class: &'static str,
        predicate: &'static str,
        basis: &Basis,
        out: &mut ComparedClause,
    ) {
        let of = |predicate: &str| {
            let basis = self.facts.of(predicate, &ClauseScope::default());
            (basis.finding.unwrap_or(Finding::NotShown), basis.because)
        };
        let attack = matches!(
            predicate,
            "attack" | "begin" | "end" | "over" | "failed" | "mitigated" | "blocked"
        );
        let (finding, why) = match class {
            "Neutral" | "Currently" | "InTotal" | "Confirm" | "OnRecord" => return,
            "Peakly" if matches!(predicate, "attack" | "surge" | "blocked" | "large-here") => {
                return;
            }
            "Meanwhile" => return,
            "Throughout"
                if matches!(
                    predicate,
                    "stayed-up" | "up-now" | "normal" | "served" | "blocked"
                ) =>
            {
                return;
            }
            "Swift"
                if matches!(
                    predicate,
                    "acted" | "detected" | "mitigated" | "failed" | "blocked"
                ) =>
            {
                of("swift")
            }
            "Swift" if predicate == "restored" => {
                (Finding::NotMeasurable, "no rubric for how soon".to_owned())
            }
            "Success" if matches!(predicate, "mitigated" | "failed" | "blocked") => of("failed"),
            "Normally" if matches!(predicate, "stayed-up" | "up-now" | "normal") => of("normal"),
            "Normally" if matches!(predicate, "mitigated" | "failed" | "blocked") => of("failed"),
            "Auto" => of("automatic"),
            "Twice" => {
                let counts = basis.count("Attack").or(basis.count("Outage")).unwrap_or(&[]);
                let finding =
                    if counts.contains(&2) { Finding::Supported } else { Finding::Contradicted };
                (finding, "how often it was is counted".to_owned())
            }
            "Once" if matches!(predicate, "attack" | "down" | "went-down" | "adapted") => {
                let counts =
                    basis.count("Attack").or(basis.count("Outage")).or(basis.count("Tactic"));
                let once = counts.unwrap_or(&[]).contains(&1);
                (
                    if once { Finding::Supported } else { Finding::Contradicted },
                    "how often it was is counted".to_owned(),
                )
            }
            "PerSecond" if !basis.rates.is_empty() => return,
            "Only"
                if matches!(
                    self.units.get(unit + 1).map(|u| &u.role),
                    Some(
                        Role::Word("Once" | "Twice" | "Briefly")
                            | Role::Span(_)
                            | Role::Quantity(..)
                            | Role::Number(_)
                    )
                ) =>
            {
                return;
            }
            "Forwarded" if matches!(predicate, "served" | "unserved") => return,
            "Very" if matches!(predicate, "slow" | "brief" | "small") => return,
            "Briefly" if matches!(predicate, "challenged") => return,
            "Again" if attack => of("waves"),
            "Again" if matches!(predicate, "up-now" | "restored" | "normal" | "stayed-up") => {
                return;
            }
            "Again" if matches!(predicate, "down" | "went-down") => {
                let twice = basis.count("Outage").is_some_and(|n| n.iter().any(|n| *n > 1));
                let finding = if twice { Finding::Supported } else { Finding::Contradicted };
                (finding, "outages are counted".to_owned())
            }
            "Briefly"
                if matches!(
                    predicate,
                    "down" | "went-down" | "slow" | "disrupted" | "degraded" | "attack"
                ) =>
            {
                shorter(&basis.lasted, BRIEF_MS, "short is under ten minutes")
            }
            "Full" if matches!(predicate, "restored" | "normal" | "returned") => of("normal"),
            "Full" if matches!(predicate, "down" | "went-down") => {
                let whole =
                    basis.affected == Some(10_000) && basis.finding == Some(Finding::Supported);
                let finding = if whole { Finding::Supported } else { Finding::Contradicted };
                (finding, "some requests were answered".to_owned())
            }
            "Full" if matches!(predicate, "stayed-up" | "served") => {
                let whole = !basis.shares.is_empty() && basis.shares.iter().all(|s| *s == 10_000);
                let finding = if whole { Finding::Supported } else { Finding::Contradicted };
                (finding, "not every request was answered".to_owned())
            }
            "Still"
                if matches!(
                    predicate,
                    "down" | "slow" | "disrupted" | "attack" | "surge" | "degraded"
                ) =>
            {
                let finding = if self.facts.lasts(predicate) {
                    Finding::Supported
                } else {
                    Finding::Contradicted
                };
                (finding, "it does not last where the record ends".to_owned())
            }
            "Still" if matches!(predicate, "ongoing" | "up-now" | "normal" | "stayed-up") => return,
            "Ever" => {
                (Finding::NotMeasurable, "no history is on record to compare with".to_owned())
            }
            _ => {
                out.left_over.push(unit);
                return;
            }
        };
        out.items.push(item(finding, why, unit));
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of one comparison")]
    pub(super) fn prepositional(
        &self,
        unit: usize,
        preposition: &str,
        phrase: &Phrase,
        predicate: &'static str,
        basis: &Basis,
        scope: &ClauseScope,
        out: &mut ComparedClause,
    ) {
        // "of the three platforms behind our gate": those that are protected.
        if preposition == "Of" && phrase.class == "Site" && phrase.sites.is_empty() {
            let protected = self.facts.incident.map_or(0, |i| i.protected.len() as u64);
            if let Some(number) = phrase.count {
                Self::count(unit, number, Some(&[protected]), "Site", out);
            }
            return;
        }
        let effect = matches!(
            predicate,
            "slow" | "disrupted" | "degraded" | "down" | "went-down" | "challenged" | "unserved"
        );
        let defended = matches!(
            predicate,
            "mitigated"
                | "failed"
                | "blocked"
                | "stayed-up"
                | "detected"
                | "acted"
                | "challenged"
                | "refused"
                | "slow"
        );
        let known = match (preposition, phrase.class) {
            ("By" | "Cause", "Attack" | "Wave" | "Requests" | "Traffic")
                if effect || predicate == "attack" =>
            {
                self.during_attack(unit, predicate, basis, out);
                true
            }
            ("By", "Attacker") if predicate == "attack" => true,
            ("By", "Outage") if effect => true,
            ("During" | "On" | "After", "One") => {
                self.lies(unit, phrase, basis, preposition != "After", out);
                true
            }
            ("By", "Defence" | "Measure" | "Site" | "Party") if defended => true,
            ("By", "Challenge") if matches!(predicate, "slow" | "challenged" | "disrupted") => true,
            ("Cause", "Measure" | "Challenge")
                if matches!(predicate, "slow" | "challenged" | "disrupted") =>
            {
                true
            }
            ("Cause", "Defence" | "Measure")
                if matches!(predicate, "failed" | "mitigated" | "stayed-up" | "blocked") =>
            {
                let basis = self.facts.of("defended", scope);
                out.items.push(item(
                    basis.finding.unwrap_or(Finding::NotShown),
                    basis.because,
                    unit,
                ));
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
            ("Before", "Outage") if matches!(predicate, "slow" | "degraded" | "disrupted") => {
                self.precedes(basis)
            }
            ("To", "Attack" | "Wave") if predicate == "adapted" => true,
            ("Than", "Normal") if predicate == "surge" => true,
            ("Than", "Attack" | "Wave" | "Outage" | "One") if is_comparison(predicate) => true,
            ("Of", "Attack" | "Wave")
                if matches!(predicate, "detected" | "acted" | "mitigated") =>
            {
                true
            }
            ("After", "Attack" | "Wave" | "Outage") if !effect => {
                self.lies(unit, phrase, basis, false, out);
                true
            }
            ("After", "Incident" | "Measure") => !effect,
            (
                "With" | "Of" | "To" | "By",
                "Requests" | "Traffic" | "Attack" | "Wave" | "Connections",
            ) => {
                matches!(predicate, "attack" | "blocked" | "surge")
            }
            ("To" | "About" | "For" | "As", "Recipient" | "Incident" | "Attack" | "Outage") => {
                predicate == "reported"
            }
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
            Self::people(unit, phrase, out);
            return;
        }
        self.phrase(unit, phrase, predicate, basis, scope, out);
    }

    /// Whether what is on record was during an event, or after it began.
    pub(super) fn lies(
        &self,
        unit: usize,
        phrase: &Phrase,
        basis: &Basis,
        during: bool,
        out: &mut ComparedClause,
    ) {
        let no_waves = self.facts.incident.is_none_or(|i| i.waves.is_empty());
        let outage = phrase.class == "Outage" || (phrase.class == "One" && no_waves);
        let event = if outage { "down" } else { "attack" };
        let scope = ClauseScope { ordinal: phrase.ordinal, ..ClauseScope::default() };
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
    pub(super) fn precedes(&self, basis: &Basis) -> bool {
        let Some(incident) = self.facts.incident else { return false };
        let mut outages = incident.outages.iter();
        outages.any(|outage| basis.windows.iter().any(|w| w.from < outage.onset))
    }

    /// An effect is put down to the attack if it is on record during a wave, and not before.
    pub(super) fn during_attack(
        &self,
        unit: usize,
        predicate: &str,
        basis: &Basis,
        out: &mut ComparedClause,
    ) {
        let Some(incident) = self.facts.incident else { return };
        let attack = self.facts.of("attack", &ClauseScope::default());
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
}

pub(super) fn quantity(unit: usize, number: Number, measured: Measured, basis: &Basis) -> Item {
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
            return item(
                Finding::NotMeasurable,
                "nothing on record is measured in this unit",
                unit,
            );
        }
    };
    if values.is_empty() {
        return item(Finding::NotMeasurable, "no rate of this is on record", unit);
    }
    let holds = values.iter().any(|value| number.holds(u128::from(*value) * scale));
    let finding = if holds { Finding::Supported } else { Finding::Contradicted };
    item(finding, format!("on record: {} {what}", listed(values)), unit)
}

pub(super) fn windows(windows: &[TimeWindow], context: &CheckContext) -> String {
    let each: Vec<String> = windows.iter().take(3).map(|w| context.period(*w)).collect();
    each.join("; ")
}
