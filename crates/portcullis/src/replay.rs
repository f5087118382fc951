//! `portcullis replay`: access logs through the detector.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use portcullis_gate::Secret;
use portcullis_model::{Config, OriginConfig};
use portcullis_replay::{MinuteCounts, Recording, Replay};
use portcullis_runtime::read_config;

use crate::cli::ReplayArguments;

/// A fixed secret, so that the same log gives the same result each time.
const FIXED_SECRET: &[u8; 32] = b"the same log, the same answer, 1";

/// Replays logs and prints what the gate would have detected and done. Always returns true: a log
/// has no thresholds.
pub fn replay(arguments: &ReplayArguments) -> Result<bool> {
    let config = match &arguments.config {
        Some(file) => read_config(file)?.0,
        None => {
            let nowhere = "127.0.0.1:1".parse().context("an address")?;
            Config::for_origin(nowhere, OriginConfig::new("127.0.0.1".into(), 1))
        }
    };
    if arguments.minutes {
        let mut minutes = MinuteCounts::new(config.watch);
        for log in &arguments.logs {
            minutes.read(Recording::open(log)?);
        }
        let findings = minutes.finish();
        return print_findings(arguments, &findings.text(), &findings.json(), &findings.svg());
    }
    let mut replay = Replay::new(Arc::new(config), Secret::new(FIXED_SECRET));
    let progress = ProgressBar::new_spinner();
    progress.set_style(
        ProgressStyle::with_template("{spinner} {human_pos} lines, {elapsed}")
            .unwrap_or(ProgressStyle::default_spinner()),
    );
    for log in Recording::earliest_first(arguments.logs.clone())? {
        replay.read(Recording::open(&log)?, &mut |lines| progress.set_position(lines));
    }
    progress.finish_and_clear();
    let findings = replay.finish();
    print_findings(arguments, &findings.text(), &findings.json(), &findings.svg())
}

fn print_findings(arguments: &ReplayArguments, text: &str, json: &str, svg: &str) -> Result<bool> {
    if let Some(plot) = &arguments.plot {
        write_file(plot, svg)?;
    }
    if arguments.json {
        println!("{json}");
    } else {
        print!("{text}");
    }
    Ok(true)
}

fn write_file(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
