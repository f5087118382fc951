//! The append-only log: an entry is bytes, and a signed Merkle tree proves that it is in the log.
//!
//! Entry points: [`Ledger`] writes, [`LedgerReader`] reads without being the writer, and
//! [`verify::folder`] lets an outsider verify everything. The formats are those of
//! [C2SP](https://c2sp.org): tlog-tiles, tlog-checkpoint, signed-note and tlog-proof over RFC 6962
//! trees, so other software can read and verify the log too. `README.md` describes the folder byte
//! by byte.
//!
//! The crate does not interpret entries. It has no clock and no randomness (the caller passes the
//! bytes of the secret key), and content on disk never makes it panic. A log proves that an entry
//! was written and has not been changed since; it does not prove that the entry is true.

// module order: canonical hash recovery
// module order: error files tile proof
// module order: note tree
// module order: layout checkpoint
// module order: tlog_proof tile_reader journal manifest
// module order: reader ledger verify
// module order: open

mod canonical;
mod checkpoint;
mod error;
mod files;
mod hash;
mod journal;
mod layout;
mod ledger;
pub mod manifest;
mod note;
mod open;
mod proof;
mod reader;
mod recovery;
mod tile;
mod tile_reader;
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
pub use reader::{Entries, LedgerReader};
pub use recovery::Recovery;
pub use tile::{MAX_ENTRY_BYTES, TILE_WIDTH, Tile, TileKind};
pub use tlog_proof::{PROOF_EXTENSION, Proof};
