//! Configuration, validated whole before any other crate uses it.
//!
//! Values of these types are only made by the reader in `config/`, which collects every problem
//! with its line before it returns, or by [`Config::for_origin`].

// module order: nearest problem tls_files
// module order: acme_settings host syntax value
// module order: settings
// module order: keys origin pattern
// module order: ranges
// module order: scalar tables
// module order: reference schema table
// module order: acme agreement
// module order: read

mod acme;
mod acme_settings;
mod agreement;
mod host;
mod keys;
mod nearest;
mod origin;
mod pattern;
mod problem;
mod ranges;
mod read;
mod reference;
mod scalar;
mod schema;
mod settings;
mod syntax;
mod table;
mod tables;
mod tls_files;
mod value;

pub use acme_settings::{AcmeChallenge, AcmeConfig};
pub use origin::parse_origin;
pub use problem::{Problem, Problems};
pub use settings::{
    AccessLogAddress, AccessLogFormat, AccessLogSettings, ActivityConfig, ActivityTimeouts, Config,
    HandshakeLimits, Http2Limits, Http3Limits, Limits, Listener, OriginConfig, PathPattern,
    PlatformConfig, PostureSettings, RateLimit, RequestPattern, TokenBudget, TunnelLimits,
    WatchSettings,
};
pub use tls_files::TlsFiles;
