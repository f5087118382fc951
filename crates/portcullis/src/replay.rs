//! `portcullis replay`: access logs through the detector.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use portcullis_gate::Secret;
use portcullis_model::{Config, OriginConfig};
use portcullis_replay::{MinuteCounts, Recording, Replay, Unparsed};
use portcullis_runtime::read_config;

use crate::cli::ReplayArguments;
use crate::output::{out, outln};

/// A fixed secret, so that the same log gives the same result each time.
const FIXED_SECRET: &[u8; 32] = b"the same log, the same answer, 1";

/// Replays logs and prints what the gate would have detected and done. Returns false if fewer than half
/// of the lines could be read; a log without a line that can be read is an error.
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
        let lines = (findings.rows - findings.unparsed, findings.unparsed);
        let readable = check_readable(lines, &findings.first_unparsed, "minute,requests")?;
        print_findings(arguments, &findings.text(), &findings.json(), &findings.svg())?;
        return Ok(readable);
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
    let lines = (findings.lines.parsed, findings.lines.unparsed);
    let expected = "an access log in the combined format or Caddy's JSON";
    let readable = check_readable(lines, &findings.lines.first_unparsed, expected)?;
    print_findings(arguments, &findings.text(), &findings.json(), &findings.svg())?;
    Ok(readable)
}

/// Whether at least half of the lines could be read; an error if none could.
fn check_readable(
    (parsed, unparsed): (u64, u64),
    first_unparsed: &[Unparsed],
    expected: &str,
) -> Result<bool> {
    if parsed == 0 {
        let Some(Unparsed { file, line, error, .. }) = first_unparsed.first() else {
            bail!("there is nothing to replay: the input has no line. Expected {expected}");
        };
        bail!("no line can be replayed. {file}, line {line}: {error}. Expected {expected}");
    }
    if unparsed > parsed {
        eprintln!("warning: {unparsed} of {} lines could not be read", parsed + unparsed);
    }
    Ok(unparsed <= parsed)
}

fn print_findings(arguments: &ReplayArguments, text: &str, json: &str, svg: &str) -> Result<()> {
    if let Some(plot) = &arguments.plot {
        write_file(plot, svg)?;
    }
    if arguments.json {
        outln!("{json}");
    } else {
        out!("{text}");
    }
    Ok(())
}

fn write_file(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
