//! What a noun phrase says beyond its noun: parts, counts, adjectives.

use portcullis_incident::words;

use super::super::facts::{
    BRIEF_MS, Basis, ClauseScope, LONG_MS, MINOR_BASIS_POINTS, SERIOUS_BASIS_POINTS,
};
use super::super::numbers::{Bound, Number, ONE};
use super::super::units::{Phrase, Quantifier};
use super::{ClauseComparison, ComparedClause, Item, is_attack, item, listed};
use crate::Finding;

impl ClauseComparison<'_> {
    /// Compares what a noun phrase says beyond its noun.
    pub(super) fn phrase(
        &self,
        unit: usize,
        phrase: &Phrase,
        predicate: &'static str,
        basis: &Basis,
        scope: &ClauseScope,
        out: &mut ComparedClause,
    ) {
        Self::people(unit, phrase, out);
        self.part(unit, phrase, predicate, basis, out);
        if let Some(number) = phrase.of_count {
            let protected = self.facts.incident.map_or(0, |i| i.protected.len() as u64);
            let values = if phrase.class == "Site" { Some(&[protected][..]) } else { None };
            Self::count(unit, number, values, phrase.class, out);
        }
        if let Some(number) = phrase.count.filter(|_| phrase.class != "Recipient") {
            let class = if phrase.class == "Wave" { "Attack" } else { phrase.class };
            let values = match scope.per_second {
                true if phrase.class == "Requests" => Some(basis.rates.as_slice()),
                _ => basis.count(class),
            };
            Self::count(unit, number, values, phrase.class, out);
        }
        if let Some(number) = phrase.share {
            out.items.push(compare_share(unit, number, &basis.shares));
        }
        if let Some(number) = phrase.site_count {
            Self::count(unit, number, basis.count("Site"), "Site", out);
        }
        for (class, segment) in &phrase.adjectives {
            let known = out.items.len();
            self.adjective(unit, class, phrase.class, basis, scope, out);
            for item in &mut out.items[known..] {
                item.segment = Some(*segment);
            }
        }
        for marker in &phrase.also {
            Self::marker(unit, marker, basis, out);
        }
        let limited = phrase.class != "Site"
            && (!phrase.adjectives.is_empty()
                || matches!(phrase.part, Quantifier::Few | Quantifier::Some));
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
    pub(super) fn people(unit: usize, phrase: &Phrase, out: &mut ComparedClause) {
        let reported = out.predicate == "reported";
        let classes = [phrase.class].into_iter().chain(phrase.also.iter().copied());
        for class in classes {
            let (finding, why) = match class {
                "OtherSite" => (
                    Finding::NotShown,
                    "nothing about it is on record: it is not behind this gate, or not by this name",
                ),
                "Team" | "Provider" => {
                    (Finding::NotShown, "what people and providers did is not recorded")
                }
                "Actor" => (
                    Finding::NotMeasurable,
                    "no instrument shows who did it; a source is the address of the last machine, not its user",
                ),
                "Technical" => (Finding::NotShown, "no instrument records faults of this kind"),
                "Everyone" => (Finding::NotMeasurable, "people are not counted one by one"),
                "Report" if !reported => {
                    (Finding::NotMeasurable, "what others say is not on record")
                }
                _ => continue,
            };
            out.items.push(item(finding, why, unit));
        }
    }

    pub(super) fn part(
        &self,
        unit: usize,
        phrase: &Phrase,
        predicate: &str,
        basis: &Basis,
        out: &mut ComparedClause,
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
            Quantifier::Some
                if phrase.class == "Site"
                    && phrase.plural
                    && matches!(predicate, "attack" | "down") =>
            {
                // More than one is said.
                let two =
                    Number { low: 2 * ONE, high: u128::MAX, grain: ONE, bound: Bound::AtLeast };
                Self::count(unit, two, basis.count("Site"), "Site", out);
            }
            Quantifier::Open | Quantifier::Any | Quantifier::No | Quantifier::Some => {}
            Quantifier::Many
                if matches!(phrase.class, "Requests" | "Traffic" | "Surge")
                    && matches!(predicate, "attack" | "surge") =>
            {
                let large = self.facts.of("large-here", &ClauseScope::default());
                out.items.push(item(
                    large.finding.unwrap_or(Finding::NotShown),
                    large.because,
                    unit,
                ));
            }
            Quantifier::Many => {
                out.items.push(affected(&|s| s >= 5_000, "most or many is half or more"));
            }
            Quantifier::NearlyAll => {
                out.items.push(affected(&|s| s >= 9_000, "nearly all is nine in ten or more"));
            }
            Quantifier::Few => {
                out.items
                    .push(affected(&|s| s < MINOR_BASIS_POINTS, "few is under one in a hundred"));
            }
            Quantifier::All => {
                let holds = match phrase.class {
                    "Site" => basis.all_sites,
                    "Requests" | "GoodRequests" if !basis.shares.is_empty() => {
                        Some(basis.shares.iter().all(|s| *s == 10_000))
                    }
                    "Measure" if matches!(predicate, "released" | "restored") => Some(true),
                    "Recipient" => Some(true),
                    "Attack" | "Wave"
                        if matches!(
                            predicate,
                            "detected" | "acted" | "mitigated" | "brief" | "over"
                        ) =>
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
                out.items.push(item(
                    finding,
                    "nothing that is counted at a gate is known to the last case",
                    unit,
                ));
            }
        }
    }

    pub(super) fn count(
        unit: usize,
        number: Number,
        values: Option<&[u64]>,
        class: &str,
        out: &mut ComparedClause,
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

    pub(super) fn adjective(
        &self,
        unit: usize,
        class: &'static str,
        noun: &str,
        basis: &Basis,
        scope: &ClauseScope,
        out: &mut ComparedClause,
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
            "Another" if event && out.denied => return,
            "Another" if event => of("waves"),
            "Isolated" if event => opposite(of("waves")),
            "Malicious"
                if event || matches!(noun, "Requests" | "Traffic" | "Connections" | "Surge") =>
            {
                of("attack")
            }
            "Automatic" if event || noun == "Requests" => of("attack"),
            "First" | "Latest" if event || effect => return,
            "Unsolicited" if matches!(noun, "Surge" | "Traffic" | "Requests") || event => {
                of("surge")
            }
            "Big" | "High" if matches!(noun, "Surge" | "Traffic" | "Requests") => of("large-here"),
            "Small" if effect => {
                below(basis.affected, MINOR_BASIS_POINTS, "small is under one request in a hundred")
            }
            "Big" if effect => opposite(below(
                basis.affected,
                SERIOUS_BASIS_POINTS,
                "serious is one request in twenty or more",
            )),
            "Brief" | "Isolated" if effect => {
                shorter(&basis.lasted, BRIEF_MS, "short is under ten minutes")
            }
            "Long" if effect => {
                opposite(shorter(&basis.lasted, LONG_MS, "long is an hour or more"))
            }
            "Up" if noun == "Site" => return,
            "Automatic" if matches!(noun, "Measure" | "Defence") => of("acted"),
            "Another" if noun == "Measure" => return,
            "Plain" | "Other" => return,
            "Clean" if matches!(noun, "People" | "GoodRequests") => return,
            "Record" => {
                (Finding::NotMeasurable, "no history is on record to compare with".to_owned())
            }
            "Intent" => (
                Finding::NotMeasurable,
                "no instrument measures intentions, or who it was".to_owned(),
            ),
            "Opinion" => (Finding::NotMeasurable, "an opinion; the figures are not".to_owned()),
            _ => (Finding::NotMeasurable, "nothing on record measures this".to_owned()),
        };
        out.items.push(item(finding, why, unit));
    }

    pub(super) fn marker(unit: usize, marker: &str, basis: &Basis, out: &mut ComparedClause) {
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
}

pub(super) fn below(share: Option<u64>, limit: u64, rubric: &str) -> (Finding, String) {
    match share {
        Some(share) if share < limit => (Finding::Supported, rubric.to_owned()),
        Some(_) => (Finding::Contradicted, rubric.to_owned()),
        None => (Finding::NotMeasurable, rubric.to_owned()),
    }
}

pub(super) fn shorter(lasted: &[u64], limit: u64, rubric: &str) -> (Finding, String) {
    match lasted.iter().max() {
        Some(longest) if *longest < limit => (Finding::Supported, rubric.to_owned()),
        Some(_) => (Finding::Contradicted, rubric.to_owned()),
        None => (Finding::NotMeasurable, rubric.to_owned()),
    }
}

/// A share in per cent with those on record, in hundredths of a per cent.
pub(super) fn compare_share(unit: usize, mut number: Number, shares: &[u64]) -> Item {
    // A share is rounded to whole per cents at most, and all is all.
    number.grain = if number.low == 100 * ONE { 0 } else { number.grain.min(ONE) };
    let holds = shares.iter().any(|share| number.holds(u128::from(*share) * ONE / 100));
    let each: Vec<String> = shares.iter().map(|share| words::share(*share)).collect();
    if shares.is_empty() {
        return item(Finding::NotMeasurable, "no share of this is on record", unit);
    }
    let finding = if holds { Finding::Supported } else { Finding::Contradicted };
    item(finding, format!("on record: {}", each.join(" or ")), unit)
}
