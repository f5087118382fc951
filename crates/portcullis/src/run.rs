//! `portcullis run`: the gate in front of a site.

use std::io::IsTerminal;

use anyhow::{Result, bail};
use portcullis_runtime::{ConfigSource, GateOptions};
use tracing_subscriber::EnvFilter;

use crate::cli::{LogFormat, RunArguments};

/// Runs until a signal stops it.
pub fn run(arguments: &RunArguments) -> Result<bool> {
    start_log(arguments.log_format);
    let source = match (&arguments.config, &arguments.origin) {
        (Some(path), _) => ConfigSource::File(path.clone()),
        (None, Some(origin)) => {
            ConfigSource::Origin { listen: arguments.listen, origin: origin.clone() }
        }
        (None, None) => bail!("--config FILE or --origin URL is needed"),
    };
    portcullis_runtime::run(GateOptions {
        source,
        admin: arguments.admin,
        ledger: arguments.ledger.clone(),
        rehearsal: arguments.rehearsal,
        accept_fork: arguments.accept_fork,
    })?;
    Ok(true)
}

/// A terminal gets colours, unless its user wants none (<https://no-color.org>).
fn wants_colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !unwanted
}

/// Starts the operators' log on standard error; colours are for terminals only.
fn start_log(format: LogFormat) {
    let filter =
        EnvFilter::try_from_env("PORTCULLIS_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(wants_colours()).init(),
        LogFormat::Json => log.json().init(),
    }
}
