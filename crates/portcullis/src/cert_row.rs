//! One certificate, as `/status.json` and `portcullis check` show it.

use portcullis_edge::CertificateFacts;
use portcullis_model::WallTime;
use serde::Serialize;

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

    /// One line of text.
    pub fn summary(&self) -> String {
        format!("{}: {}, {} days left", self.file, self.names.join(", "), self.days_left)
    }
}
