//! The recorder: a bounded queue of events to the thread that writes the ledger.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portcullis_admin::GateThread;
use portcullis_model::{Entry, Event, WallTime};
use tracing::{error, warn};

use crate::error::RuntimeError;
use crate::ledger_writer::{EntryBatch, LedgerWriter};
use crate::threads::{ExitSender, spawn_reporting};

/// Batches that may wait for the disk. Beyond that events are lost, and the loss is an event.
const QUEUE_BATCHES: usize = 1_024;
/// How long the control loop waits for a batch to be durable before a procedure engages. After that it
/// continues: a procedure that waits for a stuck disk protects nothing.
const COMMIT_TIMEOUT: Duration = Duration::from_millis(200);
/// How long the stop waits for the last events to be written.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether events must be durable before their effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// They announce something: wait for the disk, for a limited time.
    BeforeEffect,
    /// They may be written later.
    Later,
}

/// Sends events to the thread that owns the ledger.
pub struct Recorder {
    batches: Option<SyncSender<EntryBatch>>,
    thread: Option<JoinHandle<()>>,
    /// Batches that are not durable yet, oldest first: the disk is behind while there is one.
    outstanding: Vec<Receiver<()>>,
    gap: Option<(WallTime, u64)>,
}

impl Recorder {
    /// Starts the thread of `writer`; it reports its end to `exits`.
    pub fn start(writer: LedgerWriter, exits: ExitSender) -> Result<Self, RuntimeError> {
        let (batches, queue) = sync_channel(QUEUE_BATCHES);
        let name = "recorder".to_owned();
        let thread = spawn_reporting(GateThread::Recorder, name.clone(), exits, move || {
            writer.run(&queue);
            Ok(())
        })
        .map_err(|source| RuntimeError::Thread { name, source })?;
        Ok(Self {
            batches: Some(batches),
            thread: Some(thread),
            outstanding: Vec::new(),
            gap: None,
        })
    }

    /// Records events. Waits for the disk only before an effect, and only while it keeps up: a full or
    /// stuck disk costs one wait.
    pub fn record(&mut self, wall: WallTime, events: Vec<Event>, urgency: Urgency) {
        let count = events.len() as u64;
        let Some(batches) = &self.batches else { return self.lose(wall, count) };
        let mut entries = Vec::with_capacity(events.len() + 1);
        if let Some((since, lost)) = self.gap {
            entries.push(Entry::new(wall, Event::RecordingGap { since, lost }));
        }
        entries.extend(events.into_iter().map(|event| Entry::new(wall, event)));
        let (committed, done) = sync_channel(1);
        match batches.try_send(EntryBatch { entries, committed }) {
            Ok(()) => {
                self.gap = None;
                self.await_commit(done, urgency);
            }
            Err(refused) => {
                match refused {
                    TrySendError::Full(_) => {
                        error!(count, "the ledger queue is full: events are lost");
                    }
                    TrySendError::Disconnected(_) => {
                        error!(count, "the recorder has ended: events are lost");
                    }
                }
                self.lose(wall, count);
            }
        }
    }

    /// Counts lost events, so that the ledger says it later.
    fn lose(&mut self, wall: WallTime, count: u64) {
        let (since, lost) = self.gap.unwrap_or((wall, 0));
        self.gap = Some((since, lost + count));
    }

    /// Whether the ledger was closed: [`Self::finish`] was called.
    pub const fn is_closed(&self) -> bool {
        self.batches.is_none()
    }

    /// Continues with another recorder; events that were lost in between are counted there.
    pub fn continue_with(&mut self, next: Self) {
        *self = Self { gap: self.gap, ..next };
    }

    fn await_commit(&mut self, done: Receiver<()>, urgency: Urgency) {
        self.outstanding.retain(|batch| batch.try_recv() == Err(TryRecvError::Empty));
        let was_behind = !self.outstanding.is_empty();
        let waits = urgency == Urgency::BeforeEffect && !was_behind;
        let limit = if waits { COMMIT_TIMEOUT } else { Duration::ZERO };
        if done.recv_timeout(limit).is_ok() {
            return;
        }
        if waits {
            warn!("the ledger write is slow: continuing before it completes");
        }
        self.outstanding.push(done);
        // The newest of those that wait says whether the disk has caught up.
        if self.outstanding.len() > QUEUE_BATCHES {
            self.outstanding.remove(0);
        }
    }

    /// Writes queued events and closes the ledger, for a limited time.
    pub fn finish(&mut self) {
        self.batches = None;
        let Some(thread) = self.thread.take() else { return };
        let began = Instant::now();
        while !thread.is_finished() {
            if began.elapsed() >= FINISH_TIMEOUT {
                error!("the disk does not take the last events: they are lost");
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if thread.join().is_err() {
            error!("the recorder's thread panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use portcullis_edge::Clock;
    use portcullis_ledger::Ledger;
    use portcullis_posture::Resume;
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::threads::ExitCause;

    fn writer(folder: &Path) -> LedgerWriter {
        let ledger = Ledger::create(folder, "log.example", &[1; 32]).unwrap();
        let name = "log.example".to_owned();
        LedgerWriter::new(ledger, folder.into(), name, Resume::default(), Clock::new())
    }

    fn events(folder: &Path) -> Vec<Event> {
        let reader = Ledger::read(folder).unwrap();
        let entries = reader.entries().map(|entry| entry.unwrap().1);
        entries.map(|bytes| serde_json::from_slice::<Entry>(&bytes).unwrap().event).collect()
    }

    #[test]
    fn a_recorded_event_is_durable_and_the_end_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let (exits, mut ended) = unbounded_channel();
        let mut recorder = Recorder::start(writer(&path), exits).unwrap();
        let refused = vec![Event::ReloadRefused { problems: 2 }];
        recorder.record(WallTime(1_000), refused, Urgency::BeforeEffect);
        assert_eq!(events(&path), [Event::ReloadRefused { problems: 2 }]);
        recorder.record(WallTime(2_000), vec![Event::Stopped], Urgency::Later);
        recorder.finish();
        assert_eq!(events(&path), [Event::ReloadRefused { problems: 2 }, Event::Stopped]);
        let exit = ended.try_recv().unwrap();
        assert_eq!((exit.thread, exit.cause), (GateThread::Recorder, ExitCause::Returned));
    }

    /// A recorder before a disk that takes nothing, and the queue to it.
    fn stuck(batches: usize) -> (Recorder, Receiver<EntryBatch>) {
        let (batches, queue) = sync_channel(batches);
        let recorder =
            Recorder { batches: Some(batches), thread: None, outstanding: Vec::new(), gap: None };
        (recorder, queue)
    }

    #[test]
    fn a_stuck_disk_costs_the_control_loop_one_wait() {
        let (mut recorder, _queue) = stuck(100);
        let began = Instant::now();
        for _ in 0..50 {
            recorder.record(WallTime(1_000), vec![Event::Stopped], Urgency::Later);
        }
        assert!(began.elapsed() < COMMIT_TIMEOUT / 2, "{:?}", began.elapsed());
        recorder.outstanding.clear();
        for _ in 0..50 {
            recorder.record(WallTime(1_000), vec![Event::Stopped], Urgency::BeforeEffect);
        }
        assert!(began.elapsed() < COMMIT_TIMEOUT * 3, "{:?}", began.elapsed());
    }

    #[test]
    fn lost_events_are_counted_and_the_loss_is_recorded_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        // A full queue is treated like a disk that does not keep up.
        let (mut stuck, _queue) = stuck(0);
        stuck.record(WallTime(1_000), vec![Event::Stopped, Event::Stopped], Urgency::Later);
        stuck.record(WallTime(2_000), vec![Event::Stopped], Urgency::Later);
        let (since, lost) = stuck.gap.unwrap();
        assert_eq!((since, lost), (WallTime(1_000), 3));
        let (exits, _ended) = unbounded_channel();
        let mut recorder =
            Recorder { gap: stuck.gap, ..Recorder::start(writer(&path), exits).unwrap() };
        recorder.record(WallTime(3_000), vec![Event::Stopped], Urgency::Later);
        recorder.finish();
        assert_eq!(events(&path), [Event::RecordingGap { since, lost }, Event::Stopped]);
    }

    #[test]
    fn events_of_a_closed_ledger_are_counted_by_the_recorder_that_continues() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let (exits, _ended) = unbounded_channel();
        let mut recorder = Recorder::start(writer(&path), exits.clone()).unwrap();
        recorder.finish();
        assert!(recorder.is_closed());
        recorder.record(WallTime(1_000), vec![Event::HandedOver; 2], Urgency::Later);
        let other = folder.path().join("other");
        recorder.continue_with(Recorder::start(writer(&other), exits).unwrap());
        recorder.record(WallTime(3_000), vec![Event::Stopped], Urgency::Later);
        recorder.finish();
        let gap = Event::RecordingGap { since: WallTime(1_000), lost: 2 };
        assert_eq!(events(&other), [gap, Event::Stopped]);
    }

    #[test]
    fn a_ledger_that_is_removed_is_replaced_and_nothing_after_is_lost() {
        for with_file in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("ledger");
            let (exits, _ended) = unbounded_channel();
            let mut recorder = Recorder::start(writer(&path), exits).unwrap();
            recorder.record(WallTime(1_000), vec![Event::Stopped], Urgency::BeforeEffect);
            std::fs::remove_dir_all(&path).unwrap();
            let mut new = path.clone();
            if with_file {
                std::fs::create_dir(&path).unwrap();
                std::fs::write(path.join("other"), "").unwrap();
                new = folder.path().join("ledger.2");
            }
            let refused = Event::ReloadRefused { problems: 1 };
            recorder.record(WallTime(2_000), vec![refused.clone()], Urgency::BeforeEffect);
            recorder.finish();
            let events = events(&new);
            assert!(
                matches!(&events[0], Event::LedgerReplaced { before, .. } if before.size == 1),
                "{events:?}"
            );
            assert_eq!(events[1..], [refused]);
        }
    }
}
