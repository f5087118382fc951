//! What a reader of a replay may rely on.

mod behaviour;
mod formats;
mod formats_of_files;
mod golden;
mod merging;
mod minutes;
mod real;
mod writer;
