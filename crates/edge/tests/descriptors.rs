//! Out of file descriptors. One test alone in its process, whose limit it lowers.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{Origin, config};
use portcullis_model::Cut;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn without_free_descriptors_idle_connections_are_evicted_for_new_ones_without_a_busy_loop() {
    let origin = Origin::hello();
    let gate = common::Gate::start(config(origin.address));
    let mut idle: Vec<_> = (0..8).map(|_| gate.connect()).collect();
    for visitor in &mut idle {
        assert_eq!(visitor.get("/").status, 200);
    }
    // Real time, as all of this test: the gate pauses after each connection that it cannot accept, and
    // the test compares the pauses with the time that has passed.
    std::thread::sleep(Duration::from_millis(1_500));
    // Made before there is nothing left; the gate's ends are made when they connect.
    let sockets: Vec<_> = (0..3)
        .map(|_| {
            let (domain, kind) = (socket2::Domain::IPV4, socket2::Type::STREAM);
            socket2::Socket::new(domain, kind, None).unwrap()
        })
        .collect();
    let before = getrlimit(Resource::Nofile);
    // Every number below is taken, or is by the time this loop ends.
    let mut filling = Vec::new();
    let lowest = std::fs::File::open("/dev/null").unwrap();
    let most = std::os::fd::AsRawFd::as_raw_fd(&lowest) as u64 + 16;
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: before.maximum }).unwrap();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        filling.push(file);
    }
    let begun = Instant::now();
    for socket in sockets {
        socket.connect(&gate.address.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let took = begun.elapsed();
    setrlimit(Resource::Nofile, before).unwrap();
    let errors = gate.internal_errors.accept_errors();
    assert!(errors > 0);
    // It waits after each.
    assert!(u128::from(errors) <= took.as_millis() + 100, "{errors} in {took:?}");
    assert!(gate.snapshot().cuts.of(Cut::Evicted) > 0);
}
