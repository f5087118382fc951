//! The ladder: which procedure comes next, narrowest and least felt first.

use portcullis_model::{ActivityId, ChallengeKind, Measure, PostureSettings, Scope, Tier};
use portcullis_watch::Observation;

/// A procedure that is to be engaged, before it has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub measure: Measure,
    pub scope: Scope,
    pub reason: String,
    pub collateral_per_million: Option<u32>,
}

/// What is engaged already, as far as the ladder cares.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rungs {
    pub tightened: bool,
    pub challenge: Option<ChallengeKind>,
    pub shed: Option<Tier>,
}

/// The step that an attack begins with: sources are held to what people need. An office behind
/// one address is not locked out: over the limit, each of its people is handed a token.
pub(crate) fn first(settings: &PostureSettings, seen: &Observation) -> Step {
    Step {
        measure: Measure::TightenSources {
            limits: settings.tightened,
            header_deadline: settings.tightened_header_deadline,
        },
        scope: Scope { platform: seen.platform, activity: None },
        reason: seen
            .evidence
            .first()
            .map_or_else(|| "an attack began".to_owned(), |evidence| evidence.says.clone()),
        collateral_per_million: None,
    }
}

/// The next step while attack traffic still presses on the origin; `None` at the top.
pub(crate) fn next(settings: &PostureSettings, seen: &Observation, rungs: Rungs) -> Option<Step> {
    if let Some(candidate) = &seen.candidate
        && candidate.collateral_per_million <= settings.collateral_per_million
        && candidate.suspects_per_thousand >= 200
    {
        return Some(Step {
            measure: Measure::RefuseSignature(candidate.signature.clone()),
            scope: Scope { platform: seen.platform, activity: only(&seen.over) },
            reason: format!(
                "{}.{}% of suspect requests look like this, and at most {} in a million ordinary \
                 ones",
                candidate.suspects_per_thousand / 10,
                candidate.suspects_per_thousand % 10,
                candidate.collateral_per_million
            ),
            collateral_per_million: Some(candidate.collateral_per_million),
        });
    }
    let challenge = |kind, reason: &str| {
        Some(Step {
            measure: Measure::Challenge(kind),
            scope: Scope { platform: seen.platform, activity: None },
            reason: reason.to_owned(),
            collateral_per_million: None,
        })
    };
    match rungs.challenge {
        None => challenge(
            ChallengeKind::Echo,
            "the attack cannot be told apart from visitors by what it sends",
        ),
        Some(ChallengeKind::Echo) => challenge(
            ChallengeKind::Wait,
            "the attack answers redirects; each token now costs a wait",
        ),
        Some(ChallengeKind::Wait) => seen.strain.as_ref().and_then(|_| shed(seen, rungs)),
    }
}

/// Makes room on an origin that cannot serve everybody, the least important activities first.
pub(crate) fn shed(seen: &Observation, rungs: Rungs) -> Option<Step> {
    let tier = match rungs.shed {
        None => Tier::Optional,
        Some(Tier::Optional) => Tier::Important,
        Some(Tier::Important | Tier::Essential) => return None,
    };
    let strain = seen.strain.as_ref().map_or("", |strain| &strain.says);
    Some(Step {
        measure: Measure::Shed(tier),
        scope: Scope { platform: seen.platform, activity: None },
        reason: format!("the origin cannot serve everybody: {strain}"),
        collateral_per_million: None,
    })
}

const fn only(activities: &[ActivityId]) -> Option<ActivityId> {
    match activities {
        [one] => Some(*one),
        _ => None,
    }
}
