//! What a predicate over events answers.

use serde::Serialize;

/// The ledger's finding on a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// Recorded events carry it.
    Supported,
    /// Recorded events contradict it.
    Contradicted,
    /// No record supports it, and none contradicts it.
    NotShown,
    /// No instrument could measure it.
    NotMeasurable,
}

impl Finding {
    /// The words that people read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Contradicted => "contradicted",
            Self::NotShown => "not shown",
            Self::NotMeasurable => "not measurable",
        }
    }

    /// The class of the finding in pages.
    pub(crate) const fn css_class(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Contradicted => "contradicted",
            Self::NotShown => "not-shown",
            Self::NotMeasurable => "not-measurable",
        }
    }

    /// The finding on the opposite of the claim.
    #[must_use]
    pub const fn of_the_negation(self) -> Self {
        match self {
            Self::Supported => Self::Contradicted,
            Self::Contradicted => Self::Supported,
            Self::NotShown => Self::NotShown,
            Self::NotMeasurable => Self::NotMeasurable,
        }
    }
}
