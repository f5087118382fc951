//! The running gate: everything behind `portcullis run` but the command line.
//!
//! [`run`] is the entry point. It reads the configuration, binds sockets, opens the ledger and starts
//! the threads: one per worker, the control loop, the recorder that writes the ledger, the admin
//! listener, and one that obtains certificates. Then it waits for signals, reloads the configuration,
//! and watches the threads. If a gate with the same ledger runs, it takes over from that one. A thread that ends is logged, counted and shown as unhealthy; requests
//! are served as long as a worker runs.

// module order: access_log config_file event_log open_files state_files threads
// module order: baseline_store last_seen
// module order: error options supervisor ledger_writer
// module order: confinement
// module order: open_ledger secret_store handover_channel
// module order: inheritance
// module order: predecessor_counts
// module order: acme_thread certificates recorder reload service_notice
// module order: control_loop
// module order: origin_probe successor
// module order: control_socket
// module order: predecessor
// module order: start
// module order: gate

mod access_log;
mod acme_thread;
mod baseline_store;
mod certificates;
mod config_file;
mod confinement;
mod control_loop;
mod control_socket;
mod error;
mod event_log;
mod gate;
mod handover_channel;
mod inheritance;
mod last_seen;
mod ledger_writer;
mod open_files;
mod open_ledger;
mod options;
mod origin_probe;
mod predecessor;
mod predecessor_counts;
mod recorder;
mod reload;
mod secret_store;
mod service_notice;
mod start;
mod state_files;
mod successor;
mod supervisor;
mod threads;

pub use config_file::{ConfigError, read_config, worker_count};
pub use control_socket::send_receipt;
pub use error::RuntimeError;
pub use gate::run;
pub use options::{ConfigSource, GateOptions};
