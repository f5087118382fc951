//! A gate for a rehearsal: this program, started as a child process.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long the gate may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the gate may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// The gate as a child process.
pub struct GateProcess {
    process: Child,
    admin: SocketAddr,
    log: PathBuf,
}

impl GateProcess {
    /// Writes `configuration` to `portcullis.toml` in `folder`, starts the gate with it, and waits
    /// until `admin`, its admin listener, responds. The log goes to `gate.log` in the same folder.
    pub fn start(folder: &Path, configuration: &str, admin: SocketAddr) -> Result<Self> {
        let file = folder.join("portcullis.toml");
        fs::write(&file, configuration)?;
        let log = folder.join("gate.log");
        let process = Command::new(std::env::current_exe()?)
            .args(["run", "--rehearsal", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .context("cannot start the gate")?;
        let mut gate = Self { process, admin, log };
        let began = Instant::now();
        while gate.posture().is_none() {
            if let Some(status) = gate.process.try_wait()? {
                bail!("the gate exited immediately ({status}); see {}", gate.log.display());
            }
            if began.elapsed() > START_TIMEOUT {
                bail!(
                    "the gate did not start within {START_TIMEOUT:?}; see {}",
                    gate.log.display()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(gate)
    }

    /// The first platform's posture, from the admin listener.
    fn posture(&self) -> Option<String> {
        let status = http_get(self.admin, "/status.json").ok()?;
        let status: serde_json::Value = serde_json::from_str(&status).ok()?;
        Some(status["platforms"][0]["posture"].as_str()?.to_owned())
    }

    /// Waits until the posture is `open`, for `timeout` at most.
    pub fn wait_until_open(&self, timeout: Duration) {
        let began = Instant::now();
        while began.elapsed() < timeout && self.posture().as_deref() != Some("open") {
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// Stops the gate with SIGTERM and waits for its end.
    pub fn stop(mut self) -> Result<()> {
        if let Some(pid) = Pid::from_raw(self.process.id().cast_signed()) {
            kill_process(pid, Signal::TERM).context("cannot stop the gate")?;
        }
        let began = Instant::now();
        while self.process.try_wait()?.is_none() {
            if began.elapsed() > STOP_TIMEOUT {
                bail!("the gate did not stop within {STOP_TIMEOUT:?}; see {}", self.log.display());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

/// Kills the gate, so that an interrupted rehearsal leaves no process.
impl Drop for GateProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Ports that were free a moment ago.
pub fn free_addresses<const N: usize>() -> Result<[SocketAddr; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for address in &mut addresses {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(addresses)
}

fn http_get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    use std::io::{Read, Write};
    let timeout = Duration::from_secs(1);
    let mut stream = std::net::TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut response = String::new();
    stream.take(1 << 20).read_to_string(&mut response)?;
    Ok(response.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
