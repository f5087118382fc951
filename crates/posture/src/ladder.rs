//! The ladder: which procedure comes next, narrowest and least felt first.

use portcullis_model::{
    ActivityId, ChallengeKind, Measure, PostureSettings, Scope, SourceLimits, Tier,
};
use portcullis_watch::{Observation, OriginProblem};

/// Suspects, in a thousand, that a signature must hit to be worth engaging.
const WORTH_A_SIGNATURE: u32 = 200;

/// A procedure that is to be engaged, before it has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedProcedure {
    pub measure: Measure,
    pub scope: Scope,
    pub reason: String,
    pub collateral_per_million: Option<u32>,
}

/// What is engaged already, as far as the ladder cares.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ActiveRungs {
    pub tightened: Option<Tightened>,
    pub challenge: Option<ChallengeKind>,
    pub shed: Option<Tier>,
}

impl ActiveRungs {
    /// The rungs of these measures; `ordinary` are the limits on sources when none is engaged.
    pub(crate) fn of<'a>(
        measures: impl Iterator<Item = &'a Measure>,
        ordinary: SourceLimits,
    ) -> Self {
        let mut rungs = Self::default();
        for measure in measures {
            match measure {
                Measure::TightenSources { limits, .. } => {
                    let cut = limits.connections < ordinary.connections;
                    let kind = if cut { Tightened::Connections } else { Tightened::Rate };
                    rungs.tightened = Some(kind);
                }
                Measure::Challenge(kind) => rungs.challenge = Some(*kind),
                Measure::Shed(tier) => rungs.shed = Some(*tier),
                Measure::RefuseSignature(_) => {}
            }
        }
        rungs
    }
}

/// How far sources are tightened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tightened {
    /// Their rate, and the time for headers.
    Rate,
    /// Their connections too.
    Connections,
}

/// The step that an attack begins with, and is renewed by when connections stall: sources are
/// held to what people need. An office behind one address is not locked out: over the limit, each
/// of its people is handed a token. Its connections are only cut if connections are the attack.
pub(crate) fn tighten(
    settings: &PostureSettings,
    ordinary: SourceLimits,
    seen: &Observation,
    rungs: ActiveRungs,
) -> Option<PlannedProcedure> {
    let (wanted, connections) = if seen.stalled_headers.is_some() {
        (Tightened::Connections, settings.tightened.connections)
    } else {
        (Tightened::Rate, ordinary.connections)
    };
    if rungs.tightened >= Some(wanted) {
        return None;
    }
    let why = seen.evidence.iter().max_by_key(|e| e.kind.strength());
    Some(PlannedProcedure {
        measure: Measure::TightenSources {
            limits: SourceLimits { connections, ..settings.tightened },
            header_deadline: settings.tightened_header_timeout,
        },
        scope: whole(seen),
        reason: why
            .map_or_else(|| "an attack began".to_owned(), |evidence| evidence.summary.clone()),
        collateral_per_million: None,
    })
}

/// The next step while an attack presses on the origin; `None` if what is engaged must do.
pub(crate) fn next_for_attack(
    settings: &PostureSettings,
    seen: &Observation,
    rungs: ActiveRungs,
) -> Option<PlannedProcedure> {
    if let Some(candidate) = &seen.candidate
        && candidate.collateral_per_million <= settings.collateral_per_million
        && candidate.suspects_per_thousand >= WORTH_A_SIGNATURE
    {
        return Some(PlannedProcedure {
            measure: Measure::RefuseSignature(candidate.signature.clone()),
            scope: Scope { platform: seen.platform, activity: only(&seen.over_baseline) },
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
    match rungs.challenge {
        None => Some(challenge(
            seen,
            ChallengeKind::Redirect,
            "the traffic that overloads the origin does not differ from visitors by its features",
        )),
        Some(ChallengeKind::Redirect) if saturated(seen) => Some(challenge(
            seen,
            ChallengeKind::WaitPage,
            "the attack follows redirects and the origin is still overloaded: a token costs a wait",
        )),
        Some(ChallengeKind::Redirect) => None,
        Some(ChallengeKind::WaitPage) => shed(seen, rungs, SheddingLevel::Any),
    }
}

/// The next step for an origin that is overloaded without an attack: first the redirect challenge,
/// which people hardly notice and which shows whether these are people; then shedding of the least
/// important activities.
pub(crate) fn next_for_overload(
    seen: &Observation,
    rungs: ActiveRungs,
) -> Option<PlannedProcedure> {
    if rungs.challenge.is_none() && !seen.over_baseline.is_empty() {
        return Some(challenge(
            seen,
            ChallengeKind::Redirect,
            "the origin cannot serve all visitors: a redirect shows which of them are browsers",
        ));
    }
    shed(seen, rungs, SheddingLevel::OptionalAlone)
}

/// How far shedding may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SheddingLevel {
    /// Only people come: only optional activities are shed.
    OptionalAlone,
    /// Under attack, important ones may too.
    Any,
}

/// Relieves an overloaded origin, the least important activities first.
/// An origin that answers with errors is not helped by this.
fn shed(seen: &Observation, rungs: ActiveRungs, relief: SheddingLevel) -> Option<PlannedProcedure> {
    let degradation = seen.degradation.as_ref().filter(|_| saturated(seen))?;
    let tier = match (rungs.shed, relief) {
        (None, _) => Tier::Optional,
        (Some(Tier::Optional), SheddingLevel::Any) => Tier::Important,
        _ => return None,
    };
    Some(PlannedProcedure {
        measure: Measure::Shed(tier),
        scope: whole(seen),
        reason: format!("the origin cannot serve all visitors: {}", degradation.summary),
        collateral_per_million: None,
    })
}

pub(crate) fn saturated(seen: &Observation) -> bool {
    seen.degradation
        .as_ref()
        .is_some_and(|degradation| degradation.problem == OriginProblem::Saturated)
}

fn challenge(seen: &Observation, kind: ChallengeKind, reason: &str) -> PlannedProcedure {
    PlannedProcedure {
        measure: Measure::Challenge(kind),
        scope: whole(seen),
        reason: reason.to_owned(),
        collateral_per_million: None,
    }
}

const fn whole(seen: &Observation) -> Scope {
    Scope { platform: seen.platform, activity: None }
}

const fn only(activities: &[ActivityId]) -> Option<ActivityId> {
    match activities {
        [one] => Some(*one),
        _ => None,
    }
}
