//! The recorder: a thread that writes events to the ledger.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use portcullis_ledger::{Ledger, canonical_json};
use portcullis_model::{Config, Entry, Event, WallTime};
use portcullis_posture::Resume;
use tracing::{error, info, warn};

/// Batches that may wait for the disk. Beyond that events are lost, and the loss is an event.
const QUEUE_BATCHES: usize = 1_024;
/// How long the control loop waits for a batch to be durable. After that it continues: a procedure
/// that waits for a stuck disk protects nothing.
const COMMIT_TIMEOUT: Duration = Duration::from_millis(200);
/// Time between attempts to write.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Entries that are written together.
struct EntryBatch {
    entries: Vec<Entry>,
    committed: SyncSender<()>,
}

/// Sends events to the thread that owns the ledger.
pub struct Recorder {
    batches: Option<SyncSender<EntryBatch>>,
    thread: Option<JoinHandle<()>>,
    gap: Option<(WallTime, u64)>,
}

/// Opens or creates the ledger in `folder`; also returns what an earlier run left to resume.
pub fn open_ledger(folder: &Path, config: &Config, seed: &[u8; 32]) -> Result<(Ledger, Resume)> {
    let ledger = if folder.join("format").exists() {
        Ledger::open(folder)
    } else {
        Ledger::create(folder, &log_origin(config), seed)
    }
    .with_context(|| format!("cannot use the ledger in {}", folder.display()))?;
    let mut resume = Resume::default();
    let reader = Ledger::read(folder)?;
    for entry in reader.entries() {
        let (index, bytes) = entry?;
        match serde_json::from_slice::<Entry>(&bytes) {
            Ok(entry) => resume.learn(&entry.event),
            Err(problem) => warn!(index, %problem, "skipping a ledger entry that cannot be parsed"),
        }
    }
    info!(entries = ledger.size(), key = %ledger.verifier(), "ledger opened");
    Ok((ledger, resume))
}

/// The log's name: a schemeless URL, as checkpoints demand, from the first host name.
fn log_origin(config: &Config) -> String {
    let host = config.platforms.iter().flat_map(|platform| &platform.hosts).find(|h| *h != "*");
    format!("{}/portcullis", host.map_or("localhost", String::as_str))
}

impl Recorder {
    /// Starts the thread that owns `ledger`.
    pub fn start(ledger: Ledger) -> Result<Self> {
        let (batches, queue) = sync_channel(QUEUE_BATCHES);
        let thread = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || write_batches(ledger, &queue))
            .context("cannot start the thread of the recorder")?;
        Ok(Self { batches: Some(batches), thread: Some(thread), gap: None })
    }

    /// Records events, and waits for a limited time until they are durable.
    pub fn record(&mut self, wall: WallTime, events: Vec<Event>) {
        let Some(batches) = &self.batches else { return };
        let mut entries = Vec::with_capacity(events.len() + 1);
        if let Some((since, lost)) = self.gap {
            entries.push(Entry::new(wall, Event::RecordingGap { since, lost }));
        }
        entries.extend(events.into_iter().map(|event| Entry::new(wall, event)));
        let count = entries.len() as u64;
        let (committed, done) = sync_channel(1);
        match batches.try_send(EntryBatch { entries, committed }) {
            Ok(()) => {
                self.gap = None;
                if done.recv_timeout(COMMIT_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
                    warn!("the ledger write is slow: continuing before it completes");
                }
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                let (since, lost) = self.gap.unwrap_or((wall, 0));
                self.gap = Some((since, lost + count));
                error!(lost = lost + count, "the ledger queue is full: events are lost");
            }
        }
    }

    /// Writes queued events and closes the ledger.
    pub fn finish(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the recorder's thread panicked");
        }
    }
}

fn write_batches(mut ledger: Ledger, queue: &Receiver<EntryBatch>) {
    let mut unacknowledged: Vec<SyncSender<()>> = Vec::new();
    let mut gap: Option<(WallTime, u64)> = None;
    loop {
        let wait =
            if unacknowledged.is_empty() { Duration::from_secs(3_600) } else { RETRY_INTERVAL };
        let first = match queue.recv_timeout(wait) {
            Ok(batch) => Some(batch),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        // All queued batches share one write to disk.
        for batch in first.into_iter().chain(queue.try_iter()) {
            for entry in batch.entries {
                stage_entry(&mut ledger, &entry, &mut gap);
            }
            unacknowledged.push(batch.committed);
        }
        match ledger.commit() {
            Ok(_) => {
                for safe in unacknowledged.drain(..) {
                    let _ = safe.try_send(());
                }
            }
            Err(problem) => error!(%problem, "cannot write the ledger; trying again"),
        }
    }
    if let Err(problem) = ledger.commit() {
        error!(%problem, "cannot write the last events");
    }
}

/// Appends one entry, and before it an entry about lost ones.
fn stage_entry(ledger: &mut Ledger, entry: &Entry, gap: &mut Option<(WallTime, u64)>) {
    if let Some((since, lost)) = *gap {
        let gap_entry = Entry::new(entry.at, Event::RecordingGap { since, lost });
        if append_entry(ledger, &gap_entry).is_ok() {
            *gap = None;
        }
    }
    if let Err(problem) = append_entry(ledger, entry) {
        let (since, lost) = gap.unwrap_or((entry.at, 0));
        *gap = Some((since, lost + 1));
        error!(%problem, lost = lost + 1, "cannot append an event: it is lost");
    }
}

fn append_entry(ledger: &mut Ledger, entry: &Entry) -> Result<()> {
    ledger.append(&canonical_json(entry)?)?;
    Ok(())
}
