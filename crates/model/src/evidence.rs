//! Evidence of hostility: what turns a surge into an attack.

use serde::{Deserialize, Serialize};

/// What was seen. The thresholds and their reasons are in the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// Sources ask for the same page again and again, far more often than people do.
    RepeatedRequests,
    /// Most requests come from visitors who ask for pages faster than people read.
    #[serde(alias = "inhuman-pace")]
    ExcessivePageRate,
    /// Query strings never repeat, so that every request misses every cache.
    CacheBusting,
    /// Sources change their user agent from request to request.
    RotatingUserAgents,
    /// One way of building requests, rare on an ordinary day, makes up most of the traffic.
    #[serde(alias = "foreign-shape")]
    UnusualHeaderOrder,
    /// One user agent, rare on an ordinary day, makes up much of the traffic.
    UnusualUserAgent,
    /// Many connections have begun a request and do not finish its headers.
    StalledHeaders,
    /// Challenged visitors do not come back.
    UnansweredChallenges,
    /// Pages are requested without the pictures, styles and scripts that browsers fetch with them.
    #[serde(alias = "pages-without-parts")]
    PagesWithoutAssets,
    /// The load falls on what costs the origin most.
    #[serde(alias = "costly-targets")]
    ExpensivePaths,
}

/// How much a kind of evidence proves alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvidenceWeight {
    /// About what is requested. A mail to supporters asks for one page with a number for each
    /// reader, so that these never add up to hostility among themselves.
    Target,
    /// About who asks. Fits some crowds too; counts together with another piece of either kind.
    Sender,
    /// Not explained by people who follow a link.
    Strong,
}

impl EvidenceWeight {
    /// Whether items of these strengths show hostility together: a strong one, or two of
    /// which at least one is about the sender.
    pub fn hostile(items: impl IntoIterator<Item = Self>) -> bool {
        let (mut all, mut sender) = (0, false);
        for item in items {
            if item == Self::Strong {
                return true;
            }
            all += 1;
            sender |= item == Self::Sender;
        }
        sender && all >= 2
    }
}

impl EvidenceKind {
    /// How much it proves alone.
    pub const fn strength(self) -> EvidenceWeight {
        match self {
            Self::RepeatedRequests
            | Self::ExcessivePageRate
            | Self::StalledHeaders
            | Self::UnansweredChallenges => EvidenceWeight::Strong,
            Self::RotatingUserAgents
            | Self::UnusualHeaderOrder
            | Self::UnusualUserAgent
            | Self::PagesWithoutAssets => EvidenceWeight::Sender,
            Self::CacheBusting | Self::ExpensivePaths => EvidenceWeight::Target,
        }
    }

    /// The word in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RepeatedRequests => "repeated-requests",
            Self::ExcessivePageRate => "excessive-page-rate",
            Self::CacheBusting => "cache-busting",
            Self::RotatingUserAgents => "rotating-user-agents",
            Self::UnusualHeaderOrder => "unusual-header-order",
            Self::UnusualUserAgent => "unusual-user-agent",
            Self::StalledHeaders => "stalled-headers",
            Self::UnansweredChallenges => "unanswered-challenges",
            Self::PagesWithoutAssets => "pages-without-assets",
            Self::ExpensivePaths => "expensive-paths",
        }
    }
}

/// One piece of evidence with the figure behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was seen.
    pub kind: EvidenceKind,
    /// The figure, in the unit that `summary` names.
    pub measured: u64,
    /// The threshold that it crossed, in the same unit.
    pub threshold: u64,
    /// The whole in words: figure, unit, window.
    #[serde(alias = "says")]
    pub summary: String,
}
