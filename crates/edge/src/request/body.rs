//! What is known of a request's body before it is read, and how reading it fails.

/// What a head announces of the body behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyInfo {
    /// A lower bound of its length in bytes.
    pub(crate) min_bytes: u64,
    /// There is none.
    pub(crate) is_none: bool,
}

/// The visitor broke off, or what it sent is no body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyAborted;
