//! The certificates in use: loaded, and loaded again when their files change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use portcullis_admin::CertInventory;
use portcullis_edge::{CertStatus, CertificateFacts, TlsConfigs, TlsShared};
use portcullis_model::{Config, TlsFiles, WallTime};
use tracing::{error, info, warn};

use crate::error::RuntimeError;

/// Holds the certificates and replaces them.
pub struct CertReloader {
    pub shared: TlsShared,
    pub tls: Arc<ArcSwap<TlsConfigs>>,
    pub inventory: Arc<ArcSwap<CertInventory>>,
    files: WatchedFiles,
}

impl CertReloader {
    /// Loads the certificates of `config`.
    pub fn load(config: &Config, now: WallTime) -> Result<Self, RuntimeError> {
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

    /// Loads the certificates of `config`, and serves the old ones until [`Self::install`].
    pub fn prepare(&self, config: &Config) -> Result<PreparedCerts, RuntimeError> {
        let files = WatchedFiles::new(config);
        let loaded = self.load_all(config);
        if let Err(problem) = &loaded {
            let mut inventory = CertInventory::clone(&self.inventory.load());
            inventory.refused += 1;
            inventory.problem = Some(problem.to_string());
            self.inventory.store(Arc::new(inventory));
        }
        let (facts, tls) = loaded?;
        Ok(PreparedCerts { facts, tls, files })
    }

    /// Serves prepared certificates. Connections stay open.
    pub fn install(&mut self, prepared: PreparedCerts, now: WallTime) {
        let PreparedCerts { facts, tls, files } = prepared;
        log_warnings(&facts, now);
        self.files = files;
        self.tls.store(Arc::new(tls));
        let refused = self.inventory.load().refused;
        self.inventory.store(Arc::new(CertInventory { facts, refused, problem: None }));
    }

    /// Loads the certificates again if their files have changed.
    pub fn poll_files(&mut self, config: &Config, now: WallTime) {
        if !self.files.have_changed(WatchedFiles::stamps(config)) {
            return;
        }
        match self.prepare(config) {
            Ok(prepared) => {
                self.install(prepared, now);
                info!("certificates reloaded");
            }
            Err(problem) => {
                // Try again only after another change.
                self.files.loaded.clone_from(&self.files.last_polled);
                warn!(%problem, "cannot use the new certificates; keeping the old ones");
            }
        }
    }

    fn load_all(
        &self,
        config: &Config,
    ) -> Result<(Vec<CertificateFacts>, TlsConfigs), RuntimeError> {
        if let Some(acme) = &config.acme {
            portcullis_acme::prepare(acme)?;
        }
        let facts = portcullis_edge::inspect_all(config)?;
        Ok((facts, portcullis_edge::load_all(config, &self.shared)?))
    }
}

/// Certificates that are loaded and not yet served.
pub struct PreparedCerts {
    facts: Vec<CertificateFacts>,
    tls: TlsConfigs,
    files: WatchedFiles,
}

/// Warns of certificates that expire soon or cannot be used.
fn log_warnings(facts: &[CertificateFacts], now: WallTime) {
    for certificate in facts {
        let file = certificate.file.display();
        let days = certificate.days_left(now);
        match certificate.status(now) {
            CertStatus::Valid => {}
            CertStatus::EndsSoon => warn!(%file, days, "a certificate expires soon"),
            CertStatus::Expired => error!(%file, "a certificate has expired: browsers refuse it"),
            CertStatus::NotYet => {
                error!(%file, "a certificate is not valid yet: browsers refuse it");
            }
        }
    }
}

/// A file's modification time, size and inode; `None` if it does not exist.
///
/// The inode counts because ACME clients replace the file.
type FileStamp = Option<(i64, i64, u64, u64)>;

/// Files that are polled for changes.
#[derive(Debug, Default)]
struct WatchedFiles {
    /// At the last load.
    loaded: Vec<FileStamp>,
    /// At the last poll.
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

    /// Whether the files differ from the loaded ones and are the same as at the last poll: a
    /// certificate and its key are replaced one after the other.
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
