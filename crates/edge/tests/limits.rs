//! Deadlines, limits and refusals, and that every request has exactly one reason.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use common::{Gate, Origin, Reply, config, eventually, hold};
use portcullis_model::{
    ActivityConfig, ConnReason, Limits, Measure, Outcome, PathPattern, PlatformId, Procedure,
    ProcedureId, Reason, RequestPattern, Scope, SourceLimits, TICK, Tier, Time, Verdict, WallTime,
};

fn engage(gate: &Gate, measure: Measure) {
    let procedure = Procedure {
        id: ProcedureId(NonZeroU32::MIN),
        scope: Scope { platform: PlatformId(0), activity: None },
        measure,
        reason: "a test".into(),
        engaged: WallTime(0),
        expires: Time(u64::MAX),
    };
    let policy = gate.policy.load().with_procedures(&[procedure]);
    gate.policy.store(Arc::new(policy));
}

fn tighten(deadline: Duration, requests: u32, connections: u32) -> Measure {
    Measure::TightenSources {
        limits: SourceLimits { requests_per_second: requests, burst: requests, connections },
        header_deadline: deadline,
    }
}

#[test]
fn a_header_that_does_not_arrive_in_time_ends_the_connection_without_an_answer() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.header_timeout = Duration::from_millis(1500);
    let gate = Gate::manual(settings);
    let mut dribbling = gate.connect();
    let mut silent = gate.connect();
    dribbling.send("GET / HTTP/1.1\r\nHo");
    eventually("both are accepted", || gate.snapshot().gauges.connections == 2);
    // The silent one may be a browser that connects ahead of need.
    let mut passed = gate.pass_until("the one that began is stalled", || {
        gate.snapshot().gauges.stalled_headers == 1
    });
    assert!(passed >= Duration::from_secs(1));
    dribbling.send("st: exam");
    passed += gate.pass_until("both are closed", || dribbling.has_closed() && silent.has_closed());
    assert!(passed >= Duration::from_millis(1500));
    assert_eq!(gate.refused(ConnReason::HeaderTimeout), 2);
    eventually("none is stalled", || gate.snapshot().gauges.stalled_headers == 0);
    eventually("both are gone", || gate.snapshot().gauges.connections == 0);
}

#[test]
fn a_second_header_has_the_same_deadline_and_idling_in_between_does_not_count() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.header_timeout = Duration::from_secs(1);
    settings.limits.idle_timeout = Duration::from_secs(4);
    let gate = Gate::manual(settings);
    let mut visitor = gate.connect();
    assert_eq!(visitor.get("/").status, 200);
    gate.pass(Duration::from_secs(2));
    assert_eq!(gate.snapshot().gauges.stalled_headers, 0);
    assert_eq!(visitor.get("/").status, 200);
    visitor.send("GET / HT");
    gate.pass_until("it is closed", || visitor.has_closed());
    assert_eq!(gate.refused(ConnReason::HeaderTimeout), 1);
}

#[test]
fn an_idle_connection_ends_politely_and_uncounted() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.idle_timeout = Duration::from_secs(1);
    let gate = Gate::manual(settings);
    let mut visitor = gate.connect();
    assert_eq!(visitor.get("/").status, 200);
    let passed = gate.pass_until("it is closed", || visitor.has_closed());
    assert!(passed >= Duration::from_secs(1));
    assert_eq!(gate.offered(), 1);
}

#[test]
fn a_tightened_deadline_cuts_connections_that_dribble_already() {
    let origin = Origin::hello();
    let gate = Gate::manual(config(origin.address));
    let mut dribbling = gate.connect();
    dribbling.send("GET / HTTP/1.1\r\nX: ");
    eventually("it is accepted", || gate.snapshot().gauges.connections == 1);
    gate.pass(Duration::from_millis(1_500));
    eventually("it is stalled", || gate.snapshot().gauges.stalled_headers == 1);
    assert!(!dribbling.has_closed());
    engage(&gate, tighten(Duration::from_secs(1), 100, 100));
    gate.pass(TICK);
    dribbling.expect_close();
    assert_eq!(gate.refused(ConnReason::HeaderTimeout), 1);
}

#[test]
fn a_source_holds_a_limited_number_of_connections_and_others_are_not_affected() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.source.connections = 3;
    let gate = Gate::start(settings);
    let mut held: Vec<_> = (0..3).map(|_| gate.connect()).collect();
    gate.connect().expect_close();
    assert_eq!(gate.connect_from(2).get("/").status, 200);
    assert_eq!(held[0].get("/").status, 200);
    assert_eq!(gate.refused(ConnReason::SourceConnections), 1);
    held.pop();
    eventually("a place is free", || gate.snapshot().gauges.connections <= 3);
    eventually("it can be used", || gate.connect().try_get("/").is_some());
}

#[test]
fn the_gate_holds_a_limited_number_of_connections() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_connections = 2;
    let gate = Gate::start_with(settings, 2);
    let held = [gate.connect_from(1), gate.connect_from(2)];
    eventually("both are in", || gate.snapshot().gauges.connections == 2);
    gate.connect_from(3).expect_close();
    assert_eq!(gate.refused(ConnReason::ConnectionLimit), 1);
    drop(held);
    eventually("the connection is closed", || gate.snapshot().gauges.connections == 0);
    assert_eq!(gate.connect_from(3).get("/").status, 200);
}

#[test]
fn a_source_that_asks_too_often_is_refused_and_may_stay_connected() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.source.requests_per_second = 1;
    settings.limits.source.burst = 5;
    let gate = Gate::start(settings);
    let mut visitor = gate.connect();
    let statuses: Vec<_> = (0..12).map(|_| visitor.get("/").status).collect();
    assert_eq!(statuses[..5], [200; 5]);
    assert!(statuses[5..].iter().filter(|s| **s == 429).count() >= 6, "{statuses:?}");
    let refused = visitor.get("/");
    assert!(refused.field("retry-after").is_some());
    assert!(refused.field("connection").is_none());
    assert_eq!(gate.connect_from(2).get("/").status, 200);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_refusal_is_sent_as_html_json_or_text() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.platforms[0].hosts = vec!["example.org".into()];
    let gate = Gate::start(settings);
    let mut visitor = gate.connect();
    let mut ask = |accept: &str| {
        visitor.send(format!("GET / HTTP/1.1\r\nHost: other.org\r\nAccept: {accept}\r\n\r\n"));
        visitor.answer()
    };
    let page = ask("text/html,*/*");
    assert_eq!(page.status, 421);
    assert!(page.text().starts_with("<!doctype html>") && page.text().contains("unknown-host"));
    assert_eq!(ask("application/json").field("content-type"), Some("application/json"));
    assert!(ask("image/png").text().ends_with("(unknown-host)\n"));
    assert_eq!(gate.reason(Reason::UnknownHost), 3);
}

#[test]
fn a_body_that_is_announced_too_large_is_refused_before_it_is_read() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_body_bytes = 1000;
    let gate = Gate::start(settings);
    let mut visitor = gate.connect();
    visitor.send("POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 1001\r\n\r\n");
    assert_eq!(visitor.answer().status, 413);
    assert_eq!(gate.reason(Reason::BodyTooLarge), 1);
    assert_eq!(origin.requests(), 0);
}

#[test]
fn a_body_that_grows_too_large_is_stopped() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_body_bytes = 1000;
    let gate = Gate::start(settings);
    let mut visitor = gate.connect();
    let chunk = format!("190\r\n{}\r\n", "x".repeat(400));
    visitor.send(format!(
        "POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}{chunk}"
    ));
    assert_eq!(visitor.answer().status, 413);
    assert_eq!(gate.outcome(Outcome::BodyAborted), 1);
}

#[test]
fn a_body_that_stops_arriving_is_aborted() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.body_idle_timeout = Duration::from_millis(500);
    let gate = Gate::manual(settings);
    let mut visitor = gate.connect();
    visitor.send("POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 100\r\n\r\nabc");
    eventually("the head is read", || gate.offered() == 1);
    gate.pass_until("it is aborted", || gate.outcome(Outcome::BodyAborted) == 1);
    assert_eq!(visitor.answer().status, 408);
    assert_eq!(gate.outcome(Outcome::BodyAborted), 1);
    eventually("nothing is in flight", || gate.snapshot().gauges.in_flight == 0);
}

#[test]
fn a_body_that_drips_is_aborted_although_it_never_falls_silent() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.body_idle_timeout = Duration::from_secs(1);
    let gate = Gate::manual(settings);
    let mut visitor = gate.connect();
    visitor.send("POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 1000\r\n\r\n");
    eventually("the head is read", || gate.offered() == 1);
    gate.pass_until("it is aborted", || {
        let _ = visitor.stream.write_all(b"x");
        gate.outcome(Outcome::BodyAborted) == 1
    });
    assert_eq!(visitor.answer().status, 408);
}

#[test]
fn an_answer_is_not_lost_on_a_visitor_who_is_still_sending() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_body_bytes = 1000;
    let gate = Gate::start(settings);
    for times in 1..=20 {
        let mut visitor = gate.connect();
        visitor.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
        visitor.send("x".repeat(50_000));
        eventually("it is refused", || gate.reason(Reason::BodyTooLarge) == times);
        visitor.send("x".repeat(50_000));
        assert_eq!(visitor.answer().status, 413);
    }
}

#[test]
fn a_visitor_who_reads_nothing_is_cut() {
    let origin = Origin::start(|_| Reply::ok(&"x".repeat(32 * 1024 * 1024)));
    let mut settings = config(origin.address);
    settings.limits.body_idle_timeout = Duration::from_secs(1);
    let gate = Gate::manual(settings);
    let mut visitor = gate.connect();
    visitor.send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    visitor.until(b"\r\n\r\n");
    gate.pass_until("it is cut", || gate.snapshot().gauges.connections == 0);
    assert_eq!(gate.snapshot().gauges.in_flight, 0);
}

#[test]
fn ambiguous_requests_are_refused_and_the_connection_closed() {
    let origin = Origin::hello();
    let gate = Gate::start(config(origin.address));
    let ambiguous = [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
        "GET /\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for (at, request) in ambiguous.iter().enumerate() {
        let mut visitor = gate.connect();
        visitor.send(request);
        visitor.expect_close();
        eventually("it is counted", || gate.reason(Reason::Malformed) == at as u64 + 1);
    }
    assert_eq!(origin.requests(), 0);
    assert_eq!(gate.offered(), ambiguous.len() as u64);
}

#[test]
fn methods_and_codings_that_are_not_forwarded_are_named() {
    let origin = Origin::hello();
    let gate = Gate::start(config(origin.address));
    for request in [
        "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: example.org\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: example.org\r\n\r\n",
    ] {
        let mut visitor = gate.connect();
        visitor.send(request);
        let answer = visitor.answer();
        assert_eq!(answer.status, 405, "{request}");
        assert!(answer.field("allow").is_some());
    }
    let mut visitor = gate.connect();
    visitor.send(
        "POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    );
    assert_eq!(visitor.answer().status, 501);
    visitor.expect_close();
    assert_eq!(gate.reason(Reason::NotSupported), 4);
    assert_eq!(origin.requests(), 0);
}

#[test]
fn bytes_after_a_connect_request_are_not_read_as_a_request() {
    let origin = Origin::hello();
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    visitor.send(
        "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n\
         GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    );
    assert_eq!(visitor.answer().status, 405);
    visitor.expect_close();
    assert_eq!(gate.offered(), 1);
    assert_eq!(origin.requests(), 0);
}

#[test]
fn an_absolute_target_is_forwarded_in_origin_form() {
    let origin = Origin::hello();
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    visitor.send("GET http://example.org/a?b=c HTTP/1.1\r\nHost: example.org\r\n\r\n");
    assert_eq!(visitor.answer().status, 200);
    assert_eq!(origin.last().line(), "GET /a?b=c HTTP/1.1");
}

#[test]
fn headers_are_bounded_in_size_and_number() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_header_bytes = 8 * 1024;
    settings.limits.max_header_fields = 20;
    let gate = Gate::start(settings);
    let mut visitor = gate.connect();
    let long = "x".repeat(10_000);
    visitor.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"));
    assert_eq!(visitor.answer().status, 431);
    let mut visitor = gate.connect();
    visitor.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(20)));
    assert_eq!(visitor.answer().status, 431);
    eventually("both are counted", || gate.reason(Reason::HeaderTooLarge) == 2);
    let mut visitor = gate.connect();
    visitor.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(10)));
    assert_eq!(visitor.answer().status, 200);
}

#[test]
fn a_target_is_bounded_and_what_the_gate_itself_puts_into_it_does_not_count() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_target_bytes = 2000;
    let gate = Gate::start(settings);
    let mut visitor = gate.connect();
    assert_eq!(visitor.get(&format!("/?{}", "x".repeat(1998))).status, 200);
    assert_eq!(visitor.get(&format!("/?{}", "x".repeat(1999))).status, 414);
    assert_eq!(gate.reason(Reason::TargetTooLong), 1);
    engage(&gate, Measure::Challenge(portcullis_model::ChallengeKind::Redirect));
    let redirect = visitor.get(&format!("/?{}", "x".repeat(1998)));
    assert_eq!(redirect.status, 307);
    let location = redirect.field("location").unwrap().to_owned();
    assert!(location.len() > 2000);
    assert_eq!(visitor.get(&location).status, 200);
}

#[test]
fn requests_beyond_the_origins_connections_wait_and_essential_ones_go_first() {
    let (release, hold) = hold();
    let origin = Origin::start(move |received| {
        hold.wait();
        Reply::ok(received.path())
    });
    let mut settings = config(origin.address);
    settings.platforms[0].origin.max_connections = 1;
    settings.platforms[0].origin.queue_timeout = Duration::from_secs(5);
    let matches =
        |path: &str| vec![RequestPattern { method: None, path: PathPattern::Prefix(path.into()) }];
    let activity = |name: &str, tier, path| ActivityConfig {
        name: name.into(),
        tier,
        matches: matches(path),
        challenge: true,
        timeouts: portcullis_model::ActivityTimeouts::default(),
    };
    settings.platforms[0].activities = vec![
        activity("donate", Tier::Essential, "/donate"),
        activity("blog", Tier::Optional, "/blog"),
        ActivityConfig::everything_else(),
    ];
    let gate = Gate::manual(settings);
    let ask = |path: &str| {
        let mut visitor = gate.connect();
        visitor.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        visitor
    };
    let mut visitors = vec![ask("/first")];
    eventually("the origin works", || origin.requests() == 1);
    for path in ["/blog/1", "/news", "/blog/2", "/donate"] {
        visitors.push(ask(path));
        let waiting = visitors.len() as u64 - 1;
        eventually("it waits", || gate.snapshot().gauges.waiting == waiting);
    }
    drop(release);
    for visitor in &mut visitors {
        assert_eq!(visitor.answer().status, 200);
    }
    let order: Vec<_> =
        origin.received.lock().unwrap().iter().map(|r| r.path().to_owned()).collect();
    assert_eq!(order, ["/first", "/donate", "/news", "/blog/1", "/blog/2"]);
    assert_eq!(origin.connections(), 1);
    assert_eq!(gate.snapshot().gauges.waiting, 0);
}

#[test]
fn a_request_that_waited_too_long_for_the_origin_gets_503() {
    let (release, hold) = hold();
    let origin = Origin::start(move |_| {
        hold.wait();
        Reply::ok("late")
    });
    let mut settings = config(origin.address);
    settings.platforms[0].origin.max_connections = 1;
    settings.platforms[0].origin.response_timeout = Duration::from_secs(10);
    let gate = Gate::manual(settings);
    let mut first = gate.connect();
    first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the origin works", || origin.requests() == 1);
    let mut second = gate.connect();
    second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("it waits", || gate.snapshot().gauges.waiting == 1);
    gate.pass_until("it waited too long", || gate.outcome(Outcome::OriginBusy) == 1);
    let second = second.answer();
    assert_eq!(second.status, 503);
    assert!(second.field("retry-after").is_some());
    drop(release);
    assert_eq!(first.answer().status, 200);
}

#[test]
fn a_challenged_visitor_follows_a_redirect_and_is_served() {
    let origin = Origin::start(|received| Reply::ok(received.path()));
    let gate = Gate::start(config(origin.address));
    engage(&gate, Measure::Challenge(portcullis_model::ChallengeKind::Redirect));
    let mut visitor = gate.connect();
    let redirect = visitor.get("/page?a=1");
    assert_eq!(redirect.status, 307);
    assert_eq!(redirect.field("cache-control"), Some("no-store"));
    let location = redirect.field("location").unwrap().to_owned();
    assert!(location.starts_with("/page?a=1&__portcullis="));
    let served = visitor.get(&location);
    assert_eq!((served.status, served.text()), (200, "/page?a=1"));
    let cookie = served.field("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    visitor
        .send(format!("GET /next HTTP/1.1\r\nHost: example.org\r\nCookie: {cookie}; b=2\r\n\r\n"));
    assert_eq!(visitor.answer().text(), "/next");
    assert_eq!(origin.last().field("cookie"), Some("b=2"));
    assert_eq!(gate.reason(Reason::ChallengeIssued), 1);
    assert_eq!(gate.reason(Reason::TokenHeld), 2);
}

#[test]
fn a_visitor_with_a_wait_challenge_gets_a_page_that_continues_automatically() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.posture.wait_challenge_delay = Duration::from_secs(1);
    let gate = Gate::manual(settings);
    engage(&gate, Measure::Challenge(portcullis_model::ChallengeKind::WaitPage));
    let mut visitor = gate.connect();
    visitor.send("GET /a?b=\"c HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n");
    let page = visitor.answer();
    // A quotation mark is not allowed in a target; the `http` crate may refuse it.
    if page.status == 503 {
        assert!(!page.text().contains("b=\"c"));
    }
    let mut visitor = gate.connect();
    visitor.send("GET /a HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n");
    let page = visitor.answer();
    assert_eq!(page.status, 503);
    let refresh = page.field("refresh").unwrap();
    let (seconds, target) = refresh.split_once("; url=").unwrap();
    assert!(page.text().contains(&format!("<a href=\"{}\"", target.replace('&', "&amp;"))));
    gate.pass(Duration::from_secs(seconds.parse().unwrap()));
    let mut target = target.to_owned();
    // Passing hands out the token by one more redirect.
    for _ in 0..3 {
        visitor.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n"));
        let answer = visitor.answer();
        if answer.status == 200 {
            return;
        }
        assert_eq!(answer.status, 307);
        target = answer.field("location").unwrap().to_owned();
    }
    panic!("never served");
}

#[test]
fn trusted_proxies_name_their_visitors_and_are_not_counted_as_one_source() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.trusted_proxies = vec!["127.0.0.9".parse().unwrap()];
    settings.limits.source = SourceLimits { requests_per_second: 1, burst: 2, connections: 2 };
    let gate = Gate::start(settings);
    let mut proxies: Vec<_> = (0..4).map(|_| gate.connect_from(9)).collect();
    for (at, proxy) in proxies.iter_mut().enumerate() {
        for _ in 0..2 {
            proxy.send(format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 192.0.2.{at}\r\n\r\n"
            ));
            assert_eq!(proxy.answer().status, 200);
        }
    }
    assert_eq!(origin.last().field("x-forwarded-for"), Some("192.0.2.3, 127.0.0.9"));
    proxies[0].send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.0\r\n\r\n");
    assert_eq!(proxies[0].answer().status, 429);
    // An address that is not a trusted proxy is not believed.
    let mut liar = gate.connect_from(10);
    let statuses: Vec<_> = (0..3)
        .map(|at| {
            liar.send(format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1{at}\r\n\r\n"
            ));
            liar.answer().status
        })
        .collect();
    assert_eq!(statuses, [200, 200, 429]);
}

#[test]
fn a_proxy_header_names_the_visitor() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.listeners[0].proxy_protocol = true;
    settings.trusted_proxies = vec!["127.0.0.9".parse().unwrap()];
    settings.limits.header_timeout = Duration::from_secs(1);
    let gate = Gate::manual(settings);
    let mut proxy = gate.connect_from(9);
    proxy.send("PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\nGET /1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n");
    assert_eq!(proxy.answer().status, 200);
    assert_eq!(origin.last().field("x-forwarded-for"), Some("192.0.2.7"));
    assert_eq!(proxy.get("/2").status, 200);

    let mut binary = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    binary.extend([0x21, 0x11, 0, 12, 192, 0, 2, 8, 192, 0, 2, 1, 18, 103, 0, 80]);
    let mut proxy = gate.connect_from(9);
    proxy.send(&binary[..10]);
    eventually("it is accepted", || gate.snapshot().gauges.connections == 2);
    proxy.send(&binary[10..]);
    assert_eq!(proxy.get("/3").status, 200);
    assert_eq!(origin.last().field("x-forwarded-for"), Some("192.0.2.8"));

    let mut health_check = gate.connect_from(9);
    health_check.send("PROXY UNKNOWN\r\n");
    assert_eq!(health_check.get("/4").status, 200);
    assert_eq!(origin.last().field("x-forwarded-for"), Some("127.0.0.9, 127.0.0.9"));

    let mut missing = gate.connect_from(9);
    missing.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    missing.expect_close();
    let mut stranger = gate.connect_from(10);
    stranger.expect_close();
    let mut slow = gate.connect_from(9);
    slow.send("PROXY TCP4 ");
    gate.pass_until("it is closed", || slow.has_closed());
    assert_eq!(gate.refused(ConnReason::ProxyHeader), 3);
}

#[test]
fn the_sum_over_reasons_is_the_number_of_requests() {
    let origin = Origin::start(|received| match received.path() {
        "/500" => Reply::raw("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"),
        "/close" => Reply::Last(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ),
        "/broken" => Reply::Last(b"HTT".to_vec()),
        _ => Reply::ok("ok"),
    });
    let mut settings = config(origin.address);
    settings.limits.source.requests_per_second = 20;
    settings.limits.source.burst = 60;
    let gate = Gate::start_with(settings, 2);
    let paths = ["/", "/500", "/close", "/broken", "/x?y=z"];
    let threads: Vec<_> = (0..8u8)
        .map(|at| {
            let mut visitor = gate.connect_from(at % 2 + 1);
            std::thread::spawn(move || {
                (0..50)
                    .map(|n| visitor.get(paths[(n + usize::from(at)) % 5]).status)
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let statuses: Vec<_> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
    assert_eq!(statuses.len(), 400);
    assert_eq!(gate.offered(), 400);
    let forwarded: u64 = Reason::ALL
        .iter()
        .filter(|reason| reason.verdict() == Verdict::Forward)
        .map(|reason| gate.reason(*reason))
        .sum();
    let finished = || Outcome::ALL.iter().map(|outcome| gate.outcome(*outcome)).sum::<u64>();
    eventually("every forwarded request has an outcome", || finished() == forwarded);
    let count = |status| statuses.iter().filter(|s| **s == status).count() as u64;
    assert_eq!(count(429), gate.reason(Reason::SourceRate));
    assert!(count(429) > 100);
    assert_eq!(count(200), gate.outcome(Outcome::Served));
    assert_eq!(count(500), gate.outcome(Outcome::OriginError));
    assert_eq!(count(502), gate.outcome(Outcome::OriginUnreachable));
    assert_eq!(gate.records().len(), 400);
    assert_eq!(gate.snapshot().records_lost, 0);
    assert_eq!(gate.internal_errors.panics(), 0);
}

#[test]
fn a_full_ring_loses_records_and_counts_them() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.source.burst = 10_000;
    let gate = Gate::start(settings);
    let one = "GET /a HTTP/1.1\r\nHost: unknown host\r\n\r\n";
    let ring = 4096;
    for _ in 0..ring + 10 {
        let mut visitor = gate.connect();
        visitor.send(one);
        assert_eq!(visitor.answer().status, 400);
    }
    assert_eq!(gate.snapshot().records_lost, 10);
    assert_eq!(gate.reason(Reason::Malformed), ring + 10);
}

#[test]
fn draining_finishes_requests_in_flight_and_accepts_no_new_ones() {
    let (release, hold) = hold();
    let origin = Origin::start(move |_| {
        hold.wait();
        Reply::ok("finished")
    });
    let mut settings = config(origin.address);
    settings.platforms[0].origin.response_timeout = Duration::from_secs(5);
    settings.limits.shutdown_grace = Duration::from_secs(5);
    let mut gate = Gate::manual_with(settings, 2);
    let mut idle = gate.connect();
    let mut busy = gate.connect();
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the origin works", || origin.requests() == 1);
    gate.start_draining();
    idle.expect_close();
    drop(release);
    let answer = busy.answer();
    assert_eq!((answer.status, answer.text()), (200, "finished"));
    assert_eq!(answer.field("connection"), Some("close"));
    gate.join();
    assert!(std::net::TcpStream::connect(gate.address).is_err());
    assert_eq!(gate.snapshot().gauges.connections, 0);
}

#[test]
fn a_gate_that_handed_over_closes_no_connection_before_its_next_answer() {
    let origin = Origin::start(|_| Reply::ok("answered"));
    let mut settings = config(origin.address);
    settings.limits.drain_time = Duration::from_secs(60);
    let mut gate = Gate::manual(settings);
    let mut early = gate.connect();
    assert_eq!(early.get("/").text(), "answered");
    let mut silent = gate.connect();
    eventually("both are accepted", || gate.snapshot().gauges.connections == 2);
    gate.hand_over();
    gate.pass(TICK);
    let last = early.get("/");
    assert_eq!((last.status, last.field("connection")), (200, Some("close")));
    early.expect_close();
    // It never asked for anything: it has until the drain time, or until it does.
    let last = silent.get("/");
    assert_eq!((last.status, last.field("connection")), (200, Some("close")));
    gate.join();
    assert_eq!(gate.snapshot().gauges.connections, 0);
}

#[test]
fn a_gate_that_handed_over_ends_after_the_drain_time() {
    let origin = Origin::start(|_| Reply::ok("answered"));
    let mut settings = config(origin.address);
    settings.limits.drain_time = Duration::from_secs(10);
    settings.limits.idle_timeout = Duration::from_secs(60);
    let mut gate = Gate::manual(settings);
    let mut idle = gate.connect();
    assert_eq!(idle.get("/").text(), "answered");
    gate.hand_over();
    gate.pass(Duration::from_secs(9));
    assert_eq!(gate.snapshot().gauges.connections, 1);
    gate.join();
    idle.expect_close();
}

#[test]
fn a_drain_ends_in_time_whatever_visitors_do() {
    let (_release, hold) = hold();
    let origin = Origin::start(move |_| {
        hold.wait();
        Reply::ok("late")
    });
    let mut settings = config(origin.address);
    settings.limits.shutdown_grace = Duration::from_secs(1);
    settings.platforms[0].origin.response_timeout = Duration::from_secs(60);
    let mut gate = Gate::manual(settings);
    let mut busy = gate.connect();
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut dribbling = gate.connect();
    dribbling.send("GET / HT");
    eventually("the origin works", || origin.requests() == 1);
    gate.start_draining();
    gate.join();
    assert_eq!(gate.outcome(Outcome::VisitorDisconnected), 1);
}

#[test]
fn a_reload_changes_the_origin_and_the_limits_of_a_running_gate() {
    let (first, second) = (Origin::start(|_| Reply::ok("1")), Origin::start(|_| Reply::ok("2")));
    let settings = config(first.address);
    let gate = Gate::start(settings.clone());
    let mut visitor = gate.connect();
    assert_eq!(visitor.get("/").text(), "1");
    let mut settings = settings;
    settings.platforms[0].origin.port = second.address.port();
    settings.limits = Limits { max_body_bytes: 1, ..settings.limits };
    let secret = gate.policy.load().secret().clone();
    gate.policy.store(Arc::new(portcullis_gate::Policy::new(Arc::new(settings), secret)));
    assert_eq!(visitor.get("/").text(), "2");
    visitor.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
    assert_eq!(visitor.answer().status, 413);
    let _: IpAddr = first.address.ip();
}
