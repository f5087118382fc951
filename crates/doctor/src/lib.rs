//! Checks the kernel settings and limits that matter in an attack.
//!
//! SYN floods, spoofed addresses and full tables never reach a program: kernel settings stop them.
//! [`Machine::read`] reads them (and changes nothing), [`examine`] compares them with the
//! configuration's limits, and [`DoctorReport`] prints the result with the lines that fix it.

mod examine;
mod machine;
mod parse;
mod report;

pub use examine::examine;
pub use machine::{Machine, MachineError};
pub use parse::ProcessFacts;
pub use report::{CheckResult, CheckStatus, DoctorReport};
