//! HTTP/1.1 (RFC 9112), on both sides of the gate.
//!
//! What stands in the open reads strictly: `head` accepts only what every reader frames alike, and
//! `decoder` the same of bodies. `visitor` speaks with visitors, `exchange` with origins.
//! Nothing of a head is passed on as it came: it is read into a `Head`, judged, and
//! what the origin gets is written anew from that.
//!
//! This is ours, and not a library's, because it is what the gate is for: where a request ends is
//! the gate's to know, a general library reads more leniently and builds a table of fields that a
//! refusal never needs, and connections by the ten thousand must cost little while they are idle.
//! The letters themselves are read by `httparse`.

mod connection;
mod decoder;
mod exchange;
mod head;
mod outgoing;
pub mod reading;
mod trailers;
mod visitor;

pub(crate) use connection::Inbound;
pub(crate) use exchange::{Answered, Broken, Question, Wire};
pub(crate) use visitor::speak;
