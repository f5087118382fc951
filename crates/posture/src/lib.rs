//! Which procedures are engaged, at what cost, and when they end.
//!
//! [`Control`] is the one control loop: records and counters go in, [`Action`]s come out. It holds
//! the watch and one posture per platform, and it is the same loop in `run`, `drill`, `replay` and
//! the simulation. An action that records an event comes before the action that it announces, so
//! that a caller which carries them out in order records each act before it takes effect.
//!
//! This crate never reads a clock, a socket, a file or a random number. It uses `watch` and
//! `model`.

mod action;
mod control;
mod ladder;
mod names;
mod platform;
mod tally;
mod wave;

pub use action::Action;
pub use control::{Control, PlatformView, ProcedureView, Resume, SavedBaseline};
