//! Vectors of upgraded connections.

use std::time::Duration;

use super::context::{Attacker, End};
use super::heads::open;
use super::http_1::{drip, hold, write};

/// Opens a WebSocket and sends nothing on it.
pub(super) async fn hoarding(attacker: Attacker) -> End {
    let mut stream = open!(attacker);
    attacker.count_requests(1);
    match write(&attacker, &mut stream, upgrade(&attacker).as_bytes()).await {
        Ok(()) => hold(&attacker, &mut stream).await,
        Err(end) => end,
    }
}

/// Opens a WebSocket and sends a frame over it a byte each second, from the header on.
pub(super) async fn slow_frames(attacker: Attacker) -> End {
    let mut stream = open!(attacker);
    attacker.count_requests(1);
    // A masked binary frame of 65 535 bytes (RFC 6455, section 5.2).
    let header = [0x82, 0xfe, 0xff, 0xff, 1, 2, 3, 4].into_iter().map(|byte| vec![byte]);
    let content = std::iter::repeat_n(vec![0], 0xffff);
    let head = std::iter::once(upgrade(&attacker).into_bytes());
    let parts = head.chain(header).chain(content);
    drip(&attacker, &mut stream, parts, Duration::from_secs(1)).await
}

/// Asks for a tunnel to somewhere else, as if the gate were an open proxy.
pub(super) async fn connect(attacker: Attacker) -> End {
    let mut stream = open!(attacker);
    attacker.count_requests(1);
    let head = "CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example:443\r\n\r\n";
    match write(&attacker, &mut stream, head.as_bytes()).await {
        Ok(()) => hold(&attacker, &mut stream).await,
        Err(end) => end,
    }
}

fn upgrade(attacker: &Attacker) -> String {
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        attacker.path(),
        attacker.host()
    )
}
