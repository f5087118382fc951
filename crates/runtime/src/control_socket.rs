//! A Unix socket next to the ledger, by which this program's other verbs reach the running gate.
//!
//! One request per connection: a line of JSON, answered by a line of JSON. Only the user that runs the
//! gate, and root, are answered. A second gate that takes over continues by `handover_channel.rs`.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portcullis_model::Receipt;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::control_loop::ControlHandle;
use crate::handover_channel::HandoverChannel;
use crate::inheritance::PROTOCOL;
use crate::state_files::path_next_to;
use crate::successor::HandoverDesk;

/// The longest request and answer.
const MAX_LINE: u64 = 64 * 1024;
/// How long a client may take.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);

/// A request to the running gate.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ControlRequest {
    /// Record that a recipient was notified.
    Receipt(Receipt),
    /// Hand over to the process that asks.
    TakeOver {
        /// The version of the messages that follow.
        protocol: u32,
    },
}

/// The gate's answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ControlAnswer {
    /// It was done.
    Done,
    /// It was refused, for this reason.
    Refused(String),
}

/// `LEDGER.socket`.
pub fn path_for(ledger: &Path) -> PathBuf {
    path_next_to(ledger, "socket")
}

/// Asks the gate that writes this ledger to record a receipt. The error is a sentence.
pub fn send_receipt(ledger: &Path, receipt: Receipt) -> Result<(), String> {
    let path = path_for(ledger);
    let unreachable = |error: std::io::Error| {
        format!("the gate cannot be reached by {}: {error}", path.display())
    };
    let mut stream = UnixStream::connect(&path).map_err(unreachable)?;
    stream.set_read_timeout(Some(CLIENT_TIMEOUT * 3)).map_err(unreachable)?;
    let request = serde_json::to_string(&ControlRequest::Receipt(receipt));
    let request = request.map_err(|error| error.to_string())? + "\n";
    stream.write_all(request.as_bytes()).map_err(unreachable)?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_LINE)).read_line(&mut line).map_err(unreachable)?;
    match serde_json::from_str(&line) {
        Ok(ControlAnswer::Done) => Ok(()),
        Ok(ControlAnswer::Refused(reason)) => Err(reason),
        Err(error) => Err(format!("the gate's answer cannot be read: {error}")),
    }
}

/// The socket, bound and closed to other users; its file is removed with it.
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Binds the socket of the gate with this ledger, whose lock the caller holds: a file that is left
    /// belongs to no running gate. `None`, with a warning, where it cannot be made.
    pub fn bind(ledger: &Path) -> Option<Self> {
        let path = path_for(ledger);
        let _ = std::fs::remove_file(&path);
        let bound = UnixListener::bind(&path).and_then(|listener| {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))?;
            Ok(listener)
        });
        match bound {
            Ok(listener) => Some(Self { listener, path }),
            Err(problem) => {
                let path = path.display();
                warn!(%path, %problem, "no control socket: commands cannot reach the gate");
                None
            }
        }
    }

    /// Answers requests, one at a time, on a thread that ends with the process.
    pub fn serve(self, control: ControlHandle, desk: Arc<HandoverDesk>) -> std::io::Result<()> {
        let name = "control-socket".to_owned();
        std::thread::Builder::new().name(name).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            for stream in self.listener.incoming().flatten() {
                // A client that breaks off has no answer to get.
                let _ = answer(stream, &control, &desk, &runtime);
            }
        })?;
        Ok(())
    }

    /// The path of its file, to be removed at the end.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether the client runs as the gate's user or as root. The mode of the socket's file says the same.
#[cfg(target_os = "linux")]
fn is_allowed(stream: &UnixStream) -> std::io::Result<bool> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?.uid;
    Ok(peer == rustix::process::geteuid() || peer.is_root())
}

/// Elsewhere the mode of the socket's file decides alone.
#[cfg(not(target_os = "linux"))]
fn is_allowed(_: &UnixStream) -> std::io::Result<bool> {
    Ok(true)
}

fn answer(
    stream: UnixStream,
    control: &ControlHandle,
    desk: &HandoverDesk,
    runtime: &tokio::runtime::Runtime,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    stream.set_write_timeout(Some(CLIENT_TIMEOUT))?;
    let mut hands_over = false;
    let answer = if is_allowed(&stream)? {
        let mut line = String::new();
        BufReader::new((&stream).take(MAX_LINE)).read_line(&mut line)?;
        match serde_json::from_str(&line) {
            Ok(ControlRequest::Receipt(receipt)) => {
                match runtime.block_on(control.receipt(receipt)) {
                    Ok(()) => ControlAnswer::Done,
                    Err(error) => ControlAnswer::Refused(error.to_string()),
                }
            }
            Ok(ControlRequest::TakeOver { protocol }) => match refuse_handover(protocol, desk) {
                Some(reason) => ControlAnswer::Refused(reason),
                None => {
                    hands_over = true;
                    ControlAnswer::Done
                }
            },
            Err(error) => ControlAnswer::Refused(format!("the request cannot be read: {error}")),
        }
    } else {
        let user = "only the user that runs the gate, and root, may send it commands";
        ControlAnswer::Refused(user.to_owned())
    };
    let line = serde_json::to_string(&answer).map_err(std::io::Error::other)? + "\n";
    (&stream).write_all(line.as_bytes())?;
    if hands_over {
        desk.hand_over(&HandoverChannel::new(stream)?, control, runtime);
    }
    Ok(())
}

/// Why this gate cannot hand over to one that uses this version; `None` if it can.
fn refuse_handover(protocol: u32, desk: &HandoverDesk) -> Option<String> {
    if protocol != PROTOCOL {
        return Some(format!("it hands over by version {PROTOCOL} of the messages only"));
    }
    (!desk.is_open()).then(|| "it has handed over already, or stops".to_owned())
}
