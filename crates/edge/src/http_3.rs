//! HTTP/3 (RFC 9114) over QUIC (RFC 9000), for listeners that ask for it.
//!
//! A visitor who speaks it comes through the same gate: `endpoint` lets a connection in, `converse`
//! speaks with it, `exchange` hands each request to [`serve`](crate::serve) and sends the answer.
//! `link` stands between the HTTP library and the transport, and there `guard` reads the frames in
//! passing, because the library keeps whatever a visitor announces and obeys what it is told.
//!
//! Not offered, because each would cost more than it gives: early data (0-RTT), which whoever
//! recorded it can send again as often as they like; connection migration, because the kernel
//! chooses the worker by addresses and ports; `WebSockets`; datagrams; server push.

mod body;
mod converse;
mod endpoint;
mod exchange;
mod frames;
mod guard;
mod hello;
mod link;

pub(crate) use body::QuicBody;
pub(crate) use endpoint::accept;
pub(crate) use guard::Guard;
