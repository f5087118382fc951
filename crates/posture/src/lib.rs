//! Which procedures are engaged, at what cost, and when they end.
