//! For tests only: what the tests of several crates share.
//!
//! - [`http_2`]: frames written by hand.
//! - [`peers`]: whether a public program is on this machine, which CI requires.
//! - [`tls`]: self-signed certificates, and clients that trust one certificate or all of them.
//! - [`wait`]: waits for a condition, with a limit.
//!
//! Only `[dev-dependencies]` may name this crate; `xtask/tests/layers.rs` checks it. It uses no other
//! crate of the workspace.

// Test code: a panic is how it reports a failure.
#![allow(clippy::unwrap_used)]

// module order: wait peers tls http_2

pub mod http_2;
pub mod peers;
pub mod tls;
pub mod wait;
