//! How much memory visitors can make the gate hold. Alone in its process, so that it can be
//! measured; one test after the other.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use common::wire::{HEADERS, Wire, secure};
use common::{Gate, Origin, Reply, config, eventually};
use portcullis_model::Cut;

const MIB: usize = 1024 * 1024;

/// Bytes of memory that this process holds.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_hundred_answers_that_nobody_reads_hold_less_than_fourteen_mebibytes_and_then_nothing() {
    static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];
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
    settings.limits.body_idle = Duration::from_secs(4);
    settings.platforms[0].origin.connections = 200;
    settings.platforms[0].origin.response_deadline = Duration::from_secs(10);
    settings.platforms[0].origin.queue_deadline = Duration::from_secs(10);
    let _files = secure(&mut settings);
    let gate = Gate::start(settings);
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
    for _ in 0..20 {
        most = most.max(resident().saturating_sub(before));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(most < 14 * MIB, "{} KiB", most / 1024);
    // All of it was there to be had.
    assert!(written.load(Relaxed) > 200 * 64 * 1024);
    let freed = || gate.snapshot().gauges.in_flight == 0;
    let begun = std::time::Instant::now();
    while !freed() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(100));
    }
    eventually("every connection to the origin is free again", freed);
    let cuts = gate.snapshot().cuts;
    assert!(cuts.of(Cut::Stall) >= 2, "{cuts:?}");
}
