//! A site behind the gate of a rehearsal: small pages, a large one, and tunnels.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A page that is larger than the kernel's buffers on the way, so that a visitor who does not read
/// it is noticed.
pub const LARGE_PAGE: &str = "/large";
const LARGE_BYTES: usize = 4 * 1024 * 1024;
const SMALL_BYTES: usize = 2 * 1024;

/// A gate opens 64 connections to its origin by default; twice the number of threads suffices.
const CONNECTIONS_MAX: usize = 128;
/// A head that the gate forwards has at most 256 KiB, whatever is configured.
const HEAD_MAX: u64 = 256 * 1024;
/// Longer than any rehearsal: it is the gate that ends things.
const IO_TIMEOUT: Duration = Duration::from_secs(180);

/// The site; it is there until the process ends.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
}

impl Site {
    /// Starts it on this port of 127.0.0.1, or on a free one where it is zero.
    pub fn start(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        std::thread::Builder::new().name("site".to_owned()).spawn(move || accept(&listener))?;
        Ok(Self { address })
    }

    /// Where it is.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

fn accept(listener: &TcpListener) {
    let open = Arc::<AtomicUsize>::default();
    for stream in listener.incoming().flatten() {
        if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let open = open.clone();
        let thread = std::thread::Builder::new().name("page".to_owned()).spawn({
            let open = open.clone();
            move || {
                // How a connection ends is the gate's affair.
                let _ = serve_connection(&stream);
                open.fetch_sub(1, Ordering::Relaxed);
            }
        });
        if thread.is_err() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The parts of a request that matter here.
#[derive(Debug, Default, PartialEq, Eq)]
struct SiteRequest {
    path: String,
    length: u64,
    chunked: bool,
    upgrade: bool,
}

fn serve_connection(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IO_TIMEOUT))?;
    stream.set_write_timeout(Some(IO_TIMEOUT))?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Some(head) = read_request(&mut reader)? {
        if head.upgrade {
            writer.write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                  Upgrade: websocket\r\n\r\n",
            )?;
            return io::copy(&mut reader, &mut writer).map(|_| ());
        }
        if head.chunked {
            skip_chunks(&mut reader)?;
        } else {
            skip(&mut reader, head.length)?;
        }
        let size = if head.path == LARGE_PAGE { LARGE_BYTES } else { SMALL_BYTES };
        write!(
            writer,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n"
        )?;
        writer.write_all(&vec![b'.'; size])?;
    }
    Ok(())
}

/// Reads one head; `None` where there is none any more.
fn read_request(reader: &mut impl BufRead) -> io::Result<Option<SiteRequest>> {
    let mut reader = reader.take(HEAD_MAX);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut request = SiteRequest { path, ..SiteRequest::default() };
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let field = line.trim_end().to_ascii_lowercase();
        let Some((name, value)) = field.split_once(':') else {
            return if field.is_empty() {
                Ok(Some(request))
            } else {
                Err(io::ErrorKind::InvalidData.into())
            };
        };
        match (name, value.trim()) {
            ("content-length", value) => {
                request.length = value.parse().map_err(|_| io::ErrorKind::InvalidData)?;
            }
            ("transfer-encoding", value) => request.chunked = value == "chunked",
            ("upgrade", _) => request.upgrade = true,
            _ => {}
        }
    }
}

fn skip(reader: &mut impl Read, length: u64) -> io::Result<()> {
    let skipped = io::copy(&mut reader.take(length), &mut io::sink())?;
    if skipped == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn skip_chunks(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let mut line = String::new();
        reader.take(64).read_line(&mut line)?;
        let length = line.trim_end().split(';').next().unwrap_or_default();
        let length = u64::from_str_radix(length, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        skip(reader, length.saturating_add(2))?;
        if length == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_one_request_after_another_whatever_their_bodies() {
        let site = Site::start(0).unwrap();
        let mut stream = TcpStream::connect(site.address()).unwrap();
        stream
            .write_all(
                b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                  3\r\nabc\r\n0\r\n\r\n\
                  POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab\
                  GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
            )
            .unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).unwrap();
        let text = String::from_utf8(answers).unwrap();
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3);
        assert!(text.len() > LARGE_BYTES + 2 * SMALL_BYTES);
    }

    #[test]
    fn a_tunnel_echoes() {
        let site = Site::start(0).unwrap();
        let mut stream = TcpStream::connect(site.address()).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\nhello").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 101") && answer.ends_with("\r\n\r\nhello"),
            "{answer}"
        );
    }
}
