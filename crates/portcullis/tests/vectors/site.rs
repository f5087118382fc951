//! The site behind the gate: small pages, one large one, tunnels that echo, and a count of what
//! must never arrive.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What [`LARGE`] holds: more than the kernel's buffers on the way, so that a visitor who does not
/// read is noticed.
const LARGE_BYTES: usize = 4 * 1024 * 1024;
/// A page that takes time to read.
pub const LARGE: &str = "/large";

/// The site; it runs until the test ends.
#[derive(Clone)]
pub struct Site {
    pub address: SocketAddr,
    counters: Arc<SiteCounters>,
}

#[derive(Default)]
struct SiteCounters {
    requests: AtomicU64,
    smuggled: AtomicU64,
}

impl Site {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counters = Arc::<SiteCounters>::default();
        let counts = counters.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counters = counts.clone();
                // How a connection ends is the gate's affair.
                std::thread::spawn(move || serve(stream, &counters));
            }
        });
        Self { address, counters }
    }

    /// Requests that arrived.
    pub fn requests(&self) -> u64 {
        self.counters.requests.load(Ordering::Relaxed)
    }

    /// Requests inside other requests.
    pub fn smuggled(&self) -> u64 {
        self.counters.smuggled.load(Ordering::Relaxed)
    }
}

fn serve(stream: TcpStream, counters: &SiteCounters) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let (mut line, mut length, mut chunked, mut upgrade) = (String::new(), 0, false, false);
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        loop {
            let mut field = String::new();
            reader.read_line(&mut field).ok().filter(|read| *read > 0)?;
            let field = field.trim_end().to_ascii_lowercase();
            match field.split_once(':').map(|(name, value)| (name, value.trim())) {
                Some(("content-length", value)) => length = value.parse().ok()?,
                Some(("transfer-encoding", value)) => chunked = value == "chunked",
                Some(("upgrade", _)) => upgrade = true,
                Some(_) => {}
                None if field.is_empty() => break,
                None => return None,
            }
        }
        counters.requests.fetch_add(1, Ordering::Relaxed);
        if path.contains("smuggled") {
            counters.smuggled.fetch_add(1, Ordering::Relaxed);
        }
        if upgrade {
            let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                Upgrade: websocket\r\n\r\n";
            writer.write_all(answer).ok()?;
            std::io::copy(&mut reader, &mut writer).ok()?;
            return None;
        }
        if chunked {
            skip_chunks(&mut reader)?;
        } else {
            skip(&mut reader, length)?;
        }
        let size = if path == LARGE { LARGE_BYTES } else { 200 };
        write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").ok()?;
        writer.write_all(&vec![b'.'; size]).ok()?;
    }
}

fn skip(reader: &mut impl Read, length: u64) -> Option<()> {
    let skipped = std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    (skipped == length).then_some(())
}

fn skip_chunks(reader: &mut impl BufRead) -> Option<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let length = u64::from_str_radix(line.trim_end().split(';').next()?, 16).ok()?;
        skip(reader, length + 2)?;
        if length == 0 {
            return Some(());
        }
    }
}
