//! Connections and streams that are opened and held, to measure what they cost the proxy.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::connect::{BenchResult, connect};
use crate::tls;

/// Connections are closed after this time, even if the measurement still uses them.
const MAX_HOLD: Duration = Duration::from_secs(120);

/// How an idle connection came to be idle: after one request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientProtocol {
    /// HTTP/1.1 without encryption.
    Http1,
    /// HTTP/1.1 over TLS.
    Tls,
    /// HTTP/2 over TLS.
    Http2,
}

impl ClientProtocol {
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        match name {
            "http1" => Some(Self::Http1),
            "tls" => Some(Self::Tls),
            "http2" => Some(Self::Http2),
            _ => None,
        }
    }

    /// What is offered by ALPN, if there is TLS.
    pub(crate) fn alpn(self) -> Option<&'static [u8]> {
        match self {
            Self::Http1 => None,
            Self::Tls => Some(b"http/1.1"),
            Self::Http2 => Some(b"h2"),
        }
    }
}

pub(crate) trait ByteStream: Read + Write {}
impl<T: Read + Write> ByteStream for T {}

/// Opens `count` connections that each make one request, and holds them.
pub(crate) fn idle(port: u16, count: usize, kind: ClientProtocol) -> BenchResult<()> {
    let config = kind.alpn().map(|protocol| tls::config(protocol, false)).transpose()?;
    let mut held = Vec::with_capacity(count);
    for number in 0..count {
        let mut conn = open(port, number, config.as_ref())?;
        fetch_page(&mut conn, kind)?;
        held.push(conn);
    }
    hold(held, count)
}

/// Opens `connections` HTTP/2 connections with `streams` requests each, which get no response.
pub(crate) fn streams(port: u16, connections: usize, streams: u32) -> BenchResult<()> {
    let config = tls::config(b"h2", false)?;
    let mut held = Vec::with_capacity(connections);
    for number in 0..connections {
        let mut conn = open(port, number, Some(&config))?;
        h2_handshake(&mut conn)?;
        for stream in 0..streams {
            conn.write_all(&request(stream * 2 + 1, b"/"))?;
        }
        held.push(conn);
    }
    hold(held, connections * streams as usize)
}

/// One request and its answer.
pub(crate) fn fetch_page(conn: &mut dyn ByteStream, kind: ClientProtocol) -> BenchResult<()> {
    if kind == ClientProtocol::Http2 {
        h2_handshake(conn)?;
        conn.write_all(&request(1, b"/small.html"))?;
        read_h2_response(conn)
    } else {
        conn.write_all(b"GET /small.html HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        read_response(conn)
    }
}

pub(crate) fn open(
    port: u16,
    number: usize,
    config: Option<&Arc<ClientConfig>>,
) -> BenchResult<Box<dyn ByteStream>> {
    let socket = connect(port, number)?;
    Ok(match config {
        None => Box::new(socket),
        Some(config) => Box::new(connect_tls(socket, config)?),
    })
}

fn connect_tls(
    mut socket: TcpStream,
    config: &Arc<ClientConfig>,
) -> BenchResult<StreamOwned<ClientConnection, TcpStream>> {
    let mut tls = ClientConnection::new(config.clone(), tls::name()?)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut socket)?;
    }
    if tls.alpn_protocol() != config.alpn_protocols.first().map(Vec::as_slice) {
        return Err("the proxy chose another protocol".into());
    }
    Ok(StreamOwned::new(tls, socket))
}

fn hold(held: Vec<Box<dyn ByteStream>>, count: usize) -> BenchResult<()> {
    println!("ready");
    // The main thread waits for its input to end; this one for too long a time.
    thread::spawn(|| {
        thread::sleep(MAX_HOLD);
        std::process::exit(1);
    });
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    drop(held);
    println!("{{\"held\":{count}}}");
    Ok(())
}

/// Reads an HTTP/1.1 answer that has a length.
fn read_response(conn: &mut dyn ByteStream) -> BenchResult<()> {
    let mut buffer = [0; 4096];
    let mut have = 0;
    loop {
        let read = conn.read(&mut buffer[have..])?;
        if read == 0 {
            return Err("the proxy closed the connection".into());
        }
        have += read;
        let Some(whole) = response_length(&buffer[..have])? else { continue };
        if have >= whole {
            return Ok(());
        }
    }
}

/// How long the answer is with its head, as soon as the head is complete.
pub(crate) fn response_length(bytes: &[u8]) -> BenchResult<Option<usize>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = str::from_utf8(&bytes[..end])?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("not the requested response: {head}").into());
    }
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .ok_or("an answer without a length")?;
    Ok(Some(end + 4 + length.1.trim().parse::<usize>()?))
}

const FRAME_HEADER: usize = 9;
const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The preface, empty settings, and an acknowledgement ahead of its time: the proxy's settings
/// change nothing for a request this small.
fn h2_handshake(conn: &mut dyn ByteStream) -> BenchResult<()> {
    conn.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
    conn.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    loop {
        let (kind, flags, _) = next_frame(conn)?;
        if kind == SETTINGS && flags == 0 {
            conn.write_all(&frame(SETTINGS, 1, 0, &[]))?;
            return Ok(());
        }
    }
}

/// A GET request: fields of the static table, and two literals (RFC 7541, section 6).
fn request(stream: u32, path: &[u8]) -> Vec<u8> {
    let mut block = vec![0x82, 0x87];
    block.extend([0x01, 9]);
    block.extend(b"localhost");
    block.extend([0x04, path.len() as u8]);
    block.extend(path);
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
}

fn next_frame(conn: &mut dyn ByteStream) -> BenchResult<(u8, u8, Vec<u8>)> {
    let mut header = [0; FRAME_HEADER];
    conn.read_exact(&mut header)?;
    let [a, b, c, kind, flags, ..] = header;
    let mut payload = vec![0; usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)];
    conn.read_exact(&mut payload)?;
    Ok((kind, flags, payload))
}

fn read_h2_response(conn: &mut dyn ByteStream) -> BenchResult<()> {
    loop {
        let (kind, flags, _) = next_frame(conn)?;
        match kind {
            // DATA, or an answer without any.
            0 | HEADERS if flags & END_STREAM != 0 => return Ok(()),
            3 => return Err("the proxy reset the stream".into()),
            7 => return Err("the proxy closed the connection".into()),
            _ => {}
        }
    }
}
