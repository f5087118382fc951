//! A visitor that sends HTTP/2 frame by frame, over TLS, without a library that enforces the rules.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use portcullis_testkit::http_2::*;
use portcullis_testkit::tls::client_accepting_any;
use rustls::{ClientConnection, StreamOwned};

use super::{Gate, LIMIT};

/// A frame that has come.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// Four bytes of the payload.
    pub fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// The pseudo-header fields of a request, and more fields.
pub fn request(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let about =
        [(":method", method), (":scheme", "https"), (":authority", "example.org"), (":path", path)];
    header_block(&[&about[..], more].concat())
}

/// One HTTP/2 connection.
pub struct Wire {
    stream: StreamOwned<ClientConnection, TcpStream>,
    ahead: Vec<u8>,
}

impl Wire {
    /// Connects and sends the preface with these settings.
    pub fn connect(gate: &Gate, settings: &[(u16, u32)]) -> Self {
        Self::connect_from(gate, 1, settings)
    }

    /// From 127.0.0.`last`.
    pub fn connect_from(gate: &Gate, last: u8, settings: &[(u16, u32)]) -> Self {
        let client = client_accepting_any(&[b"h2"]);
        let name = "example.org".try_into().unwrap();
        let connection = ClientConnection::new(Arc::new(client), name).unwrap();
        let socket = gate.connect_from(last).stream;
        let mut wire = Self { stream: StreamOwned::new(connection, socket), ahead: Vec::new() };
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        wire.send(PREFACE);
        wire.send(&frame(SETTINGS, 0, 0, &payload));
        wire
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends a request without a body.
    pub fn get(&mut self, stream: u32, path: &str) {
        let block = request("GET", path, &[]);
        self.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &block));
    }

    /// The next frame, or `None` if the connection has ended or nothing comes within `limit`.
    pub fn next(&mut self, limit: Duration) -> Option<Frame> {
        let begun = Instant::now();
        loop {
            if let [a, b, c, kind, flags, s, t, u, v, ..] = self.ahead[..] {
                let length = u32::from_be_bytes([0, a, b, c]) as usize;
                if self.ahead.len() >= 9 + length {
                    let rest = self.ahead.split_off(9 + length);
                    let payload = self.ahead.split_off(9);
                    self.ahead = rest;
                    let stream = u32::from_be_bytes([s, t, u, v]);
                    return Some(Frame { kind, flags, stream, payload });
                }
            }
            let left = limit.checked_sub(begun.elapsed()).filter(|left| !left.is_zero())?;
            self.stream.sock.set_read_timeout(Some(left)).unwrap();
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(read) => self.ahead.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    /// The next frame that `wanted` wants; others are passed over.
    pub fn until(&mut self, mut wanted: impl FnMut(&Frame) -> bool) -> Option<Frame> {
        let begun = Instant::now();
        while let Some(frame) = self.next(LIMIT.saturating_sub(begun.elapsed())) {
            if wanted(&frame) {
                return Some(frame);
            }
        }
        None
    }

    /// Reads until the gate ends the connection, which it must within [`LIMIT`].
    #[track_caller]
    pub fn expect_close(&mut self) {
        let begun = Instant::now();
        while self.next(LIMIT.saturating_sub(begun.elapsed())).is_some() {}
        assert!(begun.elapsed() < LIMIT, "not closed");
    }
}
