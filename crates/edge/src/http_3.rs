//! HTTP/3 (RFC 9114) over QUIC (RFC 9000): the streams under the `h3` library, and request bodies.
//!
//! `transport` is between `h3` and `quinn`, and lets the guard read the frames that pass, because
//! `h3` keeps whatever a visitor announces and does what it is asked.
//!
//! Not offered, because each would cost more than it gives: early data (0-RTT), which anyone who
//! recorded it can send again any number of times; connection migration, because the kernel
//! chooses the worker by addresses and ports; `WebSockets`; datagrams; server push.

pub(crate) mod body;
pub(crate) mod transport;
