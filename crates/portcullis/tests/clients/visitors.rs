//! Visitors who send in their own way what is nevertheless HTTP/1.1.

use std::time::Duration;

use crate::gate;
use crate::origin::{Origin, answer};
use crate::visitor::{Visitor, get, post};

/// An origin that echoes its requests.
fn echo() -> Origin {
    Origin::answering(|asked| {
        answer(format!(
            "{} {} {}",
            asked.method,
            asked.path,
            String::from_utf8_lossy(&asked.content.bytes)
        ))
    })
}

#[test]
fn a_head_may_come_byte_by_byte_or_cut_anywhere() {
    let origin = echo();
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    let request = post("/page", b"body");
    for mut visitor in [Visitor::plain(gate.listen), Visitor::secure(secure, &[])] {
        // Real time between the parts, here and below, so that each is a segment.
        for byte in &request {
            visitor.send([*byte]);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(visitor.response().text(), "POST /page body");
    }
    let mut visitor = Visitor::plain(gate.listen);
    for cut in 1..request.len() {
        let (first, second) = request.split_at(cut);
        visitor.send(first);
        std::thread::sleep(Duration::from_millis(2));
        visitor.send(second);
        assert_eq!(visitor.response().text(), "POST /page body", "cut at {cut}");
    }
    gate.stop();
}

#[test]
fn a_request_may_come_with_the_end_of_the_one_before() {
    let origin = echo();
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    let all: Vec<u8> = (0..8).flat_map(|n| post(&format!("/{n}"), b"body")).collect();
    for piece in all.chunks(61) {
        visitor.send(piece);
        std::thread::sleep(Duration::from_millis(2));
    }
    for n in 0..8 {
        assert_eq!(visitor.response().text(), format!("POST /{n} body"));
    }
    gate.stop();
}

#[test]
fn a_visitor_that_ends_its_side_after_a_request_gets_the_whole_response_or_counts_as_gone() {
    let origin = Origin::answering(|asked| {
        // The work of the origin.
        std::thread::sleep(Duration::from_millis(50));
        answer(asked.content.bytes.clone())
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    for _ in 0..5 {
        let mut visitor = Visitor::plain(gate.listen);
        visitor.send(post("/", b"all there is"));
        visitor.end();
        if let Some(answered) = visitor.response_or_end("POST") {
            assert_eq!((answered.status(), answered.text().as_str()), (200, "all there is"));
        }
        assert!(visitor.is_closed());
    }
    gate.wait_until("no request is in flight", || {
        gate.admin_get("/metrics").contains("portcullis_origin_requests_in_flight 0")
    });
    gate.stop();
}

#[test]
fn over_tls_http_1_1_is_used_without_an_offer_of_http_2() {
    let origin = echo();
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    for protocols in [&[][..], &["http/1.1"], &["http/1.0", "http/1.1"]] {
        let mut visitor = Visitor::secure(secure, protocols);
        assert_eq!(visitor.get("/a").text(), "GET /a ");
        assert_eq!(visitor.get("/b").text(), "GET /b ");
    }
    gate.stop();
}

#[test]
fn unusual_forms_are_understood() {
    let origin = echo();
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let forms = [
        ("GET /?q=a%20b&c HTTP/1.1\r\nhOsT:example.org\r\nx-empty:\r\n\r\n", "GET /?q=a%20b&c "),
        ("GET http://example.org/page HTTP/1.1\r\nHost: example.org\r\n\r\n", "GET /page "),
        ("DELETE /x HTTP/1.1\r\nHost: example.org\r\n\r\n", "DELETE /x "),
        ("PROPFIND /x HTTP/1.1\r\nHost: example.org\r\n\r\n", "PROPFIND /x "),
        ("GET /x HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\n\r\nabc", "GET /x abc"),
        (
            "\r\nGET /after-an-empty-line HTTP/1.1\r\nHost: example.org\r\n\r\n",
            "GET /after-an-empty-line ",
        ),
    ];
    for (request, expected) in forms {
        let mut visitor = Visitor::plain(gate.listen);
        visitor.send(request);
        let answered = visitor.response();
        assert_eq!((answered.status(), answered.text().as_str()), (200, expected), "{request:?}");
        assert_eq!(visitor.get("/next").text(), "GET /next ");
    }
    gate.stop();
}

#[test]
fn values_pass_byte_for_byte_and_names_mean_the_same_in_any_case() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 200 OK\r\nX-Latin: caf\xe9\r\nset-cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nX-Empty:\r\n\
          X-Spaces:  \t a  b \t\r\nX-Long-Reason: yes\r\nContent-Length: 0\r\n\r\n"
            .to_vec()
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    visitor.send(
        b"GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: caf\xe9/1\r\nAccept: a\r\nACCEPT: b\r\nX-Empty:\r\n\r\n",
    );
    let answered = visitor.response();
    assert_eq!(answered.head.all("set-cookie"), ["a=1; Path=/", "b=2"]);
    assert_eq!(answered.head.field("x-empty"), Some(""));
    assert_eq!(answered.head.field("x-spaces"), Some("a  b"));
    assert_eq!(answered.head.field("x-latin"), Some("caf\u{fffd}"), "one byte that is no UTF-8");
    let requests = origin.requests();
    assert_eq!(requests[0].head.all("accept"), ["a", "b"]);
    assert_eq!(requests[0].head.field("user-agent"), Some("caf\u{fffd}/1"));
    assert_eq!(requests[0].head.field("x-empty"), Some(""));
    gate.stop();
}

#[test]
fn a_visitor_that_leaves_during_a_response_frees_the_origin() {
    let origin = Origin::answering(|asked| {
        if asked.path == "/large" { answer(vec![b'x'; 20_000_000]) } else { answer("small") }
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    for _ in 0..10 {
        let mut visitor = Visitor::plain(gate.listen);
        visitor.send(get("/large"));
        assert_eq!(visitor.head().status(), 200);
    }
    gate.wait_until("no request is in flight", || {
        gate.admin_get("/metrics").contains("portcullis_origin_requests_in_flight 0")
    });
    assert_eq!(Visitor::plain(gate.listen).get("/small").text(), "small");
    gate.stop();
}
