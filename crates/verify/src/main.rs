//! Verifies a folder of evidence: signatures, entries, tree, proofs and manifest.
//!
//! For outsiders: it reads only the folder and needs no network. [`portcullis_ledger::verify`] does
//! the work. Exit status: 0 if the folder is sound, 1 if it is not, 2 if it could not be verified.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use portcullis_ledger::verify::{self, OldCheckpoint, VerifyReport};
use portcullis_ledger::{Error, Verifier};

/// Verify that every byte in a folder of evidence is as it was signed
///
/// FOLDER is a ledger, or a folder of results with a ledger in `ledger/`. Exit status: 0 if
/// everything is as it was signed, 1 if something is not, 2 if the folder could not be verified.
#[derive(Parser)]
#[command(name = "portcullis-verify", version)]
struct Arguments {
    /// The folder to verify
    folder: PathBuf,

    /// The log's public key (vkey), obtained from its operator: name+hash+base64.
    ///
    /// Without it, the key in the folder is used, which shows only that the folder is consistent
    /// with itself.
    #[arg(long, value_name = "VKEY", value_parser = vkey)]
    key: Option<Verifier>,

    /// A file with an older checkpoint of the same log: verifies that no entry before it was changed
    /// or removed since
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
    match verify(&arguments) {
        Ok(report) => {
            print(&report, arguments.json);
            if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("Could not verify {}: {error}", arguments.folder.display());
            ExitCode::from(2)
        }
    }
}

fn verify(arguments: &Arguments) -> Result<VerifyReport, Error> {
    let since = arguments.since.as_deref().map(OldCheckpoint::read).transpose()?;
    verify::folder(&arguments.folder, arguments.key.as_ref(), since.as_ref())
}

/// A reader that has closed the pipe wants no more.
fn write(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn print(report: &VerifyReport, json: bool) {
    match report.to_json() {
        Ok(text) if json => write(&format!("{text}\n")),
        Ok(_) | Err(_) => write(&report.to_string()),
    }
}
