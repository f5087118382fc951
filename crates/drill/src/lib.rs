//! A simulated attack on your own gate, on loopback only, with a score card.
//!
//! The crate has the three parties of a drill except the gate: a demonstration site that can really
//! go down ([`origin`]), the people who visit it, and those who attack it. [`run_scenario`] carries
//! out one run of a [`Scenario`] and returns a [`RunRecording`]; two recordings, without and with
//! the gate, and the facts that the gate's ledger holds make a score card. [`vectors`] runs known
//! denial-of-service attacks, one at a time.
//!
//! It never sends anything to an address that is not on this machine: a [`LoopbackTarget`] cannot
//! hold another. It never starts the gate and never reads its ledger; the caller does both. What is
//! sent follows from the scenario and a seed alone ([`plan()`]); how fast the responses come does
//! not.

#![cfg_attr(test, allow(clippy::unwrap_used))]

// module order: http1 scenario site target
// module order: browser origin
// module order: plan
// module order: recording
// module order: gate_facts traffic
// module order: run score
// module order: plot vectors

mod target;

pub mod scenario;

pub mod plan;

mod browser;
mod http1;
mod site;

pub mod origin;

mod traffic;

pub mod recording;

mod run;

mod gate_facts;

pub mod score;

pub mod plot;

pub mod vectors;

pub use gate_facts::{CrowdAssessment, EventLabel, GateEvent, GateEventKind, GateFacts, WaveFacts};
pub use plan::plan;
pub use recording::RunRecording;
pub use run::{DrillError, DrillRun, Progress, origin_status, raise_nofile_limit, run_scenario};
pub use scenario::Scenario;
pub use score::{ScoreCard, Threshold};
pub use target::{LoopbackTarget, TargetError};
pub use traffic::{ANNOUNCED_WAIT_LIMIT, PAGE_TIMEOUT};
