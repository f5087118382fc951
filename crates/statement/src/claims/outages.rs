//! What outages of an origin mean for the claims.

use portcullis_incident::{Figure, Incident, LeafSet, OutageRecord, Unit, words};

/// The longest outage, with the number of all, in a sentence; `None` if there was none.
pub(super) fn sentence(incident: &Incident) -> Option<String> {
    let as_of = incident.as_of.at;
    let longest = incident.outages.iter().max_by_key(|outage| outage.lasted_ms(as_of))?;
    let lasted = words::span(longest.lasted_ms(as_of));
    let seen = match (longest.ended, longest.interrupted) {
        (Some(_), _) => format!("was down for {lasted}"),
        (None, Some(_)) => format!("was down for {lasted} at least (its end was not seen)"),
        (None, None) => format!("has been down for {lasted}"),
    };
    let all = match incident.outages.count() {
        1 => String::new(),
        n => format!(" It was the longest of {}.", words::counted(n, "outage")),
    };
    Some(format!(
        "The origin of {} {seen} from {}: {}.{all}",
        longest.platform,
        words::moment(longest.onset),
        longest.extent(),
    ))
}

/// How many outages there were, how long they lasted, and what was not served.
pub(super) fn figures(incident: &Incident) -> Vec<Figure> {
    if incident.outages.items.is_empty() {
        return Vec::new();
    }
    let as_of = incident.as_of.at;
    let leaves = incident.outages.iter().fold(LeafSet::default(), |mut all, outage| {
        all.merge(&outage.leaves());
        all
    });
    let sum = |of: &dyn Fn(&OutageRecord) -> u64| {
        incident.outages.iter().map(of).fold(0, u64::saturating_add)
    };
    vec![
        Figure::new("outages of an origin", incident.outages.count(), Unit::Count, leaves.clone()),
        Figure::new(
            "the outages together lasted",
            sum(&|outage| outage.lasted_ms(as_of)),
            Unit::Millis,
            leaves.clone(),
        ),
        Figure::new(
            "requests that were not served during outages",
            sum(&|outage| outage.unserved),
            Unit::Requests,
            leaves,
        ),
    ]
}

/// Whether an outage lasts where the record ends, or its end was not seen.
pub(super) fn has_no_end(incident: &Incident) -> bool {
    incident.outages.iter().any(|outage| outage.ended.is_none())
}
