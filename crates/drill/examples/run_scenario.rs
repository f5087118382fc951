//! One run of a scenario against a demonstration origin started here, straight or through a gate
//! that was started separately in front of it:
//!
//! ```sh
//! cargo run -p portcullis-drill --example run_scenario             # straight, campaign-day
//! cargo run -p portcullis-drill --example run_scenario -- smoke    # straight, another scenario
//! cargo run -p portcullis-drill --example run_scenario -- campaign-day 3000 127.0.0.1:8080
//! ```
//!
//! In the last form the origin listens on port 3000 and waits until the gate at the address
//! answers. Prints a line for each second.

use std::error::Error;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use portcullis_drill::origin::{DemoOrigin, DemoOriginConfig};
use portcullis_drill::recording::{ClientKind, SampleOutcome};
use portcullis_drill::{DrillRun, LoopbackTarget, Scenario, run_scenario};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "campaign-day".to_owned());
    let scenario =
        Scenario::by_name(&name).ok_or_else(|| format!("there is no scenario `{name}`"))?;
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;
    portcullis_drill::raise_nofile_limit()?;
    let origin = DemoOrigin::start(&DemoOriginConfig { port, ..DemoOriginConfig::default() })?;
    let target = match arguments.next() {
        Some(gate) => LoopbackTarget::parse(&gate)?,
        None => origin.address(),
    };
    let waiting = Instant::now();
    while TcpStream::connect(target.address()).is_err() {
        if waiting.elapsed() > Duration::from_secs(30) {
            return Err(format!("nothing came up at {target} within 30 seconds").into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }

    let drill_run = DrillRun {
        target,
        host: "localhost",
        origin_status: origin.status_address(),
        scenario: &scenario,
        seed: 2019,
    };
    let recording = run_scenario(&drill_run, |progress| {
        eprint!("\r{:5.1} s  {:40}", f64::from(progress.elapsed_ms) / 1_000.0, progress.phase);
    })?;
    eprintln!();

    println!("second  served failed  p95 ms | people/s attack/s  slow | origin/s");
    for (index, second) in recording.seconds.iter().enumerate() {
        let at_ms = index as u32 * 1_000;
        let phase = recording.phases.iter().find(|phase| at_ms < phase.to_ms);
        println!(
            "{index:6}  {:6} {:6} {:>7} | {:8} {:8} {:5} | {:8}  {}",
            second.people_served,
            second.people_failed,
            second.people_p95_ms.map_or_else(|| "-".to_owned(), |ms| ms.to_string()),
            second.people_requests,
            second.attack_requests,
            second.slow_connections,
            second.origin_requests,
            phase.map_or("", |phase| phase.name.as_str()),
        );
    }
    for phase in 0..recording.phases.len() {
        let mut tally = std::collections::BTreeMap::new();
        for sample in recording.samples.iter().filter(|sample| usize::from(sample.phase) == phase) {
            let client = match sample.client {
                ClientKind::Person(kind) => format!("{kind:?}"),
                ClientKind::Attacker(tactic) => tactic.title().to_owned(),
            };
            let outcome = match sample.outcome {
                SampleOutcome::ServedAfterChallenge { .. } => "served after a challenge".to_owned(),
                other => format!("{other:?}"),
            };
            *tally.entry((client, outcome)).or_insert(0_u32) += 1;
        }
        println!("{}", recording.phases[phase].title);
        for ((who, outcome), count) in tally {
            println!("  {who:24} {outcome:28} {count:6}");
        }
    }
    for change in &recording.tactic_changes {
        println!("{:5} ms: {} to {}", change.at_ms, change.from.title(), change.to.title());
    }
    println!("held back: {}", recording.held_back);
    Ok(())
}
