//! A request's head, the same for every protocol: reading, validating and rewriting it.

pub(crate) mod acme_challenge;
pub(crate) mod body;
pub(crate) mod fields;
pub(crate) mod forwarded;
pub(crate) mod head;
pub(crate) mod ranges;
pub(crate) mod validate;
