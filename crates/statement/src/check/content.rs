//! What a segment of a sentence is.

use super::lexicon::{Form, WordKind};
use super::moments::SaidTime;
use super::numbers::Number;
use super::spans::Span;

/// What a number counts, where its unit says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measured {
    /// Requests per second.
    Rate,
    /// A share of a whole, in per cent.
    Share,
    /// A multiple of what is normal.
    TimesNormal,
    /// A multiple of what the origin handles.
    TimesCapacity,
    /// How often.
    Occasions,
    /// Something that nothing on record is measured in.
    Other,
}

/// What a segment is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// A word of the lexicon.
    Word {
        kind: WordKind,
        class: &'static str,
        form: Form,
    },
    /// A number without a unit.
    Number(Number),
    /// `second`, `2nd`.
    Ordinal(u64),
    /// A number with a unit.
    Quantity(Number, Measured),
    Span(Span),
    Moment(SaidTime),
    /// A platform, host or activity by its number in [`KnownNames`].
    Site(usize),
    /// A recipient of notifications, by its number in [`KnownNames`].
    Recipient(usize),
    /// A word of the organisation's name.
    OwnName,
    /// The reference of a receipt.
    Reference(usize),
    /// A word that is not known.
    Unknown,
}

/// Words that belong together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Segment {
    pub(super) content: Content,
    /// Every class of a verb: "lost" is of several.
    pub(super) classes: Vec<&'static str>,
    /// Its first and last token.
    pub(super) first: usize,
    pub(super) last: usize,
}

impl Segment {
    pub(super) fn class(&self) -> &'static str {
        match self.content {
            Content::Word { class, .. } => class,
            _ => "",
        }
    }

    pub(super) fn kind(&self) -> Option<WordKind> {
        match self.content {
            Content::Word { kind, .. } => Some(kind),
            _ => None,
        }
    }

    pub(super) fn form(&self) -> Form {
        match self.content {
            Content::Word { form, .. } => form,
            _ => Form::Base,
        }
    }
}
