//! The load that `wrk` and `h2load` cannot make, for `bench/run.py`: on loopback only, a fixed number
//! of requests or connections, and a fixed end.
//!
//! Each mode prints one line of JSON about what it did. A mode that holds connections prints
//! `ready` first and ends with its standard input, or after two minutes.

mod connect;
mod handshakes;
mod held;
mod origin;
mod parallel;
mod steady;
mod tls;
mod visits;

use std::process::ExitCode;

use crate::connect::BenchResult;

const USAGE: &str = "\
bench-load handshakes PORT COUNT full|resumed
bench-load visits PORT COUNT http1|tls|http2
bench-load idle PORT COUNT http1|tls|http2
bench-load streams PORT CONNECTIONS STREAMS
bench-load steady PORT PER_SECOND SECONDS CONNECTIONS
bench-load origin";

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
