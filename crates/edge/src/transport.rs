//! The bytes between a visitor and HTTP, over TCP and TLS.

pub(crate) mod coalesce;
pub(crate) mod socket;
pub(crate) mod visitor_io;
