//! Connections to origins: request bodies, the HTTP/1.1 client, pools and tunnels.

pub(crate) mod client;
pub(crate) mod pool;
pub(crate) mod tunnel;
pub(crate) mod upload;
