//! Recorded access logs run through the same eyes.
