//! Large bodies stream. Alone in its process, so that its memory can be measured; one test after the
//! other.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;
use std::time::Duration;

use common::{Gate, Origin, Reply, config, field};
use portcullis_model::Outcome;

/// Others would be measured too.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Resident memory of this process in bytes.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

const LARGE: usize = 48 * 1024 * 1024;

#[test]
fn a_large_answer_streams_with_flat_memory_to_a_slow_reader() {
    let _alone = ONE_AT_A_TIME.lock();
    let origin = Origin::start(|_| {
        Reply::Takes(Box::new(|mut stream| {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").unwrap();
            let piece = vec![b'x'; 64 * 1024];
            for _ in 0..LARGE / piece.len() {
                if stream.write_all(&piece).is_err() {
                    return;
                }
            }
        }))
    });
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    visitor.send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    visitor.until(b"\r\n\r\n");
    let before = memory();
    std::thread::sleep(Duration::from_millis(500));
    let mut left = LARGE - visitor.exactly(0).len();
    let mut buffer = vec![0; 64 * 1024];
    let mut most = 0;
    // What the head's read brought along is already in the visitor's hands.
    let mut visitor_stream = visitor.stream.try_clone().unwrap();
    visitor_stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    while let Ok(read) = visitor_stream.read(&mut buffer) {
        if read == 0 {
            break;
        }
        left = left.saturating_sub(read);
        most = most.max(memory().saturating_sub(before));
    }
    assert!(left < 32 * 1024, "{left} bytes are missing");
    assert!(most < 8 * 1024 * 1024, "grew by {most} bytes");
    assert_eq!(gate.outcome(Outcome::Served), 1);
    let sent: u64 = gate.snapshot().activities.iter().map(|a| a.bytes_out).sum();
    assert_eq!(sent, LARGE as u64);
}

#[test]
fn a_large_upload_streams_with_flat_memory_to_a_slow_origin() {
    let _alone = ONE_AT_A_TIME.lock();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let reader = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = vec![0; 64 * 1024];
        let mut all = 0;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        std::thread::sleep(Duration::from_millis(500));
        while all < LARGE {
            all += stream.read(&mut buffer).unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").unwrap();
        String::from_utf8(head).unwrap()
    });
    let gate = Gate::start(config(address));
    let mut visitor = gate.connect();
    visitor
        .send(format!("POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: {LARGE}\r\n\r\n"));
    let before = memory();
    let piece = vec![b'x'; 64 * 1024];
    let mut most = 0;
    for _ in 0..LARGE / piece.len() {
        visitor.send(&piece);
        most = most.max(memory().saturating_sub(before));
    }
    assert_eq!(visitor.answer().text(), "done");
    assert!(most < 8 * 1024 * 1024, "grew by {most} bytes");
    let head = reader.join().unwrap();
    assert_eq!(field(&head, "content-length"), Some(LARGE.to_string().as_str()));
    let received: u64 = gate.snapshot().activities.iter().map(|a| a.bytes_in).sum();
    assert_eq!(received, LARGE as u64);
}
