//! The public suite for HTTP/2 (RFC 9113), against the real binary.
//!
//! The suite uses HTTP/2 without TLS, and the gate only with TLS: a bridge of a few lines is between
//! them, so that the gate is tested as it runs.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Gate, origin, text};
use portcullis_testkit::peers::{has_peer, has_peers};
use portcullis_testkit::tls::TestCert;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

/// Where each test that does not pass is explained, by its name.
const EXPLAINED: &str = "../../docs/http-2-conformance.md";

/// The suite waits no longer than a second for what it expects.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Tests of version 0.2.5 of the suite.
const TESTS: usize = 107;

/// Passes bytes between plain connections to the address that it returns and TLS connections to
/// `gate` that use HTTP/2.
fn bridge(gate: SocketAddr, trusted: &TestCert) -> SocketAddr {
    let connector = TlsConnector::from(Arc::new(trusted.client(&[b"h2"])));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((mut plain, _)) = listener.accept().await {
                let connector = connector.clone();
                tokio::spawn(async move {
                    let stream = TcpStream::connect(gate).await.unwrap();
                    let name = "example.org".try_into().unwrap();
                    let Ok(mut secure) = connector.connect(name, stream).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut plain, &mut secure).await;
                });
            }
        });
    });
    address
}

/// A gate with TLS in front of a small origin, and a bridge to it.
fn gate_behind_a_bridge(folder: &Path) -> (Gate, SocketAddr) {
    let (gate, certificate) = secure_gate(folder, slow_origin(), ROOMY);
    let bridge = bridge(gate.listen, &certificate);
    (gate, bridge)
}

/// A hundred requests in half a second, and three thousand in a few seconds, of one address are no
/// ordinary day. Challenged, the suite would test the answers to challenges.
const ROOMY: &str = "[limits.source]\nrequests_per_second = 100_000\nburst = 100_000\n\
                     [watch]\nsurge_min_rate = 100_000\n";

/// A gate with TLS, and its certificate.
fn secure_gate(folder: &Path, origin: SocketAddr, more: &str) -> (Gate, TestCert) {
    let certificate = TestCert::new("example.org");
    certificate.write(folder, "site");
    let files = "certificate = \"site.crt\"\nkey = \"site.key\"\n";
    let gate = Gate::start(folder, origin, &format!("{files}{more}"));
    (gate, certificate)
}

/// Answers after a moment, so that streams are still open when the suite sends what it should not.
fn slow_origin() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut buffer = [0; 16 * 1024];
                while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                    std::thread::sleep(Duration::from_millis(300));
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// The names in the headings of the page that explains what does not pass.
fn explained() -> BTreeSet<String> {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(EXPLAINED)).unwrap();
    let names = page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    names.map(str::to_owned).collect()
}

/// The names of the suite's tests after `mark`.
fn marked(output: &str, mark: &str) -> BTreeSet<String> {
    let names = output.lines().filter_map(|line| line.split_once(mark));
    names.map(|(_, name)| name.trim().to_owned()).collect()
}

/// Runs the suite: the tests that passed, those that failed, and all output.
fn suite(bridge: SocketAddr) -> (BTreeSet<String>, BTreeSet<String>, String) {
    let output = Command::new("httpwg")
        .args(["--address", &bridge.to_string()])
        // The suite's quarter of a second is too short for a machine that is busy.
        .args(["--connect-timeout", "5000", "--frame-timeout", "2000"])
        .output()
        .unwrap();
    let printed = format!("{}{}", text(&output.stdout), text(&output.stderr));
    (marked(&printed, "Test passed: "), marked(&printed, "Test failed: "), printed)
}

#[test]
fn every_test_of_the_suite_passes_or_is_explained() {
    if !has_peer("httpwg") {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock();
    let folder = tempfile::tempdir().unwrap();
    let (gate, bridge) = gate_behind_a_bridge(folder.path());
    // Under load a test of the suite may stop without a verdict; then all are run again.
    let verdicts = (0..3).map(|_| suite(bridge));
    let (passed, failed, printed) = verdicts
        .into_iter()
        .find(|(passed, failed, printed)| {
            printed.contains(&format!("{TESTS}\u{1b}[0m tests"))
                && passed.len() + failed.len() == TESTS
        })
        .expect("a verdict on every test");
    let explained = explained();
    let unexplained: Vec<_> = failed.difference(&explained).collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}\n{printed}");
    let needless: Vec<_> = explained.difference(&failed).collect();
    assert!(needless.is_empty(), "explained, but passed: {needless:#?}");
    eprintln!("{} passed, {} failed and are explained", passed.len(), failed.len());
    assert!(gate.try_get(gate.admin, "/healthz").is_some());
}

#[test]
fn ordinary_clients_get_through_a_hundred_requests_at_a_time() {
    if !has_peers(&["h2load", "curl"]) {
        return;
    }
    let _alone = ONE_AT_A_TIME.lock();
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = secure_gate(folder.path(), origin(), ROOMY);
    let url = format!("https://{}/", gate.listen);
    let output =
        Command::new("h2load").args(["-n", "3000", "-c", "3", "-m", "100", &url]).output().unwrap();
    let printed = text(&output.stdout);
    assert!(printed.contains("3000 succeeded, 0 failed, 0 errored"), "{printed}");
    assert!(printed.contains("Application protocol: h2"), "{printed}");
    let output = Command::new("curl")
        .args(["--silent", "--insecure", "--http2", "--write-out", "%{http_version}", &url])
        .output()
        .unwrap();
    let printed = text(&output.stdout);
    assert!(printed.starts_with("GET / HTTP/1.1") && printed.ends_with('2'), "{printed}");
    let metrics = gate.admin_get("/metrics");
    let cut: Vec<_> = metrics
        .lines()
        .filter(|line| line.starts_with("portcullis_cuts_total{") && !line.ends_with(" 0"))
        .collect();
    assert!(cut.is_empty(), "{cut:?}");
}
