//! Connections above their maximum age: closed gracefully, and cut only if they continue.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::time::Duration;

use common::wire::{END_HEADERS, END_STREAM, GOAWAY, HEADERS, Wire, frame, request};
use common::{Gate, Origin, Reply, config, eventually, hold, secure};
use portcullis_model::{Cut, Outcome};

fn cut(gate: &Gate, why: Cut) -> u64 {
    gate.snapshot().cuts.of(why)
}

#[test]
fn the_response_to_the_last_request_of_a_connection_announces_the_close() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_requests_per_connection = 10;
    let gate = Gate::start(settings);
    let mut visitor = gate.connect();
    for _ in 0..9 {
        let answer = visitor.get("/");
        assert_eq!((answer.status, answer.field("connection")), (200, None));
    }
    let last = visitor.get("/");
    assert_eq!((last.status, last.field("connection")), (200, Some("close")));
    assert_eq!(last.text(), "hello");
    visitor.expect_close();
    assert_eq!(cut(&gate, Cut::MaxAge), 0);
}

#[test]
fn a_refusal_by_the_gate_announces_the_close_too() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_requests_per_connection = 10;
    settings.platforms[0].hosts = vec!["elsewhere.example".into()];
    let gate = Gate::start(settings);
    let mut visitor = gate.connect();
    for _ in 0..9 {
        assert_eq!(visitor.get("/").field("connection"), None);
    }
    let last = visitor.get("/");
    assert_eq!((last.status, last.field("connection")), (421, Some("close")));
    visitor.expect_close();
}

#[test]
fn an_old_connection_learns_of_its_end_by_the_next_response_and_is_not_closed_before() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_connection_age = Duration::from_secs(2);
    let gate = Gate::manual(settings);
    let mut visitor = gate.connect();
    assert_eq!(visitor.get("/").field("connection"), None);
    gate.pass(Duration::from_millis(2_500));
    assert!(!visitor.has_closed());
    let last = visitor.get("/");
    assert_eq!((last.status, last.field("connection")), (200, Some("close")));
    visitor.expect_close();
    assert_eq!(cut(&gate, Cut::MaxAge), 0);
}

#[test]
fn a_response_in_flight_has_the_maximum_age_once_more_and_is_then_cut() {
    // An answer that never ends.
    let (_release, hold) = hold();
    let origin = Origin::start(move |_| {
        let hold = hold.clone();
        Reply::Takes(Box::new(move |mut stream| {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx";
            stream.write_all(head).unwrap();
            hold.wait();
        }))
    });
    let mut settings = config(origin.address);
    settings.limits.max_connection_age = Duration::from_secs(1);
    let gate = Gate::manual(settings);
    let mut visitor = gate.connect();
    visitor.send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    let head = visitor.until(b"\r\n\r\n");
    assert!(head.starts_with(b"HTTP/1.1 200"));
    let passed = gate.pass_until("it is cut", || cut(&gate, Cut::MaxAge) > 0);
    assert!(passed >= Duration::from_millis(1_750));
    eventually("it is gone", || gate.snapshot().gauges.connections == 0);
    assert_eq!(cut(&gate, Cut::MaxAge), 1);
}

const PING: u8 = 6;
const ACKNOWLEDGED: u8 = 1;

fn ask(wire: &mut Wire, stream: u32) -> std::io::Result<()> {
    wire.try_send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &request("GET", "/", &[])))
}

#[test]
fn over_http_2_goaway_announces_the_end_and_requests_before_it_are_answered() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_requests_per_connection = 10;
    let _files = secure(&mut settings);
    let gate = Gate::start(settings);
    let mut wire = Wire::connect(&gate, &[]);
    let mut farewell = false;
    for n in 0..10 {
        assert!(!farewell, "after {n}");
        let stream = n * 2 + 1;
        ask(&mut wire, stream).unwrap();
        wire.until(|frame| {
            farewell |= frame.kind == GOAWAY;
            frame.stream == stream && frame.flags & END_STREAM != 0
        })
        .expect("an answer");
    }
    if !farewell {
        let goaway = wire.until(|frame| frame.kind == GOAWAY).expect("a farewell");
        assert_eq!(goaway.number(4), 0);
    }
    assert_eq!(cut(&gate, Cut::MaxAge), 0);
}

#[test]
fn over_http_2_a_client_that_continues_after_goaway_is_cut() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_requests_per_connection = 10;
    settings.limits.max_streams_per_connection = 10;
    // Refused here and now, so that nothing waits.
    settings.platforms[0].hosts = vec!["elsewhere.example".into()];
    let _files = secure(&mut settings);
    let gate = Gate::start(settings);
    let mut wire = Wire::connect(&gate, &[]);
    let mut n = 0;
    // Never acknowledges the ping by which the gate would know that GOAWAY has arrived.
    while n < 1_000 && ask(&mut wire, n * 2 + 1).is_ok() {
        if wire.until(|f| f.stream == n * 2 + 1 && f.flags & END_STREAM != 0).is_none() {
            break;
        }
        n += 1;
    }
    assert_eq!(n, 110);
    assert_eq!(cut(&gate, Cut::MaxAge), 1);
    eventually("it is gone", || gate.snapshot().gauges.connections == 0);
}

#[test]
fn over_http_2_an_old_connection_gets_goaway_without_a_request() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_connection_age = Duration::from_secs(4);
    let _files = secure(&mut settings);
    let gate = Gate::manual(settings);
    let mut wire = Wire::connect(&gate, &[]);
    ask(&mut wire, 1).unwrap();
    eventually("it is answered", || gate.outcome(Outcome::Served) == 1);
    gate.pass(Duration::from_secs(4));
    assert!(wire.until(|frame| frame.kind == GOAWAY).is_some());
    // The gate knows that GOAWAY has arrived when its ping is acknowledged.
    let ping = wire.until(|frame| frame.kind == PING).expect("a ping");
    wire.send(&frame(PING, ACKNOWLEDGED, 0, &ping.payload));
    wire.expect_close();
    eventually("it is gone", || gate.snapshot().gauges.connections == 0);
    assert_eq!(cut(&gate, Cut::MaxAge), 0);
}
