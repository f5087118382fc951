//! Bodies around the sizes of buffers, both ways and in every framing, on persistent connections.

use crate::message::{Framing, chunks};
use crate::origin::{Origin, answer};
use crate::visitor::{Visitor, post};
use crate::{digest, gate, pattern};

const SIZES: [usize; 20] = [
    0, 1, 2, 4_095, 4_096, 4_097, 8_191, 8_192, 8_193, 16_383, 16_384, 16_385, 32_767, 32_769,
    65_535, 65_536, 65_537, 131_071, 131_073, 1_048_577,
];

/// Answers `/length/N`, `/chunked/N` and `/close/N` with N bytes, and reports what it got.
fn origin() -> Origin {
    Origin::start(|link| {
        while let Some(asked) = link.next_request() {
            let (form, size) = asked.path[1..].split_once('/').unwrap();
            let content = pattern(size.parse().unwrap());
            let got = digest(&asked.content.bytes);
            let head = format!("HTTP/1.1 200 OK\r\nX-Got: {got}\r\n");
            match form {
                "length" => {
                    link.write(head + &format!("Content-Length: {}\r\n\r\n", content.len()));
                    link.write(content);
                }
                "chunked" => {
                    link.write(head + "Transfer-Encoding: chunked\r\n\r\n");
                    link.write(chunks(&content, &[1, 8_190, 7, 16_384, 100_000, 4_096]));
                }
                _ => {
                    link.write(head + "\r\n");
                    link.write(content);
                    return;
                }
            }
        }
    })
}

/// Every size up and another one down, in each framing, on one connection.
fn exchange(visitor: &mut Visitor) {
    for (n, size) in SIZES.into_iter().enumerate() {
        for (m, form) in ["length", "chunked", "close"].into_iter().enumerate() {
            let back = SIZES[(n * 7 + m * 3) % SIZES.len()];
            let path = format!("/{form}/{back}");
            let content = pattern(size);
            if (n + m) % 2 == 0 {
                visitor.send(post(&path, &content));
            } else {
                visitor.send(format!(
                    "POST {path} HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n"
                ));
                visitor.send(chunks(&content, &[3, 16_384, 1, 8_192, 65_536]));
            }
            let answered = visitor.response();
            assert_eq!(answered.status(), 200);
            assert!(answered.content.whole, "{size} up, {path}");
            assert_eq!(answered.head.field("x-got"), Some(digest(&content).as_str()), "{size} up");
            assert_eq!(answered.content.bytes.len(), back, "{path}");
            assert_eq!(digest(&answered.content.bytes), digest(&pattern(back)), "{path}");
            let framing = if form == "length" { Framing::Length(back) } else { Framing::Chunked };
            assert_eq!(answered.framing, framing, "{path}");
        }
    }
}

#[test]
fn bodies_of_every_size_pass_whole_both_ways_on_one_connection() {
    let origin = origin();
    let folder = tempfile::tempdir().unwrap();
    let (gate, _) = gate(folder.path(), origin.address, "");
    exchange(&mut Visitor::plain(gate.listen));
    gate.stop();
}

#[test]
fn bodies_of_every_size_pass_whole_both_ways_over_tls() {
    let origin = origin();
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    exchange(&mut Visitor::secure(secure, &["http/1.1"]));
    gate.stop();
}

#[test]
fn heads_of_every_size_below_the_limit_pass_both_ways() {
    let origin = Origin::answering(|asked| {
        let mut bytes =
            format!("HTTP/1.1 200 OK\r\nX-Back: {}\r\n", asked.head.field("x-large").unwrap())
                .into_bytes();
        bytes.extend(&answer("behind it")["HTTP/1.1 200 OK\r\n".len()..]);
        bytes
    });
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    for mut visitor in [Visitor::plain(gate.listen), Visitor::secure(secure, &[])] {
        for size in [1, 1_000, 4_000, 4_096, 8_100, 8_192, 16_300, 16_384, 24_000, 30_000] {
            let value = "v".repeat(size);
            visitor
                .send(format!("GET / HTTP/1.1\r\nHost: example.org\r\nX-Large: {value}\r\n\r\n"));
            let answered = visitor.response();
            assert_eq!((answered.status(), answered.text().as_str()), (200, "behind it"), "{size}");
            assert_eq!(answered.head.field("x-back"), Some(value.as_str()));
        }
    }
    gate.stop();
}
