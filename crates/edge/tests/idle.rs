//! Idle connections: they free their buffers and lose no data.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Gate, Origin, config};

/// Longer than it takes until an idle connection gives its buffers back.
const A_WHILE: Duration = Duration::from_millis(1800);

#[test]
fn a_visitor_is_answered_after_its_buffers_were_freed() {
    let gate = Gate::manual(config(Origin::hello().address));
    let mut visitor = gate.connect();
    for _ in 0..3 {
        assert_eq!(visitor.get("/").text(), "hello");
        assert_eq!(visitor.get("/").text(), "hello");
        gate.pass(A_WHILE);
    }
    assert_eq!(gate.snapshot().gauges.connections, 1);
    drop(visitor);
    common::eventually("no connection is open", || gate.snapshot().gauges.connections == 0);
}

#[test]
fn half_a_request_in_the_buffer_survives_an_idle_time() {
    let gate = Gate::manual(config(Origin::hello().address));
    let mut visitor = gate.connect();
    visitor.send("GET /1 HTTP/1.1\r\nHost: example.org\r\n\r\nGET /2 HTTP/1.1\r\nHo");
    assert_eq!(visitor.answer().text(), "hello");
    gate.pass(A_WHILE);
    visitor.send("st: example.org\r\n\r\n");
    assert_eq!(visitor.answer().text(), "hello");
    assert_eq!(visitor.get("/3").text(), "hello");
}

#[test]
fn a_silent_connection_ends_at_its_limit_and_when_the_gate_drains() {
    let mut settings = config(Origin::hello().address);
    settings.limits.idle_timeout = Duration::from_secs(3);
    let gate = Gate::manual(settings);
    let mut silent = gate.connect();
    assert_eq!(silent.get("/").text(), "hello");
    gate.pass(A_WHILE);
    let mut other = gate.connect();
    assert_eq!(other.get("/").text(), "hello");
    // The limit counts from the last answer, not from when the buffers went.
    gate.pass_until("it is closed", || silent.has_closed());
    let mut third = gate.connect();
    assert_eq!(third.get("/").text(), "hello");
    gate.pass(A_WHILE);
    gate.start_draining();
    third.expect_close();
}
