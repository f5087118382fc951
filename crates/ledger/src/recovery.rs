//! The report of what opening a ledger repaired.

use std::fmt;

use serde::Serialize;

/// What opening a ledger found unfinished and repaired. It is empty after an orderly shutdown.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize)]
pub struct Recovery {
    /// Bytes cut from the end of the journal: a batch whose write was interrupted.
    pub cut_bytes: u64,
    /// Whole entries among them. They were never acknowledged.
    pub cut_entries: u64,
    /// Files that were rewritten from the journal.
    pub rewritten: Vec<String>,
}

/// The most rewritten files that are listed: more than a full bundle and its tiles can be.
const MAX_NAMED: usize = 100;

impl Recovery {
    /// Whether nothing had to be repaired.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn add_rewritten(&mut self, path: &str) {
        if self.rewritten.len() < MAX_NAMED && !self.rewritten.iter().any(|known| known == path) {
            self.rewritten.push(path.to_owned());
        }
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("The ledger was closed cleanly; nothing had to be repaired.");
        }
        f.write_str("The ledger was not closed cleanly. It has every acknowledged entry.")?;
        if self.cut_bytes > 0 {
            let (bytes, entries) = (self.cut_bytes, self.cut_entries);
            write!(
                f,
                " The journal ended in an interrupted batch, which was never acknowledged and was cut \
                 ({bytes} bytes, {entries} whole entries)."
            )?;
        }
        if !self.rewritten.is_empty() {
            write!(f, " Rewritten from the journal: {}.", self.rewritten.join(", "))?;
        }
        Ok(())
    }
}
