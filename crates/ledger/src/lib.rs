//! The append-only log: bytes in, proofs out.
//!
//! Its entry points are [`Ledger`], which writes, [`Reader`], which reads without being the writer,
//! and [`verify::folder`], with which an outsider checks everything. The formats are those of
//! [C2SP](https://c2sp.org): tlog-tiles, tlog-checkpoint, signed-note and tlog-proof over RFC 6962
//! trees, so that other people's software can read and verify the log too; `README.md` describes
//! the folder byte by byte.
//!
//! It never interprets an entry, never reads a clock or draws randomness (the secret key is made of
//! bytes that the caller passes in), and never panics on what it finds on disk. A log proves that
//! an entry was written and has not been changed since; it does not prove that the entry was true.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod canonical;
mod checkpoint;
pub mod disk;
mod error;
mod hash;
mod journal;
mod ledger;
pub mod manifest;
mod note;
mod proof;
mod reader;
mod recovery;
mod shelf;
mod tile;
mod tlog_proof;
mod tree;
pub mod verify;

pub use canonical::{CanonicalError, canonical_json};
pub use checkpoint::{Checkpoint, TreeHead};
pub use error::{Error, FormatError};
pub use hash::Hash;
pub use ledger::Ledger;
pub use note::{Note, Signer, Verifier};
pub use proof::{verify_consistency, verify_inclusion};
pub use reader::{Entries, Reader};
pub use recovery::Recovery;
pub use tile::{MAX_ENTRY_BYTES, Shelf, TILE_WIDTH, Tile};
pub use tlog_proof::{PROOF_EXTENSION, Proof};
