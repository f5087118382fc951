//! Which procedures are engaged, at what cost, and when they end.
//!
//! [`Control`] is the one control loop: records and counters go in, [`Action`]s come out. It holds
//! the watch and one posture per platform, and it is the same loop in `run`, `drill`, `replay` and
//! the simulation. An action that records an event comes before the action that it announces, so
//! that whoever carries them out in order has written down what they do before they do it.
//!
//! This crate never reads a clock, a socket, a file or a random number. It uses `watch` beside
//! `model`: the loop is made of both, and a crate for the dozen lines between them would be empty.

mod control;
mod ladder;
mod names;
mod platform;
mod tally;
mod wave;

pub use control::{Action, Control, PlatformView, ProcedureView, Resume, SavedBaseline};
