//! The load that `wrk` and `h2load` cannot make, for `bench/run.py`. To loopback alone, with a
//! fixed number of everything, and with an end.
//!
//! Each mode prints one line of JSON about what it did. A mode that holds connections says
//! `ready` first and ends with its standard input, or after two minutes.

mod handshakes;
mod held;
mod origin;
mod steady;
mod tls;
mod visits;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

/// Whatever goes wrong ends the measurement, with a sentence for whoever started it.
type BenchResult<T> = Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str = "\
bench-load handshakes PORT COUNT full|resumed
bench-load visits PORT COUNT http1|tls|http2
bench-load idle PORT COUNT http1|tls|http2
bench-load streams PORT CONNECTIONS STREAMS
bench-load steady PORT PER_SECOND SECONDS CONNECTIONS
bench-load origin";

/// No answer of a proxy on the same machine takes longer unless something is broken.
const IO_TIMEOUT: Duration = Duration::from_secs(20);

/// Connections at once where one after the other is made: enough to keep a core busy.
const CONCURRENCY: usize = 8;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("bench-load: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> BenchResult<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument_strs: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *argument_strs {
        ["handshakes", port, count, kind @ ("full" | "resumed")] => {
            handshakes::run(port.parse()?, count.parse()?, kind == "resumed")
        }
        ["visits", port, count, kind] => {
            let kind = held::ClientProtocol::by_name(kind).ok_or(USAGE)?;
            visits::run(port.parse()?, count.parse()?, kind)
        }
        ["idle", port, count, kind] => {
            let kind = held::ClientProtocol::by_name(kind).ok_or(USAGE)?;
            held::idle(port.parse()?, count.parse()?, kind)
        }
        ["streams", port, connections, streams] => {
            held::streams(port.parse()?, connections.parse()?, streams.parse()?)
        }
        ["steady", port, per_second, seconds, connections] => {
            steady::run(port.parse()?, per_second.parse()?, seconds.parse()?, connections.parse()?)
        }
        ["origin"] => origin::run(),
        _ => Err(USAGE.into()),
    }
}

/// Does `count` things, [`AT_ONCE`] at a time; returns the seconds that it took.
fn in_parallel(count: usize, one: impl Fn(usize) -> BenchResult<()> + Sync) -> BenchResult<f64> {
    let begun = Instant::now();
    thread::scope(|scope| {
        let share = |first| (first..count).step_by(CONCURRENCY).try_for_each(&one);
        let threads: Vec<_> =
            (0..CONCURRENCY).map(|first| scope.spawn(move || share(first))).collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread of the load panicked")??;
        }
        Ok(begun.elapsed().as_secs_f64())
    })
}

/// A connection to a local port, from one of 250 local addresses: one address has fewer ports
/// than a proxy may hold connections, and a limit on connections.
fn connect(port: u16, number: usize) -> BenchResult<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let from = Ipv4Addr::new(127, 0, 1, 1 + (number % 250) as u8);
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket.connect_timeout(&to.into(), IO_TIMEOUT)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(IO_TIMEOUT))?;
    socket.set_write_timeout(Some(IO_TIMEOUT))?;
    Ok(socket.into())
}
