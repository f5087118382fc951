//! The thread that writes the access log.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tracing::{error, info};

/// Lines that may wait for the disk, of all workers. Beyond that they are lost, and counted by the
/// worker.
const QUEUE_LINES: usize = 16_384;
/// How long a line may wait in memory, and how soon a rotation is noticed.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// At most one line in this time says that the file cannot be written.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The channel to the thread, and the request to open the file again.
pub struct AccessLogWriter {
    /// Where workers send lines.
    pub lines: SyncSender<String>,
    reopen: Arc<AtomicBool>,
}

impl AccessLogWriter {
    /// Opens the file and starts the thread, which ends when no worker is left.
    pub fn start(path: PathBuf) -> io::Result<Self> {
        let file = open(&path)?;
        let (lines, queue) = sync_channel(QUEUE_LINES);
        let reopen = Arc::new(AtomicBool::new(false));
        let wanted = Arc::clone(&reopen);
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_lines(&queue, &path, file, &wanted))?;
        Ok(Self { lines, reopen })
    }

    /// Opens the file again soon, after it was renamed.
    pub fn reopen(&self) {
        self.reopen.store(true, Relaxed);
    }
}

fn open(path: &PathBuf) -> io::Result<BufWriter<File>> {
    Ok(BufWriter::new(OpenOptions::new().create(true).append(true).open(path)?))
}

fn write_lines(
    queue: &Receiver<String>,
    path: &PathBuf,
    mut file: BufWriter<File>,
    reopen: &AtomicBool,
) {
    let mut reported: Option<Instant> = None;
    let mut report = |problem: io::Error| {
        if reported.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            error!(path = %path.display(), %problem, "cannot write the access log: lines are lost");
            reported = Some(Instant::now());
        }
    };
    loop {
        let first = queue.recv_timeout(FLUSH_INTERVAL);
        if reopen.swap(false, Relaxed) {
            file.flush().unwrap_or_else(&mut report);
            match open(path) {
                Ok(opened) => {
                    file = opened;
                    info!(path = %path.display(), "the access log was opened again");
                }
                Err(problem) => report(problem),
            }
        }
        let first = match first {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let written = first
            .into_iter()
            .chain(queue.try_iter())
            .try_for_each(|line| file.write_all(line.as_bytes()))
            .and_then(|()| file.flush());
        written.unwrap_or_else(&mut report);
    }
    file.flush().unwrap_or_else(report);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_to_the_file_and_to_a_new_one_after_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
        let writer = AccessLogWriter::start(path.clone()).unwrap();
        let text = |path: &PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        let wait_for = |path: &PathBuf, wanted: &str| {
            let began = Instant::now();
            while text(path) != wanted {
                assert!(began.elapsed() < Duration::from_secs(20), "{:?}", text(path));
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        writer.lines.send("one\n".into()).unwrap();
        wait_for(&path, "one\n");
        std::fs::rename(&path, &old).unwrap();
        writer.reopen();
        writer.lines.send("two\n".into()).unwrap();
        wait_for(&path, "two\n");
        assert_eq!(text(&old), "one\n");
    }
}
