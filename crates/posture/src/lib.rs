//! Decides which procedures are engaged, records their cost, and ends them.
//!
//! [`Control`] is the control loop's core: [`Input`]s go in, [`Action`]s come out. It holds the
//! watch and one posture per platform. The running gate, `drill`, `replay` and the simulation drive
//! it in the same way. An action that records an event comes before the action that the event
//! announces, so a caller that carries them out in order records each one before it takes effect.
//!
//! This crate never reads a clock, a socket, a file or a random number. It uses `watch` and
//! `model`: the core consists of both, and the code between them is too small for a crate.

// module order: action input resume view
// module order: names unassigned second
// module order: wave tally
// module order: ladder
// module order: engaged origin_state
// module order: platform
// module order: control_state
// module order: control

mod action;
mod control;
mod control_state;
mod engaged;
mod input;
mod ladder;
mod names;
mod origin_state;
mod platform;
mod resume;
mod second;
mod tally;
mod unassigned;
mod view;
mod wave;

pub use action::Action;
pub use control::Control;
pub use control_state::ControlState;
pub use input::{Input, SavedBaseline};
pub use resume::Resume;
pub use view::{PlatformView, ProcedureView};
