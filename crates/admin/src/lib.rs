//! The admin listener: health, metrics and status.
//!
//! [`BoundAdmin`] binds the address and serves [`AdminPages`]. [`AdminHandlers`] are the pages of the
//! gate, rendered on request from counters and state that other threads update: `/healthz` from
//! [`ThreadHealth`] and the control loop's last tick, `/metrics` in the `OpenMetrics` text format, and
//! `/status.json` from [`GateStatus`].

mod certs;
mod families;
mod handlers;
mod health;
mod listener;
mod metrics;
mod status;

pub use certs::{CertInventory, CertRow};
pub use handlers::AdminHandlers;
pub use health::{GateThread, ThreadHealth};
pub use listener::{AdminError, AdminListener, AdminPages, BoundAdmin};
pub use status::{GateStatus, ReloadStatus, STATUS_VERSION};
