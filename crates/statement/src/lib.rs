//! Claims, findings, and the checker of press statements.
