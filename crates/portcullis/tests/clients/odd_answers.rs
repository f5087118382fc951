//! Origins that are not quite right, and what a visitor gets of it.

use std::time::Duration;

use crate::gate;
use crate::origin::{Origin, answer};
use crate::visitor::{Visitor, get};

/// What a visitor may get.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ExpectedResult {
    /// `hello`, whole.
    Passes,
    /// The gate's own page.
    Refused,
    /// An answer that does not look whole, or none, or the gate's own page.
    Cut,
    /// Any of them: what a strict reader refuses and a lenient one understands.
    Whichever,
}
use ExpectedResult::{Cut, Passes, Refused, Whichever};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn odd() -> Vec<(ExpectedResult, Vec<u8>)> {
    let mut all: Vec<(ExpectedResult, Vec<u8>)> = Vec::new();
    let known: &[(ExpectedResult, &[u8])] = &[
        // Not HTTP, or not of this version.
        (Refused, b""),
        (Refused, b"this is not HTTP at all\r\n\r\n"),
        (Refused, b"<html>hello</html>"),
        (Refused, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"),
        (Refused, b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64"),
        (Refused, b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        (Refused, b"http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        (Refused, b"HTTP/1.1  200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 99 Low\r\nContent-Length: 5\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 2000 High\r\nContent-Length: 5\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 abc OK\r\nContent-Length: 5\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 200"),
        (Refused, b"HTTP/1.1 200 OK\r\nX: half"),
        // Without a request to upgrade.
        (Refused, b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nhello"),
        // Lengths that are none, or two.
        (Refused, b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
        (Refused, b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        (Whichever, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
        (
            Whichever,
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        (Whichever, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        // Fields that two readers would read in two ways.
        (Refused, b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 5\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 5\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 5\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 5\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 200 OK\r\nX Y: 1\r\nContent-Length: 5\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 5\r\n\r\nhello"),
        (Refused, b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 5\r\n\r\nhello"),
        (Whichever, b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
        (Whichever, b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        // Unusual, and plain enough.
        (Passes, b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello"),
        (Passes, b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello"),
        (Passes, b"HTTP/1.1 200 Alright Then\r\nContent-Length: 5\r\n\r\nhello"),
        (Passes, b"HTTP/1.1 200 \xe9t\xe9\r\nContent-Length: 5\r\n\r\nhello"),
        (Passes, b"HTTP/1.1 299 Odd\r\nContent-Length: 5\r\n\r\nhello"),
        (Passes, b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello"),
        (Passes, b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 5\r\n\r\nhello"),
        (Passes, b"HTTP/1.1 999 Odd\r\nContent-Length: 5\r\n\r\nhello"),
        (Passes, b"HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello"),
        (Passes, b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH:\t 5 \t\r\n\r\nhello"),
        (Passes, b"HTTP/1.1 200 OK\r\nContent-Length: 0005\r\n\r\nhello"),
        (Passes, b"HTTP/1.1 200 OK\r\nX: a\tb\r\nContent-Length: 5\r\n\r\nhello"),
        (Passes, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more"),
        (Passes, b"HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        (Passes, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        (Passes, b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ];
    all.extend(known.iter().map(|(fate, bytes)| (*fate, bytes.to_vec())));
    let chunked: &[(ExpectedResult, &str)] = &[
        (Passes, "00005\r\nhello\r\n000\r\n\r\n"),
        (Passes, "5;a=b;c=\"d;e\"\r\nhello\r\n0;f\r\n\r\n"),
        (Passes, "1\r\nh\r\n4\r\nello\r\n0\r\nX-Unannounced: 1\r\n\r\n"),
        (Passes, "5\r\nhello\r\n0\r\n\r\nand more"),
        (Cut, "\r\nhello\r\n0\r\n\r\n"),
        (Cut, "0x5\r\nhello\r\n0\r\n\r\n"),
        (Cut, "+5\r\nhello\r\n0\r\n\r\n"),
        (Cut, "-5\r\nhello\r\n0\r\n\r\n"),
        (Cut, "5\r\nhelloXX0\r\n\r\n"),
        (Cut, "4\r\nhello\r\n0\r\n\r\n"),
        (Cut, "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        (Cut, "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        (Cut, "5\r\nhello\r\n"),
        (Whichever, "5 \r\nhello\r\n0\r\n\r\n"),
        (Whichever, "5\nhello\n0\n\n"),
    ];
    all.extend(chunked.iter().map(|(fate, body)| (*fate, [CHUNKED, body].concat().into_bytes())));
    let end = "Content-Length: 5\r\n\r\nhello";
    for (fate, count) in [(Passes, 90), (Refused, 1_000), (Refused, 5_000)] {
        let fields: String = (0..count).map(|n| format!("X-{n}: y\r\n")).collect();
        all.push((fate, format!("HTTP/1.1 200 OK\r\n{fields}{end}").into_bytes()));
    }
    for (fate, size) in [
        (Passes, 8_192),
        (Passes, 32_768),
        (Passes, 60_000),
        (Refused, 200_000),
        (Refused, 1_000_000),
    ] {
        let value = "y".repeat(size);
        all.push((fate, format!("HTTP/1.1 200 OK\r\nX: {value}\r\n{end}").into_bytes()));
    }
    all
}

#[test]
fn valid_responses_pass_invalid_ones_are_502_and_truncated_ones_do_not_look_complete() {
    let cases = odd();
    let origin = Origin::start(|link| {
        while let Some(asked) = link.next_request() {
            let (number, then) = asked.path[1..].split_once('/').unwrap();
            link.write(&odd()[number.parse::<usize>().unwrap()].1);
            if then == "ends" {
                return;
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    for (number, (fate, bytes)) in cases.iter().enumerate() {
        // A response without a length ends with the connection.
        let ways: &[&str] =
            if matches!(fate, Passes | Whichever) { &["stays", "ends"] } else { &["ends"] };
        for way in ways {
            let mut visitor = Visitor::plain(gate.listen);
            visitor.send(get(&format!("/{number}/{way}")));
            let answered = visitor.response_or_end("GET");
            let is = match &answered {
                Some(answered) if answered.status() == 502 && answered.content.whole => Refused,
                Some(answered) if answered.content.whole => {
                    assert_eq!(answered.text(), "hello", "{answered:?}");
                    Passes
                }
                _ => Cut,
            };
            let fits = is == *fate || *fate == Whichever || (*fate == Cut && is == Refused);
            let start = bytes[..bytes.len().min(200)].escape_ascii();
            assert!(fits, "{start} ({way}) became {answered:?}");
        }
    }
    gate.stop();
}

#[test]
fn a_body_that_is_not_allowed_is_not_read_as_the_next_response() {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    let origin = Origin::start(move |link| {
        while let Some(asked) = link.next_request() {
            match (asked.method.as_str(), asked.path.as_str()) {
                (_, "/good") => link.write(answer("good")),
                ("HEAD", _) => {
                    link.write(format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{poison}",
                        poison.len()
                    ));
                }
                (_, path) => {
                    let status = &path[1..];
                    link.write(format!(
                        "HTTP/1.1 {status} Odd\r\nContent-Length: {}\r\n\r\n{poison}",
                        poison.len() * usize::from(status != "200"),
                    ));
                }
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    for (method, path) in [("HEAD", "/200"), ("GET", "/200"), ("GET", "/204"), ("GET", "/304")] {
        for pause in [0, 30] {
            let mut visitor = Visitor::plain(gate.listen);
            visitor.send(get(path).replace("GET", method));
            let first = visitor.response_to(method);
            assert_eq!(
                (first.status().to_string().as_str(), first.text().as_str()),
                (&path[1..], "")
            );
            std::thread::sleep(Duration::from_millis(pause));
            // On this visitor's connection and on another's.
            assert_eq!(visitor.get("/good").text(), "good", "{method} {path}");
            assert_eq!(Visitor::plain(gate.listen).get("/good").text(), "good", "{method} {path}");
        }
    }
    gate.stop();
}
