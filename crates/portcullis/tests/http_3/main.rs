//! HTTP/3 by a public client (aioquic), against the real binary.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use common::{Gate, free_address, text};
use portcullis_testkit::peers::{has_peer, python};
use portcullis_testkit::tls::TestCert;
use rustix::process::Signal;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Serves: `/large/N` with N bytes, `/missing` with 404, a body with its
/// digest, and everything else with its request line.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut first = String::new();
        let mut length = 0_usize;
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
            if first.is_empty() {
                line.trim().clone_into(&mut first);
            }
        }
        let mut body = vec![0; length];
        lines.read_exact(&mut body).ok()?;
        let path = first.split(' ').nth(1)?;
        let content = match path.strip_prefix("/large/") {
            Some(bytes) => pattern(bytes.parse().ok()?),
            None if length > 0 => digest(&body).into_bytes(),
            None => first.clone().into_bytes(),
        };
        let status = if path == "/missing" { "404 Not Found" } else { "200 OK" };
        write!(stream, "HTTP/1.1 {status}\r\n").ok()?;
        if first.starts_with("HEAD") {
            // Without a length: the client takes one for a promise, even here.
            write!(stream, "X-Head: true\r\n\r\n").ok()?;
        } else {
            write!(stream, "Content-Length: {}\r\n\r\n", content.len()).ok()?;
            stream.write_all(&content).ok()?;
        }
    }
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n % 251) as u8).collect()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A gate with HTTP/3 on the second of its listeners.
fn gate(folder: &Path, more: &str) -> (Gate, SocketAddr) {
    TestCert::new("example.org").write(folder, "site");
    let secure = free_address();
    let listener = format!(
        "[[listeners]]\naddress = \"{secure}\"\ncertificate = \"site.crt\"\nkey = \"site.key\"\n\
         http_3 = true\n\n{more}"
    );
    (Gate::start(folder, origin(), &listener), secure)
}

/// The output of the client: a line for each response, and one more.
fn visit(python: &Path, gate: SocketAddr, wishes: &[&str]) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http_3/client.py");
    let output = Command::new(python)
        .arg(script)
        .arg(gate.port().to_string())
        .args(wishes)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn metric(gate: &Gate, name: &str) -> u64 {
    let metrics = gate.admin_get("/metrics");
    let line = metrics.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn a_public_client_gets_pages_heads_errors_and_large_bodies_both_ways() {
    let Some(python) = python("aioquic") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), "");
    let large = 4_000_000;
    let lines = visit(
        &python,
        secure,
        &[
            "GET",
            "/page?a=b",
            "HEAD",
            "/page",
            "GET",
            "/missing",
            "GET",
            "/large/4000000",
            "POST",
            "/upload",
            "4000000",
            "TRACE",
            "/",
        ],
    );
    let [page, head, missing, down, up, refused, last] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(page["status"], 200);
    assert_eq!(page["start"], "GET /page?a=b HTTP/1.1");
    assert_eq!((&head["status"], &head["length"]), (&200.into(), &0.into()));
    assert_eq!(head["head"]["x-head"], "true");
    assert_eq!(missing["status"], 404);
    assert_eq!((&down["status"], &down["length"]), (&200.into(), &large.into()));
    assert_eq!(down["sha256"], digest(&pattern(large)));
    assert_eq!(up["status"], 200);
    assert_eq!(up["start"], digest(&pattern(large)));
    assert_eq!(refused["status"], 405);
    assert_eq!(last["retried"], false);
    assert_eq!(metric(&gate, "portcullis_http_3_retries_total"), 0);
    gate.stop();
}

#[test]
fn a_public_client_answers_a_retry_packet_and_is_served() {
    let Some(python) = python("aioquic") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), "[limits.http_3]\nretry_threshold = 0\n");
    let lines = visit(&python, secure, &["GET", "/page"]);
    assert_eq!(lines[0]["status"], 200);
    assert_eq!(lines[1]["retried"], true);
    assert_eq!(metric(&gate, "portcullis_http_3_retries_total"), 1);
    gate.stop();
}

#[test]
fn responses_over_tls_advertise_http_3_and_others_do_not() {
    if !has_peer("curl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), "");
    let head = |protocol: &str, url: &str| {
        let output = Command::new("curl")
            .args(["--silent", "--insecure", "--dump-header", "-", "--output", "/dev/null"])
            .args([protocol, url])
            .output();
        text(&output.unwrap().stdout).to_ascii_lowercase()
    };
    let url = format!("https://{secure}/");
    let by_http_2 = head("--http2", &url);
    let alt_svc = format!("alt-svc: h3=\":{}\"; ma=3600", secure.port());
    assert!(by_http_2.starts_with("http/2 200") && by_http_2.contains(&alt_svc), "{by_http_2}");
    let by_http_1 = head("--http1.1", &url);
    assert!(by_http_1.starts_with("http/1.1 200") && by_http_1.contains(&alt_svc), "{by_http_1}");
    let plain = head("--http1.1", &format!("http://{}/", gate.listen));
    assert!(plain.starts_with("http/1.1 200") && !plain.contains("alt-svc"), "{plain}");
    gate.stop();
}

#[test]
fn a_gate_that_gets_sigterm_finishes_the_request_of_a_public_client() {
    let Some(python) = python("aioquic") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), "");
    let (started, listens) = std::sync::mpsc::channel();
    let client = std::thread::spawn(move || {
        let wishes = ["GET", "/large/30000000"];
        started.send(()).unwrap();
        visit(&python, secure, &wishes)
    });
    listens.recv().unwrap();
    gate.wait_until("the response is in flight", || {
        gate.admin_get("/metrics").contains("portcullis_origin_requests_total{")
    });
    gate.signal(Signal::TERM);
    let lines = client.join().unwrap();
    assert_eq!((&lines[0]["status"], &lines[0]["length"]), (&200.into(), &30_000_000.into()));
    gate.stop();
}
