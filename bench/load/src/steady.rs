//! Requests at a steady rate, however slow the responses are: what a visitor waits at half load.
//!
//! Each thread has one connection and its own moments to send at. An answer's time counts from
//! the moment at which its request was due, so that a slow answer also counts against those that
//! had to wait behind it (no "coordinated omission").

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::connect::{BenchResult, connect};
use crate::held::response_length;

/// What a browser sends for a page.
const REQUEST: &[u8] = b"GET /small.html HTTP/1.1\r\n\
    Host: localhost\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Cookie: consent=essential; session=6f1c0e5b2f6f4c5d9f0b7a1e3d2c4b5a\r\n\r\n";

/// Sends `per_second` requests a second over `connections` connections.
pub(crate) fn run(port: u16, per_second: u32, seconds: u32, connections: u32) -> BenchResult<()> {
    // Sleeps end when they should, and not up to 50 µs later. Threads inherit it.
    std::fs::write("/proc/self/timerslack_ns", "1")?;
    let begin = Instant::now() + Duration::from_millis(100);
    let each = per_second * seconds / connections;
    let step = Duration::from_secs(1) / per_second;
    let threads: Vec<_> = (0..connections)
        .map(|number| {
            let first = begin + step * number;
            thread::spawn(move || {
                send_at_rate(port, number as usize, first, step * connections, each)
            })
        })
        .collect();
    let mut waits = Vec::new();
    for thread in threads {
        waits.extend(thread.join().map_err(|_| "a connection's thread panicked")??);
    }
    waits.sort_unstable();
    let taken = begin.elapsed().as_secs_f64();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_nanos() / 100;
    println!(
        "{{\"answers\":{},\"seconds\":{taken:.3},\"p50_us\":{}e-1,\"p99_us\":{}e-1}}",
        waits.len(),
        at(0.50),
        at(0.99)
    );
    Ok(())
}

fn send_at_rate(
    port: u16,
    number: usize,
    first: Instant,
    step: Duration,
    count: u32,
) -> BenchResult<Vec<Duration>> {
    let mut socket = connect(port, number)?;
    let mut waits = Vec::with_capacity(count as usize);
    let mut buffer = [0; 8192];
    let mut due = first;
    for _ in 0..count {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        socket.write_all(REQUEST)?;
        let mut have = 0;
        loop {
            let read = socket.read(&mut buffer[have..])?;
            if read == 0 {
                return Err("the proxy closed a connection that was in use".into());
            }
            have += read;
            if response_length(&buffer[..have])?.is_some_and(|whole| have >= whole) {
                break;
            }
        }
        waits.push(due.elapsed());
        due += step;
    }
    Ok(waits)
}
