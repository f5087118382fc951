//! Checks a folder of evidence that someone handed over: signatures, entries, tree, proofs and
//! manifest.
//!
//! It reads the folder and nothing else, needs no network, and has no opinion of its own: the
//! verification is [`portcullis_ledger::verify`]. Exit status: 0 if the folder is sound, 1 if it is
//! not, 2 if it could not be checked.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use portcullis_ledger::verify::{self, OldCheckpoint, Report};
use portcullis_ledger::{Error, Verifier};

/// Check a folder of evidence: that it is as it was signed, to the last byte
///
/// FOLDER is a ledger, or a folder of results with one in `ledger/`. Exit status: 0 if everything
/// is as it was signed, 1 if something is not, 2 if it could not be checked.
#[derive(Parser)]
#[command(name = "portcullis-verify", version)]
struct Arguments {
    /// The folder to check
    folder: PathBuf,

    /// The log's public key as you were told it, for example in a press release: name+hash+base64.
    ///
    /// Without it the key in the folder is used, which shows only that the folder is consistent
    /// with itself.
    #[arg(long, value_name = "VKEY", value_parser = vkey)]
    key: Option<Verifier>,

    /// A file with an older checkpoint of the same log, which you kept or were sent: checks that
    /// nothing before it was changed or removed since
    #[arg(long, value_name = "CHECKPOINT")]
    since: Option<PathBuf>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

fn vkey(text: &str) -> Result<Verifier, String> {
    text.trim().parse().map_err(|error| format!("{error}"))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match check(&arguments) {
        Ok(report) => {
            print(&report, arguments.json);
            if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("Could not check {}: {error}", arguments.folder.display());
            ExitCode::from(2)
        }
    }
}

fn check(arguments: &Arguments) -> Result<Report, Error> {
    let since = arguments.since.as_deref().map(OldCheckpoint::read).transpose()?;
    verify::folder(&arguments.folder, arguments.key.as_ref(), since.as_ref())
}

fn print(report: &Report, json: bool) {
    match report.to_json() {
        Ok(text) if json => println!("{text}"),
        Ok(_) | Err(_) => print!("{report}"),
    }
}
