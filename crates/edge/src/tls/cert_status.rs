//! The status of a certificate for operators: its names, and from when to when it is valid.

use core::time::Duration;
use std::path::PathBuf;

use portcullis_model::{Config, TlsFiles, WallTime};
use rustls::sign::CertifiedKey;

use super::certificates;
use super::config::load_pair;
use super::der::{FIRST, INTEGER, SEQUENCE, moment, value};
use crate::error::EdgeError;

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// With fewer days than this left, operators are warned: authorities renew a month before the
/// end, or at two thirds of a short life, so that something has been going wrong for a while.
pub const SOON: i64 = 14;

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Its file.
    pub file: PathBuf,
    /// What it is for, in lower case; empty where it has none that browsers accept.
    pub names: Vec<String>,
    /// From when it is valid.
    pub not_before: WallTime,
    /// Until when.
    pub not_after: WallTime,
}

/// The status of a certificate at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertStatus {
    /// Valid for long enough.
    Valid,
    /// Valid, with fewer days left than [`SOON`].
    EndsSoon,
    /// No longer valid: browsers refuse it.
    Expired,
    /// Not valid yet: browsers refuse it.
    NotYet,
}

impl CertificateFacts {
    /// Whole days that are left; days since the end, and at least one, below zero.
    pub fn days_left(&self, now: WallTime) -> i64 {
        let days = |span: Duration| span.as_secs() / DAY.as_secs();
        if now.0 <= self.not_after.0 {
            days(self.not_after.since(now)).cast_signed()
        } else {
            -1 - days(now.since(self.not_after)).cast_signed()
        }
    }

    /// The status at `now`.
    pub fn status(&self, now: WallTime) -> CertStatus {
        if now < self.not_before {
            CertStatus::NotYet
        } else if now > self.not_after {
            CertStatus::Expired
        } else if self.days_left(now) < SOON {
            CertStatus::EndsSoon
        } else {
            CertStatus::Valid
        }
    }
}

/// Reads one pair as a listener would, and returns the status of its certificate.
pub fn inspect(files: &TlsFiles) -> Result<CertificateFacts, EdgeError> {
    facts(files, &load_pair(files)?)
}

/// Reads every pair of a configuration.
pub fn inspect_all(config: &Config) -> Result<Vec<CertificateFacts>, EdgeError> {
    config.tls_files().into_iter().map(inspect).collect()
}

fn facts(files: &TlsFiles, pair: &CertifiedKey) -> Result<CertificateFacts, EdgeError> {
    let leaf = pair.cert.first().and_then(|leaf| validity(leaf));
    let (not_before, not_after) = leaf.ok_or_else(|| EdgeError::Pem {
        path: files.certificate.clone(),
        problem: "holds a certificate that does not say from when to when it is valid".into(),
    })?;
    let mut names = certificates::names(pair);
    names.sort_unstable();
    names.dedup();
    Ok(CertificateFacts { file: files.certificate.clone(), names, not_before, not_after })
}

/// The validity in a certificate (RFC 5280 section 4.1).
fn validity(certificate: &[u8]) -> Option<(WallTime, WallTime)> {
    let (certificate, _) = value(certificate, SEQUENCE)?;
    let (body, _) = value(certificate, SEQUENCE)?;
    let body = value(body, FIRST).map_or(body, |(_, rest)| rest);
    let (_serial, body) = value(body, INTEGER)?;
    let (_algorithm, body) = value(body, SEQUENCE)?;
    let (_issuer, body) = value(body, SEQUENCE)?;
    let (validity, _) = value(body, SEQUENCE)?;
    let (not_before, validity) = moment(validity)?;
    let (not_after, _) = moment(validity)?;
    Some((not_before, not_after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> WallTime {
        WallTime::parse(text).expect("a time")
    }

    fn made(from: (i32, u8, u8), to: (i32, u8, u8)) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut parameters =
            rcgen::CertificateParams::new(vec!["example.org".into()]).expect("parameters");
        parameters.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        parameters.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
        parameters.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn a_certificate_has_names_and_a_time_in_which_it_is_valid() {
        for (from, to) in [("2026-11-25", "2027-02-23"), ("1999-12-31", "2051-01-02")] {
            let day = |text: &str| {
                let parts: Vec<i32> = text.split('-').map(|n| n.parse().expect("n")).collect();
                (parts[0], parts[1] as u8, parts[2] as u8)
            };
            let expected = (at(&format!("{from}T00:00:00Z")), at(&format!("{to}T00:00:00Z")));
            assert_eq!(validity(&made(day(from), day(to))), Some(expected));
        }
    }

    fn until(text: &str) -> CertificateFacts {
        CertificateFacts {
            file: PathBuf::new(),
            names: Vec::new(),
            not_before: at("2026-01-01T00:00:00Z"),
            not_after: at(text),
        }
    }

    #[test]
    fn days_are_counted_down_and_then_below_zero() {
        let facts = until("2026-11-25T12:00:00Z");
        for (now, days, status) in [
            ("2025-11-25T12:00:00Z", 365, CertStatus::NotYet),
            ("2026-11-11T12:00:00Z", 14, CertStatus::Valid),
            ("2026-11-11T12:00:01Z", 13, CertStatus::EndsSoon),
            ("2026-11-25T12:00:00Z", 0, CertStatus::EndsSoon),
            ("2026-11-25T12:00:01Z", -1, CertStatus::Expired),
            ("2026-11-27T12:00:00Z", -3, CertStatus::Expired),
        ] {
            assert_eq!((facts.days_left(at(now)), facts.status(at(now))), (days, status));
        }
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_is_read_without_a_panic(
            at in 0..300usize, byte: u8, length in 0..400usize,
        ) {
            let mut certificate = made((2026, 1, 1), (2027, 1, 1));
            certificate[at] = byte;
            certificate.truncate(length);
            let _ = validity(&certificate);
        }
    }
}
