//! When connections are scarce: idle ones are evicted, and no network takes all.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Gate, Origin, config, eventually};
use portcullis_model::{ConnReason, Cut, TICK};

fn cut(gate: &Gate, why: Cut) -> u64 {
    gate.snapshot().cuts.of(why)
}

#[test]
fn at_the_connection_limit_the_longest_idle_connection_is_evicted_for_a_new_one() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_connections = 3;
    let gate = Gate::manual(settings);
    let mut idle: Vec<_> = (0..3).map(|_| gate.connect()).collect();
    for visitor in &mut idle {
        assert_eq!(visitor.get("/").status, 200);
        gate.pass(TICK);
    }
    gate.pass(Duration::from_millis(1_500));
    let mut new = gate.connect_from(2);
    assert_eq!(new.get("/").status, 200);
    idle[0].expect_close();
    assert_eq!(cut(&gate, Cut::Evicted), 1);
    assert_eq!(gate.refused(ConnReason::ConnectionLimit), 0);
    assert_eq!(idle[1].get("/").status, 200);
    assert_eq!(idle[2].get("/").status, 200);
    eventually("it is counted out", || gate.snapshot().gauges.connections == 3);
}

#[test]
fn connections_that_are_not_idle_are_not_evicted_for_a_new_one() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_connections = 2;
    let gate = Gate::manual(settings);
    let mut asking = gate.connect();
    asking.send("GET / HTTP/1.1\r\n");
    let mut silent = gate.connect();
    eventually("both are in", || gate.snapshot().gauges.connections == 2);
    gate.pass(Duration::from_millis(1_200));
    gate.connect_from(2).expect_close();
    assert_eq!((gate.refused(ConnReason::ConnectionLimit), cut(&gate, Cut::Evicted)), (1, 0));
    asking.send("Host: example.org\r\n\r\n");
    assert_eq!(asking.answer().status, 200);
    assert_eq!(silent.get("/").status, 200);
}

#[test]
fn idle_connections_get_less_time_near_the_connection_limit() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_connections = 4;
    settings.limits.idle_timeout = Duration::from_secs(600);
    let gate = Gate::manual(settings);
    let mut idle: Vec<_> = (0..4).map(|_| gate.connect()).collect();
    for visitor in &mut idle {
        assert_eq!(visitor.get("/").status, 200);
    }
    let passed = gate.pass_until("one is evicted", || cut(&gate, Cut::Evicted) > 0);
    assert!(passed >= Duration::from_millis(4_500));
    assert_eq!(cut(&gate, Cut::Idle), 0);
}

#[test]
fn a_network_holds_a_limited_number_of_connections_whatever_its_addresses() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_network_connections = 3;
    let gate = Gate::manual(settings);
    let mut held: Vec<_> = (1..=3).map(|n| gate.connect_from(n)).collect();
    for visitor in &mut held {
        assert_eq!(visitor.get("/").status, 200);
    }
    gate.connect_from(4).expect_close();
    assert_eq!(gate.refused(ConnReason::NetworkConnections), 1);
    assert_eq!(gate.refused(ConnReason::SourceConnections), 0);
    held.pop();
    eventually("a place is free", || gate.snapshot().gauges.connections == 2);
    assert_eq!(gate.connect_from(4).get("/").status, 200);
}
