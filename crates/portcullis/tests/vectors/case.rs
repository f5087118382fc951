//! One vector, carried out by the real drill against the real gate, and what is asked of both.

use std::fmt::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use portcullis_testkit::tls::TestCert;

use crate::common::{Gate, free_address, portcullis, text};
use crate::site::Site;

/// Memory that any gate may take besides what it had at rest: the rings of two workers, which are only
/// touched as requests come (2 × 65,536 records of 64 bytes, 8 MiB, and as much for what else they
/// tell), buffers of 64 connections to the origin (4 MiB), and pages that the allocator keeps (4 MiB).
const SLACK_KIB: u64 = 24 * 1024;
/// Descriptors besides those of the attackers: 64 connections to the origin, thirty visitors with two
/// connections each while they change from one to the next, and a few of the operators' listener.
const SLACK_DESCRIPTORS: u64 = 64 + 60 + 8;
/// The page timeout in seconds. The machine may be busy with other tests, so this is longer than the
/// four seconds of the drill's own threshold.
const PAGE_TIMEOUT: &str = "20";

/// A vector, how much of it, and how the gate is configured.
pub struct Case {
    pub vector: &'static str,
    pub tls: bool,
    pub http_3: bool,
    pub connections: u32,
    pub seconds: u32,
    /// Where holding is the point: for how many seconds a connection may be held.
    pub max_hold: Option<u32>,
    /// What one connection of the attack may cost the gate, in KiB.
    pub kib_per_connection: u64,
    pub path: &'static str,
    /// Descriptors besides one for each connection.
    pub descriptors: u64,
    /// Lines below `[limits]`.
    pub limits: &'static str,
}

impl Case {
    pub fn new(vector: &'static str) -> Self {
        Self {
            vector,
            tls: false,
            http_3: false,
            connections: 60,
            seconds: 6,
            max_hold: None,
            // The head as it comes and as it is parsed (2 × 32 KiB), what waits to be written and
            // to be passed on (2 × 32 KiB), TLS both ways (2 × 16 KiB), and the task itself.
            kib_per_connection: 192,
            path: "/",
            descriptors: 0,
            limits: "",
        }
    }

    pub fn over_tls(self) -> Self {
        Self { tls: true, ..self }
    }

    /// The TLS listener serves HTTP/3 too. A handshake holds some 64 KiB until it is aborted, and
    /// 2 MiB of packets may wait in each of two sockets.
    pub fn over_http_3(self) -> Self {
        Self { tls: true, http_3: true, kib_per_connection: 192 + 64 * 4, ..self }
    }

    /// Over HTTP/2 one connection may hold a hundred streams, each with 32 KiB that wait to be sent
    /// and a few KiB for its state, and a MiB of bodies in flight.
    pub fn over_http_2(self) -> Self {
        Self {
            tls: true,
            connections: 4,
            seconds: 4,
            kib_per_connection: 100 * 40 + 1024 + 192,
            ..self
        }
    }

    pub fn sized(self, connections: u32, seconds: u32) -> Self {
        Self { connections, seconds, ..self }
    }

    pub fn max_hold(self, seconds: u32) -> Self {
        Self { max_hold: Some(seconds), ..self }
    }

    pub fn with_path(self, path: &'static str) -> Self {
        Self { path, ..self }
    }

    pub fn with_kib_per_connection(self, kib_per_connection: u64) -> Self {
        Self { kib_per_connection, ..self }
    }

    pub fn with_limits(self, limits: &'static str) -> Self {
        Self { limits, ..self }
    }

    /// This number of descriptors more, for other clients.
    pub fn with_descriptors(self, more: u64) -> Self {
        Self { descriptors: more, ..self }
    }

    /// Carries it out, without another attack.
    pub fn run(self) -> CaseResult {
        self.run_with(|_| None)
    }

    /// Carries it out while something else attacks, which is given the gate's URL.
    pub fn run_alongside(self, attack: impl FnOnce(&str) -> Child) -> CaseResult {
        self.run_with(|url| Some(attack(url)))
    }

    /// Carries it out. Whatever the vector, visitors must not notice: every visitor is served, and the
    /// gate takes no more memory and descriptors than the attack's connections account for.
    fn run_with(self, attack: impl FnOnce(&str) -> Option<Child>) -> CaseResult {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::start();
        let (gate, secure) = gate(folder.path(), &site, self.limits, self.http_3);
        let target =
            if self.tls { format!("https://{secure}") } else { format!("http://{}", gate.listen) };
        // Whatever is made at first use is there before anything is measured.
        assert_eq!(gate.get("/").0, 200);
        let process = gate.process.id();
        let before = (memory_kib(process, "VmRSS:"), descriptors(process));

        let mut drill = portcullis();
        drill.args(["drill", "vectors", self.vector, "--json", "--page-timeout", PAGE_TIMEOUT]);
        drill.args(["--target", &target, "--admin", &gate.admin.to_string()]);
        drill.args(["--connections", &self.connections.to_string()]);
        drill.args(["--seconds", &self.seconds.to_string(), "--path", self.path]);
        drill.args(["--visitor-path", "/"]).arg("--config").arg(&gate.file);
        if let Some(seconds) = self.max_hold {
            drill.args(["--max-hold", &seconds.to_string()]);
        }
        let attack = attack(&target);
        let (output, most_descriptors) = run_and_watch(process, drill);
        if let Some(mut attack) = attack {
            // It has had its time, whatever it still waits for.
            let _ = attack.kill();
            attack.wait().unwrap();
        }
        let most_kib = memory_kib(process, "VmHWM:");
        let result: Value = serde_json::from_str(&output).unwrap_or_else(|_| panic!("{output}"));
        let case_result = CaseResult { result, site };
        eprintln!(
            "{}, {} KiB before and {most_kib} KiB at most, {} descriptors before and {most_descriptors} at most",
            case_result.describe(),
            before.0,
            before.1
        );

        case_result.visitors_were_served();
        assert_eq!(case_result.result["withstood"], true, "{}", case_result.describe());
        let allowed = before.0 + u64::from(self.connections) * self.kib_per_connection + SLACK_KIB;
        assert!(most_kib <= allowed, "{most_kib} of {allowed} KiB: {}", case_result.describe());
        let allowed = before.1 + u64::from(self.connections) + self.descriptors + SLACK_DESCRIPTORS;
        assert!(
            most_descriptors <= allowed,
            "{most_descriptors} of {allowed} descriptors: {}",
            case_result.describe()
        );
        // Attacked as it was, the gate may challenge visitors first.
        let status = gate.get("/").0;
        assert!(status < 400, "afterwards: {status}");
        case_result
    }
}

/// The result of a case.
pub struct CaseResult {
    pub result: Value,
    pub site: Site,
}

impl CaseResult {
    fn visitors_were_served(&self) {
        let visitors = &self.result["visitors"];
        assert!(visitors["requested"].as_u64().unwrap() >= 30, "{}", self.describe());
        assert_eq!(visitors["requested"], visitors["served"], "{}", self.describe());
    }

    /// How often the gate gave this reason.
    pub fn reason(&self, word: &str) -> u64 {
        self.result["gate"]["reasons"][word].as_u64().unwrap_or(0)
    }

    /// How often the gate cut for this cause.
    pub fn cut(&self, word: &str) -> u64 {
        self.result["gate"]["cuts"][word].as_u64().unwrap_or(0)
    }

    /// How many answers had this status, or were of this kind.
    pub fn answers(&self, status: &str) -> u64 {
        self.result["outcome"]["responses"][status].as_u64().unwrap_or(0)
    }

    /// How many attackers' connections ended like this.
    pub fn ended(&self, how: &str) -> u64 {
        self.result["outcome"]["ends"][how].as_u64().unwrap_or(0)
    }

    /// How many attackers' connections there were.
    pub fn connections(&self) -> u64 {
        self.result["attempted"]["connections"].as_u64().unwrap()
    }

    /// How many requests attackers sent or began.
    pub fn requests(&self) -> u64 {
        self.result["attempted"]["requests"].as_u64().unwrap()
    }

    /// The whole result, for the message of a failed test.
    pub fn describe(&self) -> String {
        self.result.to_string()
    }

    /// Asserts that something was counted at least so often.
    #[track_caller]
    pub fn counted(&self, what: &str, counted: u64, at_least: u64) {
        assert!(counted >= at_least, "{what}: {counted} of {at_least}: {}", self.describe());
    }
}

/// A gate with a plain and a TLS listener, the address of the latter, and short deadlines.
pub fn gate(
    folder: &Path,
    site: &Site,
    limits: &str,
    http_3: bool,
) -> (Gate, std::net::SocketAddr) {
    TestCert::new("localhost").write(folder, "site");
    let secure = free_address();
    let mut text = String::new();
    writeln!(text, "[[listeners]]\naddress = \"{secure}\"").unwrap();
    writeln!(text, "certificate = \"site.crt\"\nkey = \"site.key\"").unwrap();
    writeln!(text, "http_3 = {http_3}\n").unwrap();
    writeln!(text, "[limits]").unwrap();
    let short = [
        ("source_table_size", "4096"),
        ("header_timeout", "\"2s\""),
        ("handshake_timeout", "\"2s\""),
        ("body_idle_timeout", "\"2s\""),
        ("tunnel_idle_timeout", "\"2s\""),
        ("idle_timeout", "\"2s\""),
    ];
    for (key, value) in short.iter().filter(|(key, _)| !limits.contains(key)) {
        writeln!(text, "{key} = {value}").unwrap();
    }
    writeln!(text, "{limits}\n").unwrap();
    // None may be looser than the limits above, whichever test sets them.
    writeln!(text, "[posture.tightened]\nheader_timeout = \"1s\"").unwrap();
    writeln!(text, "requests_per_second = 20\nburst = 60\nmax_connections = 4\n").unwrap();
    (Gate::start(folder, site.address, &text), secure)
}

/// Runs the drill to its end and polls the gate's descriptors meanwhile. The drill's output, and
/// the most descriptors.
fn run_and_watch(process: u32, mut drill: Command) -> (String, u64) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !over.load(Ordering::Relaxed) {
                most = most.max(descriptors(process));
                std::thread::sleep(Duration::from_millis(50));
            }
            most
        });
        let output = drill.stdin(Stdio::null()).output().unwrap();
        over.store(true, Ordering::Relaxed);
        let most = watcher.join().unwrap();
        // 1 means that a threshold was not met, which the assertions report better.
        let carried_out = matches!(output.status.code(), Some(0 | 1));
        assert!(carried_out, "{}", text(&output.stderr));
        (text(&output.stdout), most)
    })
}

/// A figure of `/proc/PID/status`, in KiB.
pub fn memory_kib(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Open descriptors.
pub fn descriptors(process: u32) -> u64 {
    std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count() as u64
}
