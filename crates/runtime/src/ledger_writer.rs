//! The thread that owns the ledger: writes batches of entries, and notices when the ledger's folder
//! is removed.

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use portcullis_edge::Clock;
use portcullis_ledger::{CanonicalError, Error as LedgerError, Ledger, canonical_json};
use portcullis_model::{Entry, Event, Time, WallTime};
use portcullis_posture::Resume;
use tracing::{error, warn};

use crate::last_seen::{self, LastSeen};
use crate::state_files::path_next_to;

/// How often the folder is looked at while nothing is written.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Time between attempts to write.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How often the last seen state is saved.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);
/// Names that are tried for a new ledger where something else is in its folder.
const MAX_NAMES: u32 = 99;

/// Entries that are written together.
pub struct EntryBatch {
    /// In their order.
    pub entries: Vec<Entry>,
    /// Gets a message once they are durable.
    pub committed: SyncSender<()>,
}

/// The ledger and what is known of it.
pub struct LedgerWriter {
    ledger: Ledger,
    folder: PathBuf,
    log_name: String,
    clock: Clock,
    resume: Resume,
    /// The last `started` or `reloaded`, for a ledger that begins later.
    facts: RecordedGate,
    last_seen_path: PathBuf,
    saved_at: Option<Time>,
    gap: Option<(WallTime, u64)>,
    unacknowledged: Vec<SyncSender<()>>,
}

/// What is protected, and by which configuration.
#[derive(Clone, Debug, Default)]
struct RecordedGate {
    version: String,
    configuration: String,
    platforms: Vec<portcullis_model::PlatformFacts>,
    rehearsal: bool,
}

impl LedgerWriter {
    /// Writes to `ledger`, which is in `folder` and has `resume` in its leaves. `log_name` names a new
    /// log, should this one be removed.
    pub fn new(
        ledger: Ledger,
        folder: PathBuf,
        log_name: String,
        resume: Resume,
        clock: Clock,
    ) -> Self {
        Self {
            last_seen_path: last_seen::path_for(&folder),
            ledger,
            folder,
            log_name,
            clock,
            resume,
            facts: RecordedGate::default(),
            saved_at: None,
            gap: None,
            unacknowledged: Vec::new(),
        }
    }

    /// Writes batches until no sender is left.
    pub fn run(mut self, queue: &Receiver<EntryBatch>) {
        loop {
            let wait = if self.unacknowledged.is_empty() { CHECK_INTERVAL } else { RETRY_INTERVAL };
            let first = match queue.recv_timeout(wait) {
                Ok(batch) => Some(batch),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            self.replace_removed();
            // All queued batches share one write to disk.
            for batch in first.into_iter().chain(queue.try_iter()) {
                batch.entries.iter().for_each(|entry| self.stage(entry));
                self.unacknowledged.push(batch.committed);
            }
            self.commit();
        }
        self.saved_at = None;
        self.commit();
    }

    fn commit(&mut self) {
        match self.ledger.commit() {
            Ok(_) => {
                for committed in self.unacknowledged.drain(..) {
                    let _ = committed.try_send(());
                }
                self.save_last_seen();
            }
            Err(problem) => error!(%problem, "cannot write the ledger; trying again"),
        }
    }

    fn save_last_seen(&mut self) {
        let now = self.clock.now();
        if self.saved_at.is_some_and(|at| now.since(at) < SAVE_INTERVAL) {
            return;
        }
        self.saved_at = Some(now);
        let seen = LastSeen::of(&self.ledger, &self.resume);
        if let Err(problem) = seen.save(&self.last_seen_path, &self.ledger) {
            let path = self.last_seen_path.display();
            warn!(%path, problem, "cannot save what was last seen of the ledger");
        }
    }

    /// Appends one entry, and before it an entry about lost ones.
    fn stage(&mut self, entry: &Entry) {
        self.learn(&entry.event);
        if let Some((since, lost)) = self.gap {
            let gap = Entry::new(entry.at, Event::RecordingGap { since, lost });
            if append(&mut self.ledger, &gap).is_ok() {
                self.gap = None;
            }
        }
        if let Err(problem) = append(&mut self.ledger, entry) {
            let (since, lost) = self.gap.unwrap_or((entry.at, 0));
            self.gap = Some((since, lost + 1));
            error!(%problem, lost = lost + 1, "cannot append an event: it is lost");
        }
    }

    fn learn(&mut self, event: &Event) {
        self.resume.learn(event);
        match event {
            Event::Started { version, configuration, platforms, rehearsal, .. }
            | Event::TakenOver { version, configuration, platforms, rehearsal, .. } => {
                self.facts = RecordedGate {
                    version: version.clone(),
                    configuration: configuration.clone(),
                    platforms: platforms.clone(),
                    rehearsal: *rehearsal,
                };
            }
            Event::Reloaded { configuration, platforms } => {
                self.facts.configuration.clone_from(configuration);
                self.facts.platforms.clone_from(platforms);
            }
            _ => {}
        }
    }

    /// Begins a new ledger if the folder of this one was removed or replaced. Entries that were not
    /// durable go to the new one.
    fn replace_removed(&mut self) {
        if self.ledger.disk().is_intact() {
            return;
        }
        error!(folder = %self.folder.display(), "the ledger was removed");
        match self.begin_ledger() {
            Ok((ledger, folder)) => self.continue_with(ledger, &folder),
            Err(problem) => {
                error!(%problem, "cannot begin a new ledger; events are lost until it can be written");
            }
        }
    }

    /// A new ledger in the folder of the old one, or in one next to it if that is not empty.
    fn begin_ledger(&self) -> Result<(Ledger, PathBuf), LedgerError> {
        let mut seed = [0; 32];
        if let Err(problem) = getrandom::fill(&mut seed) {
            let source = std::io::Error::other(problem.to_string());
            let file = "key".to_owned();
            return Err(LedgerError::Io { doing: "draw", file, source });
        }
        let next = (2..=MAX_NAMES).map(|number| path_next_to(&self.folder, &number.to_string()));
        let mut refused = None;
        for folder in std::iter::once(self.folder.clone()).chain(next) {
            match Ledger::create(&folder, &self.log_name, &seed) {
                Ok(ledger) => return Ok((ledger, folder)),
                Err(error @ (LedgerError::AlreadyThere { .. } | LedgerError::InUse { .. })) => {
                    refused = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or(LedgerError::Changing))
    }

    fn continue_with(&mut self, ledger: Ledger, folder: &Path) {
        let before = last_seen::head_of(&self.ledger);
        let old = mem::replace(&mut self.ledger, ledger);
        let RecordedGate { version, configuration, platforms, rehearsal } = self.facts.clone();
        let leaves = before.size;
        let event = Event::LedgerReplaced { before, version, configuration, platforms, rehearsal };
        self.stage(&Entry::new(self.clock.wall(), event));
        for entry in old.into_staged() {
            if let Err(problem) = self.ledger.append(&entry) {
                error!(%problem, "cannot append an event: it is lost");
            }
        }
        self.saved_at = None;
        let key = self.ledger.verifier().to_string();
        error!(folder = %folder.display(), key, leaves, "a new ledger was begun");
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

fn append(ledger: &mut Ledger, entry: &Entry) -> Result<(), AppendError> {
    ledger.append(&canonical_json(entry)?)?;
    Ok(())
}
