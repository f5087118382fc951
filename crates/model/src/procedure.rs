//! Posture and procedures: what is engaged, where, why, and at what cost.

use core::num::NonZeroU32;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ActivityId, Feature, Features, PlatformId, Tier, Time, WallTime};

/// How far the gate is lowered.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Posture {
    /// Nothing unusual.
    #[default]
    Open,
    /// Far more traffic than usual, or an attack just over: nothing is engaged, all is ready.
    Watchful,
    /// An attack, met by narrow procedures that people hardly notice.
    Guarded,
    /// An attack that no signature separates from visitors, or an overloaded origin: challenges
    /// or shedding are engaged.
    Siege,
}

impl Posture {
    /// The word that screens and events use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Watchful => "watchful",
            Self::Guarded => "guarded",
            Self::Siege => "siege",
        }
    }
}

/// The number of an engaged procedure. Numbers are never used twice in one ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcedureId(pub NonZeroU32);

/// Where a procedure applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The platform.
    pub platform: PlatformId,
    /// One activity of it, or all.
    pub activity: Option<ActivityId>,
}

impl Scope {
    /// Whether a request for `activity` of `platform` is in this scope.
    pub fn covers(&self, platform: PlatformId, activity: ActivityId) -> bool {
        self.platform == platform && self.activity.is_none_or(|a| a == activity)
    }
}

/// One condition of a signature: a feature has this hashed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The feature.
    pub feature: Feature,
    /// Its hashed value; zero means the feature is absent.
    pub value: u32,
}

/// The conjunction of features that sets attack traffic apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// All of these must hold. Never empty.
    pub conditions: Vec<Condition>,
}

impl Signature {
    /// Whether a request with these features matches.
    pub fn matches(&self, features: &Features) -> bool {
        self.conditions.iter().all(|c| features.get(c.feature) == c.value)
    }
}

/// The kinds of challenge. Both work without JavaScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChallengeKind {
    /// A redirect to the same address that hands out a token: one extra round trip, unseen.
    Redirect,
    /// A short page that continues automatically after a few seconds (or by its link).
    WaitPage,
}

/// Limits on one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceLimits {
    /// Requests per second in the long run.
    pub requests_per_second: u32,
    /// Requests that may come together before the rate applies.
    pub burst: u32,
    /// Connections at the same time.
    pub connections: u32,
}

/// What a procedure does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Measure {
    /// Refuse what matches a signature.
    RefuseSignature(Signature),
    /// Replace the per-source limits and the header deadline by tighter ones. Visitors who hold
    /// a token are bound by their token's budget instead of their address's rate.
    TightenSources {
        /// The limits while engaged.
        limits: SourceLimits,
        /// How long a connection may take to send a whole request header while engaged.
        header_deadline: Duration,
    },
    /// Challenge visitors without a token.
    Challenge(ChallengeKind),
    /// Do not serve activities of this tier (nor lower ones) while it lasts.
    Shed(Tier),
}

impl Measure {
    /// The word that screens and events use.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::RefuseSignature(_) => "refuse-signature",
            Self::TightenSources { .. } => "tighten-sources",
            Self::Challenge(ChallengeKind::Redirect) => "challenge-redirect",
            Self::Challenge(ChallengeKind::WaitPage) => "challenge-wait",
            Self::Shed(_) => "shed",
        }
    }

    /// How much visitors notice it, from 0: of several procedures, the most noticed ends first.
    pub const fn noticed(&self) -> u8 {
        match self {
            Self::Shed(Tier::Essential) => 6,
            Self::Shed(Tier::Important) => 5,
            Self::Shed(Tier::Optional) => 4,
            Self::Challenge(ChallengeKind::WaitPage) => 3,
            Self::Challenge(ChallengeKind::Redirect) => 2,
            Self::RefuseSignature(_) => 1,
            Self::TightenSources { .. } => 0,
        }
    }

    /// Whether it takes the place of `other` when it is engaged: both are of one kind, of which one
    /// at a time makes sense. Signatures are engaged together.
    pub const fn replaces(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Challenge(_), Self::Challenge(_))
                | (Self::Shed(_), Self::Shed(_))
                | (Self::TightenSources { .. }, Self::TightenSources { .. })
        )
    }

    /// The measure in words. `signature` puts a signature's conditions in words; visitors wait
    /// `wait` on a wait page.
    pub fn summary(&self, wait: Duration, signature: impl FnOnce(&Signature) -> String) -> String {
        match self {
            Self::RefuseSignature(refused) => {
                format!("refuse requests whose {}", signature(refused))
            }
            Self::TightenSources { limits, header_deadline } => format!(
                "at most {} requests per second (burst {}) and {} connections from one source \
                 without a token; headers within {} ms",
                limits.requests_per_second,
                limits.burst,
                limits.connections,
                header_deadline.as_millis()
            ),
            Self::Challenge(ChallengeKind::Redirect) => {
                "visitors without a token are sent once round by a redirect".into()
            }
            Self::Challenge(ChallengeKind::WaitPage) => format!(
                "visitors without a token wait {} s on a page that continues automatically",
                wait.as_secs()
            ),
            Self::Shed(tier) => format!("activities of tier {} are not served", tier.as_str()),
        }
    }
}

/// One engaged measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Procedure {
    /// Its number.
    pub id: ProcedureId,
    /// Where it applies.
    pub scope: Scope,
    /// What it does.
    pub measure: Measure,
    /// Why, in a sentence.
    pub reason: String,
    /// When it was engaged.
    pub engaged: WallTime,
    /// When it expires unless renewed. The gate ignores it from then on, even if nothing
    /// else is alive to remove it.
    pub expires: Time,
}

/// What a procedure achieved, measured while it was engaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Requests that it stopped (refused, or challenged and never came back).
    pub stopped: u64,
    /// Requests in its scope, stopped or not.
    pub seen: u64,
}

/// What a procedure cost visitors, measured while it was engaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Challenges that were passed: visitors who were delayed by a round trip or a wait.
    pub delayed: u64,
    /// Requests refused that came with a held token, and so probably from people.
    pub refused_with_token: u64,
    /// For a signature: how many in a million recent ordinary requests it would have hit, as an
    /// upper estimate (95% confidence), measured when it was engaged.
    pub collateral_per_million: u32,
}
