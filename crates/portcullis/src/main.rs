//! The `portcullis` binary: command line and output.

// module order: child cli output press_text
// module order: evidence vectors
// module order: drill
// module order: live
// module order: check doctor replay run

mod check;
mod child;
mod cli;
mod doctor;
mod drill;
mod evidence;
mod live;
mod output;
mod press_text;
mod replay;
mod run;
mod vectors;

use std::process::ExitCode;

use clap::Parser;

/// The allocator: a request allocates about thirty times, and glibc's would be a twentieth of its
/// cost (`bench/`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit status for a negative result: a missed threshold, an unsupported statement, a folder that
/// does not verify.
const EXIT_NEGATIVE: u8 = 1;
/// Exit status of a command that could not run.
const EXIT_ERROR: u8 = 2;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let result = match cli.command {
        cli::Command::Run(arguments) => run::run(&arguments),
        cli::Command::Check(arguments) => check::check(&arguments),
        cli::Command::Doctor(arguments) => doctor::doctor(&arguments),
        cli::Command::Drill(arguments) => drill::drill(&arguments),
        cli::Command::Replay(arguments) => return or_error(replay::replay(&arguments)),
        cli::Command::Incident(arguments) => evidence::incident(&arguments),
        cli::Command::Statement(arguments) => evidence::statement(&arguments),
        cli::Command::Report(arguments) => evidence::report(&arguments),
        cli::Command::Receipt(arguments) => evidence::receipt(&arguments),
        cli::Command::Verify(arguments) => evidence::verify(&arguments),
    };
    or_error(result.map(|positive| match positive {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(EXIT_NEGATIVE),
    }))
}

/// The exit status of a command, or that of one that could not run, with the reason on standard
/// error.
fn or_error(result: anyhow::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(status) => status,
        Err(error) => {
            eprintln!("portcullis: {}", format_error_chain(&error));
            ExitCode::from(EXIT_ERROR)
        }
    }
}

/// Formats an error with its causes; leaves out a cause that the text before it contains.
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
