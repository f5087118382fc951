//! A request's head, the same for every protocol: reading and rewriting it.

pub(crate) mod acme_challenge;
pub(crate) mod body;
pub(crate) mod fields;
pub(crate) mod forwarded;
