//! The real binary in a scratch folder, in front of an origin of a few lines.

#![allow(dead_code, clippy::unwrap_used, clippy::unused_self)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use portcullis_testkit::wait::{eventually, wait_for};
use rustix::process::{Pid, Signal, kill_process};

/// The binary under test.
pub fn portcullis() -> Command {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
}

/// Runs a command to its end.
pub fn run(arguments: &[&str]) -> Output {
    portcullis().args(arguments).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An origin that answers every request with its request line and the fields it received.
pub fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    serve(listener);
    address
}

/// Serves like [`origin`] on a listener.
pub fn serve(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || respond(stream));
        }
    });
}

fn respond(stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut head = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        if lines.read_exact(&mut body).is_err() {
            return;
        }
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
        if stream.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

/// A running gate; killed when dropped.
pub struct Gate {
    pub process: Child,
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    pub file: PathBuf,
    /// What the process writes to standard error: printed if the test fails.
    pub log: PathBuf,
}

/// An address on which nothing listens. Its port is below those of outgoing connections (`ip(7)`,
/// `ip_local_port_range`), which could otherwise take it before a server does.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id() * 64 + NEXT.fetch_add(1, Ordering::Relaxed);
        let address = SocketAddr::from(([127, 0, 0, 1], 10_000 + (number % 20_000) as u16));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

impl Gate {
    /// Starts the gate in `folder` with this text after the usual beginning of a configuration.
    pub fn start(folder: &Path, origin: SocketAddr, more: &str) -> Self {
        let (listen, admin) = (free_address(), free_address());
        let file = folder.join("portcullis.toml");
        std::fs::write(&file, configuration(listen, admin, origin, more)).unwrap();
        Self::start_with(file, listen, admin)
    }

    pub fn start_with(file: PathBuf, listen: SocketAddr, admin: SocketAddr) -> Self {
        Self::start_logging(file, listen, admin, "text")
    }

    /// Starts the gate with its log in this format.
    pub fn start_logging(
        file: PathBuf,
        listen: SocketAddr,
        admin: SocketAddr,
        format: &str,
    ) -> Self {
        let log = file.with_extension("log");
        // A gate that is started again in the same folder adds to it.
        let stderr = File::options().create(true).append(true).open(&log).unwrap();
        let process = portcullis()
            .args(["run", "--log-format", format, "--config"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut gate = Self { process, listen, admin, file, log };
        wait_for("the gate is up", || {
            let ended = gate.process.try_wait().unwrap();
            assert!(ended.is_none(), "the gate ended instead of starting: {ended:?}");
            gate.try_get(gate.admin, "/healthz")
        });
        eventually("the gate handles signals", || gate.handles_signals());
        gate
    }

    /// Does the gate handle SIGHUP and SIGTERM (`proc_pid_status(5)`)? Before, they would end it.
    fn handles_signals(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        // Without such a file the answer is not known.
        let Ok(status) = status else { return true };
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
        [Signal::HUP, Signal::TERM].iter().all(|signal| caught >> (signal.as_raw() - 1) & 1 == 1)
    }

    /// Waits, with a limit, until a condition holds.
    pub fn wait_until(&self, what: &str, condition: impl FnMut() -> bool) {
        eventually(what, condition);
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.process.id().cast_signed()).unwrap(), signal).unwrap();
    }

    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        wait_for("the gate stops", || self.process.try_wait().unwrap());
    }

    /// The status and body of one GET to the gate.
    pub fn get(&self, path: &str) -> (u16, String) {
        self.try_get(self.listen, path).unwrap()
    }

    pub fn admin_get(&self, path: &str) -> String {
        self.try_get(self.admin, path).unwrap().1
    }

    pub fn try_get(&self, address: SocketAddr, path: &str) -> Option<(u16, String)> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let response = send(address, request.as_bytes()).ok()?;
        let (head, body) = response.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            eprintln!("--- standard error of the gate\n{log}---");
        }
    }
}

pub fn send(address: SocketAddr, bytes: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.write_all(bytes)?;
    // A connection that stays open for the next request is no failure: the response has arrived.
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response);
    Ok(text(&response))
}

pub fn configuration(
    listen: SocketAddr,
    admin: SocketAddr,
    origin: SocketAddr,
    more: &str,
) -> String {
    format!(
        "ledger = \"ledger\"\nworkers = 2\n\n[admin]\nlisten = \"{admin}\"\n\n[[listeners]]\n\
         address = \"{listen}\"\n\n{more}\n\n[[platforms]]\nname = \"site\"\nhosts = [\"*\"]\n\
         origin = {{ url = \"http://{origin}\", probe = false }}\n"
    )
}

/// Writes `NAME.pem` and `NAME.key`, for `NAME.example` valid for `days` days from now.
pub fn certificate(folder: &Path, name: &str, days: i64) -> rcgen::Certificate {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec![format!("{name}.example")]).unwrap();
    let day = 24 * 3_600;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    parameters.not_after = epoch + now;
    parameters.not_before = parameters.not_after - Duration::from_secs(30 * day);
    if days < 0 {
        parameters.not_after -= Duration::from_secs(days.unsigned_abs() * day);
    } else {
        parameters.not_after += Duration::from_secs(days.unsigned_abs() * day);
    }
    let certificate = parameters.self_signed(&key).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    certificate
}
