//! Opens the ledger at the start, and compares it with what was last seen of it.

use std::path::Path;

use portcullis_ledger::Ledger;
use portcullis_model::{Config, Entry, Event};
use portcullis_posture::Resume;
use tracing::{info, warn};

use crate::error::RuntimeError;
use crate::last_seen::{self, LastSeen};

/// The ledger of a start.
pub struct OpenedLedger {
    /// The ledger, locked.
    pub ledger: Ledger,
    /// Numbers to resume from earlier runs.
    pub resume: Resume,
    /// The leaf about a fork that an operator has accepted.
    pub fork: Option<Event>,
    /// What `started` says about this machine.
    pub machine: Option<String>,
}

/// Opens or creates the ledger of `config`. A ledger that is not the continuation of the one that was
/// last seen here is an error unless `accept_fork`.
pub fn open_ledger(
    config: &Config,
    seed: &[u8; 32],
    accept_fork: bool,
) -> Result<OpenedLedger, RuntimeError> {
    let folder = &config.ledger;
    let error = |source| RuntimeError::Ledger { folder: folder.clone(), source };
    let seen = load_last_seen(folder);
    let exists = folder.join("format").exists();
    let refused = |reason: String| RuntimeError::Fork { folder: folder.clone(), reason };
    let missing = seen.as_ref().filter(|_| !exists).map(|seen| {
        format!(
            "it is missing, and had {} leaves when it was last seen. Is its file system mounted?",
            seen.head.size
        )
    });
    if let Some(reason) = missing.clone().filter(|_| !accept_fork) {
        return Err(refused(reason));
    }
    let ledger = if exists {
        Ledger::open(folder)
    } else {
        Ledger::create(folder, &log_origin(config), seed)
    }
    .map_err(error)?;
    let resume = read_numbers(folder, &ledger, seen.as_ref()).map_err(error)?;
    let machine = last_seen::machine_of(&ledger);
    let contradiction = seen.as_ref().and_then(|seen| seen.contradiction(&ledger));
    let reason = missing.or(contradiction).or_else(|| moved(&resume, machine.as_ref()));
    let fork = match reason {
        Some(reason) if !accept_fork => return Err(refused(reason)),
        Some(reason) => Some(Event::ForkAccepted { reason, last_seen: seen.map(|seen| seen.head) }),
        None => None,
    };
    info!(entries = ledger.size(), key = %ledger.verifier(), "ledger opened");
    if resume.procedures > 0 {
        info!(procedures = resume.procedures, "resuming procedure numbering");
    }
    Ok(OpenedLedger { ledger, resume, fork, machine })
}

/// A file that cannot be used is reported; the ledger is then read whole.
fn load_last_seen(folder: &Path) -> Option<LastSeen> {
    let path = last_seen::path_for(folder);
    LastSeen::load(&path).unwrap_or_else(|problem| {
        warn!(path = %path.display(), problem, "cannot use what was last seen of the ledger");
        None
    })
}

/// The numbers in the leaves. Those that were seen before are not read again.
fn read_numbers(
    folder: &Path,
    ledger: &Ledger,
    seen: Option<&LastSeen>,
) -> Result<Resume, portcullis_ledger::Error> {
    let seen = seen.filter(|seen| seen.contradiction(ledger).is_none());
    let (from, mut resume) =
        seen.map_or((0, Resume::default()), |seen| (seen.head.size, seen.resume.clone()));
    let reader = Ledger::read(folder)?;
    for entry in reader.entries_from(from) {
        let (index, bytes) = entry?;
        match serde_json::from_slice::<Entry>(&bytes) {
            Ok(entry) => resume.learn(&entry.event),
            Err(problem) => warn!(index, %problem, "skipping a ledger entry that cannot be parsed"),
        }
    }
    Ok(resume)
}

/// The gate last ran on another machine.
fn moved(resume: &Resume, machine: Option<&String>) -> Option<String> {
    let (before, now) = (resume.machine.as_ref()?, machine?);
    (before != now).then(|| {
        "the gate last wrote it on another machine: it may be a copy, and the original may continue."
            .to_owned()
    })
}

/// The log's name: a schemeless URL, as checkpoints demand, from the first host name.
pub fn log_origin(config: &Config) -> String {
    let host = config.platforms.iter().flat_map(|platform| &platform.hosts).find(|h| *h != "*");
    format!("{}/portcullis", host.map_or("localhost", String::as_str))
}

#[cfg(test)]
mod tests {
    use portcullis_model::OriginConfig;

    use super::*;

    fn config(folder: &Path) -> Config {
        let origin = OriginConfig::new("127.0.0.1".into(), 80);
        let mut config = Config::for_origin(([127, 0, 0, 1], 8080).into(), origin);
        config.ledger = folder.join("ledger");
        config
    }

    fn refusal(config: &Config) -> String {
        open_ledger(config, &[9; 32], false).map(|_| ()).unwrap_err().to_string()
    }

    fn leave(config: &Config, opened: &OpenedLedger) {
        let seen = LastSeen::of(&opened.ledger, &opened.resume);
        seen.save(&last_seen::path_for(&config.ledger), &opened.ledger).unwrap();
    }

    #[test]
    fn a_ledger_that_another_process_holds_is_an_error_with_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let _opened = open_ledger(&config, &[1; 32], false).unwrap();
        assert!(refusal(&config).contains("ledger"));
    }

    #[test]
    fn a_missing_ledger_and_a_rolled_back_one_need_a_decision() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let mut opened = open_ledger(&config, &[1; 32], false).unwrap();
        opened.ledger.append(b"{}").unwrap();
        opened.ledger.commit().unwrap();
        leave(&config, &opened);
        drop(opened);
        std::fs::rename(&config.ledger, folder.path().join("away")).unwrap();
        let refused = refusal(&config);
        assert!(refused.contains("missing") && refused.contains("--accept-fork"), "{refused}");
        assert!(!config.ledger.exists(), "nothing was made");

        let opened = open_ledger(&config, &[2; 32], true).unwrap();
        assert!(matches!(&opened.fork, Some(Event::ForkAccepted { last_seen: Some(_), .. })));
        leave(&config, &opened);
        drop(opened);
        assert!(open_ledger(&config, &[3; 32], false).unwrap().fork.is_none());
    }

    #[test]
    fn a_ledger_from_another_machine_needs_a_decision() {
        let here = "here".to_owned();
        let resume = Resume { machine: Some("there".into()), ..Resume::default() };
        assert!(moved(&resume, Some(&here)).is_some());
        assert!(moved(&resume, None).is_none(), "this machine has no id");
        assert!(moved(&Resume::default(), Some(&here)).is_none(), "an older version wrote it");
    }
}
