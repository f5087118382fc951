//! Answers as HTTP/1.1 has them: without a body, in chunks, to the end of the connection, cut short, and with others
//! before them.

use crate::message::Framing;
use crate::origin::{Origin, answer};
use crate::visitor::{ReceivedResponse, Visitor, get};
use crate::{gate, pause};

/// What a visitor sees where the origin answers with these bytes and then keeps the connection, or ends it.
fn seen(method: &str, bytes: &'static [u8], ends: bool) -> ReceivedResponse {
    let origin = Origin::start(move |link| {
        while link.next_request().is_some() {
            link.write(bytes);
            if ends {
                return;
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    let [first, second] =
        [Visitor::plain(gate.listen), Visitor::secure(secure, &[])].map(|mut visitor| {
            visitor.send(get("/").replace("GET", method));
            visitor.response_to(method)
        });
    assert_eq!((&first.content, first.framing), (&second.content, second.framing));
    gate.stop();
    first
}

#[test]
fn a_response_to_head_keeps_its_length_and_has_no_body() {
    let answered =
        seen("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: \"a\"\r\n\r\n", false);
    assert_eq!(answered.head.field("content-length"), Some("12345"));
    assert_eq!(answered.head.field("etag"), Some("\"a\""));
    let chunked = seen("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false);
    assert_eq!((chunked.status(), chunked.head.field("content-length")), (200, None));
}

#[test]
fn responses_without_a_body_have_none_and_keep_the_framing_fields_that_are_allowed() {
    let none = seen("GET", b"HTTP/1.1 204 No Content\r\nX-Said: yes\r\n\r\n", false);
    assert_eq!((none.status(), none.head.field("x-said")), (204, Some("yes")));
    let unchanged = seen(
        "GET",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12345\r\nETag: \"a\"\r\n\r\n",
        false,
    );
    assert_eq!((unchanged.status(), unchanged.head.field("etag")), (304, Some("\"a\"")));
    let reset = seen("POST", b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", false);
    assert_eq!((reset.status(), reset.content.bytes.len(), reset.content.whole), (205, 0, true));
    let empty = seen("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false);
    assert_eq!((empty.framing, empty.content.whole), (Framing::Length(0), true));
}

#[test]
fn informational_responses_do_not_replace_the_final_one() {
    let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n\
                  HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
                  HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal";
    let origin = Origin::answering(move |_| hints.to_vec());
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    for _ in 0..3 {
        visitor.send(get("/"));
        // Passing them on is allowed, and not done today.
        let answered = loop {
            let answered = visitor.response();
            if answered.status() >= 200 {
                break answered;
            }
        };
        assert_eq!((answered.status(), answered.text().as_str()), (200, "final"));
    }
    gate.stop();
}

#[test]
fn a_partial_response_stays_partial() {
    let origin = Origin::answering(|asked| {
        assert_eq!(asked.head.field("range"), Some("bytes=2-5"));
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-5/10\r\nContent-Length: 4\r\n\r\n2345".to_vec()
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    visitor.send("GET / HTTP/1.1\r\nHost: example.org\r\nRange: bytes=2-5\r\n\r\n");
    let answered = visitor.response();
    assert_eq!((answered.status(), answered.text().as_str()), (206, "2345"));
    assert_eq!(answered.head.field("content-range"), Some("bytes 2-5/10"));
    gate.stop();
}

#[test]
fn chunks_of_the_origin_stay_chunks_with_trailers_for_clients_that_want_them() {
    let origin = Origin::answering(|asked| {
        match asked.path.as_str() {
        "/empty" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n\
               006;note=\"x\"\r\n world\r\nA\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\nX-Sum: 42\r\n\r\n"
            .to_vec(),
    }
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    for mut visitor in [Visitor::plain(gate.listen), Visitor::secure(secure, &[])] {
        visitor
            .send("GET / HTTP/1.1\r\nHost: example.org\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
        let answered = visitor.response();
        assert_eq!((answered.framing, answered.content.whole), (Framing::Chunked, true));
        assert_eq!(answered.text(), "hello world0123456789abcdefghij");
        assert_eq!(answered.content.trailers, [("x-sum".to_owned(), "42".to_owned())]);
        let without = visitor.get("/");
        assert_eq!((without.text(), without.content.whole), (answered.text(), true));
        let empty = visitor.get("/empty");
        assert_eq!((empty.text().as_str(), empty.content.whole), ("", true));
    }
    gate.stop();
}

#[test]
fn each_chunk_of_a_response_arrives_when_it_was_sent_and_not_at_the_end() {
    let (arrived, next) = std::sync::mpsc::channel::<()>();
    let next = std::sync::Mutex::new(next);
    let origin = Origin::start(move |link| {
        if link.next_request().is_some() {
            link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for n in 0..5 {
                // Each only after the one before has arrived.
                let _ = next.lock().unwrap().recv();
                link.write(format!("7\r\npiece {n}\r\n"));
            }
            link.write("0\r\n\r\n");
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    visitor.send(get("/"));
    assert_eq!(visitor.head().status(), 200);
    for n in 0..5 {
        arrived.send(()).unwrap();
        let mut came = Vec::new();
        while came.len() < 12 {
            came.extend(visitor.read_some());
        }
        let came = String::from_utf8_lossy(&came).into_owned();
        assert!(came.starts_with(&format!("7\r\npiece {n}\r\n")), "{came:?}");
    }
    gate.stop();
}

#[test]
fn a_response_that_ends_with_the_connection_is_complete_and_the_visitor_stays_connected() {
    let origin = Origin::start(|link| {
        if link.next_request().is_some() {
            link.write("HTTP/1.1 200 OK\r\n\r\nto the ");
            pause();
            link.write("end");
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    for _ in 0..3 {
        let answered = visitor.get("/");
        assert_eq!((answered.framing, answered.content.whole), (Framing::Chunked, true));
        assert_eq!(answered.text(), "to the end");
    }
    assert_eq!(origin.connections(), 3);
    gate.stop();
}

#[test]
fn a_response_of_http_1_0_is_complete() {
    let short = seen("GET", b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nolder", true);
    assert_eq!((short.text().as_str(), short.content.whole), ("older", true));
    let length = seen("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nolder", true);
    assert_eq!((length.text().as_str(), length.framing), ("older", Framing::Length(5)));
}

#[test]
fn a_truncated_response_does_not_look_complete() {
    let broken: [&[u8]; 7] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Half",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nnonsense\r\n0\r\n\r\n",
    ];
    let origin = Origin::start(move |link| {
        if let Some(asked) = link.next_request() {
            link.write(broken[asked.path[1..].parse::<usize>().unwrap()]);
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    for (n, bytes) in broken.iter().enumerate() {
        for mut visitor in [Visitor::plain(gate.listen), Visitor::secure(secure, &[])] {
            visitor.send(get(&format!("/{n}")));
            // A response that is truncated immediately may have no head either.
            if let Some(answered) = visitor.response_or_end("GET") {
                let passed = answered.status() == 200 && answered.content.whole;
                assert!(!passed, "{} became {answered:?}", bytes.escape_ascii());
            }
        }
    }
    gate.stop();
}

/// Breaks off in the middle of a chunked answer. To HTTP/1.0 it ends with the connection, so that
/// only the end of the connection shows it.
fn breaks_off() -> Origin {
    Origin::start(|link| {
        if link.next_request().is_some() {
            link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
            pause();
        }
    })
}

fn is_complete(mut visitor: Visitor) -> bool {
    visitor.send("GET / HTTP/1.0\r\nHost: example.org\r\n\r\n");
    visitor.response_or_end("GET").is_some_and(|answered| answered.content.whole)
}

#[test]
fn a_truncated_response_does_not_look_complete_to_an_http_1_0_visitor_over_tls() {
    let origin = breaks_off();
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    for _ in 0..5 {
        assert!(!is_complete(Visitor::secure(secure, &[])));
    }
    gate.stop();
}

#[test]
fn a_truncated_response_does_not_look_complete_to_an_http_1_0_visitor() {
    let origin = breaks_off();
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    for _ in 0..5 {
        assert!(!is_complete(Visitor::plain(gate.listen)));
    }
    gate.stop();
}

#[test]
fn a_connection_with_a_truncated_response_is_not_used_again() {
    let origin = Origin::start(|link| {
        if link.number == 0 {
            if link.next_request().is_some() {
                link.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            }
            return;
        }
        while link.next_request().is_some() {
            link.write(answer("whole"));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    let mut visitor = Visitor::plain(gate.listen);
    visitor.send(get("/"));
    assert!(visitor.response_or_end("GET").is_none_or(|answered| !answered.content.whole));
    assert!(visitor.is_closed());
    assert_eq!(Visitor::plain(gate.listen).get("/").text(), "whole");
    gate.stop();
}
