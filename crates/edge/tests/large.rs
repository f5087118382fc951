//! Large bodies stream. Alone in its process, so that its memory can be measured; one test after the
//! other.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use common::{Gate, Origin, Reply, config, eventually, field, settled};
use portcullis_model::Outcome;

/// Another test would be measured too.
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
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let origin = Origin::start(move |_| {
        let count = count.clone();
        Reply::Takes(Box::new(move |mut stream| {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").unwrap();
            let piece = vec![b'x'; 64 * 1024];
            for _ in 0..LARGE / piece.len() {
                if stream.write_all(&piece).is_err() {
                    return;
                }
                count.fetch_add(piece.len(), Relaxed);
            }
        }))
    });
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    visitor.send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    visitor.until(b"\r\n\r\n");
    let before = memory();
    settled("the buffers are full", || written.load(Relaxed));
    let mut most = 0;
    for _ in 0..LARGE / (64 * 1024) {
        assert_eq!(visitor.exactly(64 * 1024).len(), 64 * 1024);
        most = most.max(memory().saturating_sub(before));
    }
    assert!(most < 8 * 1024 * 1024, "grew by {most} bytes");
    eventually("it is served", || gate.outcome(Outcome::Served) == 1);
    let sent: u64 = gate.snapshot().activities.iter().map(|a| a.bytes_out).sum();
    assert_eq!(sent, LARGE as u64);
}

#[test]
fn a_large_upload_streams_with_flat_memory_to_a_slow_origin() {
    let _alone = ONE_AT_A_TIME.lock();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let sent = written.clone();
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
        settled("the buffers are full", || sent.load(Relaxed));
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
        written.fetch_add(piece.len(), Relaxed);
        most = most.max(memory().saturating_sub(before));
    }
    assert_eq!(visitor.answer().text(), "done");
    assert!(most < 8 * 1024 * 1024, "grew by {most} bytes");
    let head = reader.join().unwrap();
    assert_eq!(field(&head, "content-length"), Some(LARGE.to_string().as_str()));
    let received: u64 = gate.snapshot().activities.iter().map(|a| a.bytes_in).sum();
    assert_eq!(received, LARGE as u64);
}
