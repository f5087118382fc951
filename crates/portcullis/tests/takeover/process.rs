//! A gate that a service manager starts, and that takes over from the one before.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use portcullis_testkit::wait::{LIMIT, wait_for};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::portcullis;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A running gate; killed when dropped.
pub struct GateProcess {
    process: Child,
    log: PathBuf,
}

impl GateProcess {
    /// Starts a gate and waits until it says to its service manager that it serves.
    pub fn start(folder: &Path, file: &Path) -> Self {
        let number = NUMBER.fetch_add(1, Relaxed);
        let log = folder.join(format!("gate-{number}.log"));
        let socket = folder.join(format!("notify-{number}"));
        let manager = UnixDatagram::bind(&socket).unwrap();
        // A gate that drops root writes to it as another user.
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o777)).unwrap();
        manager.set_read_timeout(Some(LIMIT)).unwrap();
        let process = portcullis()
            .args(["run", "--config"])
            .arg(file)
            .env("NOTIFY_SOCKET", &socket)
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let gate = Self { process, log };
        let mut message = [0; 256];
        let length = manager.recv(&mut message).expect("the gate becomes ready");
        let expected = format!("READY=1\nMAINPID={}\n", gate.process.id());
        assert_eq!(String::from_utf8_lossy(&message[..length]), expected);
        gate
    }

    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Whether it has ended; it must have ended by itself, without an error.
    pub fn has_ended_well(&mut self) -> bool {
        let Some(status) = self.process.try_wait().unwrap() else { return false };
        assert!(status.success(), "{status}");
        true
    }

    pub fn stop(mut self) {
        kill_process(Pid::from_raw(self.process.id().cast_signed()).unwrap(), Signal::TERM)
            .unwrap();
        let status = wait_for("the gate stops", || self.process.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for GateProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            eprintln!("--- {}\n{log}---", self.log.display());
        }
    }
}
