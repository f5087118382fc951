//! Connections to origins: request bodies, the HTTP/1.1 client, addresses, pools and tunnels.

pub(crate) mod client;
pub(crate) mod dial;
pub(crate) mod pool;
pub(crate) mod probe;
pub(crate) mod tunnel;
pub(crate) mod upload;
