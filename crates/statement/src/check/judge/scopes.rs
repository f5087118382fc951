//! Which part of the incident a clause is about.

use portcullis_incident::TimeWindow;

use super::super::clauses::FoundClause;
use super::super::facts::{Basis, ClauseScope, Each};
use super::super::moments::{MomentRole, SaidTime};
use super::super::numbers::Bound;
use super::super::units::{Phrase, Quantifier, Role};
use super::{ClauseComparison, is_event};
use crate::Finding;

impl ClauseComparison<'_> {
    pub(super) fn scope(
        &self,
        found: &FoundClause,
        phrases: &[(usize, Phrase)],
        inherited: Option<&Phrase>,
    ) -> ClauseScope {
        let mut scope = ClauseScope::default();
        let described = found.adjuncts.iter().filter_map(|unit| match &self.units[*unit].role {
            Role::Prepositional(preposition, phrase)
                if matches!(
                    *preposition,
                    "On" | "To" | "During" | "For" | "By" | "With" | "Of" | "Under"
                ) =>
            {
                Some(phrase)
            }
            _ => None,
        });
        let waves =
            self.facts.incident.map_or(0, |i| i.waves.len().max(i.outages.items.len()) as u64);
        for phrase in phrases.iter().map(|(_, p)| p).chain(described).chain(inherited) {
            for site in &phrase.sites {
                if !scope.sites.contains(site) {
                    scope.sites.push(*site);
                }
            }
            scope.unnamed |= phrase.unnamed;
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
        scope.per_second =
            found.adjuncts.iter().any(|u| self.units[*u].role == Role::Word("PerSecond"));
        scope.total = found.adjuncts.iter().any(|u| self.units[*u].role == Role::Word("InTotal"));
        scope.each = phrases.iter().find_map(|(_, phrase)| {
            let both = phrase.count.is_some_and(|n| n.bound == Bound::Between && n.low == n.high);
            match phrase.part {
                _ if !is_event(phrase.class) || scope.total => None,
                Quantifier::No => Some(Each::Any),
                Quantifier::All => Some(Each::All),
                _ if both => Some(Each::All),
                _ => None,
            }
        });
        self.by_day(found, &mut scope);
        scope
    }

    pub(super) fn moments(&self, found: &FoundClause) -> Vec<SaidTime> {
        let moments = found.adjuncts.iter().filter_map(|unit| match self.units[*unit].role {
            Role::Moment(moment) => Some(moment),
            _ => None,
        });
        moments.collect()
    }

    /// "Tuesday's attack" and "the attack on Tuesday" mean the wave of that day, if there is one only.
    pub(super) fn by_day(&self, found: &FoundClause, scope: &mut ClauseScope) {
        let Some(incident) = self.facts.incident else { return };
        let several = found.adjuncts.iter().any(|u| self.units[*u].role == Role::Word("Twice"));
        if scope.ordinal.is_some() || incident.waves.len() < 2 || several || scope.moments.len() > 1
        {
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

    pub(super) fn recipients(&self, found: &FoundClause) -> Vec<usize> {
        let units = found.core.iter().chain(&found.adjuncts);
        let all = units.filter_map(|unit| match &self.units[*unit].role {
            Role::Noun(phrase) | Role::Prepositional(_, phrase) => Some(&phrase.recipients),
            _ => None,
        });
        all.flatten().copied().collect()
    }

    /// What is denied of several sites is denied of each: the record on the one that is most against
    /// the denial.
    pub(super) fn of_any(&self, predicate: &'static str, scope: &ClauseScope) -> Basis {
        let each = self.one_by_one(predicate, scope).into_iter();
        let against = |basis: &Basis| match basis.finding {
            Some(Finding::Supported) => 2,
            Some(Finding::Contradicted) => 0,
            _ => 1,
        };
        each.max_by_key(against).unwrap_or_default()
    }

    /// The record on each site of a scope, and on those without a name.
    fn one_by_one(&self, predicate: &'static str, scope: &ClauseScope) -> Vec<Basis> {
        let named = scope.sites.iter().map(|site| vec![*site]);
        let unnamed = scope.unnamed.then(Vec::new);
        let each = named.chain(unnamed);
        each.map(|sites| self.facts.of(predicate, &ClauseScope { sites, ..scope.clone() }))
            .collect()
    }

    /// What is said of several sites is said of each.
    pub(super) fn of_all(&self, predicate: &'static str, scope: &ClauseScope) -> Basis {
        let each = self.one_by_one(predicate, scope).into_iter();
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

    /// Whether the sites are all but those that were named: "no other platform".
    pub(super) fn others(phrases: &[(usize, Phrase)]) -> bool {
        phrases.iter().any(|(_, phrase)| {
            phrase.class == "Site"
                && phrase.sites.is_empty()
                && phrase.adjectives.iter().any(|(class, _)| *class == "Other")
        })
    }

    /// One event compared with the one that follows "than".
    pub(super) fn comparison(&self, predicate: &'static str, scope: &ClauseScope) -> Basis {
        let than = self.units.iter().find_map(|unit| match &unit.role {
            Role::Prepositional("Than", phrase) if is_event(phrase.class) => Some(phrase),
            _ => None,
        });
        let ordinal = than.and_then(|phrase| phrase.ordinal);
        let other = ClauseScope { ordinal, ..ClauseScope::default() };
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
}
