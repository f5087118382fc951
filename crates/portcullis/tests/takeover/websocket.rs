//! A visitor with an upgraded connection, which lives for the drain time at least.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(10);

pub struct WebSocket {
    stream: TcpStream,
    opened: Instant,
}

impl WebSocket {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_nodelay(true)?;
        let request = "GET /live HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        if !head.starts_with(b"HTTP/1.1 101 ") {
            return Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()));
        }
        Ok(Self { stream, opened: Instant::now() })
    }

    /// Sends a message and waits for it to come back. `None`: the connection has ended.
    pub fn echo(&mut self, message: &[u8]) -> Option<()> {
        self.stream.write_all(message).ok()?;
        let mut back = vec![0; message.len()];
        self.stream.read_exact(&mut back).ok()?;
        assert_eq!(back, message);
        Some(())
    }

    pub fn age(&self) -> Duration {
        self.opened.elapsed()
    }
}
