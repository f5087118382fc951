//! What of an attack is the kernel's to bear, and what of it this machine lacks.
//!
//! SYN floods, spoofed addresses and full tables never reach a program: they are met by settings.
//! [`Machine::read`] reads them (and changes nothing), [`examine`] judges them against what the
//! configuration promises visitors, [`DoctorReport`] says it to people, with the lines that mend it.

mod examine;
mod machine;
mod parse;
mod report;

pub use examine::examine;
pub use machine::{Machine, MachineError};
pub use report::{CheckResult, CheckStatus, DoctorReport};
