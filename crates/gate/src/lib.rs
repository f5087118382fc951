// module order: path_kind secret
// module order: token table
// module order: request
// module order: head
// module order: header_kind host_table ranges
// module order: screen policy feature_names
// module order: decide

//! The per-request decision.
//!
//! Every request passes these stages in this order, and the first that refuses it gives the reason.
//! A stage that costs more comes later.
//!
//! 1. [`screen`]: the number of fields, the length of the target, the method, how the body ends,
//!    exactly one host. What is ambiguous is refused.
//! 2. The platform that has this host name, and its activity with this path. A path that can be read
//!    in two ways is refused.
//! 3. The announced length of the body, and the ranges.
//! 4. Shedding of the activity.
//! 5. For activities and methods that are never challenged, the rate of the source, and no more.
//! 6. If a procedure is engaged that tokens matter for, the token in the cookie or the query. Each
//!    of at most three costs an HMAC; without such a procedure none is verified.
//! 7. With a token, its budget. Without one, the signatures and then the rate of the source.
//! 8. The challenge.
//! 9. A slot for an upgraded connection.
//!
//! [`decide`] is stages 2 to 9. It takes everything it depends on — the [`Policy`], the [`Tables`], one [`Request`] and
//! the time — and returns a small [`Decision`]. It runs on every request of every worker, so it
//! takes no lock and allocates nothing for what it refuses.
//!
//! This crate never reads a clock, a socket, a file or a random number: the same code decides in
//! the running gate, a drill, a replay and the simulation.

mod decide;
mod feature_names;
mod head;
mod header_kind;
mod host_table;
mod path_kind;
mod policy;
mod ranges;
mod request;
mod screen;
mod secret;
mod table;
mod token;

pub use decide::{Decision, Disposition, decide};
pub use feature_names::FeatureNameCache;
pub use head::{Field, Head, RequestTarget, fields_of, items};
pub use header_kind::{HeaderKind, HeaderPresence};
pub use policy::Policy;
pub use ranges::within_limit as ranges_within_limit;
pub use request::{Demands, Fields, Request, TunnelSlots};
pub use screen::{Host, content_length, host, screen};
pub use secret::Secret;
pub use table::{Bucket, RequestWeight, Tables, TakeResult};
pub use token::{COOKIE, TOKEN_PARAM, strip_token_param};
