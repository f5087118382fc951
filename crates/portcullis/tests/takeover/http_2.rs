//! A visitor over HTTP/2 who sends several requests at a time, until a GOAWAY.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use portcullis_testkit::http_2::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    frame, header_block,
};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

const PING: u8 = 6;
const ACK: u8 = 1;
const LIMIT: Duration = Duration::from_secs(10);

pub struct Http2 {
    stream: StreamOwned<ClientConnection, TcpStream>,
    next: u32,
    authority: String,
    /// Streams above this one are not processed.
    goaway: Option<u32>,
}

impl Http2 {
    pub fn connect(address: SocketAddr, client: &Arc<ClientConfig>) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_nodelay(true)?;
        let name = "example.org".try_into().map_err(io::Error::other)?;
        let client = ClientConnection::new(client.clone(), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(client, stream);
        stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, b"")].concat())?;
        // More than a connection's answers come to.
        stream.write_all(&frame(WINDOW_UPDATE, 0, 0, &0x3fff_ffff_u32.to_be_bytes()))?;
        let authority = format!("example.org:{}", address.port());
        Ok(Self { stream, next: 1, authority, goaway: None })
    }

    /// Whether new requests belong on another connection.
    pub fn is_leaving(&self) -> bool {
        self.goaway.is_some()
    }

    /// Sends this number of requests together; returns how many were answered. The others were refused
    /// by a GOAWAY as not processed.
    pub fn get_all(&mut self, path: &str, count: u32) -> io::Result<u32> {
        let mut open = BTreeSet::new();
        let mut requests = Vec::new();
        for _ in 0..count {
            let block = header_block(&[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", &self.authority),
                (":path", path),
            ]);
            requests.extend(frame(HEADERS, END_HEADERS | END_STREAM, self.next, &block));
            open.insert(self.next);
            self.next += 2;
        }
        self.stream.write_all(&requests)?;
        let mut answered = 0;
        while !open.is_empty() {
            let (kind, flags, id) = self.read_frame()?;
            if kind == RST_STREAM {
                return Err(io::Error::other(format!("stream {id} was reset")));
            }
            if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                open.remove(&id);
                answered += 1;
            }
            if let Some(last) = self.goaway {
                open.retain(|id| *id <= last);
            }
        }
        Ok(answered)
    }

    fn read_frame(&mut self) -> io::Result<(u8, u8, u32)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        match kind {
            SETTINGS if flags & ACK == 0 => {
                self.stream.write_all(&frame(SETTINGS, ACK, 0, b""))?;
            }
            PING if flags & ACK == 0 => self.stream.write_all(&frame(PING, ACK, 0, &payload))?,
            GOAWAY => {
                let last = payload.first_chunk().ok_or(io::ErrorKind::InvalidData)?;
                self.goaway = Some(u32::from_be_bytes(*last));
            }
            // The first of a response: `:status: 200` is the eighth entry of the static table.
            HEADERS if payload.first() != Some(&0x88) => {
                return Err(io::Error::other(format!("another status: {payload:02x?}")));
            }
            _ => {}
        }
        Ok((kind, flags, id))
    }
}
