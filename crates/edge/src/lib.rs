//! Sockets: accept, TLS, HTTP, forwarding, and the operators' listener.
//!
//! [`Worker::run`] is the entry point: one per core, each with its own listeners, origin
//! connections and counters. A request's way is one page: `accept` lets a connection in,
//! `connection` speaks TLS and HTTP with it, `serve` asks the gate and answers or hands over to
//! `forward`, which takes the request to its origin and the answer back.
//!
//! This crate never decides: the gate does, and the policy is data. It never blocks on anything
//! but a socket, keeps nothing about a visitor beyond the connection, and waits for nothing
//! without a deadline.

mod accept;
mod answer;
mod body;
mod certificates;
mod challenge;
#[doc(hidden)]
pub mod client_hello;
mod clock;
mod connection;
mod cork;
mod deadline;
mod der;
mod error;
mod fields;
mod forward;
mod forwarded;
mod frames;
mod guard;
mod handshake;
mod head;
#[doc(hidden)]
pub mod http_1;
mod http_3;
#[doc(hidden)]
pub mod ja4;
pub mod operator;
mod origin;
mod pace;
mod pages;
mod pressure;
pub mod proxy_protocol;
mod ranges;
mod serve;
mod strict;
mod tls;
mod transport;
mod upgrade;
mod validity;
mod visit;
mod windows;
mod worker;

pub use accept::{BoundListener, bind};
pub use certificates::NamedCertificates;
pub use challenge::ChallengeAnswers;
pub use clock::Clock;
pub use error::EdgeError;
#[doc(hidden)]
pub use guard::reads_alike;
pub use tls::{TlsConfigs, TlsKeep, for_quic, load_all, read_pair};
pub use validity::{CertificateFacts, SOON, Standing, inspect, inspect_all};
pub use worker::{Faults, Worker};
