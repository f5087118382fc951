//! Half a gigabyte each way, and what it costs the gate in memory.

#![cfg(target_os = "linux")]

use std::io::Read;

use crate::common::Gate;
use crate::gate;
use crate::message::{Framing, Head};
use crate::origin::{Origin, answer};
use crate::pattern;
use crate::visitor::{Visitor, get};

const MIB: usize = 1024 * 1024;
const LARGE: usize = 512 * MIB;

/// How much more memory the gate may have had in use at any moment than before, in KiB. A relay
/// holds a piece or two of 64 KiB in each direction, and TLS a few records; the rest is the
/// allocator's rounding. What is buffered whole is a hundred times as much.
const MOST: usize = 4 * 1024;

/// Content that repeats after a prime number of bytes, cut anywhere.
struct Pattern(Vec<u8>);

const PERIOD: usize = 251;
const PIECE: usize = 64 * 1024;

impl Pattern {
    fn new() -> Self {
        Self(pattern(PIECE + PERIOD))
    }

    fn at(&self, place: usize, length: usize) -> &[u8] {
        let from = place % PERIOD;
        &self.0[from..from + length.min(PIECE)]
    }

    fn send(&self, length: usize, chunked: bool, mut write: impl FnMut(&[u8])) {
        let mut place = 0;
        while place < length {
            let piece = self.at(place, length - place);
            if chunked {
                write(format!("{:x}\r\n", piece.len()).as_bytes());
            }
            write(piece);
            if chunked {
                write(b"\r\n");
            }
            place += piece.len();
        }
        if chunked {
            write(b"0\r\n\r\n");
        }
    }

    /// Reads `length` bytes and compares each.
    fn expect(&self, place: &mut usize, mut length: usize, from: &mut impl Read) {
        let mut buffer = vec![0; PIECE];
        while length > 0 {
            let most = length.min(PIECE);
            let read = from.read(&mut buffer[..most]).unwrap();
            assert!(read > 0, "it breaks off after {place} bytes");
            assert!(buffer[..read] == *self.at(*place, read), "it differs after {place} bytes");
            (*place, length) = (*place + read, length - read);
        }
    }

    /// Reads a body and compares each byte; returns how many there were.
    fn receive(&self, framing: Framing, from: &mut impl std::io::BufRead) -> usize {
        let mut place = 0;
        match framing {
            Framing::Length(length) => self.expect(&mut place, length, from),
            Framing::Chunked => loop {
                let mut line = String::new();
                from.read_line(&mut line).unwrap();
                let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
                self.expect(&mut place, size, from);
                let mut end = [0; 2];
                from.read_exact(&mut end).unwrap();
                assert_eq!(end, *b"\r\n");
                if size == 0 {
                    break;
                }
            },
            other => panic!("{other:?}"),
        }
        place
    }
}

/// A line of `/proc/PID/status`, in KiB.
fn memory(gate: &Gate, line: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gate.process.id())).unwrap();
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    found.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}

/// How much memory the gate needed at most while this ran, beyond what it had before.
fn grows_by(gate: &Gate, run: impl FnOnce()) -> usize {
    // Resets the peak (proc(5), clear_refs).
    std::fs::write(format!("/proc/{}/clear_refs", gate.process.id()), "5").unwrap();
    let before = memory(gate, "VmRSS");
    run();
    memory(gate, "VmHWM").saturating_sub(before)
}

/// Reads bodies of any length, and sends the number of bytes in the path.
fn origin() -> Origin {
    Origin::start(|link| {
        let pattern = Pattern::new();
        while let Some(asked) = link.head() {
            let (form, size) = asked.path[1..].split_once('/').unwrap();
            let size: usize = size.parse().unwrap();
            match form {
                "up" => {
                    let came = pattern.receive(asked.head.framing_of_request(), &mut link.lines);
                    link.write(answer(came.to_string()));
                }
                "length" => {
                    link.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"));
                    pattern.send(size, false, |bytes| link.write(bytes));
                }
                _ => {
                    link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                    pattern.send(size, true, |bytes| link.write(bytes));
                }
            }
        }
    })
}

fn download(visitor: &mut Visitor, form: &str, size: usize) {
    visitor.send(get(&format!("/{form}/{size}")));
    let head = Head::read(&mut visitor.stream).unwrap().unwrap();
    assert_eq!(head.status(), 200);
    let came = Pattern::new().receive(head.framing_of_answer("GET"), &mut visitor.stream);
    assert_eq!(came, size);
}

fn upload(visitor: &mut Visitor, chunked: bool, size: usize) {
    let framing = if chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {size}")
    };
    visitor.send(format!("POST /up/{size} HTTP/1.1\r\nHost: example.org\r\n{framing}\r\n\r\n"));
    Pattern::new().send(size, chunked, |bytes| visitor.send(bytes));
    assert_eq!(visitor.response().text(), size.to_string());
}

fn with_gate(test: impl Fn(&Gate, Visitor, Visitor)) {
    let origin = origin();
    let folder = tempfile::tempdir().unwrap();
    let limits = "[limits]\nmax_body_bytes = \"1 GiB\"\n";
    let (gate, secure) = gate(folder.path(), origin.address, limits);
    let mut visitors = [Visitor::plain(gate.listen), Visitor::secure(secure, &[])];
    for visitor in &mut visitors {
        // What is set up once is no part of what grows.
        upload(visitor, false, MIB);
        download(visitor, "length", MIB);
    }
    let [plain, secure] = visitors;
    test(&gate, plain, secure);
    gate.stop();
}

fn is_little(kib: usize, what: &str) {
    println!("{what}: {kib} KiB more");
    assert!(kib < MOST, "{what} took {kib} KiB");
}

#[test]
fn half_a_gigabyte_downloads_whole_with_little_memory() {
    with_gate(|gate, mut plain, mut secure| {
        is_little(grows_by(gate, || download(&mut plain, "length", LARGE)), "512 MiB down");
        is_little(grows_by(gate, || download(&mut plain, "chunked", LARGE / 4)), "in chunks");
        is_little(grows_by(gate, || download(&mut secure, "length", LARGE / 4)), "over TLS");
    });
}

#[test]
fn half_a_gigabyte_uploads_whole_with_little_memory() {
    with_gate(|gate, mut plain, mut secure| {
        is_little(grows_by(gate, || upload(&mut plain, false, LARGE)), "512 MiB up");
        is_little(grows_by(gate, || upload(&mut plain, true, LARGE / 4)), "in chunks");
        is_little(grows_by(gate, || upload(&mut secure, false, LARGE / 4)), "over TLS");
    });
}

#[test]
fn thirty_concurrent_large_responses_need_little_memory() {
    with_gate(|gate, _, _| {
        let visitors: Vec<_> = (0..30).map(|_| Visitor::plain(gate.listen)).collect();
        let kib = grows_by(gate, || {
            std::thread::scope(|scope| {
                for mut visitor in visitors {
                    scope.spawn(move || download(&mut visitor, "chunked", 8 * MIB));
                }
            });
        });
        println!("thirty side by side: {kib} KiB more");
        assert!(kib < 30 * 512, "each took {} KiB", kib / 30);
    });
}
