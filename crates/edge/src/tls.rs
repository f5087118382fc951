//! TLS: certificates and their status, and the fingerprint of the client.

pub(crate) mod cert_status;
pub(crate) mod certificates;
#[doc(hidden)]
pub mod client_hello;
pub(crate) mod config;
pub(crate) mod der;
pub(crate) mod handshake_tap;
#[doc(hidden)]
pub mod ja4;
pub(crate) mod pem_text;
