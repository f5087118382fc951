//! What a reader of a replay may rely on.

mod behaviour;
mod formats;
mod golden;
mod minutes;
mod real;
mod writer;
