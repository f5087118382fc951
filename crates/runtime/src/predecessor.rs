//! The new gate's side of a handover: it takes the place of the gate that runs.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use tracing::{info, warn};

use crate::control_socket::{ControlAnswer, ControlRequest, path_for};
use crate::error::RuntimeError;
use crate::handover_channel::HandoverChannel;
use crate::inheritance::{CarriedState, FromNew, FromRunning, Inheritance, PROTOCOL, unexpected};

/// How long the running gate may take to answer, its control socket being one for all.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take to close the ledger.
const STATE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take to confirm that it has left.
const DONE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer to the first request.
const MAX_ANSWER: usize = 64 * 1024;

/// The gate that runs.
#[derive(Debug)]
pub struct Predecessor(HandoverChannel);

impl Predecessor {
    /// Asks the gate that runs with this ledger, if there is one, for its sockets.
    pub fn find(ledger: &Path) -> Result<Option<(Self, Inheritance)>, RuntimeError> {
        let stream = match UnixStream::connect(path_for(ledger)) {
            Ok(stream) => stream,
            // A gate that was killed leaves the file. Without a socket, its lock on the ledger decides.
            Err(error) => {
                let gone = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
                if !gone.contains(&error.kind()) {
                    warn!(%error, "cannot reach the control socket of a gate that may run");
                }
                return Ok(None);
            }
        };
        if !is_owners(&stream, ledger).map_err(|error| failed(&error))? {
            let other = io::Error::other("another user's process answers on its control socket");
            return Err(failed(&other));
        }
        let (channel, inheritance, version) = ask(stream).map_err(|error| failed(&error))?;
        info!(version, "taking over from the gate that runs");
        Ok(Some((Self(channel), inheritance)))
    }

    /// Lets the running gate close the ledger; returns what is to be continued.
    pub fn close_ledger(&self) -> Result<CarriedState, RuntimeError> {
        let state = || {
            self.0.send(&FromNew::Prepared)?;
            match self.0.receive(STATE_TIMEOUT)? {
                FromRunning::State(state) => Ok(*state),
                other => Err(unexpected(&other)),
            }
        };
        state().map_err(|error| failed(&error))
    }

    /// This gate serves: the other one leaves. Returns the connection by which that one reports what it
    /// counts until it ends.
    ///
    /// A gate that is gone already has left too; only one that says that it continues has not.
    pub fn confirm(self) -> Result<HandoverChannel, RuntimeError> {
        let _ = self.0.send(&FromNew::Ready);
        match self.0.receive(DONE_TIMEOUT) {
            Ok(FromRunning::Done) => Ok(self.0),
            Ok(other) => Err(failed(&unexpected(&other))),
            Err(error) => {
                warn!(%error, "the gate before did not confirm that it leaves");
                Ok(self.0)
            }
        }
    }

    /// This gate cannot start: the other one continues.
    pub fn give_up(&self, reason: &RuntimeError) {
        // It notices the end of the connection as well.
        let _ = self.0.send(&FromNew::Failed(reason.to_string()));
    }
}

fn failed(error: &io::Error) -> RuntimeError {
    RuntimeError::TakeOver(error.to_string())
}

fn ask(stream: UnixStream) -> io::Result<(HandoverChannel, Inheritance, String)> {
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let request = serde_json::to_string(&ControlRequest::TakeOver { protocol: PROTOCOL });
    (&stream).write_all((request.map_err(io::Error::other)? + "\n").as_bytes())?;
    match serde_json::from_str(&read_line(&stream)?) {
        Ok(ControlAnswer::Done) => {}
        Ok(ControlAnswer::Refused(reason)) => return Err(io::Error::other(reason)),
        Err(error) => return Err(io::Error::other(format!("its answer cannot be read: {error}"))),
    }
    let channel = HandoverChannel::new(stream)?;
    let (inheritance, version) = Inheritance::receive(&channel)?;
    Ok((channel, inheritance, version))
}

/// Byte by byte: what comes behind the line may carry descriptors, which a longer read would lose.
fn read_line(mut stream: &UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < MAX_ANSWER {
        stream.read_exact(&mut byte)?;
        if byte == *b"\n" {
            break;
        }
        line.push(byte[0]);
    }
    String::from_utf8(line).map_err(io::Error::other)
}

/// Whether who answers runs as this user, as root or as the owner of the ledger.
#[cfg(target_os = "linux")]
fn is_owners(stream: &UnixStream, ledger: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let peer = rustix::net::sockopt::socket_peercred(stream)?.uid;
    let owner = std::fs::metadata(ledger).map(|facts| facts.uid());
    let is_owner = owner.is_ok_and(|owner| owner == peer.as_raw());
    Ok(peer == rustix::process::geteuid() || peer.is_root() || is_owner)
}

/// Elsewhere the mode of the socket's file decides alone.
#[cfg(not(target_os = "linux"))]
fn is_owners(_: &UnixStream, _: &Path) -> io::Result<bool> {
    Ok(true)
}
