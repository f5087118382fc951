//! What of an attack is the kernel's to bear, and what of it this machine lacks.
//!
//! SYN floods, spoofed addresses and full tables never reach a program: they are met by settings.
//! [`Machine::read`] reads them (and changes nothing), [`examine`] judges them against what the
//! configuration promises visitors, [`Report`] says it to people, with the lines that mend it.

mod examine;
mod finding;
mod machine;
mod parse;

pub use examine::examine;
pub use finding::{Finding, Report, Standing};
pub use machine::{Machine, Unreadable};
