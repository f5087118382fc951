//! Listening sockets, and the PROXY header of a trusted proxy.

pub(crate) mod listener;
#[doc(hidden)]
pub mod proxy_protocol;
pub(crate) mod quic_socket;
