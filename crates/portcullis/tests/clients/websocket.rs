//! `WebSocket` through the gate, by the package `websockets` at both ends (`websocket.py`).

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use portcullis_testkit::peers::python;

use crate::common::text;
use crate::gate;
use crate::origin::{Origin, answer};
use crate::script;
use crate::visitor::Visitor;

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
    gate.wait_until("no tunnel is open", || {
        gate.admin_get("/metrics").contains("portcullis_connections 0\n")
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

const ASKS: &str = "GET /socket HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\n\
                    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const AGREES: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                      Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";

#[test]
fn bytes_right_after_the_101_response_pass_and_so_does_the_end_of_either_side() {
    let origin = Origin::start(|link| {
        let asked = link.head().unwrap();
        assert_eq!(asked.head.field("upgrade"), Some("websocket"));
        link.write([AGREES.as_bytes(), b"right behind it"].concat());
        let mut all = Vec::new();
        let _ = link.lines.read_to_end(&mut all);
        link.write(format!("{} bytes, and an end", all.len()));
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    for _ in 0..3 {
        let mut visitor = Visitor::plain(gate.listen);
        visitor.send(ASKS);
        let head = visitor.head();
        assert_eq!((head.status(), head.field("upgrade")), (101, Some("websocket")));
        assert_eq!(head.field("sec-websocket-accept"), Some("x"));
        visitor.send(vec![b'x'; 200_000]);
        visitor.end();
        let mut rest = String::new();
        visitor.stream.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "right behind it200000 bytes, and an end");
    }
    gate.stop();
}

#[test]
fn an_upgrade_that_is_declined_leaves_both_connections_usable() {
    let origin = Origin::answering(|asked| match asked.path.as_str() {
        "/socket" => b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno".to_vec(),
        _ => answer("a page"),
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    for mut visitor in [Visitor::plain(gate.listen), Visitor::secure(secure, &["http/1.1"])] {
        let before = origin.connections();
        for _ in 0..3 {
            visitor.send(ASKS);
            let declined = visitor.response();
            assert_eq!((declined.status(), declined.text().as_str()), (426, "no"));
            assert_eq!(visitor.get("/page").text(), "a page");
        }
        assert!(origin.connections() <= before + 1);
    }
    gate.stop();
}
