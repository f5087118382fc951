//! Server-sent events through the gate: each arrives before the next is sent.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use portcullis_testkit::peers::{has_peer, python};

use crate::gate;
use crate::origin::Origin;
use crate::script;

const EVENTS: usize = 10;

/// Sends one event, and then one more for each message on the channel. So the test does not depend
/// on speed: if an event is buffered anywhere, the stream never ends.
fn origin(chunked: bool) -> (Origin, Sender<()>) {
    let (come, next) = channel::<()>();
    let next = Mutex::new(next);
    let origin = Origin::start(move |link| {
        if link.next_request().is_none() {
            return;
        }
        let framing = if chunked { "Transfer-Encoding: chunked\r\n" } else { "" };
        link.write(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n{framing}\r\n"
        ));
        for n in 0..EVENTS {
            let event = format!("event: tick\nid: {n}\ndata: number {n}\n\n");
            if chunked {
                link.write(format!("{:x}\r\n{event}\r\n", event.len()));
            } else {
                link.write(event);
            }
            if next.lock().unwrap().recv_timeout(crate::LIMIT).is_err() {
                return;
            }
        }
        if chunked {
            link.write("0\r\n\r\n");
        }
    });
    (origin, come)
}

/// Runs a client, which prints a line with `number N` for each event as it comes.
fn listens(command: impl Fn(SocketAddr, SocketAddr) -> Command) {
    for chunked in [true, false] {
        let (origin, come) = origin(chunked);
        let folder = tempfile::tempdir().unwrap();
        let (gate, secure) = gate(folder.path(), origin.address, "");
        let mut client = command(gate.listen, secure).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(client.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut received = 0;
        for line in lines.filter(|line| line.contains("number ")) {
            assert!(line.contains(&format!("number {received}")), "{line}");
            received += 1;
            // After the last event the origin does not wait for this.
            let _ = come.send(());
        }
        assert_eq!(received, EVENTS);
        assert!(client.wait().unwrap().success());
        gate.stop();
    }
}

#[test]
fn each_event_reaches_a_public_client_before_the_next_is_sent() {
    let Some(python) = python("httpx_sse") else { return };
    listens(|plain, _| {
        let mut command = Command::new(&python);
        command.arg(script("events.py")).arg(format!("http://{plain}/events"));
        command
    });
    listens(|_, secure| {
        let mut command = Command::new(&python);
        command.arg(script("events.py")).arg(format!("https://{secure}/events"));
        command
    });
}

#[test]
fn each_event_reaches_curl_before_the_next_is_sent_over_every_protocol() {
    if !has_peer("curl") {
        return;
    }
    for protocol in ["--http1.1", "--http2", "--http1.0"] {
        listens(|plain, secure| {
            let mut command = Command::new("curl");
            command.args(["--silent", "--insecure", "--no-buffer", "--max-time", "30", protocol]);
            command.arg(if protocol == "--http1.0" {
                format!("http://{plain}/events")
            } else {
                format!("https://{secure}/events")
            });
            command
        });
    }
}
