//! Upgraded connections: how many, how long, how silent; and answers that are silent on purpose.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::time::Duration;

use common::{Gate, Origin, Reply, Visitor, config, eventually, hold};
use portcullis_model::{
    ActivityConfig, ActivityTimeouts, Config, Cut, Outcome, PathPattern, Reason, RequestPattern,
    Tier,
};

/// Agrees to every upgrade and echoes; answers `hello` to everything else.
fn echo() -> Origin {
    Origin::start(|received| {
        if received.field("upgrade").is_none() {
            return Reply::ok("hello");
        }
        Reply::Takes(Box::new(|mut stream| {
            let agreed = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                           Connection: Upgrade\r\n\r\n";
            stream.write_all(agreed).unwrap();
            let mut buffer = [0; 1024];
            while let Ok(read) = stream.read(&mut buffer) {
                if read == 0 || stream.write_all(&buffer[..read]).is_err() {
                    return;
                }
            }
        }))
    })
}

const UPGRADE: &str = "HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn upgrade(visitor: &mut Visitor, path: &str) -> u16 {
    visitor.send(format!("GET {path} {UPGRADE}"));
    visitor.answer().status
}

fn answers(visitor: &mut Visitor) -> bool {
    visitor.send("hello");
    visitor.exactly(5) == b"hello"
}

fn cut(gate: &Gate, why: Cut) -> u64 {
    gate.snapshot().cuts.of(why)
}

#[test]
fn tunnels_above_the_limit_of_their_source_are_refused_and_pages_and_other_sources_are_not() {
    let origin = echo();
    let mut settings = config(origin.address);
    settings.limits.tunnels.max_per_source = 2;
    let gate = Gate::start(settings);
    let mut open: Vec<_> = (0..2).map(|_| gate.connect()).collect();
    for visitor in &mut open {
        assert_eq!(upgrade(visitor, "/"), 101);
    }
    let mut third = gate.connect();
    third.send(format!("GET / {UPGRADE}"));
    let answer = third.answer();
    assert_eq!((answer.status, answer.field("retry-after")), (503, Some("10")));
    assert_eq!(gate.reason(Reason::TunnelLimit), 1);
    assert_eq!(third.get("/").status, 200);
    assert_eq!(upgrade(&mut gate.connect_from(2), "/"), 101);
    assert!(open.iter_mut().all(answers));
    open.pop();
    eventually("a place is free", || upgrade(&mut gate.connect(), "/") == 101);
    assert_eq!(gate.offered(), gate.records().len() as u64);
}

#[test]
fn all_sources_together_have_a_limited_number_of_tunnels_over_all_workers() {
    let origin = echo();
    let mut settings = config(origin.address);
    settings.limits.tunnels.max_total = 3;
    let gate = Gate::start_with(settings, 2);
    let mut open = Vec::new();
    for n in 1..=3 {
        let mut visitor = gate.connect_from(n);
        assert_eq!(upgrade(&mut visitor, "/"), 101);
        open.push(visitor);
    }
    assert_eq!(upgrade(&mut gate.connect_from(4), "/"), 503);
    assert_eq!(gate.reason(Reason::TunnelLimit), 1);
}

#[test]
fn tunnels_leave_a_quarter_of_the_origins_connections_for_pages() {
    let origin = echo();
    let mut settings = config(origin.address);
    settings.platforms[0].origin.max_connections = 8;
    let gate = Gate::start(settings);
    let mut open: Vec<_> = (0..6).map(|_| gate.connect()).collect();
    for visitor in &mut open {
        assert_eq!(upgrade(visitor, "/"), 101);
    }
    assert_eq!(upgrade(&mut gate.connect(), "/"), 503);
    assert_eq!(gate.connect().get("/").status, 200);
    drop(open);
    eventually("they are free again", || upgrade(&mut gate.connect(), "/") == 101);
}

#[test]
fn an_upgrade_that_the_origin_declines_holds_no_connection() {
    let origin = Origin::start(|_| Reply::ok("no"));
    let mut settings = config(origin.address);
    settings.limits.tunnels.max_per_source = 1;
    let gate = Gate::start(settings);
    let mut visitor = gate.connect();
    for _ in 0..5 {
        assert_eq!(upgrade(&mut visitor, "/"), 200);
    }
    assert_eq!(gate.outcome(Outcome::Served), 5);
}

#[test]
fn the_last_request_of_a_connection_may_still_be_an_upgrade() {
    let origin = echo();
    let mut settings = config(origin.address);
    settings.limits.max_requests_per_connection = 10;
    let gate = Gate::start(settings);
    let mut visitor = gate.connect();
    for _ in 0..9 {
        assert_eq!(visitor.get("/").status, 200);
    }
    assert_eq!(upgrade(&mut visitor, "/"), 101);
    assert!(answers(&mut visitor));
}

/// Adds an activity at `/live` with these timeouts before all others.
fn with_live(settings: &mut Config, timeouts: ActivityTimeouts) {
    let live = ActivityConfig {
        name: "live".into(),
        tier: Tier::Important,
        matches: vec![RequestPattern { method: None, path: PathPattern::Exact("/live".into()) }],
        challenge: true,
        timeouts,
    };
    settings.platforms[0].activities.insert(0, live);
}

#[test]
fn a_busy_tunnel_ends_at_its_maximum_age_which_its_activity_may_set() {
    let origin = echo();
    let mut settings = config(origin.address);
    settings.limits.max_tunnel_age = Duration::from_secs(1);
    let hours = Some(Duration::from_hours(2));
    with_live(
        &mut settings,
        ActivityTimeouts { max_tunnel_age: hours, ..ActivityTimeouts::default() },
    );
    let gate = Gate::manual(settings);
    let (mut brief, mut live) = (gate.connect(), gate.connect());
    assert_eq!(upgrade(&mut live, "/live"), 101);
    assert_eq!(upgrade(&mut brief, "/"), 101);
    let passed = gate.pass_until("it is cut", || {
        let _ = brief.stream.write_all(b"x");
        cut(&gate, Cut::TunnelAge) > 0
    });
    assert!(passed >= Duration::from_millis(750));
    assert!(answers(&mut live));
    assert_eq!(cut(&gate, Cut::TunnelIdle), 0);
}

#[test]
fn a_silent_tunnel_ends_at_its_idle_timeout_which_its_activity_may_set() {
    let origin = echo();
    let mut settings = config(origin.address);
    settings.limits.tunnel_idle_timeout = Duration::from_secs(1);
    let hours = Some(Duration::from_hours(2));
    with_live(
        &mut settings,
        ActivityTimeouts { tunnel_idle_timeout: hours, ..ActivityTimeouts::default() },
    );
    let gate = Gate::manual(settings);
    let (mut brief, mut live) = (gate.connect(), gate.connect());
    assert_eq!(upgrade(&mut live, "/live"), 101);
    assert_eq!(upgrade(&mut brief, "/"), 101);
    gate.pass_until("it is closed", || brief.has_closed());
    assert_eq!(cut(&gate, Cut::TunnelIdle), 1);
    assert!(answers(&mut live));
}

#[test]
fn a_silent_response_ends_at_its_idle_timeout_which_its_activity_may_set() {
    // An event, silence until the release, another event.
    let (release, hold) = hold();
    let origin = Origin::start(move |_| {
        let hold = hold.clone();
        Reply::Takes(Box::new(move |mut stream| {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                        Content-Length: 22\r\n\r\ndata: one\n\n";
            stream.write_all(head.as_bytes()).unwrap();
            hold.wait();
            let _ = stream.write_all(b"data: two\n\n");
        }))
    });
    let mut settings = config(origin.address);
    settings.limits.response_idle_timeout = Duration::from_secs(1);
    let hours = Some(Duration::from_hours(2));
    with_live(
        &mut settings,
        ActivityTimeouts { response_idle_timeout: hours, ..ActivityTimeouts::default() },
    );
    let gate = Gate::manual(settings);
    let mut live = gate.connect();
    live.send("GET /live HTTP/1.1\r\nHost: example.org\r\n\r\n");
    assert!(live.until(b"one\n\n").ends_with(b"one\n\n"));
    gate.pass(Duration::from_secs(2));
    release.one();
    assert_eq!(live.exactly(11), b"data: two\n\n");
    let mut brief = gate.connect();
    brief.send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    assert!(brief.until(b"one\n\n").ends_with(b"one\n\n"));
    gate.pass_until("it is closed", || brief.has_closed());
}
