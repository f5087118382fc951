//! Replays the recordings that are named and prints the findings.
//!
//! `cargo run --release -p portcullis-replay --example replay_log -- access.log [more.log …]`;
//! `--svg FILE` and `--json FILE` write those too, `--sort` sorts the lines, `--minutes FILE` replays a table of counts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_gate::Secret;
use portcullis_model::{Config, OriginConfig, WatchSettings};
use portcullis_replay::{LogInput, MinuteCounts, Recording, Replay};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = SocketAddr::from(([127, 0, 0, 1], 8_080));
    let config = Config::for_origin(listen, OriginConfig::new("127.0.0.1".into(), 3_000));
    let replay = Replay::new(Arc::new(config), Secret::new(&[7; 32]));
    let (mut svg, mut json, mut paths, mut sorted) = (None, None, Vec::new(), false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--svg" => svg = arguments.next(),
            "--sort" => sorted = true,
            "--json" => json = arguments.next(),
            "--minutes" => {
                let table = arguments.next().ok_or("--minutes wants a file")?;
                let mut minutes = MinuteCounts::new(WatchSettings::default());
                minutes.read(Recording::open(Path::new(&table))?);
                let found = minutes.finish();
                print!("{}", found.text());
                if let Some(svg) = svg {
                    std::fs::write(svg, found.svg())?;
                }
                return Ok(());
            }
            path => paths.push(PathBuf::from(path)),
        }
    }
    let logs: Result<Vec<_>, _> = paths.iter().map(|path| LogInput::file(path, None)).collect();
    let found = match sorted {
        true => replay.run_sorted(logs?, &std::env::temp_dir(), &mut |_| {})?,
        false => replay.run(logs?, &mut |_| {})?,
    };
    print!("{}", found.text());
    if let Some(path) = svg {
        std::fs::write(path, found.svg())?;
    }
    if let Some(path) = json {
        std::fs::write(path, found.json())?;
    }
    Ok(())
}
