//! The running gate's side of a handover.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use portcullis_model::Snapshot;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{info, warn};

use crate::control_loop::{ControlHandle, HandoverVerdict, LedgerClosed};
use crate::handover_channel::HandoverChannel;
use crate::inheritance::{FromNew, FromRunning, Inheritance};

/// How long the new gate may take to load certificates and to bind what it does not inherit.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long it may take from the ledger to its first request. Nothing is recorded meanwhile.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// What a gate hands over, until it has.
#[derive(Debug)]
pub struct HandoverDesk {
    inheritance: Mutex<Option<Inheritance>>,
    left: UnboundedSender<Departure>,
}

/// Another process serves.
#[derive(Debug)]
pub struct Departure {
    /// The connection to it.
    pub channel: HandoverChannel,
    /// What the workers had counted when the ledger was closed.
    pub counted: Snapshot,
}

impl HandoverDesk {
    /// Hands over these sockets; `left` gets a message when another process serves.
    pub fn new(inheritance: Inheritance, left: UnboundedSender<Departure>) -> Self {
        Self { inheritance: Mutex::new(Some(inheritance)), left }
    }

    /// Closes the sockets: nothing is handed over any more.
    pub fn close(&self) {
        self.inheritance.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Whether there is something to hand over.
    pub fn is_open(&self) -> bool {
        self.inheritance.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Hands over to the process at the other end, or continues as before.
    pub fn hand_over(&self, channel: &HandoverChannel, control: &ControlHandle, runtime: &Runtime) {
        info!("another process asks to take over");
        match self.try_hand_over(channel, control, runtime) {
            Ok(()) => info!("another process serves: this one drains"),
            Err(reason) => {
                warn!(%reason, "the other process did not take over: this one continues");
                // It may be gone.
                let _ = channel.send(&FromRunning::Refused(reason.to_string()));
            }
        }
    }

    fn try_hand_over(
        &self,
        channel: &HandoverChannel,
        control: &ControlHandle,
        runtime: &Runtime,
    ) -> io::Result<()> {
        let sockets = {
            let inheritance = self.inheritance.lock().unwrap_or_else(PoisonError::into_inner);
            let sockets = inheritance.as_ref().map(Inheritance::try_clone);
            sockets.unwrap_or_else(|| Err(io::Error::other("this gate stops")))?
        };
        sockets.send(channel)?;
        expect(channel, PREPARE_TIMEOUT, |message| matches!(message, FromNew::Prepared))?;
        // From here on the control loop waits for the verdict, or for its sender to be dropped.
        let handover = runtime.block_on(control.hand_over()).map_err(io::Error::other)?;
        let LedgerClosed { state, counted, verdict } = handover;
        channel.send(&FromRunning::State(Box::new(state)))?;
        expect(channel, READY_TIMEOUT, |message| matches!(message, FromNew::Ready))?;
        self.close();
        // Without it the new gate serves all the same.
        let _ = channel.send(&FromRunning::Done);
        // Before the verdict, so that the end of the control loop is not taken for a failure.
        let channel = channel.try_clone()?;
        let _ = self.left.send(Departure { channel, counted });
        let _ = verdict.send(HandoverVerdict::Taken);
        Ok(())
    }
}

fn expect(
    channel: &HandoverChannel,
    limit: Duration,
    is_due: impl Fn(&FromNew) -> bool,
) -> io::Result<()> {
    match channel.receive::<FromNew>(limit) {
        Ok(message) if is_due(&message) => Ok(()),
        Ok(FromNew::Failed(reason)) => Err(io::Error::other(reason)),
        Ok(_) => Err(io::Error::other("it sent a message that was not due")),
        Err(error) => Err(io::Error::other(format!("it ended, or was not ready in time: {error}"))),
    }
}
