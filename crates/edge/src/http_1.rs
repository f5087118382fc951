//! HTTP/1.1 messages (RFC 9112): the syntax for both sides, and a visitor's connection.
//!
//! Parsing is strict: `head` accepts only what every reader frames alike, and `decoder` the same of
//! bodies. No head is forwarded unchanged: it is parsed into a `Head`, and the head for
//! the origin is written from that.
//!
//! This is not a library's, because where a request ends is the gate's to know: a general library
//! parses more leniently and builds a table of fields that a refusal never needs, and connections by
//! the ten thousand must cost little while they are idle. `httparse` does the tokenising.

pub(crate) mod connection;
pub(crate) mod decoder;
pub(crate) mod head;
pub mod request_parser;
pub(crate) mod trailers;
pub(crate) mod write_buffer;
