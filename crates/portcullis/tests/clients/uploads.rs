//! Bodies on their way to the origin.

use crate::message::Framing;
use crate::origin::{Origin, answer};
use crate::visitor::{Visitor, get, post};
use crate::{gate, pause};

#[test]
fn a_body_keeps_its_framing_and_its_trailers() {
    let origin = Origin::answering(|asked| answer(&asked.content.bytes));
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    for mut visitor in [Visitor::plain(gate.listen), Visitor::secure(secure, &[])] {
        visitor.send(post("/", b"with a length"));
        assert_eq!(visitor.response().text(), "with a length");
        visitor.send(
            "POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
             5\r\nhello\r\n006\r\n world\r\n0\r\nX-Sum: 42\r\n\r\n",
        );
        assert_eq!(visitor.response().text(), "hello world");
        visitor.send("POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(visitor.response().text(), "");
        visitor.send("POST / HTTP/1.1\r\nHost: example.org\r\n\r\n");
        assert_eq!(visitor.response().text(), "");
        visitor.send(
            "PUT / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        );
        assert_eq!(visitor.response().text(), "");
    }
    for four in origin.requests().chunks(5) {
        assert_eq!(four[0].head.framing_of_request(), Framing::Length(13));
        assert_eq!(four[1].head.framing_of_request(), Framing::Chunked);
        assert_eq!(four[1].content.trailers, [("x-sum".to_owned(), "42".to_owned())]);
        assert_eq!(four[2].head.framing_of_request(), Framing::Length(0));
    }
    gate.stop();
}

#[test]
fn a_client_that_expects_100_continue_gets_it_before_the_body_and_the_origin_gets_the_body() {
    let origin = Origin::answering(|asked| answer(&asked.content.bytes));
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    let forms =
        [("Content-Length: 5", "hello"), ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")];
    for mut visitor in [Visitor::plain(gate.listen), Visitor::secure(secure, &[])] {
        for (field, body) in forms {
            visitor.send(format!(
                "POST / HTTP/1.1\r\nHost: example.org\r\n{field}\r\nExpect: 100-continue\r\n\r\n"
            ));
            assert_eq!(visitor.response().status(), 100);
            visitor.send(body);
            assert_eq!(visitor.response().text(), "hello");
        }
    }
    assert!(origin.requests().iter().all(|asked| asked.head.field("expect").is_none()));
    gate.stop();
}

#[test]
fn a_client_that_does_not_wait_for_100_continue_is_served_as_well() {
    let origin = Origin::answering(|asked| answer(&asked.content.bytes));
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    let request = "POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello";
    visitor.send(request.to_owned() + &get("/next"));
    let first = visitor.response();
    let last = if first.status() == 100 { visitor.response() } else { first };
    assert_eq!(last.text(), "hello");
    assert_eq!(visitor.response().text(), "");
    gate.stop();
}

#[test]
fn a_request_that_the_gate_refuses_gets_no_100_continue() {
    let origin = Origin::answering(|_| answer(""));
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "[limits]\nmax_body_bytes = \"1 KiB\"\n");
    let mut visitor = Visitor::plain(gate.listen);
    visitor.send("POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(visitor.response().status(), 413);
    assert!(visitor.is_closed() && origin.requests().is_empty());
    gate.stop();
}

#[test]
fn a_refusal_by_the_origin_at_the_head_passes_while_the_body_still_arrives() {
    let origin = Origin::start(|link| {
        if link.head().is_some() {
            link.write(
                "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
            );
            // Until the gate ends the connection.
            let _ = std::io::copy(&mut link.lines, &mut std::io::sink());
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut visitor = Visitor::plain(gate.listen);
        visitor.send(format!(
            "POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 50000000\r\n{expect}\r\n"
        ));
        if !expect.is_empty() {
            // The gate answers this itself: it does not ask the origin before a body begins.
            assert_eq!(visitor.response().status(), 100);
        }
        visitor.send("the beginning");
        let answered = visitor.response();
        assert_eq!((answered.status(), answered.text().as_str()), (403, "no"));
        assert!(visitor.is_closed(), "the rest of the body would not be read");
    }
    gate.stop();
}

#[test]
fn a_response_that_begins_before_the_upload_ends_passes_while_the_upload_continues() {
    let origin = Origin::start(|link| {
        while let Some(mut asked) = link.head() {
            link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n");
            let whole = link.body(&mut asked);
            link.write(format!(
                "{:x}\r\n{whole} {}\r\n0\r\n\r\n",
                5 + asked.content.bytes.len().to_string().len(),
                asked.content.bytes.len()
            ));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    visitor.send("POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 100000\r\n\r\nx");
    assert_eq!(visitor.head().status(), 200);
    assert_eq!(visitor.read_some(), b"5\r\nearly\r\n");
    visitor.send(vec![b'y'; 99_999]);
    let mut rest = Vec::new();
    while !rest.ends_with(b"0\r\n\r\n") {
        rest.extend(visitor.read_some());
    }
    assert_eq!(
        rest.escape_ascii().to_string().to_ascii_lowercase(),
        "b\\r\\ntrue 100000\\r\\n0\\r\\n\\r\\n"
    );
    gate.stop();
}

#[test]
fn a_truncated_body_is_never_complete_to_the_origin() {
    let origin = Origin::answering(|_| answer("whole"));
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let broken = [
        "Content-Length: 10\r\n\r\nhalf",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhe",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Half",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nnonsense\r\n0\r\n\r\n",
    ];
    for rest in broken {
        let mut visitor = Visitor::plain(gate.listen);
        visitor.send(format!("POST / HTTP/1.1\r\nHost: example.org\r\n{rest}"));
        pause();
        drop(visitor);
    }
    // The last request comes after all others.
    gate.wait_until("every body has been aborted", || {
        origin.requests().len() >= 5
            && gate.admin_get("/metrics").contains("portcullis_origin_requests_in_flight 0")
    });
    for asked in origin.requests() {
        assert!(!asked.content.whole, "{asked:?}");
    }
    gate.stop();
}

#[test]
fn a_connection_whose_body_the_origin_did_not_read_is_not_used_again() {
    let origin = Origin::start(|link| {
        while let Some(mut asked) = link.head() {
            if asked.path == "/early" {
                link.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
                link.body(&mut asked);
                continue;
            }
            link.write(answer(&asked.path));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    visitor.send("POST /early HTTP/1.1\r\nHost: example.org\r\nContent-Length: 1000\r\n\r\nx");
    assert_eq!(visitor.response().text(), "early");
    // Another visitor meanwhile: never with the rest of the body before its request.
    let mut other = Visitor::plain(gate.listen);
    assert_eq!(other.get("/other").text(), "/other");
    gate.stop();
}
