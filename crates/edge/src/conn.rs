//! Visitor connections as their worker watches over them: state, registry, timeouts, tasks.

pub(crate) mod connection;
pub(crate) mod http_2_body;
pub(crate) mod idle_eviction;
pub(crate) mod registry;
pub(crate) mod task;
pub(crate) mod timeouts;
