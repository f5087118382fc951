//! `portcullis drill`: runs a scenario without and with the gate.
//!
//! The gate is this program, with a configuration file that stays in the results folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use portcullis_drill::origin::{DemoOrigin, DemoOriginConfig};
use portcullis_drill::{
    DrillRun, GateEvent, GateEventKind, GateFacts, LoopbackTarget, RunRecording, Scenario,
    ScoreCard, run_scenario,
};
use portcullis_edge::Clock;
use portcullis_incident::{History, HistoryFold, LeafRef};
use portcullis_ledger::{Ledger, manifest};
use portcullis_model::{Entry, WallTime};
use portcullis_statement::{CheckContext, PressDetails};

use crate::child::{GateProcess, free_addresses};
use crate::cli::{DrillArguments, DrillCommand};
use crate::evidence::{LoadedLedger, build_report};
use crate::output::{out, outln};

/// How long the gate may take to return to full speed after the last wave.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Published sentences of a party about an attack in November 2019, as an example for the checker.
const SAID_IN_2019: &str = include_str!("../../../docs/examples/said-in-2019.txt");

/// Runs a scenario without and with the gate, and writes score card, plot and evidence to the
/// results folder. Returns whether every threshold of the score card was met.
pub fn drill(arguments: &DrillArguments) -> Result<bool> {
    if let Some(DrillCommand::Vectors(arguments)) = &arguments.command {
        return crate::vectors::run_vectors(arguments);
    }
    let scenario = Scenario::by_name(&arguments.scenario).with_context(|| {
        let known: Vec<_> = Scenario::all().iter().map(|scenario| scenario.name).collect();
        format!("unknown scenario `{}`; there are: {}", arguments.scenario, known.join(", "))
    })?;
    let out = create_results_folder(arguments.out.as_deref())?;
    portcullis_drill::raise_nofile_limit()?;
    eprintln!("Drill `{}`, seed {}: {}", scenario.name, arguments.seed, scenario.summary);

    let without = {
        let origin = start_origin(0)?;
        record_run("without the gate", &scenario, arguments.seed, origin.address(), &origin)?
    };
    let origin = start_origin(arguments.origin_port.unwrap_or(0))?;
    let (with, ledger) = match arguments.target {
        Some(target) => {
            let with = record_run("with your gate", &scenario, arguments.seed, target, &origin)?;
            std::thread::sleep(SETTLE_TIMEOUT);
            (with, arguments.ledger.clone())
        }
        None => {
            let [listen, admin] = free_addresses()?;
            let text = config_text(listen, admin, origin.address().address());
            let gate = GateProcess::start(&out, &text, admin)?;
            let target = LoopbackTarget::parse(&listen.to_string())?;
            let with = record_run("with the gate", &scenario, arguments.seed, target, &origin)?;
            gate.wait_until_open(SETTLE_TIMEOUT);
            gate.stop()?;
            (with, Some(out.join("ledger")))
        }
    };
    drop(origin);

    let history = match &ledger {
        Some(ledger) => read_history(ledger, WallTime(with.started_unix_ms))?,
        None => History::default(),
    };
    let facts = GateFacts::new(&with, &gate_events(&history), history.cuts.causes);
    let card = ScoreCard::new(&without, &with, &facts);
    fs::write(out.join("score-card.txt"), card.to_string())?;
    fs::write(out.join("score-card.json"), serde_json::to_string_pretty(&card)?)?;
    fs::write(out.join("plot.svg"), portcullis_drill::plot::svg(&without, &with, &facts))?;
    if let Some(ledger) = &ledger {
        write_evidence(&out, ledger)?;
    }
    if arguments.json {
        outln!("{}", serde_json::to_string_pretty(&card)?);
    } else {
        out!("{card}");
    }
    eprintln!(
        "\nThe results are in {}: open plot.svg, statement.html, report.html.",
        out.display()
    );
    if arguments.target.is_none() {
        eprintln!("Check them with: portcullis verify {}", out.display());
    }
    Ok(card.met)
}

/// Creates the results folder; refuses one that contains files.
fn create_results_folder(wanted: Option<&Path>) -> Result<PathBuf> {
    let out = match wanted {
        Some(out) => out.to_owned(),
        None => {
            let stamp: String =
                Clock::new().wall().to_string().chars().filter(char::is_ascii_digit).collect();
            Path::new("drill-results").join(&stamp[..14])
        }
    };
    if out.exists() && fs::read_dir(&out).map_or(true, |mut entries| entries.next().is_some()) {
        bail!("{} exists already; choose another results folder", out.display());
    }
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    Ok(out)
}

fn start_origin(port: u16) -> Result<DemoOrigin> {
    Ok(DemoOrigin::start(&DemoOriginConfig { port, ..DemoOriginConfig::default() })?)
}

fn record_run(
    title: &str,
    scenario: &Scenario,
    seed: u64,
    target: LoopbackTarget,
    origin: &DemoOrigin,
) -> Result<RunRecording> {
    let bar = ProgressBar::new(u64::from(scenario.lasts_ms()) / 100);
    let style = "{prefix:17} {bar:24} {msg}";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar()));
    bar.set_prefix(title.to_owned());
    let drill_run = DrillRun {
        target,
        host: "localhost",
        origin_status: origin.status_address(),
        scenario,
        seed,
    };
    let recording = run_scenario(&drill_run, |progress| {
        let second = progress.last_second;
        bar.set_position(u64::from(progress.elapsed_ms) / 100);
        bar.set_message(format!(
            "{}: {} of {} people served, {} requests/s",
            progress.phase,
            second.people_served,
            second.people_served + second.people_failed,
            second.offered()
        ));
    })?;
    bar.finish_with_message("done");
    Ok(recording)
}

/// A configuration for the demonstration site, with the times of a day shortened to a minute.
fn config_text(
    listen: std::net::SocketAddr,
    admin: std::net::SocketAddr,
    origin: std::net::SocketAddr,
) -> String {
    format!(
        r#"# The configuration that the drill ran the gate with. A real day has more time: leave out
# [watch] and [posture], and the defaults are reasonable.
ledger = "ledger"

[admin]
listen = "{admin}"

[[listeners]]
address = "{listen}"

[limits]
source_table_size = 65_536

[watch]
warm_up = "4s"           # the normal day before the flash crowd lasts seconds here

[posture]
quiet_period = "2s"
step_down_interval = "250ms"
full_speed_after = "1s"
wait_challenge_delay = "1s"

[posture.tightened]
header_timeout = "2s"

[[platforms]]
name = "campaign"
hosts = ["*"]

[platforms.origin]
url = "http://{origin}"
max_connections = 32         # the site has four workers; more would only queue there
queue_timeout = "2s"

[[platforms.activities]]
name = "donate"
tier = "essential"
paths = ["/donate", "/donate/*"]

[[platforms.activities]]
name = "volunteer"
tier = "important"
paths = ["/volunteer", "/volunteer/*"]

[[platforms.activities]]
name = "search"
tier = "optional"
paths = ["/search"]

[[platforms.activities]]
name = "leaflet tool"
tier = "optional"
paths = ["/leaflet", "/leaflet/*"]
"#
    )
}

/// What the ledger records from the start of the run on.
fn read_history(ledger: &Path, from: WallTime) -> Result<History> {
    let reader = Ledger::read(ledger)?;
    let mut fold = HistoryFold::default();
    for entry in reader.entries() {
        let (leaf, bytes) = entry?;
        let entry: Entry = serde_json::from_slice(&bytes)?;
        if entry.at >= from {
            fold.push(leaf, &entry);
        }
    }
    Ok(fold.finish())
}

/// The events that the score card uses.
fn gate_events(history: &History) -> Vec<GateEvent> {
    let surges = history.surges.iter().map(|surge| (surge.began, GateEventKind::SurgeDetected));
    let attacks = history.waves.iter().map(|wave| (wave.detected, GateEventKind::AttackDetected));
    let mitigations = history.waves.iter().flat_map(|wave| &wave.mitigations);
    let mitigations = mitigations.map(|one| (one.stamp, GateEventKind::Mitigated));
    let postures = history.posture_changes.iter().map(|change| {
        let text = format!("{} to {}", change.from.as_str(), change.to.as_str());
        (change.stamp, GateEventKind::PostureChanged(text))
    });
    let full_speed = history.full_speed.values().flatten();
    let full_speed = full_speed.map(|moment| (moment.stamp, GateEventKind::FullSpeed));
    let events = surges.chain(attacks).chain(mitigations).chain(postures).chain(full_speed);
    let mut events: Vec<(LeafRef, GateEventKind)> = events.collect();
    events.sort_by_key(|(stamp, _)| stamp.leaf);
    events.into_iter().map(|(stamp, kind)| GateEvent { unix_ms: stamp.at.millis(), kind }).collect()
}

fn remove_if_present(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Writes statement, report and check from the ledger, and a signed manifest of the folder.
fn write_evidence(out: &Path, ledger: &Path) -> Result<()> {
    let evidence = LoadedLedger::read(ledger)?;
    let now = Clock::new().wall();
    if let Some(incident) = evidence.incidents.last() {
        let organisation = Some("Example Campaign".to_owned());
        let statement =
            evidence.statement(incident, organisation.clone(), now, PressDetails::default())?;
        fs::write(out.join("statement.txt"), statement.to_text())?;
        fs::write(out.join("statement.json"), statement.to_json())?;
        fs::write(out.join("statement.html"), statement.to_html())?;
        let report = build_report(incident, &statement, organisation, now);
        fs::write(out.join("report.txt"), report.to_text())?;
        fs::write(out.join("report.html"), report.to_html())?;
        let context = CheckContext { made_at: Some(now), ..CheckContext::default() };
        let check = portcullis_statement::check(SAID_IN_2019, Some(incident), &context)?;
        fs::write(out.join("said-in-2019.txt"), SAID_IN_2019)?;
        fs::write(out.join("said-in-2019-checked.txt"), check.to_text())?;
    }
    if ledger.starts_with(out) {
        // Evidence is for others; the secret of a gate is not.
        remove_if_present(&out.join("ledger.secret"))?;
        let ledger = Ledger::open(ledger)?;
        manifest::write(out, ledger.signer())?;
    }
    Ok(())
}
