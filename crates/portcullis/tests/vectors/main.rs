//! Every vector of the drill against the real binary: whatever is tried, people are served, memory and
//! descriptors stay within what the connections account for, and the counters say what happened.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod case;
mod command;
mod connections;
mod handshakes;
mod http_1;
mod http_2;
mod page;
mod peers;
mod site;
