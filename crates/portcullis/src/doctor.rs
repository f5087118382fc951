//! `portcullis doctor`: checks of this machine.

use std::path::Path;

use anyhow::Result;
use portcullis_doctor::{Machine, examine};
use portcullis_edge::Clock;
use portcullis_model::{Config, OriginConfig};
use portcullis_runtime::{read_config, worker_count};

use crate::cli::DoctorArguments;
use crate::live;
use crate::output::{out, outln};

/// Runs all checks and returns whether none failed. Changes nothing.
pub fn doctor(arguments: &DoctorArguments) -> Result<bool> {
    let config = match &arguments.config {
        Some(file) => read_config(file)?.0,
        None => default_config(),
    };
    let machine = Machine::read(Path::new("/"), arguments.pid)?;
    let mut report = examine(&machine, &config, config.descriptors(worker_count(&config)));
    if arguments.config.is_some() {
        report.checks.extend(live::try_everything(&config, Clock::new()));
    }
    if arguments.json {
        outln!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        out!("{report}");
    }
    Ok(report.passes())
}

/// The default configuration, without platforms.
fn default_config() -> Config {
    let listen = ([0, 0, 0, 0], 443).into();
    let mut config = Config::for_origin(listen, OriginConfig::new("localhost".into(), 80));
    config.platforms.clear();
    config
}
