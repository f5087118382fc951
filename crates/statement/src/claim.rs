//! A claim: one thing that a spokesperson would like to say.

use portcullis_incident::Figure;
use serde::Serialize;

use crate::Finding;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident => $word:literal, $wording:literal;)+) => {
        /// What is claimed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum ClaimKind { $($(#[$doc])* $name,)+ }

        impl ClaimKind {
            /// Every kind, in the order of a statement.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The claim's name in files and links.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The wording that spokespeople use.
            pub const fn typical_wording(self) -> &'static str {
                match self { $(Self::$name => $wording,)+ }
            }
        }
    };
}

kinds! {
    /// That there was an attack at all, and not a surge of another cause.
    Attack => "attack", "We have experienced a cyber attack.";
    /// That it came more than once.
    Waves => "waves", "There was a second attack.";
    /// That it was sophisticated.
    Sophisticated => "sophisticated", "It was a sophisticated attack.";
    /// That it was large.
    LargeScale => "large-scale", "It was a large-scale attack.";
    /// Which platforms it was on.
    Platforms => "platforms", "It was an attack on our digital platforms.";
    /// That it was detected by the organisation's own systems.
    Detected => "detected", "Our security systems identified the attack.";
    /// That what was done was done soon.
    SwiftAction => "swift-action", "We took swift action.";
    /// That the attempts failed.
    AttemptsFailed => "attempts-failed", "These attempts failed.";
    /// That they failed because of the defences.
    BecauseOfDefences => "because-of-defences", "They failed due to our robust security systems.";
    /// That people were served throughout.
    StayedUp => "stayed-up", "Our platforms stayed available throughout.";
    /// That nothing was altered.
    Integrity => "integrity", "The integrity of all our platforms was maintained.";
    /// That no data got out.
    NoBreach => "no-breach", "We are confident that no data breach occurred.";
    /// That the defence had a cost.
    SlowedDown => "slowed-down", "Our security procedures slowed down some of our activities.";
    /// That what was engaged is lifted.
    Restored => "restored", "These were restored.";
    /// That everything is as before.
    FullSpeed => "full-speed", "We are back up to full speed.";
    /// That the NCSC was notified.
    Reported => "reported", "We have reported the matter to the NCSC.";
}

/// A claim with the ledger's finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claim {
    /// What is claimed.
    pub kind: ClaimKind,
    /// The wording that spokespeople use.
    pub typical_wording: &'static str,
    /// The finding.
    pub finding: Finding,
    /// Why.
    pub because: String,
    /// The nearest wording that the figures support.
    pub sentence: String,
    /// The figures behind.
    pub figures: Vec<Figure>,
    /// The caveats.
    pub caveats: Vec<String>,
}

impl Claim {
    pub(crate) fn new(kind: ClaimKind, finding: Finding, because: impl Into<String>) -> Self {
        Self {
            kind,
            typical_wording: kind.typical_wording(),
            finding,
            because: because.into(),
            sentence: String::new(),
            figures: Vec::new(),
            caveats: Vec::new(),
        }
    }

    #[must_use]
    pub(crate) fn wording(mut self, sentence: impl Into<String>) -> Self {
        self.sentence = sentence.into();
        self
    }

    #[must_use]
    pub(crate) fn with_figures(mut self, figures: impl IntoIterator<Item = Figure>) -> Self {
        self.figures.extend(figures);
        self
    }

    #[must_use]
    pub(crate) fn caveat(mut self, caveat: impl Into<String>) -> Self {
        self.caveats.push(caveat.into());
        self
    }

    /// The leaves to prove for this claim, ascending.
    pub fn leaves(&self) -> Vec<u64> {
        let mut leaves: Vec<u64> = self.figures.iter().flat_map(|f| f.leaves.to_prove()).collect();
        leaves.sort_unstable();
        leaves.dedup();
        leaves
    }
}
