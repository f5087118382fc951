//! A second `portcullis run` takes over from the first: the real binary, under load.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod http_1;
mod http_2;
mod http_3;
mod load;
mod origin;
mod process;
mod websocket;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{free_address, run, text};
use load::Load;
use portcullis_testkit::tls::TestCert;
use portcullis_testkit::wait::{eventually, wait_for};
use process::GateProcess;

/// Settings without limits that one loopback address would meet, and with no judgement of the load.
const OPEN: &str = "[limits.source]\nrequests_per_second = 1000000\nburst = 1000000\n\
                    max_connections = 10000\n\n[watch]\nsurge_min_rate = 1000000\n";
/// Settings by which an attack is seen within seconds of the start.
const WATCHFUL: &str = "[watch]\nwarm_up = \"10s\"\n";

/// The site of a test: two listeners, one of them with TLS and HTTP/3.
struct Site {
    folder: tempfile::TempDir,
    certificate: TestCert,
    plain: std::net::SocketAddr,
    secure: std::net::SocketAddr,
    admin: std::net::SocketAddr,
}

impl Site {
    fn new(drain_time: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificate = TestCert::new("example.org");
        certificate.write(folder.path(), "site");
        let [plain, secure, admin] = [free_address(), free_address(), free_address()];
        let origin = origin::start();
        let settings = format!(
            "ledger = \"ledger\"\nworkers = 2\n\n[admin]\nlisten = \"{admin}\"\n\n[[listeners]]\n\
             address = \"{plain}\"\n\n[[listeners]]\naddress = \"{secure}\"\nhttp_3 = true\n\
             certificate = \"site.crt\"\nkey = \"site.key\"\n\n[limits]\n\
             drain_time = \"{drain_time}\"\nshutdown_grace = \"1s\"\n\n{settings}\n\
             [[platforms]]\nname = \"site\"\nhosts = [\"*\"]\n\
             origin = {{ url = \"http://{origin}\", probe = false }}\n"
        );
        let site = Self { folder, certificate, plain, secure, admin };
        std::fs::write(site.file(), settings).unwrap();
        site
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("portcullis.toml")
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn start(&self) -> GateProcess {
        GateProcess::start(self.path(), &self.file())
    }

    /// Every leaf, as the ledger's reader returns them.
    fn leaves(&self) -> String {
        let reader = portcullis_ledger::Ledger::read(&self.path().join("ledger")).unwrap();
        reader.entries().map(|entry| text(&entry.unwrap().1) + "\n").collect()
    }

    fn count(&self, event: &str) -> usize {
        self.leaves().matches(&format!("\"event\":\"{event}\"")).count()
    }

    fn status(&self, path: &str) -> u16 {
        http_1::get_once(self.plain, path).map_or(0, |(status, _)| status)
    }

    fn ledger(&self) -> String {
        self.path().join("ledger").display().to_string()
    }
}

/// How long each process serves, besides what its start takes.
const BETWEEN_RESTARTS: Duration = Duration::from_millis(150);

/// How often the test restarts; a longer run is asked for by the environment.
fn restarts() -> usize {
    std::env::var("PORTCULLIS_RESTARTS").map_or(50, |text| text.parse().expect("a number"))
}

#[test]
fn fifty_restarts_under_load_lose_no_request() {
    let drain_time = Duration::from_secs(3);
    let site = Site::new("3s", OPEN);
    let mut gate = site.start();
    let load = Load::start(&site, drain_time);
    let mut leaving = Vec::new();
    let began = Instant::now();
    for round in 1..=restarts() {
        let next = site.start();
        leaving.push(std::mem::replace(&mut gate, next));
        // Those that have drained are gone by themselves.
        leaving.retain_mut(|gate| !gate.has_ended_well());
        assert!(leaving.len() < 40, "processes do not end: {}", leaving.len());
        assert_eq!(load.losses(), Vec::<String>::new(), "after {round} restarts");
        load.wait_for_some();
        std::thread::sleep(BETWEEN_RESTARTS);
    }
    let lasted = began.elapsed();
    let counts = load.stop();
    // A message of a WebSocket is no request; its upgrade is.
    let requests: u64 =
        counts.iter().filter(|(kind, _)| **kind != "websocket").map(|(_, n)| n).sum();
    println!("{} restarts in {lasted:.1?}: {counts:?}", restarts());
    for mut gate in leaving {
        eventually("the old process ends", || gate.has_ended_well());
    }
    gate.stop();
    assert_eq!(site.count("started"), 1);
    assert_eq!(site.count("handed-over"), restarts());
    assert_eq!(site.count("taken-over"), restarts());
    assert_eq!(site.count("stopped"), 1);
    let leaves = site.leaves();
    assert!(!leaves.contains("\"continues\":false"), "the state is passed on");
    assert_eq!(tallied(&leaves), requests, "each request is in the ledger once");
    let verified = run(&["verify", &site.ledger()]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}

#[test]
fn a_new_process_that_fails_before_it_is_ready_changes_nothing() {
    let site = Site::new("2s", OPEN);
    let mut gate = site.start();
    let mut visitor = http_1::KeepAlive::connect(site.plain).unwrap();
    assert_eq!(visitor.get("/").unwrap().status, 200);
    let good = std::fs::read_to_string(site.file()).unwrap();

    // One that is refused before it reaches the old process, and two that fail once they have the sockets.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let bad = site.path().join("bad.toml");
    for text_of_bad in [
        "nonsense = true\n".to_owned(),
        good.replace(&site.admin.to_string(), &taken),
        good.replace("[limits]\n", "[access_log]\nfile = \"missing/access.log\"\n\n[limits]\n"),
    ] {
        std::fs::write(&bad, text_of_bad).unwrap();
        let refused = run(&["run", "--config", bad.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
        assert!(gate.is_running());
        assert_eq!(visitor.get("/").unwrap().status, 200, "the same connection");
        assert_eq!(site.status("/new"), 200);
        assert_eq!(http_1::get_once(site.admin, "/healthz").unwrap().0, 200);
    }
    assert_eq!(site.count("handed-over"), 0);

    // One that fails once the ledger was closed for it.
    let secret = site.path().join("ledger.secret");
    let kept = std::fs::read(&secret).unwrap();
    std::fs::write(&secret, "no secret").unwrap();
    let file = site.file();
    let refused = run(&["run", "--config", file.to_str().unwrap()]);
    assert!(text(&refused.stderr).contains("ledger.secret"), "{}", text(&refused.stderr));
    std::fs::write(&secret, kept).unwrap();
    assert_eq!(visitor.get("/").unwrap().status, 200, "the same connection");
    wait_for("the ledger is written again", || (site.count("handover-failed") == 1).then_some(()));
    assert_eq!((site.count("handed-over"), site.count("taken-over")), (1, 0));
    eventually("the gate is healthy", || {
        http_1::get_once(site.admin, "/healthz").is_ok_and(|(status, _)| status == 200)
    });

    // And it can still hand over.
    let next = site.start();
    assert_eq!(visitor.get("/").unwrap().status, 200, "from the old process, for the last time");
    assert!(visitor.is_closed());
    eventually("the old process ends", || gate.has_ended_well());
    assert_eq!(site.status("/"), 200);
    next.stop();
    let verified = run(&["verify", &site.ledger()]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}

/// Requests in the tallies of these leaves.
fn tallied(leaves: &str) -> u64 {
    let leaves =
        leaves.lines().map(|leaf| serde_json::from_str::<serde_json::Value>(leaf).unwrap());
    let tallies = leaves.filter(|leaf| leaf["event"] == "tallied");
    let reasons = tallies.flat_map(|tally| tally["reasons"].as_object().unwrap().clone());
    reasons.map(|(_, n)| n.as_u64().unwrap()).sum()
}

#[test]
fn answers_that_last_longer_than_two_takeovers_are_finished() {
    let site = Site::new("20s", OPEN);
    let mut gates = vec![site.start()];
    let whole = origin::SLOW_PIECES * origin::SLOW_PIECE.len();
    let (plain, secure) = (site.plain, site.secure);
    let client = std::sync::Arc::new(site.certificate.client(&[b"h2"]));
    let slow = [
        std::thread::spawn(move || {
            let answer = http_1::KeepAlive::connect(plain).unwrap().get("/slow").unwrap();
            answer.body.len()
        }),
        std::thread::spawn(move || {
            let mut visitor = http_2::Http2::connect(secure, &client).unwrap();
            // Its bytes are not counted: a stream that ends too early is reset.
            visitor.get_all("/slow", 1).unwrap() as usize * whole
        }),
        std::thread::spawn({
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut visitor =
                runtime.block_on(async { http_3::Http3::new(secure, &site.certificate) });
            move || {
                let length = runtime.block_on(visitor.get("/slow")).unwrap();
                visitor.leave();
                length
            }
        }),
    ];
    let metric = |name: &str| {
        let metrics = http_1::get_once(site.admin, "/metrics").map_or(String::new(), |m| m.1);
        let line = metrics.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    eventually("all three are asked of the origin", || {
        metric("portcullis_origin_requests_in_flight") == 3
    });
    for _ in 0..2 {
        gates.push(site.start());
        assert!(slow.iter().all(|visitor| !visitor.is_finished()));
    }
    for visitor in slow {
        assert_eq!(visitor.join().unwrap(), whole);
    }
    let last = gates.pop().unwrap();
    for mut gate in gates {
        eventually("the old process ends", || gate.has_ended_well());
    }
    last.stop();
    assert_eq!(tallied(&site.leaves()), 3);
}

#[test]
fn an_attack_and_what_is_engaged_against_it_continue_over_a_takeover() {
    let site = Site::new("1s", WATCHFUL);
    let mut gate = site.start();
    let status = || http_1::get_once(site.admin, "/status.json").map_or(String::new(), |s| s.1);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(12) {
        assert_eq!(site.status("/"), 200);
        std::thread::sleep(Duration::from_millis(250));
    }
    let attack = load::Attack::start(site.plain);
    eventually("a procedure is engaged", || status().contains("\"measure\""));
    let next = site.start();
    let shown = status();
    assert!(shown.contains("\"wave\": 1") && shown.contains("\"measure\""), "{shown}");
    std::thread::sleep(Duration::from_secs(4));
    assert!(status().contains("\"wave\": 1"), "{}", status());
    attack.stop();
    eventually("the old process ends", || gate.has_ended_well());
    next.stop();
    let leaves = site.leaves();
    assert_eq!(site.count("attack-began"), 1, "{leaves}");
    assert_eq!(site.count("attack-ended"), 0, "the quiet period is longer than the test");
    let released = leaves.lines().filter(|leaf| leaf.contains("\"event\":\"procedure-released\""));
    let replaced = released.clone().filter(|leaf| leaf.contains("takes its place")).count();
    assert_eq!(released.count(), replaced, "{leaves}");
    let shown = text(&run(&["incident", "latest", "--ledger", &site.ledger()]).stdout);
    assert!(!shown.contains("good order"), "{shown}");
    let report = text(&run(&["report", "latest", "--ledger", &site.ledger()]).stdout);
    assert!(!report.contains("good order"), "{report}");
}

#[test]
fn a_process_that_root_starts_takes_over_from_one_that_dropped_root() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can change to another user");
        return;
    }
    let site = Site::new("1s", OPEN);
    let open = |path: &Path, mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(path, mode).unwrap();
    };
    open(site.path(), 0o777);
    open(&site.path().join("site.key"), 0o644);
    let settings = std::fs::read_to_string(site.file()).unwrap();
    std::fs::write(site.file(), format!("user = \"daemon\"\n{settings}")).unwrap();
    let mut gate = site.start();
    let next = site.start();
    assert_eq!(site.status("/"), 200);
    eventually("the old process ends", || gate.has_ended_well());
    assert_eq!((site.count("taken-over"), site.count("started")), (1, 1));
    next.stop();
}
