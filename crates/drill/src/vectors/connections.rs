//! Vectors that only hold connections, or have many of them.

use std::time::Duration;

use super::context::{Attacker, End, bounded_sleep};
use super::http_1::{hold, write};
use crate::http1::Http1Stream;

/// Opens a connection (without TLS even if the target uses TLS) and sends nothing.
pub(super) async fn idle(attacker: Attacker) -> End {
    match attacker.open_tcp().await {
        Some(mut stream) => hold(&attacker, &mut stream).await,
        None => End::NotOpened,
    }
}

/// One page, and then nothing: ordinary idle connections, a thousand of them.
pub(super) async fn keep_alive(attacker: Attacker) -> End {
    let Some(mut stream) = attacker.open().await else {
        return End::NotOpened;
    };
    let head = get_request(&attacker, attacker.path());
    attacker.count_requests(1);
    match write(&attacker, &mut stream, head.as_bytes()).await {
        Ok(()) => hold(&attacker, &mut stream).await,
        Err(end) => end,
    }
}

/// A page a second, on one connection for as long as the gate keeps it.
pub(super) async fn long_lived(attacker: Attacker) -> End {
    request_loop(&attacker, Duration::from_secs(1), u32::MAX, |_| {
        get_request(&attacker, attacker.path())
    })
    .await
}

/// Requests on one connection, one after another, for as long as the gate answers.
pub(super) async fn endless(attacker: Attacker) -> End {
    request_loop(&attacker, Duration::ZERO, u32::MAX, |_| get_request(&attacker, attacker.path()))
        .await
}

/// A page or two from each of a thousand addresses, each page another.
pub(super) async fn many_sources(attacker: Attacker) -> End {
    let paths =
        |round| format!("/{:x}", attacker.unique_number(round).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    request_loop(&attacker, Duration::from_millis(500), 4, |round| {
        get_request(&attacker, &paths(round))
    })
    .await
}

/// An invented address in front of each request, as if the attacker were a proxy with a million
/// visitors. Only a gate that trusts loopback believes them.
pub(super) async fn forged_addresses(attacker: Attacker) -> End {
    request_loop(&attacker, Duration::from_millis(20), u32::MAX, |round| {
        let [_, a, b, c] = (attacker.unique_number(round).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            as u32)
            .to_be_bytes();
        let path = attacker.path();
        let host = attacker.host();
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 198.{a}.{b}.{c}\r\n\r\n")
    })
    .await
}

/// Asks and waits for the answer, again and again.
pub(super) async fn request_loop(
    attacker: &Attacker,
    pause: Duration,
    times: u32,
    head: impl Fn(u32) -> String,
) -> End {
    let Some(stream) = attacker.open().await else {
        return End::NotOpened;
    };
    let mut conn = Http1Stream::new(stream);
    for round in 0..times {
        if !attacker.may_continue() {
            return End::Held;
        }
        let head = head(round);
        attacker.count_requests(1);
        attacker.count_bytes(head.len());
        let exchange = async {
            conn.write(head.as_bytes()).await.ok()?;
            conn.read_response().await.ok()?
        };
        match tokio::time::timeout_at(attacker.end(), exchange).await {
            Ok(Some(response)) => {
                attacker.count_response(response.status);
                if !response.keep_alive {
                    return End::Closed;
                }
            }
            Ok(None) => return End::Closed,
            Err(_) => return End::Held,
        }
        // The shortest sleep is a millisecond.
        if !pause.is_zero() {
            bounded_sleep(attacker, pause).await;
        }
    }
    End::Finished
}

/// A plain request for this path.
pub(super) fn get_request(attacker: &Attacker, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", attacker.host())
}
