//! Requests that reach the origin, and their answers.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::Duration;

use common::{Gate, Origin, Reply, config, eventually, hold, settled};
use portcullis_model::{Cut, OriginConfig, Outcome, Reason};

#[test]
fn a_request_is_forwarded_and_its_response_returned() {
    let origin = Origin::hello();
    let gate = Gate::start(config(origin.address));
    let answer = gate.connect().get("/news?page=2");
    assert_eq!((answer.status, answer.text()), (200, "hello"));
    assert_eq!(origin.last().line(), "GET /news?page=2 HTTP/1.1");
    assert_eq!(gate.reason(Reason::Allowed), 1);
    eventually("the outcome is counted", || gate.outcome(Outcome::Served) == 1);
    let records = gate.records();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].reason, Reason::Allowed);
}

#[test]
fn both_connections_are_kept_alive() {
    let origin = Origin::hello();
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    for at in 0..20 {
        assert_eq!(visitor.get(&format!("/{at}")).text(), "hello");
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(gate.reason(Reason::Allowed), 20);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::start(|received| Reply::ok(received.path()));
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    let one = |path| format!("GET {path} HTTP/1.1\r\nHost: example.org\r\n\r\n");
    visitor.send([one("/1"), one("/2"), one("/3")].concat());
    for path in ["/1", "/2", "/3"] {
        assert_eq!(visitor.answer().text(), path);
    }
}

#[test]
fn fields_of_one_hop_do_not_travel_and_the_origin_learns_who_asked() {
    let origin = Origin::start(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Kept: yes\r\n\r\nok",
        )
    });
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect_from(77);
    visitor.send(
        "GET / HTTP/1.1\r\nHost: example.org:8080\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\n\
         Proxy-Authorization: x\r\nTE: trailers\r\nUpgrade: h2c\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n\
         X-Real-IP: 1.2.3.4\r\nVia: 1.0 other\r\nCookie: a=1; portcullis=abc\r\nExpect: 100-continue\r\n\r\n",
    );
    let answer = visitor.answer();
    assert_eq!(answer.text(), "ok");
    assert_eq!(answer.field("x-kept"), Some("yes"));
    for gone in ["x-hop", "keep-alive"] {
        assert_eq!(answer.field(gone), None, "{gone}");
    }
    let received = origin.last();
    for gone in ["x-secret", "keep-alive", "proxy-authorization", "upgrade", "x-real-ip", "expect"]
    {
        assert_eq!(received.field(gone), None, "{gone}");
    }
    assert_eq!(received.field("host"), Some("example.org:8080"));
    assert_eq!(received.field("te"), Some("trailers"));
    assert_eq!(received.field("cookie"), Some("a=1"));
    assert_eq!(received.field("x-forwarded-for"), Some("127.0.0.77"));
    assert_eq!(received.field("x-forwarded-proto"), Some("http"));
    assert_eq!(received.field("x-forwarded-host"), Some("example.org:8080"));
    assert_eq!(
        received.field("forwarded"),
        Some("for=127.0.0.77;host=\"example.org:8080\";proto=http")
    );
    let vias: Vec<_> = received.head.lines().filter(|line| line.starts_with("via")).collect();
    assert_eq!(vias, ["via: 1.0 other"], "the gate adds none (docs/http.md)");
}

#[test]
fn answers_without_a_body_stay_without_one() {
    let origin = Origin::start(|received| match received.path() {
        "/head" => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"),
        "/204" => Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"),
        "/304" => Reply::raw("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"),
        _ => Reply::ok("after"),
    });
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    visitor.send("HEAD /head HTTP/1.1\r\nHost: example.org\r\n\r\n");
    let answer = visitor.answer_to("HEAD");
    assert_eq!((answer.status, answer.field("content-length")), (200, Some("12345")));
    assert_eq!(visitor.get("/204").status, 204);
    let answer = visitor.get("/304");
    assert_eq!((answer.status, answer.field("etag")), (304, Some("\"a\"")));
    assert_eq!(visitor.get("/").text(), "after");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn chunks_and_trailers_pass_in_both_directions() {
    let origin = Origin::start(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n",
        )
    });
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    visitor.send(
        "POST / HTTP/1.1\r\nHost: example.org\r\nTE: trailers\r\nTrailer: X-Mine\r\nTransfer-Encoding: chunked\r\n\r\n\
         4\r\nabcd\r\n0\r\nX-Mine: 1\r\n\r\n",
    );
    let answer = visitor.answer();
    assert_eq!(answer.text(), "hello world");
    assert_eq!(answer.trailers.trim(), "x-sum: 11");
    let body = String::from_utf8(origin.last().body).unwrap();
    assert!(body.contains("abcd") && body.to_lowercase().contains("x-mine: 1"), "{body}");
}

#[test]
fn an_informational_response_of_the_origin_is_not_taken_for_the_final_one() {
    let origin = Origin::start(|_| {
        Reply::raw(
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        )
    });
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    assert_eq!(visitor.get("/").text(), "ok");
    assert_eq!(visitor.get("/").text(), "ok");
}

#[test]
fn a_visitor_who_waits_for_100_gets_it_and_its_body_arrives_whole() {
    let origin = Origin::start(|received| Reply::ok(std::str::from_utf8(&received.body).unwrap()));
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    visitor.send(
        "POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(visitor.until(b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n");
    visitor.send("12345");
    assert_eq!(visitor.answer().text(), "12345");
}

#[test]
fn the_rest_of_a_body_that_was_answered_early_is_no_request() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let gate = Gate::start(config(listener.local_addr().unwrap()));
    // Answers as soon as anything comes.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
            }
        }
    });
    let mut visitor = gate.connect();
    visitor.send("POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 500\r\n\r\nx");
    assert_eq!(visitor.answer().text(), "early");
    visitor.send("\r\nGET /smuggled HTTP/1.1\r\nHost: example.org\r\n\r\n");
    visitor.expect_close();
    assert_eq!(gate.offered(), 1);
}

/// An origin that answers a first request on its first connection, reads a part of the second, and
/// closes. The channel gets nothing but an empty message then, and the bytes of later connections.
fn closes_in_the_middle() -> (SocketAddr, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, later) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        let mut first = listener.accept().unwrap().0;
        assert!(first.read(&mut buffer).unwrap() > 0);
        first.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwarm").unwrap();
        let mut read = 0;
        while !buffer[..read].ends_with(b"AAAA") {
            read += first.read(&mut buffer[read..]).unwrap();
        }
        drop(first);
        sender.send(Vec::new()).unwrap();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let read = stream.read(&mut buffer).unwrap_or(0);
            let _ = sender.send(buffer[..read].to_vec());
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled");
        }
    });
    (address, later)
}

#[test]
fn the_rest_of_an_upload_whose_connection_broke_is_sent_nowhere() {
    let (address, later) = closes_in_the_middle();
    let gate = Gate::start(config(address));
    let mut visitor = gate.connect();
    assert_eq!(visitor.get("/").text(), "warm");
    let rest = "GET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n";
    let length = 4 + rest.len();
    visitor.send(format!(
        "POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: {length}\r\n\r\nAAAA"
    ));
    assert_eq!(later.recv_timeout(Duration::from_secs(5)).unwrap(), b"");
    visitor.send(rest);
    assert_eq!(visitor.answer().status, 502);
    assert!(later.recv_timeout(Duration::from_millis(500)).is_err());
    assert_eq!(gate.offered(), 2);
}

#[test]
fn a_request_with_an_invalid_response_is_not_repeated() {
    let origin = Origin::start(|received| match received.path() {
        "/" => Reply::ok("warm"),
        _ => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    });
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    assert_eq!(visitor.get("/").text(), "warm");
    assert_eq!(visitor.get("/nonsense").status, 502);
    assert_eq!((origin.requests(), origin.connections()), (2, 1));
}

#[test]
fn a_body_that_could_be_read_in_two_ways_is_not_tried_elsewhere() {
    let origin = Origin::hello();
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    assert_eq!(visitor.get("/").text(), "hello");
    visitor.send(
        "POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\nZZ\r\nGET /x HTTP/1.1\r\n\r\n",
    );
    assert_eq!(visitor.answer().status, 400);
    assert_eq!(gate.snapshot().cuts.of(Cut::MalformedBody), 1);
    visitor.expect_close();
    assert_eq!(origin.connections(), 1);
}

#[test]
fn responses_to_pipelined_requests_are_sent_in_order_whatever_they_are() {
    let origin = Origin::start(|received| match received.path() {
        "/small" => Reply::ok("small"),
        _ => Reply::ok(&"x".repeat(8_000)),
    });
    let gate = Gate::start(config(origin.address));
    for second in [
        "GET /small HTTP/1.1\r\nHost: example.org\r\n\r\n",
        "POST /small HTTP/1.1\r\nHost: example.org\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
        "TRACE / HTTP/1.1\r\nHost: example.org\r\n\r\n",
        "no request\r\n\r\n",
    ] {
        let mut visitor = gate.connect();
        visitor.send(format!("GET /large HTTP/1.1\r\nHost: example.org\r\n\r\n{second}"));
        assert_eq!(visitor.answer().text(), "x".repeat(8_000), "{second}");
        let status = visitor.answer().status;
        assert!([200, 400, 405].contains(&status), "{second}");
    }
}

#[test]
fn a_client_that_does_not_read_gets_no_more_responses_than_the_buffers_hold() {
    let origin = Origin::hello();
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    let asked = 20_000;
    let many = "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-,0-\r\n\r\n".repeat(asked);
    visitor.stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let _ = visitor.stream.write_all(many.as_bytes());
    let answered = settled("no more is answered", || gate.offered() as usize);
    assert!(answered > 0 && answered < asked / 2, "{answered}");
}

#[test]
fn a_visitor_that_sends_its_body_without_waiting_gets_no_100_continue() {
    let origin = Origin::start(|received| Reply::ok(std::str::from_utf8(&received.body).unwrap()));
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    visitor.send(
        "POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n123",
    );
    eventually("the first half is there", || gate.snapshot().gauges.in_flight == 1);
    visitor.send("456");
    let answer = visitor.answer();
    assert_eq!((answer.status, answer.text()), (200, "123456"));
}

#[test]
fn a_websocket_passes_bytes_both_ways_after_the_origin_agreed() {
    let origin = Origin::start(|received| {
        assert!(received.body.is_empty());
        Reply::Takes(Box::new(|mut stream| {
            stream
                .write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nfirst")
                .unwrap();
            let mut buffer = [0; 1024];
            while let Ok(read) = stream.read(&mut buffer) {
                if read == 0 || stream.write_all(&buffer[..read]).is_err() {
                    return;
                }
            }
        }))
    });
    let mut settings = config(origin.address);
    settings.limits.tunnel_idle_timeout = Duration::from_secs(1);
    let gate = Gate::manual(settings);
    let mut visitor = gate.connect();
    visitor.send(
        "GET /chat HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: abc\r\nSec-WebSocket-Version: 13\r\n\r\nearly",
    );
    let answer = visitor.answer();
    assert_eq!(answer.status, 101);
    assert_eq!(answer.field("upgrade"), Some("websocket"));
    assert_eq!(answer.field("connection"), Some("upgrade"));
    assert_eq!(visitor.exactly(10), b"firstearly");
    let frame = [0x81, 0x85, 1, 2, 3, 4, b'h' ^ 1, b'e' ^ 2, b'l' ^ 3, b'l' ^ 4, b'o' ^ 1];
    for _ in 0..3 {
        visitor.send(frame);
        assert_eq!(visitor.exactly(frame.len()), frame);
        gate.pass(Duration::from_millis(500));
    }
    assert!(!origin.last().head.contains("early"));
    assert_eq!(gate.outcome(Outcome::Served), 1);
    assert_eq!(gate.snapshot().gauges.in_flight, 0);
    // Silent for longer than the idle limit.
    gate.pass_until("it is closed", || visitor.has_closed());
    eventually("the connection is counted out", || gate.snapshot().gauges.connections == 0);
}

#[test]
fn an_upgrade_to_anything_but_a_websocket_is_an_invalid_response() {
    let origin = Origin::start(|_| {
        Reply::raw(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        )
    });
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    visitor.send(
        "GET / HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade, HTTP2-Settings\r\n\
         Upgrade: h2c, websocket\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    );
    assert_eq!(visitor.answer().status, 502);
    let head = origin.last().head.to_ascii_lowercase();
    assert!(head.contains("upgrade: websocket") && !head.contains("h2c"), "{head}");
    assert!(!head.contains("http2-settings"), "{head}");
}

#[test]
fn an_upgrade_that_the_origin_declines_is_an_ordinary_answer() {
    let origin =
        Origin::start(|_| Reply::raw("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno"));
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    visitor.send(
        "GET / HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    assert_eq!(visitor.answer().status, 400);
    assert_eq!(visitor.get("/").status, 400);
}

#[test]
fn an_upgrade_without_a_request_for_it_is_not_forwarded() {
    let origin = Origin::start(|_| {
        Reply::raw(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        )
    });
    let gate = Gate::start(config(origin.address));
    assert_eq!(gate.connect().get("/").status, 502);
    assert_eq!(gate.outcome(Outcome::OriginUnreachable), 1);
}

#[test]
fn a_stale_idle_connection_is_replaced_unseen() {
    // Closes every connection a moment after its first answer.
    let origin = Origin::start(|received| {
        let path = received.path().to_owned();
        Reply::Takes(Box::new(move |mut stream| {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len())
                .unwrap();
            // Reads the next request and closes without a word: the worst moment.
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer);
        }))
    });
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    assert_eq!(visitor.get("/1").text(), "/1");
    assert_eq!(visitor.get("/2").text(), "/2");
    assert_eq!(origin.connections(), 2);
    // A form must not be sent twice.
    visitor.send("POST /3 HTTP/1.1\r\nHost: example.org\r\nContent-Length: 2\r\n\r\nab");
    assert_eq!(visitor.answer().status, 502);
}

#[test]
fn an_origin_that_is_down_yields_a_calm_502() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gate = Gate::start(config(closed));
    let mut visitor = gate.connect();
    visitor.send("GET / HTTP/1.1\r\nHost: example.org\r\nAccept: text/html\r\n\r\n");
    let answer = visitor.answer();
    assert_eq!(answer.status, 502);
    assert_eq!(answer.field("content-type"), Some("text/html; charset=utf-8"));
    assert!(answer.field("retry-after").is_some());
    assert!(answer.text().contains("origin-unreachable"));
    let plain = visitor.get("/");
    assert_eq!(plain.field("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(gate.outcome(Outcome::OriginRefused), 2);
}

#[test]
fn an_origin_with_several_addresses_is_reached_at_the_one_that_listens() {
    // The name has ::1 too on most machines, where nothing listens.
    let origin = Origin::start(|_| Reply::ok("here"));
    let mut config = config(origin.address);
    config.platforms[0].origin = OriginConfig::new("localhost".into(), origin.address.port());
    let gate = Gate::start(config);
    let mut visitor = gate.connect();
    for _ in 0..3 {
        assert_eq!(visitor.get("/").text(), "here");
    }
    assert_eq!(gate.outcome(Outcome::Served), 3);
}

#[test]
fn an_origin_that_does_not_send_http_yields_502() {
    let origin = Origin::start(|_| Reply::raw("nonsense\r\n\r\n"));
    let gate = Gate::start(config(origin.address));
    assert_eq!(gate.connect().get("/").status, 502);
}

#[test]
fn an_origin_that_is_slow_yields_504() {
    let (_release, hold) = hold();
    let origin = Origin::start(move |_| {
        hold.wait();
        Reply::ok("late")
    });
    let gate = Gate::manual(config(origin.address));
    let mut visitor = gate.connect();
    visitor.send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    eventually("it is at the origin", || origin.requests() == 1);
    let passed = gate.pass_until("it takes too long", || gate.outcome(Outcome::OriginTimeout) == 1);
    assert!(passed >= Duration::from_millis(750));
    assert_eq!(visitor.answer().status, 504);
    eventually("nothing is in flight", || gate.snapshot().gauges.in_flight == 0);
}

#[test]
fn a_response_that_the_origin_truncates_is_truncated_for_the_visitor() {
    let origin = Origin::start(|_| {
        Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec())
    });
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    visitor.send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    // Whether the head still gets out depends on how fast the origin breaks off.
    visitor.expect_close();
}

#[test]
fn a_response_in_which_the_origin_falls_silent_is_aborted() {
    let (_release, hold) = hold();
    let origin = Origin::start(move |_| {
        let hold = hold.clone();
        Reply::Takes(Box::new(move |mut stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").unwrap();
            hold.wait();
        }))
    });
    let mut settings = config(origin.address);
    settings.limits.response_idle_timeout = Duration::from_secs(1);
    let gate = Gate::manual(settings);
    let mut visitor = gate.connect();
    visitor.send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    visitor.until(b"\r\n\r\n");
    gate.pass_until("it is closed", || visitor.has_closed());
    eventually("nothing is in flight", || gate.snapshot().gauges.in_flight == 0);
}

#[test]
fn a_visitor_who_leaves_frees_the_origin() {
    let (_release, hold) = hold();
    let origin = Origin::start(move |_| {
        hold.wait();
        Reply::ok("late")
    });
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    visitor.send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    eventually("in flight", || gate.snapshot().gauges.in_flight == 1);
    drop(visitor);
    eventually("gone", || gate.outcome(Outcome::VisitorDisconnected) == 1);
    assert_eq!(gate.snapshot().gauges.in_flight, 0);
}

#[test]
fn nothing_is_leaked_whatever_visitors_and_the_origin_do() {
    let origin = Origin::start(|received| {
        let number: u64 = received.path()[1..].parse().unwrap();
        // Real time, so that requests overlap in many ways.
        std::thread::sleep(Duration::from_millis(number % 7));
        match number % 11 {
            0 => Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()),
            1 => Reply::Last(Vec::new()),
            2 => Reply::Last(b"HTTP/1.1 200 OK\r\n\r\nuntil the end".to_vec()),
            3 => Reply::ok(&"x".repeat(200_000)),
            _ => Reply::ok("ok"),
        }
    });
    let mut settings = config(origin.address);
    settings.platforms[0].origin.max_connections = 4;
    settings.platforms[0].origin.queue_timeout = Duration::from_secs(10);
    settings.limits.source.burst = 100_000;
    let gate = Gate::start_with(settings, 2);
    let threads: Vec<_> = (0..8u64)
        .map(|thread| {
            let address = gate.address;
            std::thread::spawn(move || {
                for at in 0..120 {
                    let number = thread * 1000 + at * 13;
                    let mut stream = std::net::TcpStream::connect(address).unwrap();
                    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                    let body = if number % 3 == 0 { "abc" } else { "" };
                    let length = body.len();
                    let _ = write!(
                        stream,
                        "POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"
                    );
                    // Some leave immediately, some in the middle, most stay to the end.
                    match number % 5 {
                        0 => {}
                        1 => {
                            let _ = stream.read(&mut [0; 10]);
                        }
                        _ => {
                            let _ = stream.shutdown(std::net::Shutdown::Read);
                            let mut buffer = [0; 4096];
                            while stream.read(&mut buffer).is_ok_and(|read| read == 4096) {}
                        }
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    eventually("all is quiet", || {
        let gauges = gate.snapshot().gauges;
        (gauges.connections, gauges.in_flight, gauges.waiting) == (0, 0, 0)
    });
    let forwarded = gate.reason(Reason::Allowed);
    let finished: u64 = Outcome::ALL.iter().map(|outcome| gate.outcome(*outcome)).sum();
    assert_eq!(finished, forwarded);
    assert_eq!(gate.internal_errors.panics(), 0);
    // Every place at the origin is free again.
    for _ in 0..20 {
        assert_eq!(gate.connect().get("/5").text(), "ok");
    }
}

#[test]
fn hosts_are_the_same_with_a_dot_at_the_end_or_the_default_port() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.platforms[0].hosts = vec!["example.org".into()];
    let gate = Gate::start(settings);
    let mut visitor = gate.connect();
    for (head, status) in [
        ("GET / HTTP/1.1\r\nHost: example.org.\r\n", 200),
        ("GET / HTTP/1.1\r\nHost: EXAMPLE.org.:8080\r\n", 200),
        ("GET http://example.org:80/ HTTP/1.1\r\nHost: example.org\r\n", 200),
        ("GET http://example.org/ HTTP/1.1\r\nHost: example.org:80\r\n", 200),
        ("GET / HTTP/1.1\r\nHost: example.org.evil\r\n", 421),
        ("GET / HTTP/1.1\r\nHost: example.org..\r\n", 421),
    ] {
        visitor.send(format!("{head}\r\n"));
        assert_eq!(visitor.answer().status, status, "{head}");
    }
}

#[test]
fn a_check_by_http_1_0_without_a_host_reaches_the_platform_that_takes_every_host() {
    let origin = Origin::hello();
    let gate = Gate::start(config(origin.address));
    let mut checker = gate.connect();
    checker.send("OPTIONS / HTTP/1.0\r\n\r\n");
    assert_eq!(checker.answer().status, 200);
    let received = origin.last();
    assert_eq!(received.field("host"), Some(origin.address.to_string().as_str()));
    assert_eq!(received.field("x-forwarded-host"), None);
    assert_eq!(received.field("forwarded"), Some("for=127.0.0.1;proto=http"));

    let mut settings = config(origin.address);
    settings.platforms[0].hosts = vec!["example.org".into()];
    let gate = Gate::start(settings);
    let mut checker = gate.connect();
    checker.send("OPTIONS / HTTP/1.0\r\n\r\n");
    assert_eq!(checker.answer().status, 421);
}

#[test]
fn letters_that_clients_forget_to_escape_reach_the_origin_as_they_were_sent() {
    let origin = Origin::hello();
    let gate = Gate::start(config(origin.address));
    let target = "/<a>\"`?q=<b>\"`";
    assert_eq!(gate.connect().get(target).status, 200);
    assert_eq!(origin.last().line(), format!("GET {target} HTTP/1.1"));
}

#[test]
fn the_scheme_that_a_trusted_proxy_names_reaches_the_origin_however_it_is_written() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.trusted_proxies = vec!["127.0.0.9".parse().unwrap()];
    let gate = Gate::start(settings);
    for fields in [
        "X-Forwarded-Proto: HTTPS",
        "X-Forwarded-Proto: https,http",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: https",
        "Forwarded: for=192.0.2.7;proto=https",
    ] {
        let mut proxy = gate.connect_from(9);
        proxy.send(format!(
            "GET / HTTP/1.1\r\nHost: example.org\r\nX-Forwarded-Port: 8443\r\n{fields}\r\n\r\n"
        ));
        assert_eq!(proxy.answer().status, 200);
        assert_eq!(origin.last().field("x-forwarded-proto"), Some("https"), "{fields}");
        assert_eq!(origin.last().field("x-forwarded-port"), Some("8443"));
        // From a visitor it means nothing.
        let mut visitor = gate.connect_from(10);
        visitor.send(format!("GET / HTTP/1.1\r\nHost: example.org\r\n{fields}\r\n\r\n"));
        assert_eq!(visitor.answer().status, 200);
        assert_eq!(origin.last().field("x-forwarded-proto"), Some("http"), "{fields}");
    }
}

/// An origin that answers every request, and after that sends another answer that was not requested.
/// The receiver learns when that has been sent.
fn origin_that_sends_more() -> (SocketAddr, mpsc::Receiver<()>) {
    const ASKED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nasked";
    const UNASKED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sent, was_sent) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, sent) = (stream.unwrap(), sent.clone());
            stream.set_nodelay(true).unwrap();
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                while stream.read(&mut request).is_ok_and(|length| length > 0) {
                    let _ = stream.write_all(ASKED);
                    std::thread::yield_now();
                    let _ = stream.write_all(UNASKED);
                    let _ = sent.send(());
                }
            });
        }
    });
    (address, was_sent)
}

#[test]
fn an_answer_that_came_unasked_is_given_to_no_request() {
    let (address, was_sent) = origin_that_sends_more();
    let gate = Gate::start(config(address));
    let mut visitor = gate.connect();
    for _ in 0..400 {
        let answer = visitor.get("/");
        assert_eq!((answer.status, answer.text()), (200, "asked"));
        was_sent.recv().unwrap();
    }
}

#[test]
fn an_origin_may_have_one_request_on_a_connection() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.platforms[0].origin.reuse_connections = false;
    let gate = Gate::start(settings);
    let mut visitor = gate.connect();
    for _ in 0..5 {
        assert_eq!(visitor.get("/").text(), "hello");
        assert_eq!(origin.last().field("connection"), Some("close"));
    }
    assert_eq!(origin.connections(), 5);
}

#[test]
fn an_answer_with_a_length_and_a_transfer_coding_is_refused() {
    let origin = Origin::start(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        )
    });
    let gate = Gate::start(config(origin.address));
    assert_eq!(gate.connect().get("/").status, 502);
}
