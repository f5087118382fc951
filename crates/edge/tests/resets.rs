//! HTTP/2 streams that are cancelled or never finished.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use common::wire::{DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, Wire, frame, request};
use common::{Gate, Origin, Reply, config, eventually, hold, secure};
use portcullis_model::{Cut, Outcome, Reason};

const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// Sends a request, waits until it is counted, and cancels it: `times` times, or until the gate ends
/// the connection.
fn hang_up(gate: &Gate, wire: &mut Wire, times: u32) {
    let block = request("GET", "/", &[]);
    let ended = || gate.snapshot().cuts.of(Cut::ResetFlood) > 0;
    for at in 0..times {
        let stream = at * 2 + 1;
        let ask = frame(HEADERS, END_STREAM | END_HEADERS, stream, &block);
        let before = gate.offered();
        if wire.try_send(&ask).is_err() {
            return;
        }
        eventually("it is counted", || gate.offered() > before || ended());
        let _ = wire.try_send(&frame(RST_STREAM, 0, stream, &CANCEL));
    }
}

#[test]
fn cancelled_requests_never_exceed_the_origins_connections() {
    let (working, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, top) = (working.clone(), most.clone());
    let origin = Origin::start(move |_| {
        // Like most origins, this one does not notice that its client has left.
        top.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        // The work of the origin, in real time: the test counts how many requests overlap.
        std::thread::sleep(Duration::from_millis(200));
        now.fetch_sub(1, SeqCst);
        Reply::ok("done")
    });
    let mut settings = config(origin.address);
    settings.platforms[0].origin.max_connections = 4;
    settings.platforms[0].origin.queue_timeout = Duration::from_secs(10);
    let _files = secure(&mut settings);
    let gate = Gate::start(settings);
    // What is usual.
    let mut person = Wire::connect_from(&gate, 2, &[]);
    let mut ask = |stream| {
        person.get(stream, "/");
        person.until(|frame| frame.stream == stream && frame.kind == DATA).unwrap().payload
    };
    for stream in [1, 3, 5] {
        assert_eq!(ask(stream), b"done");
    }
    let mut wire = Wire::connect(&gate, &[]);
    std::thread::scope(|scope| {
        scope.spawn(|| hang_up(&gate, &mut wire, 250));
        for stream in [7, 9, 11] {
            assert_eq!(ask(stream), b"done");
        }
    });
    let most = most.load(SeqCst);
    assert!(most <= 8, "{most} at the same time");
    eventually("all are over", || gate.snapshot().gauges.waiting == 0);
    assert!(gate.outcome(Outcome::VisitorDisconnected) > 150);
    assert_eq!(gate.outcome(Outcome::Served), 6);
    // And every place is free again.
    eventually("the origin is idle", || working.load(SeqCst) == 0);
    assert_eq!(ask(13), b"done");
}

#[test]
fn cancelled_requests_count_against_their_source() {
    let (release, hold) = hold();
    let origin = Origin::start(move |_| {
        hold.wait();
        Reply::ok("ok")
    });
    let mut settings = config(origin.address);
    settings.limits.source.requests_per_second = 10;
    settings.limits.source.burst = 50;
    let _files = secure(&mut settings);
    let gate = Gate::manual(settings);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let mut wire = Wire::connect(&gate, &[]);
            let gate = &gate;
            scope.spawn(move || hang_up(gate, &mut wire, 150));
        }
    });
    eventually("most are refused", || gate.reason(Reason::SourceRate) > 150);
    let forwarded = gate.reason(Reason::Allowed);
    assert!((50..120).contains(&forwarded), "{forwarded}");
    assert!(origin.requests() as u64 <= forwarded);
    drop(release);
    // A visitor from another address is not affected.
    let mut person = Wire::connect_from(&gate, 2, &[]);
    person.get(1, "/");
    assert_eq!(person.until(|frame| frame.kind == DATA).unwrap().payload, b"ok");
}

#[test]
fn resets_beyond_their_budget_end_the_connection_and_all_its_requests() {
    let (_release, hold) = hold();
    let origin = Origin::start(move |_| {
        hold.wait();
        Reply::ok("ok")
    });
    let mut settings = config(origin.address);
    settings.limits.http_2.resets.burst = 40;
    settings.limits.http_2.resets.per_second = 1;
    let _files = secure(&mut settings);
    let gate = Gate::start(settings);
    let mut wire = Wire::connect(&gate, &[]);
    hang_up(&gate, &mut wire, 100);
    eventually("it is counted", || gate.snapshot().cuts.of(Cut::ResetFlood) == 1);
    eventually("it is gone", || gate.snapshot().gauges.connections == 0);
    assert!(gate.offered() <= 45);
    assert_eq!(gate.snapshot().gauges.in_flight, 0);
}

#[test]
fn streams_that_are_opened_and_never_finished_are_reset_and_the_connection_continues() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.body_idle_timeout = Duration::from_secs(1);
    settings.limits.max_streams_per_connection = 20;
    let _files = secure(&mut settings);
    let gate = Gate::manual(settings);
    let mut wire = Wire::connect(&gate, &[]);
    let block = request("POST", "/", &[]);
    for at in 0..20 {
        wire.send(&frame(HEADERS, END_HEADERS, at * 2 + 1, &block));
    }
    eventually("all are open", || gate.offered() == 20);
    gate.pass_until("all are aborted", || gate.snapshot().cuts.of(Cut::SlowBody) == 20);
    let mut ended = 0;
    while ended < 20 {
        let frame = wire.next(Duration::from_secs(20)).expect("a frame");
        // The answer is 408; the stream is reset, because its request is not over.
        ended += u32::from(frame.kind == RST_STREAM);
    }
    assert_eq!(gate.snapshot().cuts.of(Cut::SlowBody), 20);
    assert_eq!(gate.outcome(Outcome::BodyAborted), 20);
    assert_eq!(origin.connections(), 0);
    wire.get(101, "/");
    let answer = wire.until(|frame| frame.stream == 101 && frame.kind == DATA);
    assert_eq!(answer.unwrap().payload, b"hello");
}
