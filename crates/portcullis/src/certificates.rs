//! The certificates in use: read again when their files change, and what operators see of them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use arc_swap::ArcSwap;
use portcullis_acme::AcmeStatus;
use portcullis_edge::{CertStatus, CertificateFacts, TlsConfigs, TlsShared};
use portcullis_model::{Config, TlsFiles, WallTime};
use serde::Serialize;
use tracing::{error, info, warn};

/// What operators see.
#[derive(Clone, Debug, Default)]
pub struct CertInventory {
    /// Of the certificates that are served.
    pub facts: Vec<CertificateFacts>,
    /// How often new files could not be used.
    pub refused: u64,
    /// Why the files that are there now cannot be used, if so; the old ones are still served.
    pub problem: Option<String>,
}

/// The certificates with all that is needed to replace them.
pub struct CertReloader {
    pub shared: TlsShared,
    pub tls: Arc<ArcSwap<TlsConfigs>>,
    pub inventory: Arc<ArcSwap<CertInventory>>,
    files: WatchedFiles,
}

impl CertReloader {
    /// Reads those of `config`.
    pub fn load(config: &Config, now: WallTime) -> Result<Self> {
        if let Some(acme) = &config.acme {
            portcullis_acme::prepare(acme)?;
        }
        let keep = TlsShared::new()?;
        let files = WatchedFiles::new(config);
        let facts = portcullis_edge::inspect_all(config)?;
        let tls = portcullis_edge::load_all(config, &keep)?;
        log_warnings(&facts, now);
        Ok(Self {
            shared: keep,
            tls: Arc::new(ArcSwap::from_pointee(tls)),
            inventory: Arc::new(ArcSwap::from_pointee(CertInventory {
                facts,
                ..CertInventory::default()
            })),
            files,
        })
    }

    /// Reads those of `config` and serves them from now on. If one cannot be used, all of the old
    /// ones stay. Connections stay open either way.
    pub fn reload(&mut self, config: &Config, now: WallTime) -> Result<()> {
        if let Some(acme) = &config.acme {
            portcullis_acme::prepare(acme)?;
        }
        let files = WatchedFiles::new(config);
        let read = portcullis_edge::inspect_all(config)
            .and_then(|facts| Ok((facts, portcullis_edge::load_all(config, &self.shared)?)));
        let before = self.inventory.load();
        match read {
            Ok((facts, tls)) => {
                log_warnings(&facts, now);
                self.files = files;
                self.tls.store(Arc::new(tls));
                let refused = before.refused;
                self.inventory.store(Arc::new(CertInventory { facts, refused, problem: None }));
                Ok(())
            }
            Err(problem) => {
                let mut kept = CertInventory::clone(&before);
                kept.refused += 1;
                kept.problem = Some(problem.to_string());
                self.inventory.store(Arc::new(kept));
                Err(problem.into())
            }
        }
    }

    /// Looks whether files have changed, and reads them again if so.
    pub fn poll_files(&mut self, config: &Config, now: WallTime) {
        if !self.files.have_changed(WatchedFiles::stamps(config)) {
            return;
        }
        match self.reload(config, now) {
            Ok(()) => info!("the certificates' files were read again"),
            Err(problem) => {
                // Not again before they change again.
                self.files.loaded.clone_from(&self.files.last_polled);
                warn!("the new certificates are refused, the old ones stay: {problem:#}");
            }
        }
    }
}

/// Says what will need a hand soon.
fn log_warnings(facts: &[CertificateFacts], now: WallTime) {
    for certificate in facts {
        let file = certificate.file.display();
        let days = certificate.days_left(now);
        match certificate.status(now) {
            CertStatus::Valid => {}
            CertStatus::EndsSoon => warn!(%file, days, "a certificate ends soon"),
            CertStatus::Expired => error!(%file, "a certificate has expired: browsers refuse it"),
            CertStatus::NotYet => {
                error!(%file, "a certificate is not valid yet: browsers refuse it");
            }
        }
    }
}

/// What a file looked like: when it was changed, its size and which file it is (certificate
/// authorities' clients put a new one in place of the old). `None`: it is not there.
type FileStamp = Option<(i64, i64, u64, u64)>;

/// Files that are looked at now and then.
#[derive(Debug, Default)]
struct WatchedFiles {
    /// When they were read last.
    loaded: Vec<FileStamp>,
    /// When they were looked at last.
    last_polled: Vec<FileStamp>,
}

impl WatchedFiles {
    fn new(config: &Config) -> Self {
        let stamps = Self::stamps(config);
        Self { loaded: stamps.clone(), last_polled: stamps }
    }

    fn stamps(config: &Config) -> Vec<FileStamp> {
        let files = config.tls_files().into_iter();
        files.flat_map(|files: &TlsFiles| [stamp(&files.certificate), stamp(&files.key)]).collect()
    }

    /// Whether they are others than those that were read, and the same as at the last look: who
    /// replaces a certificate and its key does so one after the other.
    fn have_changed(&mut self, now: Vec<FileStamp>) -> bool {
        let settled = now == self.last_polled;
        self.last_polled = now;
        settled && self.last_polled != self.loaded
    }
}

fn stamp(file: &Path) -> FileStamp {
    let facts = fs::metadata(file).ok()?;
    Some((facts.mtime(), facts.mtime_nsec(), facts.size(), facts.ino()))
}

/// One certificate in `/status.json`.
#[derive(Serialize)]
pub struct CertRow {
    file: String,
    names: Vec<String>,
    expires: WallTime,
    days_left: i64,
}

impl CertRow {
    pub fn new(facts: &CertificateFacts, now: WallTime) -> Self {
        Self {
            file: facts.file.display().to_string(),
            names: facts.names.clone(),
            expires: facts.not_after,
            days_left: facts.days_left(now),
        }
    }
}

impl CertRow {
    /// For people.
    pub fn summary(&self) -> String {
        format!("{}: {}, {} days left", self.file, self.names.join(", "), self.days_left)
    }
}

impl CertInventory {
    /// For `/metrics`: these, and those that the gate got by itself.
    pub fn write_metrics(&self, issued: &AcmeStatus, out: &mut String) {
        use crate::admin_handlers::{escape_label, write_metric_header};
        let ours = self.facts.iter().map(|facts| (&facts.file, facts.not_after));
        let issued =
            issued.hosts.iter().filter_map(|host| Some((host.file.as_ref()?, host.expires?)));
        let all: BTreeMap<_, _> = ours.chain(issued).collect();
        if !all.is_empty() {
            let help = "When a certificate ends, in seconds since 1970.";
            write_metric_header(out, "certificate_expires_timestamp_seconds", "gauge", help);
            for (file, ends) in all {
                let file = escape_label(&file.display().to_string());
                let at = ends.seconds();
                let _ = writeln!(
                    out,
                    "portcullis_certificate_expires_timestamp_seconds{{file=\"{file}\"}} {at}"
                );
            }
        }
        let help = "New certificate files that could not be used; the old ones stayed.";
        write_metric_header(out, "certificates_refused_total", "counter", help);
        let _ = writeln!(out, "portcullis_certificates_refused_total {}", self.refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_again_once_they_have_changed_and_settled() {
        let [old, cut, new] = [1, 2, 3].map(|time| vec![Some((time, 0, 9, 9)), None]);
        let mut files = WatchedFiles { loaded: old.clone(), last_polled: old.clone() };
        assert!(!files.have_changed(old.clone()));
        assert!(!files.have_changed(cut), "half of it");
        assert!(!files.have_changed(new.clone()), "the rest");
        assert!(files.have_changed(new.clone()));
        files.loaded.clone_from(&new);
        assert!(!files.have_changed(new.clone()));
        assert!(!files.have_changed(old.clone()));
        assert!(files.have_changed(old), "the old ones are back");
    }
}
