//! Listening sockets, and what a trusted proxy says before the first byte of a visitor.

pub(crate) mod listener;
#[doc(hidden)]
pub mod proxy_protocol;
