//! The per-request decision: limits, tokens, signatures, shedding.
