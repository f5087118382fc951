//! What the tests of the ledger share.

/// The entry that the tests append at an index.
pub fn entry(index: u64) -> Vec<u8> {
    format!("{{\"entry\":{index}}}").into_bytes()
}
