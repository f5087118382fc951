//! Every open visitor connection of one worker.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use portcullis_model::{Cut, Limits, SourceKey, Time};

use super::connection::{ConnSlot, Connection, Phase};
use super::idle_eviction::IdleLru;
use crate::context::WorkerContext;

/// Every open visitor connection of one worker.
pub(crate) struct ConnRegistry {
    slots: RefCell<Vec<Option<Rc<Connection>>>>,
    free: RefCell<Vec<usize>>,
    open: Cell<u64>,
    /// Connections of all workers together.
    open_in_all: Arc<AtomicU64>,
    idle: Rc<RefCell<IdleLru>>,
}

/// How many idle connections are looked at to find one that can give way.
const CANDIDATES: usize = 8;

impl ConnRegistry {
    /// `open_in_all` counts the connections of all workers.
    pub(crate) fn new(open_in_all: Arc<AtomicU64>) -> Self {
        Self {
            slots: RefCell::default(),
            free: RefCell::default(),
            open: Cell::new(0),
            open_in_all,
            idle: Rc::default(),
        }
    }

    /// Counts one more connection of all workers; where all places are taken, one that is idle ends
    /// for it. `false`: there is no place.
    pub(crate) fn reserve(&self, most: u32, now: Time) -> bool {
        let reserved =
            self.open_in_all.fetch_add(1, Relaxed) < u64::from(most) || self.evict_idle(now);
        if !reserved {
            self.open_in_all.fetch_sub(1, Relaxed);
        }
        reserved
    }

    /// Adds a connection for which a place was reserved; it is counted until the guard is dropped.
    pub(crate) fn enter(self: &Rc<Self>, conn: &Rc<Connection>) -> ConnGuard {
        let mut slots = self.slots.borrow_mut();
        let place = if let Some(place) = self.free.borrow_mut().pop() {
            slots[place] = Some(conn.clone());
            place
        } else {
            slots.push(Some(conn.clone()));
            slots.len() - 1
        };
        // Fewer than 2^21.
        conn.set_slot(ConnSlot { index: place as u32, idle: self.idle.clone() });
        self.set_open(&conn.context, self.open.get() + 1);
        ConnGuard {
            registry: self.clone(),
            context: conn.context.clone(),
            index: place,
            source: Cell::new(None),
        }
    }

    /// Open connections of this worker.
    pub(crate) fn open(&self) -> u64 {
        self.open.get()
    }

    /// Open connections of all workers together.
    pub(crate) fn open_in_all(&self) -> u64 {
        self.open_in_all.load(Relaxed)
    }

    /// Ends the connection that has been idle for longest; `false` if there is none that can be
    /// ended. Checks a few at most.
    pub(crate) fn evict_idle(&self, now: Time) -> bool {
        let slots = self.slots.borrow();
        let mut line = self.idle.borrow_mut();
        for _ in 0..CANDIDATES {
            let Some(place) = line.oldest() else { return false };
            line.remove(place);
            let Some(conn) = slots.get(place as usize).and_then(Option::as_ref) else { continue };
            if conn.is_evictable(now) {
                conn.abort_with(Cut::Evicted);
                return true;
            }
            if !conn.is_cut() {
                line.push(place);
            }
        }
        false
    }

    fn set_open(&self, context: &WorkerContext, open: u64) {
        self.open.set(open);
        context.meter.set_connections(open);
    }

    /// Asks every connection to end after what it is answering.
    pub(crate) fn drain(&self) {
        for conn in self.slots.borrow().iter().flatten() {
            conn.drain();
        }
    }

    /// Asks every visitor to connect again.
    pub(crate) fn ask_to_reconnect(&self) {
        for conn in self.slots.borrow().iter().flatten() {
            conn.ask_to_reconnect();
        }
    }

    /// Ends every upgraded connection.
    pub(crate) fn cut_tunnels(&self) {
        for conn in self.slots.borrow().iter().flatten() {
            if conn.phase() == Phase::Tunnel {
                conn.cut();
            }
        }
    }

    /// Cuts what is over a deadline; returns how many connections are stalled in a header.
    pub(crate) fn check(
        &self,
        limits: &Limits,
        idle: Duration,
        header_deadline: Duration,
        now: Time,
    ) -> u64 {
        let slots = self.slots.borrow();
        let stalled =
            slots.iter().flatten().filter(|conn| conn.check(limits, idle, header_deadline, now));
        stalled.count() as u64
    }
}

/// RAII registration of a connection; decrements the counters on drop.
pub(crate) struct ConnGuard {
    registry: Rc<ConnRegistry>,
    context: Rc<WorkerContext>,
    index: usize,
    /// The source it is counted under, if it is.
    source: Cell<Option<SourceKey>>,
}

impl ConnGuard {
    /// The connection is counted in the tables under this source and its network from now on.
    pub(crate) fn set_source(&self, source: SourceKey) {
        self.source.set(Some(source));
    }
}

impl Drop for ConnGuard {
    fn drop(&mut self) {
        let registry = &self.registry;
        registry.idle.borrow_mut().remove(self.index as u32);
        registry.slots.borrow_mut()[self.index] = None;
        registry.free.borrow_mut().push(self.index);
        registry.set_open(&self.context, registry.open.get() - 1);
        registry.open_in_all.fetch_sub(1, Relaxed);
        if let Some(source) = self.source.get() {
            self.context.tables.close_connection(source);
            self.context.tables.close_in_network(source);
        }
    }
}
