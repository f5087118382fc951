//! `WebSocket` through the gate, by the package `websockets` at both ends (`websocket.py`).

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::common::text;
use crate::gate;
use crate::python::{python, script};

/// The package's server; it ends with this value.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(python: &Path) -> Self {
        let mut process = Command::new(python)
            .arg(script("websocket.py"))
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = format!("127.0.0.1:{}", line.trim()).parse().unwrap();
        Self { process, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn visits(scheme: &str) {
    let Some(python) = python("websockets.asyncio.server") else { return };
    let server = Server::start(&python);
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), server.address, "");
    let address = if scheme == "wss" { secure } else { gate.listen };
    let output = Command::new(&python)
        .arg(script("websocket.py"))
        .args(["visit", &format!("{scheme}://{address}")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "all as it should be\n");
    gate.until("no tunnel is open", || {
        gate.operator("/metrics").contains("portcullis_open_connections 0\n")
    });
    gate.stop();
}

#[test]
fn messages_pings_and_closes_pass_both_ways_over_tcp() {
    visits("ws");
}

#[test]
fn messages_pings_and_closes_pass_both_ways_over_tls() {
    visits("wss");
}
