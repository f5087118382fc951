//! Claims, findings, and the checker of press statements.
//!
//! [`build`] turns an incident into a [`Statement`]: what a spokesperson would like to say, split
//! into claims, each with the ledger's finding, the figures behind it, and the nearest wording
//! that they support. [`check`] reads a text and gives the same findings for each of its
//! sentences.
//!
//! A claim is `supported` only by events that are recorded: without them it is `not shown`.
//! Nothing here reads a clock or a file, decides by a floating-point number, or names an actor.

// module order: finding zone
// module order: claim
// module order: claims
// module order: press
// module order: statement
// module order: text
// module order: check html

mod check;
mod claim;
mod claims;
mod finding;
mod html;
mod press;
mod statement;
mod text;
mod zone;

pub use check::{
    Assertion, Check, CheckContext, CheckError, CheckedSentence, MatchedClaim, RejectedPhrase,
    SentenceResult, TEXT_BYTES, check,
};
pub use claim::{Claim, ClaimKind};
pub use claims::assess;
pub use finding::Finding;
pub use press::{PressDetails, PressSummary};
pub use statement::{LeafProof, Statement, StatementContext, build};
pub use zone::LocalZone;
