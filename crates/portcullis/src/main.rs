//! The command line, and the wiring: the one place that knows every room.

mod acme;
mod admin_handlers;
mod baseline_store;
mod certificates;
mod check;
mod child;
mod cli;
mod control_loop;
mod doctor;
mod drill;
mod evidence;
mod recorder;
mod replay;
mod run;
mod vectors;

use std::process::ExitCode;

use clap::Parser;

/// A request allocates some thirty times, and the system's allocator would be a twentieth of its
/// cost (`bench/`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The command did its work and the answer is no: a score card under its floors, a statement that
/// the evidence does not support, a folder that does not verify.
const EXIT_NEGATIVE: u8 = 1;
/// The command could not do its work (`EX_USAGE` and its kin are for shells; people read the text).
const EXIT_ERROR: u8 = 2;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let result = match cli.command {
        cli::Command::Run(arguments) => run::run(&arguments),
        cli::Command::Check(arguments) => check::check(&arguments),
        cli::Command::Doctor(arguments) => doctor::doctor(&arguments),
        cli::Command::Drill(arguments) => drill::drill(&arguments),
        cli::Command::Replay(arguments) => replay::replay(&arguments),
        cli::Command::Incident(arguments) => evidence::incident(&arguments),
        cli::Command::Statement(arguments) => evidence::statement(&arguments),
        cli::Command::Report(arguments) => evidence::report(&arguments),
        cli::Command::Receipt(arguments) => evidence::receipt(&arguments),
        cli::Command::Verify(arguments) => evidence::verify(&arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_NEGATIVE),
        Err(error) => {
            eprintln!("portcullis: {}", format_error_chain(&error));
            ExitCode::from(EXIT_ERROR)
        }
    }
}

/// An error with its causes, each said once: many causes already stand in the sentence above them.
fn format_error_chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str("\n  because ");
            text.push_str(&cause);
        }
    }
    text
}
