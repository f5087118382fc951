// module order: clock error buffers header_block stage transfer_rate
// module order: net request tls guard
// module order: deadline
// module order: access_log
// module order: context
// module order: conn
// module order: transport
// module order: http_1 http_3
// module order: origin
// module order: response
// module order: forward
// module order: serve
// module order: admission
// module order: server
// module order: worker fuzzing

//! Sockets: accept, TLS, HTTP, forwarding.
//!
//! [`Worker::run`] is the entry point: one per core, each with its own listeners, origin
//! connections and counters. The path of a request: `server::accept` accepts a connection,
//! `server::connection` does the TLS handshake, `server` reads requests, `serve` asks the gate and
//! either responds or calls `forward`, which sends the request to its origin and streams the
//! response back.
//!
//! The gate decides about every request that could be parsed; `admission` decides about
//! connections. This crate blocks on nothing but sockets, stores nothing about a visitor beyond the
//! connection, and waits for nothing without a deadline.

mod access_log;
mod admission;
mod buffers;
mod clock;
mod conn;
mod context;
mod deadline;
mod error;
mod forward;
/// Entry points of the fuzz targets.
#[cfg(fuzzing)]
pub mod fuzzing;
mod guard;
mod header_block;
#[doc(hidden)]
pub mod http_1;
mod http_3;
mod net;
mod origin;
mod request;
mod response;
mod serve;
mod server;
mod stage;
mod tls;
mod transfer_rate;
mod transport;
mod worker;

pub use access_log::AccessLogSink;
pub use clock::Clock;
pub use context::InternalErrors;
pub use error::EdgeError;
#[doc(hidden)]
pub use guard::http_2::reads_alike;
pub use net::listener::{BoundListener, BoundSockets, ListenerSockets, SocketSet, bind};
#[doc(hidden)]
pub use net::proxy_protocol;
pub use net::quic_socket::QuicRoute;
pub use origin::probe::{ProbeError, probe_origin};
pub use request::acme_challenge::ChallengeAnswers;
pub use stage::WorkerStage;
pub use tls::cert_status::{CertStatus, CertificateFacts, SOON, inspect, inspect_all};
pub use tls::certificates::NamedCertificates;
pub use tls::config::{ListenerTls, TlsConfigs, TlsShared, load_all, load_pair, quic_config};
#[doc(hidden)]
pub use tls::{client_hello, ja4};
pub use worker::Worker;
