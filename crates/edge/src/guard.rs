//! Limits on frames: what the HTTP libraries obey without asking (RFC 9113, RFC 9114).

pub(crate) mod flow_control;
pub(crate) mod http_2;
pub(crate) mod http_2_frames;
pub(crate) mod http_3;
pub(crate) mod http_3_frames;
