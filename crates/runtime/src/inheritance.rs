//! What a gate passes to the one that takes over from it, and the messages by which it does.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use portcullis_edge::{ListenerSockets, QuicRoute, SocketSet};
use portcullis_model::{Snapshot, Time, WallTime};
use serde::{Deserialize, Serialize};

use crate::handover_channel::HandoverChannel;

/// The version of the messages. Gates of different versions do not take over from each other.
pub const PROTOCOL: u32 = 1;
/// How long one side waits for what the other has announced.
const OFFER_TIMEOUT: Duration = Duration::from_secs(10);

/// What the running gate says to the new one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromRunning {
    /// These sockets; their descriptors follow.
    Offer(Offer),
    /// The ledger is closed, and this is to be continued.
    State(Box<CarriedState>),
    /// The new gate is the one that serves.
    Done,
    /// The running gate continues, for this reason.
    Refused(String),
    /// What the gate that leaves has counted since it closed the ledger, again and again until it ends.
    Counted(Box<Snapshot>),
}

/// What the new gate says to the running one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromNew {
    /// Everything is ready that needs no ledger.
    Prepared,
    /// It serves.
    Ready,
    /// It fails, for this reason.
    Failed(String),
}

/// Sockets, in the order of their descriptors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The running gate's version.
    version: String,
    /// Each listener's address, its number of listening sockets and of UDP sockets.
    listeners: Vec<(SocketAddr, usize, usize)>,
    /// Keys of endpoints that packets are forwarded to.
    routes: Vec<u64>,
    /// The admin listener.
    admin: SocketAddr,
}

/// What the new gate continues.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedState {
    /// The running gate's monotonic clock, which the new one continues: deadlines keep their meaning.
    pub now: Time,
    /// When the last tallies ended.
    pub tallied_until: WallTime,
    /// The control's state. Read by the version that understands it.
    pub control: serde_json::Value,
}

/// The sockets of a gate.
#[derive(Debug)]
pub struct Inheritance {
    /// Those of visitors.
    pub sockets: SocketSet,
    /// The admin listener's, with its address in the configuration.
    pub admin: (SocketAddr, OwnedFd),
}

impl Inheritance {
    /// The same sockets once more; without routes to endpoints that have ended.
    pub fn try_clone(&self) -> io::Result<Self> {
        let (address, admin) = &self.admin;
        Ok(Self { sockets: self.sockets.try_clone()?, admin: (*address, admin.try_clone()?) })
    }

    /// Sends all sockets; they stay open here.
    pub fn send(&self, channel: &HandoverChannel) -> io::Result<()> {
        let sockets = &self.sockets;
        let listeners = sockets.listeners.iter();
        channel.send(&FromRunning::Offer(Offer {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listeners: listeners.map(|l| (l.address, l.tcp.len(), l.quic.len())).collect(),
            routes: sockets.routes.iter().map(|route| route.key).collect(),
            admin: self.admin.0,
        }))?;
        let mut descriptors = Vec::new();
        for listener in &sockets.listeners {
            descriptors.extend(listener.tcp.iter().chain(&listener.quic).map(AsFd::as_fd));
        }
        descriptors.extend(sockets.routes.iter().map(|route| route.socket.as_fd()));
        descriptors.push(self.admin.1.as_fd());
        channel.send_descriptors(&descriptors)
    }

    /// Receives what [`Self::send`] sent.
    pub fn receive(channel: &HandoverChannel) -> io::Result<(Self, String)> {
        let offer = match channel.receive(OFFER_TIMEOUT)? {
            FromRunning::Offer(offer) => offer,
            other => return Err(unexpected(&other)),
        };
        let sockets = offer.listeners.iter().map(|(_, tcp, quic)| tcp + quic).sum::<usize>();
        let count = sockets + offer.routes.len() + 1;
        let mut descriptors = channel.receive_descriptors(count, OFFER_TIMEOUT)?.into_iter();
        let mut take = |count: usize| descriptors.by_ref().take(count).collect::<Vec<_>>();
        let listeners = offer.listeners.into_iter();
        let listeners = listeners.map(|(address, tcp, quic)| {
            let (tcp, quic) = (take(tcp), take(quic));
            ListenerSockets { address, tcp, quic }
        });
        let listeners = listeners.collect();
        let routes = offer.routes.into_iter().zip(take(count - sockets - 1));
        let routes = routes
            .map(|(key, socket)| QuicRoute { key, socket: Arc::new(UnixDatagram::from(socket)) });
        let routes = routes.collect();
        let admin = descriptors.next().ok_or_else(|| io::Error::other("no admin listener"))?;
        let sockets = SocketSet { listeners, routes };
        Ok((Self { sockets, admin: (offer.admin, admin) }, offer.version))
    }
}

/// The error for a message out of turn. A refusal is its own text.
pub fn unexpected(message: &FromRunning) -> io::Error {
    match message {
        FromRunning::Refused(reason) => io::Error::other(reason.clone()),
        FromRunning::Offer(_)
        | FromRunning::State(_)
        | FromRunning::Done
        | FromRunning::Counted(_) => io::Error::other("it sent a message that was not due"),
    }
}
