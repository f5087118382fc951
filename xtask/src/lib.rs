//! The repository's own rules: checks of its source text.
//!
//! [`modules`] finds circles of imports and imports against a crate's stated module order; [`names`]
//! finds type names that are defined twice, or that were replaced; [`words`] finds phrases that the
//! project avoids; [`functions`] finds long functions; [`purity`] finds clocks, sockets and files where
//! none may be. `tests/` runs them over the whole workspace,
//! the program `xtask` over any folder. Nothing here changes a file.

pub mod functions;
pub mod modules;
pub mod names;
pub mod purity;
mod resolve;
pub mod source;
mod tree;
pub mod words;
