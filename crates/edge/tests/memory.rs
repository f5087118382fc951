//! How much memory visitors can make the gate hold. Alone in its process, so that it can be
//! measured; one test after the other.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::wire::{HEADERS, Wire};
use common::{Gate, Origin, Reply, config, secure};
use portcullis_model::Cut;

/// Another test would be measured too.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const MIB: usize = 1024 * 1024;

/// Bytes of memory that this process holds.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// `unpacked` zeros by gzip (RFC 1952), a thousandth as long. The checksum at the end is
/// wrong, which only a decompressor would notice.
fn bomb(unpacked: usize) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let (mut held, mut bits) = (0u32, 0);
    let mut put = |value: u32, length: u32, last: bool| {
        // Codes of Huffman begin with their highest bit (RFC 1951, section 3.1.1).
        held |= (value.reverse_bits() >> (32 - length)) << bits;
        bits += length;
        while bits >= 8 || last && bits > 0 {
            bytes.push(held as u8);
            held >>= 8;
            bits = bits.saturating_sub(8);
        }
    };
    // One block, the last, of fixed codes: a zero, and then 258 more from one byte back, again and
    // again.
    put(0b110, 3, false);
    put(0b0011_0000, 8, false);
    for _ in 0..unpacked / 258 {
        put(0b1100_0101, 8, false);
        put(0, 5, false);
    }
    put(0, 7, true);
    bytes.extend([0; 8]);
    bytes
}

#[test]
fn compressed_bodies_pass_unchanged_in_both_directions_and_are_not_decompressed() {
    let _alone = ONE_AT_A_TIME.lock();
    let packed = bomb(512 * MIB);
    assert!(packed.len() > 2 * MIB && packed.len() < 4 * MIB, "{}", packed.len());
    let answer = packed.clone();
    let origin = Origin::start(move |_| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        Reply::Bytes([head.as_bytes(), &answer].concat())
    });
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    let before = resident();
    let most = Arc::new(AtomicUsize::new(0));
    let (top, done) = (most.clone(), Arc::new(AtomicUsize::new(0)));
    let over = done.clone();
    let watching = std::thread::spawn(move || {
        while over.load(Relaxed) == 0 {
            top.fetch_max(resident().saturating_sub(before), Relaxed);
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    for _ in 0..3 {
        visitor.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            packed.len()
        ));
        visitor.send(&packed);
        let answer = visitor.answer();
        assert_eq!(answer.field("content-encoding"), Some("gzip"));
        assert!(answer.body == packed);
        let received = origin.last();
        assert_eq!(received.field("content-encoding"), Some("gzip"));
        assert!(received.body == packed);
        origin.received.lock().unwrap().clear();
    }
    done.store(1, Relaxed);
    watching.join().unwrap();
    // The visitor and the origin, who are in this process too, hold all of it a few times over.
    let most = most.load(Relaxed);
    assert!(most < 64 * MIB, "{} MiB", most / MIB);
}

#[test]
fn a_hundred_unread_responses_hold_less_than_fourteen_mebibytes_and_then_nothing() {
    static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    let _alone = ONE_AT_A_TIME.lock();
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let origin = Origin::start(move |_| {
        let count = count.clone();
        Reply::Takes(Box::new(move |mut stream| {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            while let Ok(written) = stream.write(&PIECE) {
                count.fetch_add(written, Relaxed);
            }
        }))
    });
    let mut settings = config(origin.address);
    settings.limits.body_idle_timeout = Duration::from_secs(4);
    settings.platforms[0].origin.max_connections = 200;
    settings.platforms[0].origin.response_timeout = Duration::from_secs(10);
    settings.platforms[0].origin.queue_timeout = Duration::from_secs(10);
    let _files = secure(&mut settings);
    let gate = Gate::manual(settings);
    // Everything that is made once is made now: threads of the origin, tables, buffers.
    let mut wires: Vec<_> = (0..2).map(|_| Wire::connect(&gate, &[(4, 0)])).collect();
    let ask = |wire: &mut Wire| {
        for stream in (1..200).step_by(2) {
            wire.get(stream, "/");
        }
        for _ in 0..100 {
            wire.until(|frame| frame.kind == HEADERS).expect("an answer begins");
        }
    };
    ask(&mut wires[0]);
    let before = resident();
    ask(&mut wires[1]);
    assert_eq!(gate.snapshot().gauges.in_flight, 200);
    let mut most = 0;
    // Samples for a second of real time, in which the kernel fills its buffers.
    for _ in 0..20 {
        most = most.max(resident().saturating_sub(before));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(most < 14 * MIB, "{} KiB", most / 1024);
    // All of it was there to be had.
    assert!(written.load(Relaxed) > 200 * 64 * 1024);
    let freed = || gate.snapshot().gauges.in_flight == 0;
    gate.pass_until("every connection to the origin is free again", freed);
    let cuts = gate.snapshot().cuts;
    assert!(cuts.of(Cut::FlowControlStall) >= 2, "{cuts:?}");
}
