//! Connections to the origin: a slow visitor does not keep one while other requests wait for it.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use common::{Answer, Gate, Origin, Reply, Visitor, config, eventually};
use portcullis_model::{Cut, Outcome};

/// A gate with two places, for which a request waits ten seconds at most.
fn two_places(origin: &Origin) -> Gate {
    let mut settings = config(origin.address);
    settings.platforms[0].origin.max_connections = 2;
    settings.platforms[0].origin.queue_timeout = Duration::from_secs(10);
    settings.platforms[0].origin.response_timeout = Duration::from_secs(10);
    Gate::manual(settings)
}

/// A visitor that has begun a body and sends no more.
fn begun(gate: &Gate) -> Visitor {
    let mut visitor = gate.connect();
    visitor.send("POST /slow HTTP/1.1\r\nHost: example.org\r\nContent-Length: 1000\r\n\r\nab");
    visitor
}

/// Requests a page from another address, and lets time pass until a slow visitor is cut for it.
fn get_in_place_of_a_slow_one(gate: &Gate, why: Cut) -> Answer {
    let mut visitor = gate.connect_from(9);
    visitor.send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    eventually("it waits", || gate.snapshot().gauges.waiting == 1);
    gate.pass_until("a slow one is cut", || gate.snapshot().cuts.of(why) > 0);
    visitor.answer()
}

fn in_flight(gate: &Gate, many: u64) {
    eventually("they hold their places", || gate.snapshot().gauges.in_flight == many);
}

#[test]
fn bodies_that_drip_give_their_connections_to_requests_that_wait() {
    let origin = Origin::hello();
    let gate = two_places(&origin);
    let slow = [begun(&gate), begun(&gate)];
    in_flight(&gate, 2);
    assert_eq!(get_in_place_of_a_slow_one(&gate, Cut::SlowBody).status, 200);
    let cuts = gate.snapshot().cuts.of(Cut::SlowBody);
    assert!((1..=2).contains(&cuts), "{cuts}");
    assert_eq!(gate.outcome(Outcome::BodyAborted), cuts);
    drop(slow);
}

#[test]
fn a_body_that_pauses_keeps_its_connection_while_no_request_waits() {
    let origin = Origin::hello();
    let gate = two_places(&origin);
    let mut slow = [begun(&gate), begun(&gate)];
    in_flight(&gate, 2);
    gate.pass(Duration::from_secs(4));
    for visitor in &mut slow {
        visitor.send(vec![b'a'; 998]);
        assert_eq!(visitor.answer().status, 200);
    }
    assert_eq!(gate.snapshot().cuts.of(Cut::SlowBody), 0);
}

#[test]
fn unread_responses_give_their_connections_to_requests_that_wait() {
    let origin = Origin::start(|received| {
        Reply::ok(&"x".repeat(if received.path() == "/large" { 8 << 20 } else { 5 }))
    });
    let gate = two_places(&origin);
    let idle: Vec<TcpStream> = (0..2)
        .map(|_| {
            let domain = socket2::Domain::IPV4;
            let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
            socket.set_recv_buffer_size(4 * 1024).unwrap();
            socket.connect(&gate.address.into()).unwrap();
            let mut stream = TcpStream::from(socket);
            stream.write_all(b"GET /large HTTP/1.1\r\nHost: example.org\r\n\r\n").unwrap();
            stream
        })
        .collect();
    in_flight(&gate, 2);
    assert_eq!(get_in_place_of_a_slow_one(&gate, Cut::SlowRead).status, 200);
    let cuts = gate.snapshot().cuts.of(Cut::SlowRead);
    assert!((1..=2).contains(&cuts), "{cuts}");
    drop(idle);
}
