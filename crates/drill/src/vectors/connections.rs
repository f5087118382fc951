//! Vectors that only hold connections, or have many of them.

use std::time::Duration;

use super::ground::{Attacker, End, rest};
use super::http_1::{hold, write};
use crate::wire::Wire;

/// Opens a connection (without TLS even where TLS is spoken) and says nothing.
pub(super) async fn idle(attacker: Attacker) -> End {
    match attacker.open_tcp().await {
        Some(mut stream) => hold(&attacker, &mut stream).await,
        None => End::NotOpened,
    }
}

/// One page, and then nothing: what a kept-alive connection is for, a thousand times over.
pub(super) async fn keep_alive(attacker: Attacker) -> End {
    let Some(mut stream) = attacker.open().await else {
        return End::NotOpened;
    };
    let head = get(&attacker, attacker.path());
    attacker.requested(1);
    match write(&attacker, &mut stream, head.as_bytes()).await {
        Ok(()) => hold(&attacker, &mut stream).await,
        Err(end) => end,
    }
}

/// A page a second, on one connection for as long as the gate keeps it.
pub(super) async fn long_lived(attacker: Attacker) -> End {
    ask(&attacker, Duration::from_secs(1), u32::MAX, |_| get(&attacker, attacker.path())).await
}

/// As many requests on one connection as the gate answers there, one behind the other.
pub(super) async fn endless(attacker: Attacker) -> End {
    ask(&attacker, Duration::ZERO, u32::MAX, |_| get(&attacker, attacker.path())).await
}

/// A page or two from each of a thousand addresses, each page another.
pub(super) async fn many_sources(attacker: Attacker) -> End {
    let paths =
        |round| format!("/{:x}", attacker.number(round).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    ask(&attacker, Duration::from_millis(500), 4, |round| get(&attacker, &paths(round))).await
}

/// An invented address in front of each request, as if the attacker were a proxy with a million
/// visitors. Only a gate that trusts loopback believes them.
pub(super) async fn forged_addresses(attacker: Attacker) -> End {
    ask(&attacker, Duration::from_millis(20), u32::MAX, |round| {
        let [_, a, b, c] =
            (attacker.number(round).wrapping_mul(0x9e37_79b9_7f4a_7c15) as u32).to_be_bytes();
        let path = attacker.path();
        let host = attacker.host();
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 198.{a}.{b}.{c}\r\n\r\n")
    })
    .await
}

/// Asks and waits for the answer, again and again.
pub(super) async fn ask(
    attacker: &Attacker,
    pause: Duration,
    times: u32,
    head: impl Fn(u32) -> String,
) -> End {
    let Some(stream) = attacker.open().await else {
        return End::NotOpened;
    };
    let mut wire = Wire::new(stream);
    for round in 0..times {
        if !attacker.may_go_on() {
            return End::Held;
        }
        let head = head(round);
        attacker.requested(1);
        attacker.sent(head.len());
        let exchange = async {
            wire.write(head.as_bytes()).await.ok()?;
            wire.response().await.ok()?
        };
        match tokio::time::timeout_at(attacker.end(), exchange).await {
            Ok(Some(response)) => {
                attacker.answered(response.status);
                if !response.keep_alive {
                    return End::Closed;
                }
            }
            Ok(None) => return End::Closed,
            Err(_) => return End::Held,
        }
        // The shortest sleep is a millisecond.
        if !pause.is_zero() {
            rest(attacker, pause).await;
        }
    }
    End::Done
}

/// A plain request for this path.
pub(super) fn get(attacker: &Attacker, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", attacker.host())
}
