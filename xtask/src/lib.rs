//! The repository's own rules, as tests: `cargo test -p xtask`.
//!
//! ARCHITECTURE.md says how the house is built; these tests fail when the code says otherwise.
