//! Runs campaigns by hand.

use std::process::ExitCode;

use clap::Parser;
use portcullis_campaigns::{CampaignFamily, CampaignOutcome, CampaignSet, run, show};

/// Simulated sites, crowds and attacks, played through the gate and the control loop.
#[derive(Parser)]
struct Options {
    /// How many campaigns.
    #[arg(long, default_value_t = 200)]
    count: u64,
    /// The first seed. Even seeds are to look at, odd seeds are held out.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Only the seeds of one family; `list` prints the families.
    #[arg(long)]
    only: Option<String>,
    /// Print the timeline of the campaign with this seed, and nothing else.
    #[arg(long, value_name = "SEED")]
    show: Option<u64>,
    /// Print every campaign as JSON.
    #[arg(long)]
    json: bool,
    /// Print the tables alone, without the list of misses.
    #[arg(long)]
    markdown: bool,
    /// The highest rate of a site at noon, in requests per second.
    #[arg(long, default_value_t = 50.0)]
    largest: f64,
    /// How much longer and larger attacks and calm times may be than in the common set.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let only = match options.only.as_deref() {
        None => None,
        Some(name) => match CampaignFamily::named(name) {
            Some(family) => Some(family),
            None => {
                for family in CampaignFamily::ALL {
                    println!("{}", family.as_str());
                }
                return ExitCode::from(2);
            }
        },
    };
    let set = CampaignSet {
        first: options.seed,
        count: options.count,
        only,
        largest: options.largest,
        scale: options.scale,
        threads: options.threads,
    };
    if let Some(seed) = options.show {
        println!("{}", show(seed, &set));
        return ExitCode::SUCCESS;
    }
    let report = run(&set, &|done| {
        if done.is_multiple_of(100) {
            eprintln!("{done} campaigns");
        }
    });
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    print!("{}", report.markdown());
    if !options.markdown {
        println!("Misses (rerun one with --show SEED):\n");
        report.outcomes.iter().filter(|outcome| missed(outcome)).for_each(print_miss);
    }
    ExitCode::SUCCESS
}

fn missed(outcome: &CampaignOutcome) -> bool {
    outcome.kept == Some(false) || !outcome.false_attacks.is_empty()
}

fn print_miss(outcome: &CampaignOutcome) {
    println!(
        "{:>6} {:<16} {:>6.2}x {:>8.2}/s {:>6} sources {:>6.0} s  {}  ({})",
        outcome.seed,
        outcome.family.as_str(),
        outcome.multiple,
        outcome.rate,
        outcome.sources,
        outcome.seconds,
        outcome.why,
        outcome.site
    );
}
