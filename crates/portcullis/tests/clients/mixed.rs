//! Many concurrent visitors that behave like people and like broken programs, in random order, with
//! an origin that does the same. Every response that looks complete is the right one, and nothing is
//! left at the end.

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use crate::message::{Framing, chunks};
use crate::origin::{Origin, OriginConn};
use crate::visitor::{Visitor, get, post};
use crate::{digest, gate, pattern};

const VISITORS: u64 = 24;
const TURNS: usize = 60;

/// The same numbers at every run (xorshift).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }

    /// Mostly small, sometimes beyond every buffer.
    fn size(&mut self) -> usize {
        let most = [1, 100, 5_000, 20_000, 300_000][self.below(5)];
        self.below(most)
    }
}

/// Answers `/FORM/SIZE/TAG` with `SIZE` bytes in one of the framings, its tag, and the digest of
/// what came; or breaks off in one of several ways.
fn behave(link: &mut OriginConn) {
    while let Some(asked) = link.next_request() {
        let mut parts = asked.path[1..].split('/');
        let (form, size, tag) =
            (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let content = pattern(size.parse().unwrap());
        let got = digest(&asked.content.bytes);
        let head = format!("HTTP/1.1 200 OK\r\nX-Tag: {tag}\r\nX-Got: {got}\r\n");
        let length = format!("Content-Length: {}\r\n\r\n", content.len());
        match form {
            "length" => link.write([(head + &length).as_bytes(), &content].concat()),
            "apart" => {
                link.write(head + &length);
                link.write(&content);
            }
            "hinted" => {
                link.write("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n");
                link.write([(head + &length).as_bytes(), &content].concat());
            }
            "chunked" => {
                link.write(head + "Transfer-Encoding: chunked\r\n\r\n");
                link.write(chunks(&content, &[1, 5_000, 16_384]));
            }
            "none" => link.write(head.replace("200 OK", "204 No Content") + "\r\n"),
            "last" => {
                link.write(
                    [(head + "Connection: close\r\n" + &length).as_bytes(), &content].concat(),
                );
                return;
            }
            "close" => {
                link.write([(head + "\r\n").as_bytes(), &content].concat());
                return;
            }
            "cut" => {
                link.write(head + &length);
                link.write(&content[..content.len() / 2]);
                return;
            }
            _ => return,
        }
    }
}

const WHOLE: [&str; 7] = ["length", "apart", "hinted", "chunked", "none", "last", "close"];

fn connect(plain: SocketAddr, secure: SocketAddr, dice: &mut Dice) -> Visitor {
    if dice.below(3) == 0 { Visitor::secure(secure, &["http/1.1"]) } else { Visitor::plain(plain) }
}

/// Reads a response, which must be complete and belong to this request.
fn is_answered(visitor: &mut Visitor, form: &str, size: usize, tag: &str, body: &[u8]) {
    let answered = visitor.response();
    assert!(answered.content.whole, "{form} {size}");
    assert_eq!(answered.head.field("x-tag"), Some(tag), "{form} {size}");
    assert_eq!(answered.head.field("x-got"), Some(digest(body).as_str()), "{form} {size}");
    let size = if form == "none" { 0 } else { size };
    assert_eq!(answered.content.bytes.len(), size, "{form}");
    assert!(answered.content.bytes == pattern(size), "{form} {size}");
    if matches!(form, "length" | "apart" | "hinted" | "last") {
        assert_eq!(answered.framing, Framing::Length(size));
    }
}

fn request(path: &str, body: &[u8], dice: &mut Dice) -> Vec<u8> {
    match dice.below(3) {
        _ if body.is_empty() => get(path).into_bytes(),
        0 => {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            [head.into_bytes(), chunks(body, &[7, 10_000])].concat()
        }
        _ => post(path, body),
    }
}

fn visit_in_turns(plain: SocketAddr, secure: SocketAddr, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut visitor = connect(plain, secure, &mut dice);
    for turn in 0..TURNS {
        let tag = format!("{seed}-{turn}");
        let (form, size) = (WHOLE[dice.below(WHOLE.len())], dice.size());
        let path = format!("/{form}/{size}/{tag}");
        let body = pattern(if dice.below(2) == 0 { 0 } else { dice.size() });
        let bytes = request(&path, &body, &mut dice);
        match dice.below(12) {
            // In one piece, in two, or several requests in one write.
            0..5 => {
                visitor.send(bytes);
                is_answered(&mut visitor, form, size, &tag, &body);
            }
            5..7 => {
                let (first, second) = bytes.split_at(dice.below(bytes.len()));
                visitor.send(first);
                std::thread::sleep(Duration::from_millis(3));
                visitor.send(second);
                is_answered(&mut visitor, form, size, &tag, &body);
            }
            7..9 => {
                visitor.send([bytes, get(&format!("/length/10/{tag}-2")).into_bytes()].concat());
                is_answered(&mut visitor, form, size, &tag, &body);
                is_answered(&mut visitor, "length", 10, &format!("{tag}-2"), b"");
            }
            // The origin breaks off, at the start or in the middle.
            9 => {
                let form = ["cut", "gone"][dice.below(2)];
                visitor.send(get(&format!("/{form}/{}/{tag}", size + 2)));
                let right = |status: u16, whole: bool| status == 502 || !whole;
                let answered = visitor.response_or_end("GET");
                assert!(answered.is_none_or(|a| right(a.status(), a.content.whole)), "{form}");
                visitor = connect(plain, secure, &mut dice);
            }
            // The visitor leaves: in the middle of its question, of the answer, or before it.
            10 => {
                let _ = visitor.try_send(&bytes[..dice.below(bytes.len())]);
                visitor = connect(plain, secure, &mut dice);
            }
            _ => {
                let _ = visitor.try_send(bytes);
                if dice.below(2) == 0 {
                    let _ = visitor.stream.read(&mut [0; 100]);
                }
                visitor = connect(plain, secure, &mut dice);
            }
        }
    }
}

#[test]
fn under_mixed_load_every_complete_response_is_the_right_one_and_nothing_is_left() {
    let origin = Origin::start(behave);
    let folder = tempfile::tempdir().unwrap();
    // All of them come from one address, and ask without a pause.
    let more = "[limits.source]\nrequests_per_second = 100_000\nburst = 100_000\n";
    let (gate, secure) = gate(folder.path(), origin.address, more);
    std::thread::scope(|scope| {
        for seed in 1..=VISITORS {
            let plain = gate.listen;
            scope.spawn(move || visit_in_turns(plain, secure, seed));
        }
    });
    gate.wait_until("no request is in flight and no connection is open", || {
        let metrics = gate.admin_get("/metrics");
        let none = |name: &str| metrics.contains(&format!("{name} 0\n"));
        none("portcullis_origin_requests_in_flight")
            && none("portcullis_origin_queue_length")
            && none("portcullis_connections")
    });
    gate.stop();
}
