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
use portcullis_edge::{CertificateFacts, Standing, TlsConfigs, TlsKeep};
use portcullis_model::{Config, TlsFiles, WallTime};
use serde::Serialize;
use tracing::{error, info, warn};

/// What operators see.
#[derive(Clone, Debug, Default)]
pub struct InUse {
    /// Of the certificates that are served.
    pub facts: Vec<CertificateFacts>,
    /// How often new files could not be used.
    pub refused: u64,
    /// Why the files that are there now cannot be used, if so; the old ones are still served.
    pub problem: Option<String>,
}

/// The certificates with all that is needed to replace them.
pub struct Certificates {
    pub keep: TlsKeep,
    pub tls: Arc<ArcSwap<TlsConfigs>>,
    pub in_use: Arc<ArcSwap<InUse>>,
    files: Files,
    /// When the first of the OCSP responses that are shown ends.
    staple_ends: Option<WallTime>,
}

impl Certificates {
    /// Reads those of `config`.
    pub fn load(config: &Config, now: WallTime) -> Result<Self> {
        if let Some(acme) = &config.acme {
            portcullis_acme::prepare(acme)?;
        }
        let keep = TlsKeep::new()?;
        let files = Files::of(config);
        let facts = portcullis_edge::inspect_all(config)?;
        let tls = portcullis_edge::load_all(config, &keep)?;
        report(&facts, now);
        Ok(Self {
            staple_ends: first_end(&facts, now),
            keep,
            tls: Arc::new(ArcSwap::from_pointee(tls)),
            in_use: Arc::new(ArcSwap::from_pointee(InUse { facts, ..InUse::default() })),
            files,
        })
    }

    /// Reads those of `config` and serves them from now on. If one cannot be used, all of the old
    /// ones stay. Connections stay open either way.
    pub fn reload(&mut self, config: &Config, now: WallTime) -> Result<()> {
        if let Some(acme) = &config.acme {
            portcullis_acme::prepare(acme)?;
        }
        let files = Files::of(config);
        let read = portcullis_edge::inspect_all(config)
            .and_then(|facts| Ok((facts, portcullis_edge::load_all(config, &self.keep)?)));
        let before = self.in_use.load();
        match read {
            Ok((facts, tls)) => {
                report(&facts, now);
                self.files = files;
                self.staple_ends = first_end(&facts, now);
                self.tls.store(Arc::new(tls));
                let refused = before.refused;
                self.in_use.store(Arc::new(InUse { facts, refused, problem: None }));
                Ok(())
            }
            Err(problem) => {
                let mut kept = InUse::clone(&before);
                kept.refused += 1;
                kept.problem = Some(problem.to_string());
                self.in_use.store(Arc::new(kept));
                Err(problem.into())
            }
        }
    }

    /// Looks whether files have changed, and reads them again if so.
    pub fn look(&mut self, config: &Config, now: WallTime) {
        let ended = self.staple_ends.is_some_and(|end| end <= now);
        if !self.files.have_changed(Files::stamps(config)) && !ended {
            return;
        }
        match self.reload(config, now) {
            Ok(()) => info!("the certificates' files were read again"),
            Err(problem) => {
                // Not again before they change again.
                self.staple_ends = None;
                self.files.read.clone_from(&self.files.seen);
                warn!("the new certificates are refused, the old ones stay: {problem:#}");
            }
        }
    }
}

fn first_end(facts: &[CertificateFacts], now: WallTime) -> Option<WallTime> {
    facts.iter().filter_map(|facts| facts.staple_until).filter(|end| *end > now).min()
}

/// Says what will need a hand soon.
fn report(facts: &[CertificateFacts], now: WallTime) {
    for certificate in facts {
        let file = certificate.file.display();
        let days = certificate.days_left(now);
        if certificate.staple_ended(now) {
            warn!(%file, "its OCSP response is too old and is not shown");
        }
        match certificate.standing(now) {
            Standing::Valid => {}
            Standing::EndsSoon => warn!(%file, days, "a certificate ends soon"),
            Standing::Expired => error!(%file, "a certificate has expired: browsers refuse it"),
            Standing::NotYet => {
                error!(%file, "a certificate is not valid yet: browsers refuse it");
            }
        }
    }
}

/// What a file looked like: when it was changed, its size and which file it is (certificate
/// authorities' clients put a new one in place of the old). `None`: it is not there.
type Stamp = Option<(i64, i64, u64, u64)>;

/// Files that are looked at now and then.
#[derive(Debug, Default)]
struct Files {
    /// When they were read last.
    read: Vec<Stamp>,
    /// When they were looked at last.
    seen: Vec<Stamp>,
}

impl Files {
    fn of(config: &Config) -> Self {
        let stamps = Self::stamps(config);
        Self { read: stamps.clone(), seen: stamps }
    }

    fn stamps(config: &Config) -> Vec<Stamp> {
        let files = config.tls_files().into_iter();
        let each = |files: &TlsFiles| {
            let ocsp = files.ocsp.as_deref().map(stamp);
            [Some(stamp(&files.certificate)), Some(stamp(&files.key)), ocsp]
        };
        files.flat_map(each).flatten().collect()
    }

    /// Whether they are others than those that were read, and the same as at the last look: who
    /// replaces a certificate and its key does so one after the other.
    fn have_changed(&mut self, now: Vec<Stamp>) -> bool {
        let settled = now == self.seen;
        self.seen = now;
        settled && self.seen != self.read
    }
}

fn stamp(file: &Path) -> Stamp {
    let facts = fs::metadata(file).ok()?;
    Some((facts.mtime(), facts.mtime_nsec(), facts.size(), facts.ino()))
}

/// One certificate in `/status.json`.
#[derive(Serialize)]
pub struct Line {
    file: String,
    names: Vec<String>,
    expires: WallTime,
    days_left: i64,
}

impl Line {
    pub fn of(facts: &CertificateFacts, now: WallTime) -> Self {
        Self {
            file: facts.file.display().to_string(),
            names: facts.names.clone(),
            expires: facts.not_after,
            days_left: facts.days_left(now),
        }
    }
}

impl Line {
    /// For people.
    pub fn summary(&self) -> String {
        format!("{}: {}, {} days left", self.file, self.names.join(", "), self.days_left)
    }
}

impl InUse {
    /// For `/metrics`: these, and those that the gate got by itself.
    pub fn metrics(&self, issued: &AcmeStatus, out: &mut String) {
        use crate::pages::{escape, head};
        let ours = self.facts.iter().map(|facts| (&facts.file, facts.not_after));
        let issued =
            issued.hosts.iter().filter_map(|host| Some((host.file.as_ref()?, host.expires?)));
        let all: BTreeMap<_, _> = ours.chain(issued).collect();
        if !all.is_empty() {
            let help = "When a certificate ends, in seconds since 1970.";
            head(out, "certificate_expires_timestamp_seconds", "gauge", help);
            for (file, ends) in all {
                let file = escape(&file.display().to_string());
                let at = ends.seconds();
                let _ = writeln!(
                    out,
                    "portcullis_certificate_expires_timestamp_seconds{{file=\"{file}\"}} {at}"
                );
            }
        }
        let help = "New certificate files that could not be used; the old ones stayed.";
        head(out, "certificates_refused_total", "counter", help);
        let _ = writeln!(out, "portcullis_certificates_refused_total {}", self.refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_again_once_they_have_changed_and_settled() {
        let [old, cut, new] = [1, 2, 3].map(|time| vec![Some((time, 0, 9, 9)), None]);
        let mut files = Files { read: old.clone(), seen: old.clone() };
        assert!(!files.have_changed(old.clone()));
        assert!(!files.have_changed(cut), "half of it");
        assert!(!files.have_changed(new.clone()), "the rest");
        assert!(files.have_changed(new.clone()));
        files.read.clone_from(&new);
        assert!(!files.have_changed(new.clone()));
        assert!(!files.have_changed(old.clone()));
        assert!(files.have_changed(old), "the old ones are back");
    }
}
