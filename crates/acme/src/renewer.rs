//! Obtains and renews a certificate for each host while the gate runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use portcullis_model::{AcmeConfig, TlsFiles, WallTime};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::account::{archive_account, load_or_create};
use crate::error::AcmeError;
use crate::order;
use crate::schedule;
use crate::sinks::CertSinks;
use crate::store::{self, Store};

/// The timeout of one order, from the account to the certificate: more than twice the polling time.
const ORDER_TIMEOUT: Duration = Duration::from_secs(240);
/// The longest sleep, so that a change of the wall clock or a suspended machine is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(60);

/// The state of all certificates, for operators.
#[derive(Clone, Debug, Default)]
pub struct AcmeStatus {
    /// The hosts, in the order of the configuration.
    pub hosts: Vec<HostStatus>,
    /// Certificates obtained since the start.
    pub obtained: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
}

/// The state of the certificate for one host.
#[derive(Clone, Debug)]
pub struct HostStatus {
    /// The host name.
    pub host: String,
    /// The expiry of the certificate in use; `None` without a certificate.
    pub expires: Option<WallTime>,
    /// The file of the certificate in use.
    pub file: Option<PathBuf>,
    /// The time of the next attempt.
    pub next: WallTime,
    /// The number of failures since the last success.
    pub failures: u32,
    /// The message of the last failure.
    pub last_failure: Option<String>,
}

/// Obtains and renews certificates until the settings sender is dropped. Stored certificates are
/// used immediately, without contacting the authority.
pub async fn run(
    mut settings: watch::Receiver<AcmeConfig>,
    sinks: CertSinks,
    published: Arc<ArcSwap<AcmeStatus>>,
) {
    let status = AcmeStatus::default();
    let mut renewer = Renewer { sinks, published, status, directory: String::new() };
    loop {
        let config = settings.borrow_and_update().clone();
        renewer.configure(&config);
        tokio::select! {
            changed = settings.changed() => if changed.is_err() { return },
            () = renewer.renew_all(&config) => {}
        }
    }
}

struct Renewer {
    sinks: CertSinks,
    /// A copy of `status` for other threads.
    published: Arc<ArcSwap<AcmeStatus>>,
    status: AcmeStatus,
    /// The authority of the previous configuration.
    directory: String,
}

impl Renewer {
    /// Applies a configuration: uses stored certificates and schedules missing ones. A certificate
    /// in use, perhaps of another authority, stays in use until there is a newer one.
    fn configure(&mut self, config: &AcmeConfig) {
        let same_authority =
            std::mem::replace(&mut self.directory, config.directory.clone()) == config.directory;
        let before = std::mem::take(&mut self.status.hosts);
        for removed in before.iter().filter(|host| !config.hosts.contains(&host.host)) {
            self.sinks.issued.remove(&removed.host);
        }
        let now = wall_time();
        let store = Store::open(config)
            .inspect_err(|error| warn!(%error, "cannot open the ACME folder"))
            .ok();
        for host in &config.hosts {
            let mut entry = HostStatus {
                host: host.clone(),
                expires: None,
                file: None,
                next: now,
                failures: 0,
                last_failure: None,
            };
            let found = store.as_ref().and_then(|store| self.use_stored(store, host));
            if let Some((from, to)) = found {
                entry.expires = Some(to);
                entry.file = Some(store::file_of(config, host));
                entry.next = schedule::due(from, to, jitter());
            } else if let Some(known) = before.iter().find(|known| known.host == *host) {
                entry.expires = known.expires;
                entry.file.clone_from(&known.file);
                // A reload does not reset the failures at the same authority, but it may have fixed
                // their cause, so the next attempt is soon.
                if same_authority && known.failures > 0 {
                    let soon = now + schedule::wait(1, config.retry, jitter());
                    entry.next = known.next.min(soon);
                    entry.failures = known.failures;
                    entry.last_failure.clone_from(&known.last_failure);
                }
            }
            self.status.hosts.push(entry);
        }
        self.publish();
    }

    /// Uses a stored certificate, if it exists and is valid; returns its validity.
    fn use_stored(&self, store: &Store, host: &str) -> Option<(WallTime, WallTime)> {
        let files = store.certificate(host);
        if !files.certificate.exists() {
            return None;
        }
        let (from, to, pair) = match check(&files, host) {
            Ok(checked) => checked,
            Err(error) => {
                warn!(%host, %error, "stored certificate not used");
                return None;
            }
        };
        self.sinks.issued.set(host, &pair);
        Some((from, to))
    }

    /// Makes each attempt at its time. Never returns.
    async fn renew_all(&mut self, config: &AcmeConfig) {
        loop {
            let now = wall_time();
            let first = (0..self.status.hosts.len()).min_by_key(|at| self.status.hosts[*at].next);
            let Some(at) = first else { return std::future::pending().await };
            let next = self.status.hosts[at].next;
            if next > now {
                tokio::time::sleep(next.since(now).min(MAX_SLEEP)).await;
                continue;
            }
            let host = self.status.hosts[at].host.clone();
            let obtained = obtain(config, &host, &self.sinks);
            let result = tokio::time::timeout(ORDER_TIMEOUT, obtained)
                .await
                .map_err(|_| AcmeError::Timeout(ORDER_TIMEOUT.as_secs()))
                .flatten();
            self.record(at, config, result);
        }
    }

    /// Updates the status of host number `at` after an attempt.
    fn record(
        &mut self,
        at: usize,
        config: &AcmeConfig,
        result: Result<(WallTime, WallTime), AcmeError>,
    ) {
        let now = wall_time();
        let entry = &mut self.status.hosts[at];
        let host = entry.host.clone();
        match result {
            Ok((from, to)) => {
                self.status.obtained += 1;
                entry.expires = Some(to);
                entry.file = Some(store::file_of(config, &host));
                entry.failures = 0;
                entry.last_failure = None;
                // Very short-lived certificates must not lead to continuous requests.
                let soon = now + schedule::wait(1, config.retry, jitter());
                entry.next = schedule::due(from, to, jitter()).max(soon);
                info!(%host, expires = %to, renewal = %entry.next, "certificate obtained");
            }
            Err(error) => {
                self.status.failed += 1;
                entry.failures = entry.failures.saturating_add(1);
                let wait = schedule::wait(entry.failures, config.retry, jitter());
                entry.next = now + wait;
                entry.last_failure = Some(error.to_string());
                warn!(
                    %host,
                    failures = entry.failures,
                    next_attempt = %entry.next,
                    expires = entry.expires.map(tracing::field::display),
                    %error,
                    "certificate not obtained"
                );
            }
        }
        self.publish();
    }

    fn publish(&self) {
        self.published.store(Arc::new(self.status.clone()));
    }
}

/// Obtains a certificate, checks it, stores it, and then uses it; returns its validity.
async fn obtain(
    config: &AcmeConfig,
    host: &str,
    sinks: &CertSinks,
) -> Result<(WallTime, WallTime), AcmeError> {
    let store = Store::open(config)?;
    let account = load_or_create(config, &store).await?;
    let ordered = order::run(&account, host, config.challenge, sinks).await;
    if ordered.as_ref().is_err_and(AcmeError::is_unknown_account) {
        archive_account(&store);
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
    sinks.issued.set(host, &pair);
    Ok((from, to))
}

/// Loads a certificate that is whole, has its key, is for this host, and is valid now; returns its
/// validity too.
fn check(
    files: &TlsFiles,
    host: &str,
) -> Result<(WallTime, WallTime, Arc<CertifiedKey>), AcmeError> {
    let invalid =
        |problem: String| AcmeError::InvalidFile { path: files.certificate.clone(), problem };
    let pair =
        portcullis_edge::load_pair(files).map_err(|e| AcmeError::Protocol(format!("sent: {e}")))?;
    let facts = portcullis_edge::inspect(files).map_err(|e| invalid(e.to_string()))?;
    if !facts.names.iter().any(|name| name == host) {
        return Err(invalid(format!("is for {}, not for {host}", facts.names.join(", "))));
    }
    let now = wall_time();
    if facts.not_after <= now {
        return Err(invalid(format!("expired at {}", facts.not_after)));
    }
    Ok((facts.not_before, facts.not_after, Arc::new(pair)))
}

fn wall_time() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A random number for the jitter of [`schedule`].
fn jitter() -> u16 {
    let mut bytes = [0; 2];
    // Without randomness the jitter is 0, which is acceptable.
    let _ = getrandom::fill(&mut bytes);
    u16::from_le_bytes(bytes)
}
