//! Many requests on one connection, in order, and what either side does with a connection that the other closes.

use std::time::Duration;

use crate::message::Framing;
use crate::origin::{Origin, OriginConn, answer};
use crate::visitor::{Visitor, get, post};
use crate::{gate, pause};

fn paths(origin: &Origin) -> Vec<String> {
    origin.requests().into_iter().map(|asked| asked.path).collect()
}

#[test]
fn hundreds_of_requests_on_one_connection_are_answered_by_one_connection_to_the_origin() {
    let origin =
        Origin::answering(|asked| answer(format!("{} {}", asked.path, asked.content.bytes.len())));
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    for mut visitor in [Visitor::plain(gate.listen), Visitor::secure(secure, &["http/1.1"])] {
        let before = origin.connections();
        for n in 0..200 {
            let body = vec![b'x'; n * 7];
            visitor.send(if n % 3 == 0 {
                get(&format!("/{n}")).into_bytes()
            } else {
                post(&format!("/{n}"), &body)
            });
            let expected = if n % 3 == 0 { 0 } else { body.len() };
            let answered = visitor.response();
            assert_eq!(
                (answered.status(), answered.framing),
                (200, Framing::Length(answered.text().len()))
            );
            assert_eq!(answered.text(), format!("/{n} {expected}"));
        }
        // None more, if the same worker has both visitors.
        assert!(origin.connections() <= before + 1);
    }
    gate.stop();
}

#[test]
fn requests_in_one_packet_are_answered_in_order_even_if_the_first_takes_longest() {
    let origin = Origin::answering(|asked| {
        // The work of the origin.
        std::thread::sleep(Duration::from_millis(if asked.path == "/first" { 150 } else { 0 }));
        answer(&asked.path)
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    for mut visitor in [Visitor::plain(gate.listen), Visitor::secure(secure, &[])] {
        visitor.send(get("/first") + &get("/second") + &get("/third"));
        for path in ["/first", "/second", "/third"] {
            assert_eq!(visitor.response().text(), path);
        }
        assert_eq!(visitor.get("/fourth").text(), "/fourth");
    }
    assert_eq!(paths(&origin), ["/first", "/second", "/third", "/fourth"].repeat(2));
    gate.stop();
}

#[test]
fn bodies_between_requests_in_one_packet_are_read_as_bodies() {
    let origin = Origin::answering(|asked| {
        answer(format!("{} {}", asked.path, asked.content.bytes.escape_ascii()))
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    let inner = get("/inner").into_bytes();
    let chunked =
        b"PUT /chunked HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n\
                    3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n";
    visitor.send([post("/length", &inner), chunked.to_vec(), get("/after").into_bytes()].concat());
    assert_eq!(visitor.response().text(), format!("/length {}", inner.escape_ascii()));
    assert_eq!(visitor.response().text(), "/chunked abc0123456789");
    assert_eq!(visitor.response().text(), "/after ");
    gate.stop();
}

#[test]
fn a_response_to_head_without_a_body_is_followed_by_the_next_response() {
    let origin = Origin::answering(|asked| match asked.path.as_str() {
        "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "/304" => {
            b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 500\r\n\r\n".to_vec()
        }
        "/head" => b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n".to_vec(),
        _ => answer("whole"),
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    let head = get("/head").replace("GET", "HEAD");
    visitor.send([get("/204"), get("/304"), head, get("/")].concat());
    assert_eq!(visitor.response().status(), 204);
    assert_eq!(visitor.response().status(), 304);
    assert_eq!(visitor.response_to("HEAD").head.field("content-length"), Some("500"));
    assert_eq!(visitor.response().text(), "whole");
    assert_eq!(origin.connections(), 1);
    gate.stop();
}

#[test]
fn a_request_with_connection_close_ends_the_connection_after_the_response() {
    let origin = Origin::answering(|_| answer("done"));
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    for mut visitor in [Visitor::plain(gate.listen), Visitor::secure(secure, &[])] {
        visitor.send("GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n");
        let answered = visitor.response();
        assert_eq!(
            (answered.text().as_str(), answered.head.field("connection")),
            ("done", Some("close"))
        );
        assert!(visitor.is_closed());
    }
    assert!(origin.requests().iter().all(|asked| asked.head.field("connection").is_none()));
    gate.stop();
}

#[test]
fn an_http_1_0_connection_stays_open_only_on_request() {
    let origin = Origin::answering(|asked| answer(&asked.path));
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    for path in ["/1", "/2"] {
        visitor.send(format!(
            "GET {path} HTTP/1.0\r\nHost: example.org\r\nConnection: keep-alive\r\n\r\n"
        ));
        let answered = visitor.response();
        assert_eq!(
            (answered.text().as_str(), answered.head.field("connection")),
            (path, Some("keep-alive"))
        );
    }
    visitor.send("GET /3 HTTP/1.0\r\nHost: example.org\r\n\r\n");
    let answered = visitor.response();
    assert_eq!((answered.status(), answered.text().as_str()), (200, "/3"));
    assert_ne!(answered.head.field("connection"), Some("keep-alive"));
    assert!(visitor.is_closed());
    let requests = origin.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|asked| asked.head.field("via").is_none()));
    gate.stop();
}

#[test]
fn an_http_1_0_visitor_gets_no_chunks() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n".to_vec()
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    for more in ["", "Connection: keep-alive\r\n"] {
        let mut visitor = Visitor::plain(gate.listen);
        visitor.send(format!("GET / HTTP/1.0\r\nHost: example.org\r\n{more}\r\n"));
        let answered = visitor.response();
        assert_eq!((answered.framing, answered.text().as_str()), (Framing::Close, "hello world"));
        assert!(answered.content.whole);
    }
    gate.stop();
}

#[test]
fn connection_close_from_the_origin_does_not_affect_the_visitor() {
    let origin = Origin::start(|link| {
        if link.next_request().is_some() {
            link.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlast");
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    for _ in 0..5 {
        let answered = visitor.get("/");
        assert_eq!((answered.text().as_str(), answered.head.field("connection")), ("last", None));
    }
    assert_eq!(origin.connections(), 5);
    gate.stop();
}

/// Answers the first request and closes the connection as soon as the second one's head has come.
fn closes_at_the_second(link: &mut OriginConn) {
    if link.number == 0 {
        if link.next_request().is_some() {
            link.write(answer("first"));
            link.head();
        }
        return;
    }
    while link.next_request().is_some() {
        link.write(answer("fresh"));
    }
}

#[test]
fn a_get_on_a_closing_origin_connection_is_retried_without_notice() {
    let origin = Origin::start(closes_at_the_second);
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    assert_eq!(visitor.get("/1").text(), "first");
    assert_eq!(visitor.get("/2").text(), "fresh");
    assert_eq!(paths(&origin), ["/1", "/2", "/2"]);
    gate.stop();
}

#[test]
fn a_post_on_a_closing_origin_connection_is_not_repeated() {
    let origin = Origin::start(closes_at_the_second);
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    assert_eq!(visitor.get("/1").text(), "first");
    visitor.send(post("/2", b"an order"));
    assert_eq!(visitor.response().status(), 502);
    assert_eq!(paths(&origin), ["/1", "/2"]);
    gate.stop();
}

#[test]
fn an_origin_connection_that_was_closed_while_idle_is_not_used_for_a_post() {
    let origin = Origin::start(|link| {
        if link.next_request().is_some() {
            link.write(answer("once"));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    for n in 1..=5 {
        visitor.send(post("/", b"an order"));
        assert_eq!(visitor.response().text(), "once");
        gate.wait_until("the origin has closed it", || origin.ended() == n);
        pause();
        assert_eq!(origin.connections(), n);
    }
    assert_eq!(origin.requests().len(), 5);
    gate.stop();
}

#[test]
fn bytes_that_an_origin_sends_without_a_request_answer_no_request() {
    let origin = Origin::start(|link| {
        while link.next_request().is_some() {
            link.write([answer("asked"), answer("unasked")].concat());
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    for _ in 0..5 {
        assert_eq!(visitor.get("/").text(), "asked");
        pause();
    }
    assert!(visitor.receives_nothing_for(Duration::from_millis(100)));
    gate.stop();
}
