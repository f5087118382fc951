//! The recorder: a thread that writes events to the ledger.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use portcullis_admin::GateThread;
use portcullis_ledger::{CanonicalError, Error as LedgerError, Ledger, canonical_json};
use portcullis_model::{Config, Entry, Event, WallTime};
use portcullis_posture::Resume;
use tracing::{error, info, warn};

use crate::error::RuntimeError;
use crate::threads::{ExitSender, spawn_reporting};

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

/// Opens or creates the ledger of `config`; also returns what an earlier run left to resume.
pub fn open_ledger(config: &Config, seed: &[u8; 32]) -> Result<(Ledger, Resume), RuntimeError> {
    let folder = &config.ledger;
    let error = |source| RuntimeError::Ledger { folder: folder.clone(), source };
    let ledger = if folder.join("format").exists() {
        Ledger::open(folder)
    } else {
        Ledger::create(folder, &log_origin(config), seed)
    }
    .map_err(error)?;
    let mut resume = Resume::default();
    let reader = Ledger::read(folder).map_err(error)?;
    for entry in reader.entries() {
        let (index, bytes) = entry.map_err(error)?;
        match serde_json::from_slice::<Entry>(&bytes) {
            Ok(entry) => resume.learn(&entry.event),
            Err(problem) => warn!(index, %problem, "skipping a ledger entry that cannot be parsed"),
        }
    }
    info!(entries = ledger.size(), key = %ledger.verifier(), "ledger opened");
    if resume.procedures > 0 {
        info!(procedures = resume.procedures, "resuming procedure numbering");
    }
    Ok((ledger, resume))
}

/// The log's name: a schemeless URL, as checkpoints demand, from the first host name.
fn log_origin(config: &Config) -> String {
    let host = config.platforms.iter().flat_map(|platform| &platform.hosts).find(|h| *h != "*");
    format!("{}/portcullis", host.map_or("localhost", String::as_str))
}

impl Recorder {
    /// Starts the thread that owns `ledger`; it reports its end to `exits`.
    pub fn start(ledger: Ledger, exits: ExitSender) -> Result<Self, RuntimeError> {
        let (batches, queue) = sync_channel(QUEUE_BATCHES);
        let name = "recorder".to_owned();
        let thread = spawn_reporting(GateThread::Recorder, name.clone(), exits, move || {
            write_batches(ledger, &queue);
            Ok(())
        })
        .map_err(|source| RuntimeError::Thread { name, source })?;
        Ok(Self { batches: Some(batches), thread: Some(thread), gap: None })
    }

    /// Records events, and waits for a limited time until they are durable.
    pub fn record(&mut self, wall: WallTime, events: Vec<Event>) {
        let Some(batches) = &self.batches else { return };
        let count = events.len() as u64;
        let mut entries = Vec::with_capacity(events.len() + 1);
        if let Some((since, lost)) = self.gap {
            entries.push(Entry::new(wall, Event::RecordingGap { since, lost }));
        }
        entries.extend(events.into_iter().map(|event| Entry::new(wall, event)));
        let (committed, done) = sync_channel(1);
        match batches.try_send(EntryBatch { entries, committed }) {
            Ok(()) => {
                self.gap = None;
                if done.recv_timeout(COMMIT_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
                    warn!("the ledger write is slow: continuing before it completes");
                }
            }
            Err(refused) => {
                let (since, lost) = self.gap.unwrap_or((wall, 0));
                let lost = lost + count;
                self.gap = Some((since, lost));
                match refused {
                    TrySendError::Full(_) => {
                        error!(lost, "the ledger queue is full: events are lost");
                    }
                    TrySendError::Disconnected(_) => {
                        error!(lost, "the recorder has ended: events are lost");
                    }
                }
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

/// Why an entry cannot be appended.
#[derive(Debug, thiserror::Error)]
enum AppendError {
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

fn append_entry(ledger: &mut Ledger, entry: &Entry) -> Result<(), AppendError> {
    ledger.append(&canonical_json(entry)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use portcullis_model::OriginConfig;
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::threads::ExitCause;

    fn config(folder: &Path) -> Config {
        let origin = OriginConfig::new("127.0.0.1".into(), 80);
        let mut config = Config::for_origin(([127, 0, 0, 1], 8080).into(), origin);
        config.ledger = folder.join("ledger");
        config
    }

    fn events(config: &Config) -> Vec<Event> {
        let reader = Ledger::read(&config.ledger).unwrap();
        let entries = reader.entries().map(|entry| entry.unwrap().1);
        entries.map(|bytes| serde_json::from_slice::<Entry>(&bytes).unwrap().event).collect()
    }

    #[test]
    fn a_recorded_event_is_durable_and_the_end_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let (exits, mut ended) = unbounded_channel();
        let (ledger, resume) = open_ledger(&config, &[1; 32]).unwrap();
        assert_eq!(resume, Resume::default());
        let mut recorder = Recorder::start(ledger, exits).unwrap();
        recorder.record(WallTime(1_000), vec![Event::ReloadRefused { problems: 2 }]);
        assert_eq!(events(&config), [Event::ReloadRefused { problems: 2 }]);
        recorder.record(WallTime(2_000), vec![Event::Stopped]);
        recorder.finish();
        assert_eq!(events(&config), [Event::ReloadRefused { problems: 2 }, Event::Stopped]);
        let exit = ended.try_recv().unwrap();
        assert_eq!((exit.thread, exit.cause), (GateThread::Recorder, ExitCause::Returned));
    }

    #[test]
    fn lost_events_are_counted_and_the_loss_is_recorded_first() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let (ledger, _) = open_ledger(&config, &[1; 32]).unwrap();
        // A full queue is treated like a disk that does not keep up.
        let (batches, queue) = sync_channel(0);
        let mut recorder = Recorder { batches: Some(batches), thread: None, gap: None };
        recorder.record(WallTime(1_000), vec![Event::Stopped, Event::Stopped]);
        recorder.record(WallTime(2_000), vec![Event::Stopped]);
        drop(queue);
        let (since, lost) = recorder.gap.unwrap();
        assert_eq!(since, WallTime(1_000));
        let (exits, _ended) = unbounded_channel();
        let mut recorder =
            Recorder { gap: recorder.gap, ..Recorder::start(ledger, exits).unwrap() };
        recorder.record(WallTime(3_000), vec![Event::Stopped]);
        recorder.finish();
        assert_eq!(lost, 3);
        assert_eq!(events(&config), [Event::RecordingGap { since, lost }, Event::Stopped]);
    }

    #[test]
    fn a_ledger_that_another_process_holds_is_an_error_with_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let (_ledger, _) = open_ledger(&config, &[1; 32]).unwrap();
        let error = open_ledger(&config, &[2; 32]).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("ledger"), "{error}");
    }
}
