//! What the gate before counts while it drains: its requests belong into this gate's tallies.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_model::{Gauges, Snapshot};

use crate::handover_channel::HandoverChannel;
use crate::inheritance::FromRunning;

/// A gate that says nothing for so long has ended. It reports several times a second.
const SILENCE: Duration = Duration::from_secs(30);

/// The counts of the gate before, since it closed the ledger. Its ids of activities are this gate's.
#[derive(Debug, Default)]
pub struct PredecessorCounts {
    counted: ArcSwap<Snapshot>,
    reports: AtomicBool,
}

impl PredecessorCounts {
    /// What it has counted so far.
    pub fn counted(&self) -> Arc<Snapshot> {
        self.counted.load_full()
    }

    /// Whether it still drains.
    pub fn reports(&self) -> bool {
        self.reports.load(Relaxed)
    }

    /// Takes its reports, on a thread that ends with it.
    pub fn follow(self: &Arc<Self>, channel: HandoverChannel) -> io::Result<()> {
        let counts = Arc::clone(self);
        counts.reports.store(true, Relaxed);
        let name = "predecessor".to_owned();
        std::thread::Builder::new().name(name).spawn(move || {
            while let Ok(FromRunning::Counted(counted)) = channel.receive(SILENCE) {
                counts.counted.store(Arc::from(counted));
            }
            counts.end();
        })?;
        Ok(())
    }

    /// It has no connections any more; what it counted stays.
    fn end(&self) {
        let counted = Snapshot { gauges: Gauges::default(), ..Snapshot::clone(&self.counted()) };
        self.counted.store(Arc::new(counted));
        self.reports.store(false, Relaxed);
    }
}
