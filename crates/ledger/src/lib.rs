//! The append-only log: C2SP tiles, signed checkpoints, proofs, and their verification.
