//! An attack rehearsed against the organisation's own gate, on loopback only.
