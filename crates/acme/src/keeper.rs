//! Keeps a certificate for each host, for as long as the gate runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use portcullis_edge::{ChallengeAnswers, NamedCertificates};
use portcullis_model::{AcmeConfig, WallTime};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::account::{account, set_aside};
use crate::error::AcmeError;
use crate::order::order;
use crate::schedule;
use crate::store::{self, Store};

/// One order, from the account to the certificate: twice the patience with the authority, and more.
const ORDER: Duration = Duration::from_secs(240);
/// The longest sleep: a clock that is set anew, or a machine that slept, is noticed after this.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Where what was obtained goes.
#[derive(Clone, Debug)]
pub struct Doors {
    /// Certificates for visitors.
    pub issued: Arc<NamedCertificates>,
    /// Certificates for the authority alone.
    pub challenges: Arc<NamedCertificates>,
    /// Answers for the authority.
    pub answers: Arc<ChallengeAnswers>,
}

/// What operators see.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// In the order of the configuration.
    pub hosts: Vec<HostStanding>,
    /// Certificates obtained since the start.
    pub obtained: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
}

/// How one host stands.
#[derive(Clone, Debug)]
pub struct HostStanding {
    /// Its name.
    pub host: String,
    /// When the certificate that is shown for it ends; `None`: there is none.
    pub ends: Option<WallTime>,
    /// The file of that certificate.
    pub file: Option<PathBuf>,
    /// When the next attempt is due.
    pub next: WallTime,
    /// Failures since the last success.
    pub failures: u32,
    /// What the last one was.
    pub last_failure: Option<String>,
}

/// Keeps certificates as `settings` say, until whoever can change them is gone. Those that are
/// stored are shown at once, without asking anybody.
pub async fn keep(
    mut settings: watch::Receiver<AcmeConfig>,
    doors: Doors,
    standing: Arc<ArcSwap<Standing>>,
) {
    let mut keeper =
        Keeper { doors, standing, seen: Standing::default(), directory: String::new() };
    loop {
        let config = settings.borrow_and_update().clone();
        keeper.begin(&config);
        tokio::select! {
            changed = settings.changed() => if changed.is_err() { return },
            () = keeper.work(&config) => {}
        }
    }
}

struct Keeper {
    doors: Doors,
    standing: Arc<ArcSwap<Standing>>,
    seen: Standing,
    /// The authority that was asked until now.
    directory: String,
}

impl Keeper {
    /// Shows what is stored, and sees what is missing. What was shown before, perhaps of another
    /// authority, is shown until there is something newer.
    fn begin(&mut self, config: &AcmeConfig) {
        let same_authority =
            std::mem::replace(&mut self.directory, config.directory.clone()) == config.directory;
        let before = std::mem::take(&mut self.seen.hosts);
        for gone in before.iter().filter(|host| !config.hosts.contains(&host.host)) {
            self.doors.issued.remove(&gone.host);
        }
        let now = wall();
        let store = Store::open(config).inspect_err(|error| warn!("{error}")).ok();
        for host in &config.hosts {
            let mut entry = HostStanding {
                host: host.clone(),
                ends: None,
                file: None,
                next: now,
                failures: 0,
                last_failure: None,
            };
            let found = store.as_ref().and_then(|store| self.show(store, host));
            if let Some((from, to)) = found {
                entry.ends = Some(to);
                entry.file = Some(store::file_of(config, host));
                entry.next = schedule::due(from, to, chance());
            } else if let Some(known) = before.iter().find(|known| known.host == *host) {
                entry.ends = known.ends;
                entry.file.clone_from(&known.file);
                // A reload is no reason to forget how often the same authority said no; but what
                // changed may be what was wrong.
                if same_authority && known.failures > 0 {
                    let soon = now + schedule::wait(1, config.retry, chance());
                    entry.next = known.next.min(soon);
                    entry.failures = known.failures;
                    entry.last_failure.clone_from(&known.last_failure);
                }
            }
            self.seen.hosts.push(entry);
        }
        self.publish();
    }

    /// Shows a stored certificate, unless there is none or it has ended.
    fn show(&self, store: &Store, host: &str) -> Option<(WallTime, WallTime)> {
        let files = store.certificate(host);
        if !files.certificate.exists() {
            return None;
        }
        let (from, to, pair) = match check(&files, host) {
            Ok(good) => good,
            Err(problem) => {
                warn!(%host, "the stored certificate is not used: {problem}");
                return None;
            }
        };
        self.doors.issued.set(host, &pair);
        Some((from, to))
    }

    /// Attempt after attempt, each when it is due. Never ends.
    async fn work(&mut self, config: &AcmeConfig) {
        loop {
            let now = wall();
            let first = (0..self.seen.hosts.len()).min_by_key(|at| self.seen.hosts[*at].next);
            let Some(at) = first else { return std::future::pending().await };
            let next = self.seen.hosts[at].next;
            if next > now {
                tokio::time::sleep(next.since(now).min(LONGEST_SLEEP)).await;
                continue;
            }
            let host = self.seen.hosts[at].host.clone();
            let late = |_| AcmeError::Late(ORDER.as_secs());
            let tried = tokio::time::timeout(ORDER, obtain(config, &host, &self.doors)).await;
            self.settle(at, config, tried.map_err(late).flatten());
        }
    }

    fn settle(
        &mut self,
        at: usize,
        config: &AcmeConfig,
        tried: Result<(WallTime, WallTime), AcmeError>,
    ) {
        let now = wall();
        let entry = &mut self.seen.hosts[at];
        let host = entry.host.clone();
        match tried {
            Ok((from, to)) => {
                self.seen.obtained += 1;
                entry.ends = Some(to);
                entry.file = Some(store::file_of(config, &host));
                entry.failures = 0;
                entry.last_failure = None;
                // An authority whose certificates are over at once is not asked all the time.
                let soon = now + schedule::wait(1, config.retry, chance());
                entry.next = schedule::due(from, to, chance()).max(soon);
                info!(%host, ends = %to, renewal = %entry.next, "a certificate was obtained");
            }
            Err(problem) => {
                self.seen.failed += 1;
                entry.failures = entry.failures.saturating_add(1);
                let wait = schedule::wait(entry.failures, config.retry, chance());
                entry.next = now + wait;
                entry.last_failure = Some(problem.to_string());
                let until = entry.ends.map_or_else(
                    || "there is none yet".to_owned(),
                    |ends| format!("the old one ends at {ends}"),
                );
                warn!(
                    %host,
                    failures = entry.failures,
                    next_attempt = %entry.next,
                    "no certificate was obtained ({until}): {problem}"
                );
            }
        }
        self.publish();
    }

    fn publish(&self) {
        self.standing.store(Arc::new(self.seen.clone()));
    }
}

/// Orders, checks, stores, and only then shows.
async fn obtain(
    config: &AcmeConfig,
    host: &str,
    doors: &Doors,
) -> Result<(WallTime, WallTime), AcmeError> {
    let store = Store::open(config)?;
    let account = account(config, &store).await?;
    let ordered = order(&account, host, config.challenge, doors).await;
    if ordered.as_ref().is_err_and(AcmeError::is_unknown_account) {
        set_aside(&store);
    }
    let text = ordered?;
    let files = store.certificate(host);
    let mut fresh = files.clone();
    fresh.certificate.set_extension("checked");
    fresh.key.clone_from(&fresh.certificate);
    store::write(&fresh.certificate, &text)?;
    let (from, to, pair) = check(&fresh, host)?;
    std::fs::rename(&fresh.certificate, &files.certificate).map_err(|source| AcmeError::File {
        what: "write",
        path: files.certificate.clone(),
        source,
    })?;
    doors.issued.set(host, &pair);
    Ok((from, to))
}

type Good = (WallTime, WallTime, Arc<rustls::sign::CertifiedKey>);

/// Whether a certificate can be shown: whole, with its key, for this host, and valid now.
fn check(files: &portcullis_model::TlsFiles, host: &str) -> Result<Good, AcmeError> {
    let wrong = |problem: String| AcmeError::Content { path: files.certificate.clone(), problem };
    let pair =
        portcullis_edge::load_pair(files).map_err(|e| AcmeError::Strange(format!("sent: {e}")))?;
    let facts = portcullis_edge::inspect(files).map_err(|e| wrong(e.to_string()))?;
    if !facts.names.iter().any(|name| name == host) {
        return Err(wrong(format!("is for {}, not for {host}", facts.names.join(", "))));
    }
    let now = wall();
    if facts.not_after <= now {
        return Err(wrong(format!("ended at {}", facts.not_after)));
    }
    Ok((facts.not_before, facts.not_after, Arc::new(pair)))
}

fn wall() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn chance() -> u16 {
    let mut bytes = [0; 2];
    // Without randomness all come at the same moment, which is no reason not to come.
    let _ = getrandom::fill(&mut bytes);
    u16::from_le_bytes(bytes)
}
