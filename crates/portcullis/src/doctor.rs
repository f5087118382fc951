//! `portcullis doctor`: what this machine lacks for an attack.

use std::path::Path;

use anyhow::Result;
use portcullis_doctor::{Machine, examine};
use portcullis_model::{Config, OriginConfig};

use crate::check;
use crate::cli::DoctorArguments;
use crate::run::worker_count;

/// Looks, changes nothing, and answers whether nothing is lacking.
pub fn doctor(arguments: &DoctorArguments) -> Result<bool> {
    let config = match &arguments.config {
        Some(file) => check::read(file)?.0,
        None => default_config(),
    };
    let machine = Machine::read(Path::new("/"), arguments.pid)?;
    let report = examine(&machine, &config, config.descriptors(worker_count(&config)));
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(report.passes())
}

/// Nothing but defaults, and nothing known of origins.
fn default_config() -> Config {
    let listen = ([0, 0, 0, 0], 443).into();
    let mut config = Config::for_origin(listen, OriginConfig::new("localhost".into(), 80));
    config.platforms.clear();
    config
}
