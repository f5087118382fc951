//! `portcullis replay`: access logs through the detector.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use portcullis_gate::Secret;
use portcullis_model::{Config, OriginConfig};
use portcullis_replay::{LogInput, MinuteCounts, Recording, Replay};
use portcullis_runtime::read_config;

use crate::cli::ReplayArguments;
use crate::output::{out, outln};

/// A fixed secret, so that the same log gives the same result each time.
const FIXED_SECRET: &[u8; 32] = b"the same log, the same answer, 1";

/// Exit status of a replay that had to leave out more than 5% of the lines, or all of them.
const EXIT_UNRELIABLE: u8 = 3;

/// Replays logs and prints what the gate would have detected and done. The exit status is 3 if so
/// much could not be read that the result describes something else.
pub fn replay(arguments: &ReplayArguments) -> Result<ExitCode> {
    let config = match &arguments.config {
        Some(file) => read_config(file)?.0,
        None => {
            let nowhere = "127.0.0.1:1".parse().context("an address")?;
            Config::for_origin(nowhere, OriginConfig::new("127.0.0.1".into(), 1))
        }
    };
    if arguments.minutes {
        return replay_minutes(arguments, config);
    }
    let mut replay = Replay::new(Arc::new(config), Secret::new(FIXED_SECRET));
    if let Some(format) = &arguments.format {
        replay = replay.with_format(format.clone());
    }
    let spinner = ProgressBar::new_spinner();
    spinner.set_style(
        ProgressStyle::with_template("{spinner} {human_pos} lines, {elapsed}")
            .unwrap_or(ProgressStyle::default_spinner()),
    );
    let format = arguments.format.as_ref();
    let logs: Result<Vec<LogInput>, _> =
        arguments.logs.iter().map(|log| LogInput::file(log, format)).collect();
    let mut progress = |lines| spinner.set_position(lines);
    let findings = if arguments.sort {
        replay.run_sorted(logs?, &std::env::temp_dir(), &mut progress)?
    } else {
        replay.run(logs?, &mut progress)?
    };
    spinner.finish_and_clear();
    write_optional(arguments.plot.as_deref(), || findings.svg())?;
    write_optional(arguments.html.as_deref(), || findings.html())?;
    print_findings(arguments, &findings.text(), &findings.json());
    Ok(exit_status(findings.reliable))
}

fn replay_minutes(arguments: &ReplayArguments, config: Config) -> Result<ExitCode> {
    let mut minutes = MinuteCounts::new(config.watch);
    for log in &arguments.logs {
        minutes.read(Recording::open(log)?);
    }
    let findings = minutes.finish();
    write_optional(arguments.plot.as_deref(), || findings.svg())?;
    write_optional(arguments.html.as_deref(), || findings.html())?;
    print_findings(arguments, &findings.text(), &findings.json());
    Ok(exit_status(findings.is_reliable()))
}

fn exit_status(reliable: bool) -> ExitCode {
    if reliable { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNRELIABLE) }
}

fn print_findings(arguments: &ReplayArguments, text: &str, json: &str) {
    if arguments.json {
        outln!("{json}");
    } else {
        out!("{text}");
    }
}

fn write_optional(file: Option<&Path>, text: impl FnOnce() -> String) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, text()).with_context(|| format!("cannot write {}", file.display()))
}
