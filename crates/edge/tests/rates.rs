//! Bodies that come or go too slowly, and those that are merely slow.

#![allow(clippy::unwrap_used)]

mod common;

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::wire::{
    DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, WINDOW_UPDATE, Wire, frame, request,
};
use common::{Gate, Origin, Reply, config, eventually, hold, secure};
use portcullis_model::{Cut, Outcome, TICK};

fn cut(gate: &Gate, why: Cut) -> u64 {
    gate.snapshot().cuts.of(why)
}

/// A connection whose system takes little before its owner does.
fn narrow(gate: &Gate) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    socket.connect(&gate.address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n").unwrap();
    stream
}

/// Reads `piece` bytes, lets time pass, and so on until the end; how many bytes came.
fn read_slowly(stream: &mut TcpStream, piece: usize, mut pass: impl FnMut()) -> usize {
    let mut buffer = vec![0; piece];
    let mut all = 0;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return all,
            Ok(read) => all += read,
        }
        pass();
    }
}

#[test]
fn a_response_that_is_read_below_the_minimum_rate_is_cut_although_it_never_stalls() {
    let origin = Origin::start(|_| Reply::ok(&"x".repeat(4 * 1024 * 1024)));
    let mut settings = config(origin.address);
    settings.limits.body_idle_timeout = Duration::from_secs(2);
    settings.limits.min_download_rate = 64 * 1024;
    let gate = Gate::manual(settings);
    let mut ticks = 0;
    let taken = read_slowly(&mut narrow(&gate), 2_500, || {
        if cut(&gate, Cut::SlowRead) == 0 {
            gate.pass(TICK);
            ticks += 1;
        }
    });
    assert!(taken < 1024 * 1024, "{taken}");
    assert!(TICK * ticks >= Duration::from_secs(2));
    assert_eq!(cut(&gate, Cut::SlowRead), 1);
    eventually("the origin is free", || gate.snapshot().gauges.in_flight == 0);
    eventually("it is closed", || gate.snapshot().gauges.connections == 0);
}

#[test]
fn a_response_that_is_read_slowly_but_above_the_minimum_rate_is_complete() {
    let size = 200_000;
    let origin = Origin::start(move |_| Reply::ok(&"x".repeat(size)));
    let mut settings = config(origin.address);
    // Each of the kernel's buffers takes longer than this; all of it takes five seconds.
    settings.limits.body_idle_timeout = Duration::from_secs(2);
    settings.limits.min_download_rate = 10_000;
    let gate = Gate::start(settings);
    let begun = Instant::now();
    // Real time, because the kernel opens its window after a while, and not when it has space.
    let pause = || std::thread::sleep(Duration::from_millis(50));
    let taken = read_slowly(&mut narrow(&gate), 2_000, pause);
    assert!(taken > size, "{taken}");
    assert!(begun.elapsed() >= Duration::from_secs(4));
    assert_eq!(cut(&gate, Cut::SlowRead), 0);
}

#[test]
fn an_event_stream_with_few_events_is_not_below_the_minimum_rate() {
    let (release, hold) = hold();
    let origin = Origin::start(move |_| {
        let hold = hold.clone();
        Reply::Takes(Box::new(move |mut stream| {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            for _ in 0..4 {
                hold.wait();
                stream.write_all(b"data: 1\n\n").unwrap();
            }
        }))
    });
    let mut settings = config(origin.address);
    settings.limits.body_idle_timeout = Duration::from_secs(3);
    settings.limits.min_download_rate = 64 * 1024;
    let gate = Gate::manual(settings);
    // After the head and after each event but the last.
    let taken = read_slowly(&mut narrow(&gate), 500, || {
        gate.pass(Duration::from_millis(1_200));
        release.one();
    });
    assert!(taken > 4 * 9, "{taken}");
    assert_eq!(cut(&gate, Cut::SlowRead), 0);
    assert_eq!(gate.outcome(Outcome::Served), 1);
}

#[test]
fn a_body_above_the_minimum_rate_passes_however_long_it_takes_and_a_drip_does_not() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.body_idle_timeout = Duration::from_secs(1);
    let gate = Gate::manual(settings);
    let ticks = Cell::new(0);
    let send = |piece: &str| {
        let mut visitor = gate.connect();
        visitor.send("POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 6000\r\n\r\n");
        for _ in 0..6000 / piece.len() {
            if visitor.stream.write_all(piece.as_bytes()).is_err() {
                break;
            }
            gate.pass(TICK);
            ticks.set(ticks.get() + 1);
            if cut(&gate, Cut::SlowBody) > 0 {
                break;
            }
        }
        visitor.answer().status
    };
    assert_eq!(send(&"x".repeat(500)), 200);
    assert!(TICK * ticks.get() >= Duration::from_secs(2));
    assert_eq!(cut(&gate, Cut::SlowBody), 0);
    assert_eq!(send("x"), 408);
    assert_eq!(cut(&gate, Cut::SlowBody), 1);
    assert_eq!(gate.outcome(Outcome::BodyAborted), 1);
}

#[test]
fn a_body_that_never_begins_holds_no_connection_to_the_origin() {
    let origin = Origin::start(|received| Reply::ok(std::str::from_utf8(&received.body).unwrap()));
    let mut settings = config(origin.address);
    settings.platforms[0].origin.max_connections = 1;
    settings.limits.body_idle_timeout = Duration::from_secs(4);
    let gate = Gate::manual(settings);
    let mut silent: Vec<_> = ["", "Expect: 100-continue\r\n"]
        .iter()
        .map(|expectation| {
            let mut visitor = gate.connect();
            visitor.send(format!(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n{expectation}\r\n"
            ));
            visitor
        })
        .collect();
    assert_eq!(silent[1].until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n");
    eventually("both are accepted", || gate.offered() == 2);
    assert_eq!(gate.snapshot().gauges.in_flight, 0);
    assert_eq!(origin.connections(), 0);
    // The only connection to the origin is free for a request whose body arrives.
    assert_eq!(gate.connect_from(2).get("/").status, 200);
    silent[1].send("abc");
    eventually("it has begun", || gate.snapshot().gauges.in_flight == 1);
    silent[1].send("def");
    assert_eq!(silent[1].answer().text(), "abcdef");
    gate.pass_until("it is aborted", || cut(&gate, Cut::SlowBody) == 1);
    assert_eq!(silent[0].answer().status, 408);
    assert_eq!(cut(&gate, Cut::SlowBody), 1);
    // An empty body in chunks has begun with its end.
    let mut visitor = gate.connect();
    visitor.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(visitor.answer().status, 200);
}

#[test]
fn a_dripping_body_on_one_http_2_stream_is_aborted_and_the_others_continue() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.body_idle_timeout = Duration::from_secs(1);
    let _files = secure(&mut settings);
    let gate = Gate::manual(settings);
    let mut wire = Wire::connect(&gate, &[]);
    wire.send(&frame(HEADERS, END_HEADERS, 1, &request("POST", "/", &[])));
    gate.pass_until("it is aborted", || {
        wire.send(&frame(DATA, 0, 1, b"x"));
        cut(&gate, Cut::SlowBody) > 0
    });
    let answer = wire.until(|frame| frame.kind == HEADERS && frame.stream == 1);
    assert!(answer.is_some());
    wire.get(3, "/");
    let answer = wire.until(|f| f.stream == 3 && f.kind == DATA && f.flags & END_STREAM != 0);
    assert_eq!(answer.unwrap().payload, b"hello");
    assert_eq!(gate.outcome(Outcome::BodyAborted), 1);
    assert_eq!(gate.snapshot().gauges.in_flight, 0);
}

const INITIAL_WINDOW_SIZE: u16 = 4;

fn widen(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

#[test]
fn a_response_that_hyper_buffers_whole_is_not_held_by_a_window_opened_byte_by_byte() {
    let origin = Origin::start(|_| Reply::ok(&"x".repeat(5_000)));
    let mut settings = config(origin.address);
    settings.limits.body_idle_timeout = Duration::from_secs(1);
    settings.limits.idle_timeout = Duration::from_secs(60);
    let _files = secure(&mut settings);
    let gate = Gate::manual(settings);
    let mut wire = Wire::connect(&gate, &[(INITIAL_WINDOW_SIZE, 0)]);
    wire.get(1, "/");
    wire.send(&widen(1, 1));
    wire.until(|frame| frame.kind == DATA).unwrap();
    eventually("the origin has done its part", || gate.snapshot().gauges.in_flight == 0);
    let passed = gate.pass_until("it is cut", || {
        let _ = wire.try_send(&widen(1, 1));
        cut(&gate, Cut::FlowControlStall) == 1
    });
    assert!(passed > Duration::from_secs(3));
    eventually("the connection is gone", || gate.snapshot().gauges.connections == 0);
}

#[test]
fn a_visitor_with_small_windows_on_a_slow_line_gets_every_response() {
    let origin = Origin::start(|_| Reply::ok(&"x".repeat(40_000)));
    let mut settings = config(origin.address);
    settings.limits.body_idle_timeout = Duration::from_secs(1);
    settings.limits.min_download_rate = 2_000;
    let _files = secure(&mut settings);
    let gate = Gate::manual(settings);
    let mut wire = Wire::connect(&gate, &[(INITIAL_WINDOW_SIZE, 4_000)]);
    for stream in [1, 3] {
        wire.get(stream, "/");
    }
    let mut ended = 0;
    let mut all = [0; 4];
    let mut passed = Duration::ZERO;
    while ended < 2 {
        let frame = wire.next(Duration::from_secs(20)).expect("a frame");
        assert_ne!(frame.kind, RST_STREAM);
        if frame.kind == DATA {
            let length = frame.payload.len() as u32;
            all[frame.stream as usize] += length;
            if frame.flags & END_STREAM != 0 {
                ended += 1;
            } else if length > 0 {
                // By one stream alone: the gate has read the other's window by the time that this one's
                // next data comes.
                if frame.stream == 1 {
                    gate.pass(TICK);
                    passed += TICK;
                }
                wire.send(&[widen(frame.stream, length), widen(0, length)].concat());
            }
        }
    }
    assert_eq!((all[1], all[3]), (40_000, 40_000));
    // Longer than a visitor may be silent or behind.
    assert!(passed > Duration::from_secs(2));
    assert_eq!(cut(&gate, Cut::FlowControlStall), 0);
}

#[test]
fn an_unread_response_is_reset_and_the_one_on_the_next_stream_is_complete() {
    let origin = Origin::start(|received| match received.path() {
        "/large" => Reply::ok(&"x".repeat(1024 * 1024)),
        _ => Reply::ok(&"y".repeat(100_000)),
    });
    let mut settings = config(origin.address);
    settings.limits.body_idle_timeout = Duration::from_secs(1);
    let _files = secure(&mut settings);
    let gate = Gate::manual(settings);
    let mut wire = Wire::connect(&gate, &[(INITIAL_WINDOW_SIZE, 5_000)]);
    wire.get(1, "/large");
    wire.until(|frame| frame.kind == HEADERS).unwrap();
    wire.get(3, "/small");
    let mut reset = false;
    let mut all = 0;
    loop {
        let frame = wire.next(Duration::from_secs(20)).expect("a frame");
        reset |= frame.stream == 1 && frame.kind == RST_STREAM;
        if frame.stream == 3 && frame.kind == DATA {
            all += frame.payload.len();
            if frame.flags & END_STREAM != 0 {
                break;
            }
            gate.pass(TICK);
            let length = frame.payload.len() as u32;
            wire.send(&[widen(3, length), widen(0, length)].concat());
        }
    }
    assert_eq!(all, 100_000);
    assert!(reset);
    assert_eq!(cut(&gate, Cut::FlowControlStall), 1);
    eventually("the origin is free", || gate.snapshot().gauges.in_flight == 0);
    assert_eq!(gate.snapshot().gauges.connections, 1);
}
