//! Sentences that say what is not known: "We do not know who attacked us."

use super::facts::ClauseScope;
use super::judge::{ClauseComparison, Item};
use super::parsed::{Parsed, is_unread};
use super::units::Role;
use crate::Finding;

/// Reads a sentence that says that an actor, an intention or a cause is not known; `None` if it is
/// another one. Returns the findings, and the units that were not read.
///
/// Nothing on record can answer who, why or from where, so saying so is true. What such a sentence
/// takes for granted, such as the attack, is compared like any claim.
pub(super) fn read(
    parsed: &Parsed<'_>,
    judge: &ClauseComparison<'_>,
) -> Option<(Vec<Item>, Vec<usize>)> {
    let units = &parsed.units;
    let class = |unit: usize, wanted: &str| {
        parsed.segments_of(unit).iter().any(|segment| segment.class() == wanted)
    };
    let all = || 0..units.len();
    let unproven = |unit: &usize| {
        // "no evidence of who …"
        class(*unit, "NoEvid")
            && *unit + 1 < units.len()
            && (class(unit + 1, "Topic") || class(unit + 1, "Who"))
    };
    let ignorance = all().find(|unit| class(*unit, "Ignorance") || unproven(unit))?;
    let named = || {
        let about =
            ["attribute", "attributed", "identify", "identified", "information", "about", "name"];
        let attackers = all().find(|unit| class(*unit, "Attacker") || class(*unit, "Attack"));
        attackers.filter(|_| parsed.mentions(&about))
    };
    let topic = all().find(|unit| class(*unit, "Topic") || class(*unit, "Who")).or_else(named)?;
    let whether = all().find(|unit| class(*unit, "Whether"));
    let about_intent = all().any(|unit| class(unit, "Intent") || class(unit, "Purpose"));
    // "whether the aim was to …" asks for an intention; any other "whether" is a clause to compare.
    if whether.is_some()
        && !about_intent
        && !parsed.mentions(&["aim", "intention", "purpose", "motive", "goal"])
    {
        return None;
    }
    if all().any(|unit| class(unit, "But") || class(unit, "Not")) {
        return None;
    }
    let mut items = vec![Item {
        finding: Finding::Supported,
        why: "nothing on record can answer it".to_owned(),
        unit: ignorance,
        segment: None,
    }];
    let attack = all().find(|unit| {
        class(*unit, "Attack")
            || class(*unit, "Attacker")
            || parsed.segments_of(*unit).iter().any(|s| s.classes.contains(&"hit"))
    });
    if let Some(unit) = attack {
        let basis = judge.facts.of("attack", &ClauseScope::default());
        items.push(Item {
            finding: basis.finding.unwrap_or(Finding::NotShown),
            why: basis.because,
            unit,
            segment: None,
        });
    }
    let unread = all().filter(|unit| {
        let role = &units[*unit].role;
        let words = parsed.segments_of(*unit).iter().any(is_unread);
        words
            || matches!(role, Role::Adjective("Intent" | "Record" | "Big" | "Soph" | "Opinion"))
            || (class(*unit, "Actor") && topic != *unit)
            || class(*unit, "Data")
    });
    Some((items, unread.collect()))
}
