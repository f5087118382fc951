//! The signals of the watch as an incident reads them: one entry per kind of evidence.

use portcullis_model::EvidenceKind;
use serde::Serialize;

/// What an observation does to a hypothesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// It is what one would expect.
    Consistent,
    /// It fits and contradicts equally.
    Neutral,
    /// It is hard to explain.
    Inconsistent,
}

impl Fit {
    /// The word in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consistent => "for",
            Self::Neutral => "\u{2013}",
            Self::Inconsistent => "against",
        }
    }
}

/// What one kind of evidence means for an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// The evidence in plain words, to follow "evidence of".
    pub phrase: &'static str,
    /// What it does to each of [`Cause::ALL`](crate::hypotheses::Cause::ALL).
    pub fits: [Fit; 4],
    /// The attack vector that it belongs to, if it shows one.
    pub vector: Option<&'static str>,
}

/// A vector that several kinds of evidence show.
const REQUEST_FLOOD: Option<&str> = Some("a flood of requests");

/// The entry of one kind. A new kind of evidence needs a new arm here and nothing else in this
/// crate.
pub const fn signal(kind: EvidenceKind) -> Signal {
    use Fit::{Consistent, Inconsistent, Neutral};
    match kind {
        // People do not repeat like this; a client that retries without pause does.
        EvidenceKind::RepeatedRequests => Signal {
            phrase: "sources asking for the same page far more often than people do",
            fits: [Consistent, Inconsistent, Consistent, Inconsistent],
            vector: REQUEST_FLOOD,
        },
        EvidenceKind::ExcessivePageRate => Signal {
            phrase: "sources sending requests faster than people browse",
            fits: [Consistent, Inconsistent, Consistent, Inconsistent],
            vector: REQUEST_FLOOD,
        },
        // Links in a mail to supporters carry an identifier for each reader.
        EvidenceKind::CacheBusting => Signal {
            phrase: "query strings that never repeat, so that no cache helps",
            fits: [Consistent, Neutral, Neutral, Neutral],
            vector: Some("cache-busting"),
        },
        // An office behind one address has many browsers, but each loads many assets; a program of
        // the operator has one name.
        EvidenceKind::RotatingUserAgents => Signal {
            phrase: "sources changing their user agent between requests",
            fits: [Consistent, Inconsistent, Inconsistent, Neutral],
            vector: None,
        },
        // A mail read on phones shifts the mix of browsers.
        EvidenceKind::UnusualHeaderOrder => Signal {
            phrase: "most traffic built in one way that is rare on an ordinary day",
            fits: [Consistent, Neutral, Consistent, Inconsistent],
            vector: REQUEST_FLOOD,
        },
        // An app of the operator's that was updated has a new name too.
        EvidenceKind::UnusualUserAgent => Signal {
            phrase: "many visitors with one user agent that is rare on an ordinary day",
            fits: [Consistent, Inconsistent, Consistent, Inconsistent],
            vector: REQUEST_FLOOD,
        },
        EvidenceKind::StalledHeaders => Signal {
            phrase: "many connections that began a request and did not finish",
            fits: [Consistent, Inconsistent, Neutral, Neutral],
            vector: Some("slow headers"),
        },
        // The operator's programs answer no challenges.
        EvidenceKind::UnansweredChallenges => Signal {
            phrase: "challenged visitors that did not come back",
            fits: [Consistent, Inconsistent, Consistent, Neutral],
            vector: REQUEST_FLOOD,
        },
        // Returning visitors have some assets in their caches, not nearly all. The operator's
        // programs fetch none.
        EvidenceKind::PagesWithoutAssets => Signal {
            phrase: "pages requested without the assets that browsers fetch with them",
            fits: [Consistent, Inconsistent, Consistent, Neutral],
            vector: REQUEST_FLOOD,
        },
        // A mail may lead its readers to the form that costs most.
        EvidenceKind::ExpensivePaths => Signal {
            phrase: "load falling on the pages that cost the origin most",
            fits: [Consistent, Neutral, Neutral, Neutral],
            vector: None,
        },
    }
}
