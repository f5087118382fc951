//! `portcullis drill vectors`: known denial-of-service attacks, one at a time.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use portcullis_drill::LoopbackTarget;
use portcullis_drill::vectors::{
    GateLimits, LARGE_PAGE, Site, VECTORS, Vector, VectorResult, VectorRun, VectorTransport,
    by_name, run_vector,
};
use portcullis_model::Config;
use portcullis_runtime::{ConfigError, read_config};

use crate::child::{GateProcess, free_addresses};
use crate::cli::VectorsArguments;
use crate::output::outln;

/// Runs the named vectors one after another, each against a new gate unless a target is named.
/// Returns whether the gate withstood all.
pub fn run_vectors(arguments: &VectorsArguments) -> Result<bool> {
    if arguments.list {
        print_list(arguments.json)?;
        return Ok(true);
    }
    let target =
        arguments.target.map(|target| if arguments.tls { target.with_tls() } else { target });
    // A new gate has listeners with and without TLS.
    let selected = select_vectors(&arguments.names, target.is_none_or(|target| target.is_tls()))?;
    let gate_limits = match &arguments.config {
        Some(file) => GateLimits::from_config(&read_config(file)?.0),
        None => GateLimits::default(),
    };
    let site = match (target, arguments.origin_port) {
        (Some(_), None) => None,
        (_, port) => Some(Site::start(port.unwrap_or(0)).context("cannot start the site")?),
    };
    let mut all_withstood = true;
    for vector in selected {
        let result = match (target, &site) {
            (Some(target), site) => {
                let mut vector_run = build_run(arguments, vector, target, gate_limits.clone());
                vector_run.admin = arguments.admin;
                if site.is_some() && vector.needs_large_page() {
                    LARGE_PAGE.clone_into(&mut vector_run.path);
                }
                run_one(&vector_run)?
            }
            (None, Some(site)) => run_against_own_gate(arguments, vector, site)?,
            (None, None) => bail!("there is no gate and no site to run against"),
        };
        if arguments.json {
            outln!("{}", serde_json::to_string(&result)?);
        } else {
            outln!("{result}");
        }
        all_withstood &= result.withstood;
    }
    Ok(all_withstood)
}

/// One vector with the settings of the command line.
fn build_run(
    arguments: &VectorsArguments,
    vector: &'static Vector,
    target: LoopbackTarget,
    gate_limits: GateLimits,
) -> VectorRun {
    let mut vector_run = VectorRun::new(vector, target, gate_limits);
    vector_run.host.clone_from(&arguments.host);
    vector_run.path.clone_from(&arguments.path);
    let visitor_path = arguments.visitor_path.as_ref().unwrap_or(&arguments.path);
    vector_run.visitor_path.clone_from(visitor_path);
    vector_run.page_timeout = Duration::from_secs(u64::from(arguments.page_timeout));
    vector_run.connections = arguments.connections.unwrap_or(vector.connections);
    vector_run.seconds = arguments.seconds.unwrap_or(vector.seconds);
    if let Some(seconds) = arguments.max_hold
        && vector_run.max_hold.is_some()
    {
        vector_run.max_hold = Some(Duration::from_secs(u64::from(seconds)));
    }
    vector_run
}

fn run_one(vector_run: &VectorRun) -> Result<VectorResult> {
    let vector = vector_run.vector;
    eprintln!("{}, {} s: {}", vector.name, vector_run.seconds, vector.about);
    Ok(run_vector(vector_run)?)
}

/// Runs a vector against a new gate with default settings, and stops the gate.
fn run_against_own_gate(
    arguments: &VectorsArguments,
    vector: &'static Vector,
    site: &Site,
) -> Result<VectorResult> {
    let folder = tempfile::tempdir()?;
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    std::fs::write(folder.path().join("site.crt"), certificate.cert.pem())?;
    std::fs::write(folder.path().join("site.key"), certificate.signing_key.serialize_pem())?;
    let [plain, secure, admin] = free_addresses()?;
    let text = format!(
        "[admin]\nlisten = \"{admin}\"\n\n[[listeners]]\naddress = \"{plain}\"\n\n[[listeners]]\n\
         address = \"{secure}\"\ncertificate = \"site.crt\"\nkey = \"site.key\"\n\n\
         [limits]\n{}\n\n\
         [[platforms]]\nname = \"site\"\nhosts = [\"*\"]\norigin = \"http://{}\"\n",
        vector.limits,
        site.address()
    );
    let gate_limits = GateLimits::from_config(
        &Config::read(&text, "portcullis.toml").map_err(ConfigError::Problems)?,
    );
    let gate = GateProcess::start(folder.path(), &text, admin)?;
    let target = match vector.transport {
        VectorTransport::Either => LoopbackTarget::parse(&plain.to_string())?,
        VectorTransport::Tls | VectorTransport::Udp => {
            LoopbackTarget::parse(&secure.to_string())?.with_tls()
        }
    };
    let mut vector_run = build_run(arguments, vector, target, gate_limits);
    vector_run.admin = Some(LoopbackTarget::parse(&admin.to_string())?);
    if vector.needs_large_page() {
        LARGE_PAGE.clone_into(&mut vector_run.path);
    }
    let result = run_one(&vector_run)?;
    gate.stop()?;
    Ok(result)
}

fn select_vectors(names: &[String], tls: bool) -> Result<Vec<&'static Vector>> {
    if names == ["all"] {
        let is_supported = |vector: &&Vector| match vector.transport {
            VectorTransport::Either => true,
            VectorTransport::Tls => tls,
            // HTTP/3 is off unless requested.
            VectorTransport::Udp => false,
        };
        return Ok(VECTORS.iter().filter(is_supported).collect());
    }
    let mut selected = Vec::new();
    for name in names {
        match by_name(name) {
            Some(vector) => selected.push(vector),
            None => {
                bail!("unknown vector `{name}`; list them with `portcullis drill vectors --list`")
            }
        }
    }
    Ok(selected)
}

fn print_list(json: bool) -> Result<()> {
    for vector in VECTORS {
        let needs = match vector.transport {
            VectorTransport::Either => "",
            VectorTransport::Tls => " (TLS)",
            VectorTransport::Udp => " (HTTP/3)",
        };
        if json {
            let line = serde_json::json!({
                "vector": vector.name,
                "about": vector.about,
                "known_as": vector.known_as,
                "connections": vector.connections,
                "seconds": vector.seconds,
            });
            outln!("{}", serde_json::to_string(&line)?);
        } else {
            outln!("{:<21} {}{needs} [{}]", vector.name, vector.about, vector.known_as);
        }
    }
    Ok(())
}
