//! An origin that answers every request, and sends back what comes over a WebSocket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// A response that takes two seconds: pieces and the pause after each.
pub const SLOW_PIECES: usize = 40;
pub const SLOW_PIECE: &[u8] = &[b'a'; 1_000];
const SLOW_PAUSE: Duration = Duration::from_millis(50);

pub fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || respond(stream));
        }
    });
    address
}

/// Until either side ends it.
fn respond(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut lines = BufReader::new(stream.try_clone().ok()?);
    loop {
        let (mut target, mut upgrade) = (String::new(), false);
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if target.is_empty() {
                line.split(' ').nth(1)?.clone_into(&mut target);
            }
            upgrade |= line.eq_ignore_ascii_case("upgrade: websocket\r\n");
            if line == "\r\n" {
                break;
            }
        }
        if upgrade {
            let agreed =
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
            stream.write_all(agreed).ok()?;
            let mut bytes = [0; 1_024];
            loop {
                let read = lines.read(&mut bytes).ok()?;
                if read == 0 {
                    return None;
                }
                stream.write_all(&bytes[..read]).ok()?;
            }
        }
        if target == "/slow" {
            let length = SLOW_PIECES * SLOW_PIECE.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).ok()?;
            for _ in 0..SLOW_PIECES {
                stream.write_all(SLOW_PIECE).ok()?;
                std::thread::sleep(SLOW_PAUSE);
            }
            continue;
        }
        let length = target.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{target}");
        stream.write_all(answer.as_bytes()).ok()?;
    }
}
