//! Connections served: from `accept` through the handshake to the loop of each protocol.

pub(crate) mod accept;
pub(crate) mod connection;
pub(crate) mod handshake;
pub(crate) mod http_1;
pub(crate) mod http_2;
pub(crate) mod http_3;
pub(crate) mod http_3_request;
pub(crate) mod quic_endpoint;
pub(crate) mod state;
