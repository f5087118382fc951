//! The fixed-size record that every request leaves behind.

use crate::{Assignment, Features, ProcedureId, Reason, SourceKey, Time};

/// What the gate knew about the visitor's token when it decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenState {
    /// None was shown, or none was looked for because no challenge is engaged.
    Absent,
    /// A token that verifies.
    Valid,
    /// A challenge was just passed: this request carried the answer.
    JustIssued,
    /// A token that does not verify, is too old, or belongs to another visitor.
    Invalid,
}

/// One request as the watch sees it. It is written when the gate decides, so that requests which
/// hang on an overloaded origin are seen immediately. Outcomes are counted in
/// [`Meter`](crate::Meter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When the gate decided.
    pub at: Time,
    /// Where the request came from.
    pub source: SourceKey,
    /// What it looked like.
    pub features: Features,
    /// Keyed hash of the whole query string; zero if there is none.
    pub query: u32,
    /// The platform and the activity; `None` if it belongs to none: its host is unknown, or it was
    /// refused before its host was read.
    pub assigned: Option<Assignment>,
    /// The cause of the verdict, and so the verdict.
    pub reason: Reason,
    /// Whether the visitor requested a page rather than an asset (it accepts HTML).
    pub page: bool,
    /// Whether it requested a picture, style, script or font, which browsers load with a page.
    pub asset: bool,
    /// Whether it requested a range, or made a conditional request: viewers of films and
    /// live results do so again and again.
    pub partial: bool,
    /// The token, if a challenge is engaged.
    pub token: TokenState,
    /// The procedure that caused the verdict, if one did.
    pub procedure: Option<ProcedureId>,
}
