//! Certificates: the inventory in use, and their rows in `/status.json`.

use portcullis_acme::HostStatus;
use portcullis_edge::CertificateFacts;
use portcullis_model::WallTime;
use serde::Serialize;

/// The certificates in use.
#[derive(Clone, Debug, Default)]
pub struct CertInventory {
    /// The certificates that are served.
    pub facts: Vec<CertificateFacts>,
    /// Number of times that new files could not be used.
    pub refused: u64,
    /// Why the current files cannot be used; the old certificates are still served.
    pub problem: Option<String>,
}

/// One certificate in `/status.json` and in the output of `portcullis check`.
#[derive(Clone, Debug, Serialize)]
pub struct CertRow {
    file: String,
    names: Vec<String>,
    expires: WallTime,
    days_left: i64,
}

impl CertRow {
    /// The row of a certificate at the time `now`.
    pub fn new(facts: &CertificateFacts, now: WallTime) -> Self {
        Self {
            file: facts.file.display().to_string(),
            names: facts.names.clone(),
            expires: facts.not_after,
            days_left: facts.days_left(now),
        }
    }

    /// One line of text.
    pub fn summary(&self) -> String {
        format!("{}: {}, {} days left", self.file, self.names.join(", "), self.days_left)
    }
}

/// One host with certificates by ACME in `/status.json`.
#[derive(Serialize)]
pub(crate) struct AcmeHostRow {
    host: String,
    expires: Option<WallTime>,
    days_left: Option<i64>,
    next_attempt: WallTime,
    failures: u32,
    last_failure: Option<String>,
}

impl AcmeHostRow {
    /// The row of a host at the time `now`.
    pub(crate) fn new(host: &HostStatus, now: WallTime) -> Self {
        let days = |expires: WallTime| {
            let whole =
                |from: WallTime, to: WallTime| (to.since(from).as_secs() / 86_400).cast_signed();
            if now <= expires { whole(now, expires) } else { -1 - whole(expires, now) }
        };
        Self {
            host: host.host.clone(),
            expires: host.expires,
            days_left: host.expires.map(days),
            next_attempt: host.next,
            failures: host.failures,
            last_failure: host.last_failure.clone(),
        }
    }
}
