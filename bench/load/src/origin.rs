//! An origin that accepts requests and never responds, so that streams that wait for it stay open.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use crate::connect::BenchResult;

/// Ends with its standard input, or after this long.
const MAX_RUNTIME: Duration = Duration::from_secs(180);

/// Prints its port, then accepts connections and holds them.
pub(crate) fn run() -> BenchResult<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{{\"port\":{}}}", listener.local_addr()?.port());
    thread::spawn(move || {
        let connections: Vec<_> = listener.incoming().flatten().collect();
        drop(connections);
    });
    thread::spawn(|| {
        thread::sleep(MAX_RUNTIME);
        std::process::exit(1);
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
