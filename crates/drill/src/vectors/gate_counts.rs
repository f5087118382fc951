//! The gate's counters, from the metrics page of its admin listener.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde::Serialize;

use crate::run::DrillError;
use crate::target::LoopbackTarget;

const ADMIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Some hundred activities with twenty lines each are well below this.
const PAGE_MAX: u64 = 8 * 1024 * 1024;

/// Counters of a gate, summed over its activities; after [`since`](Self::since), those that grew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GateCounts {
    /// Verdicts by their reason.
    pub reasons: BTreeMap<String, u64>,
    /// Connections and streams cut by the gate, by reason.
    pub cuts: BTreeMap<String, u64>,
    /// Forwarded requests by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Every other counter that has no label.
    pub counters: BTreeMap<String, u64>,
}

impl GateCounts {
    /// Reads `/metrics`.
    pub fn read(admin: LoopbackTarget) -> Result<Self, DrillError> {
        let failed = |why: String| DrillError::AdminListener { admin, why };
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect_timeout(&admin.address(), ADMIN_TIMEOUT)?;
            stream.set_read_timeout(Some(ADMIN_TIMEOUT))?;
            stream.set_write_timeout(Some(ADMIN_TIMEOUT))?;
            stream.write_all(
                b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            )?;
            let mut response = String::new();
            stream.take(PAGE_MAX).read_to_string(&mut response)?;
            Ok(response)
        };
        let response = ask().map_err(|error| failed(error.to_string()))?;
        let page = response
            .strip_prefix("HTTP/1.1 200 ")
            .and_then(|rest| rest.split_once("\r\n\r\n"))
            .map(|(_, page)| page)
            .ok_or_else(|| failed("it did not answer 200".to_owned()))?;
        Ok(Self::parse(page))
    }

    /// Parses a page of metrics. Unknown lines are skipped.
    pub fn parse(page: &str) -> Self {
        let mut counts = Self::default();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<u64>() else { continue };
            let Some(series) = series.strip_prefix("portcullis_") else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let (of, label) = match name {
                "requests_total" | "unassigned_total" => (&mut counts.reasons, "reason=\""),
                "cuts_total" => (&mut counts.cuts, "reason=\""),
                "origin_requests_total" => (&mut counts.outcomes, "outcome=\""),
                _ if labels.is_empty() && name.ends_with("_total") => {
                    *counts.counters.entry(name.to_owned()).or_default() += value;
                    continue;
                }
                _ => continue,
            };
            let word = labels.rsplit_once(label).and_then(|(_, rest)| rest.split_once('"'));
            if let Some((word, _)) = word {
                *of.entry(word.to_owned()).or_default() += value;
            }
        }
        counts
    }

    /// What has grown since `before`, and by how much.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let grown = |now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>| {
            let grown = now.iter().map(|(word, n)| {
                (word.clone(), n.saturating_sub(then.get(word).copied().unwrap_or(0)))
            });
            grown.filter(|(_, n)| *n > 0).collect()
        };
        Self {
            reasons: grown(&self.reasons, &before.reasons),
            cuts: grown(&self.cuts, &before.cuts),
            outcomes: grown(&self.outcomes, &before.outcomes),
            counters: grown(&self.counters, &before.counters),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_summed_over_all_activities() {
        let page = |allowed: u64, idle: u64| {
            format!(
                "# TYPE portcullis_requests_total counter\n\
                 portcullis_requests_total{{platform=\"a\",activity=\"b\",reason=\"allowed\"}} {allowed}\n\
                 portcullis_requests_total{{platform=\"a\",activity=\"c\",reason=\"allowed\"}} 2\n\
                 portcullis_unassigned_total{{reason=\"malformed\"}} {idle}\n\
                 portcullis_cuts_total{{reason=\"idle\"}} {idle}\n\
                 portcullis_origin_requests_total{{platform=\"a\",activity=\"b\",outcome=\"served\"}} {allowed}\n\
                 portcullis_connections 17\nportcullis_panics_total 0\nnonsense\n"
            )
        };
        let (before, after) = (GateCounts::parse(&page(1, 0)), GateCounts::parse(&page(4, 9)));
        let grown = after.since(&before);
        assert_eq!(after.reasons["allowed"], 6);
        assert_eq!(grown.reasons["allowed"], 3);
        assert_eq!(grown.reasons["malformed"], 9);
        assert_eq!(grown.cuts["idle"], 9);
        assert_eq!(grown.outcomes["served"], 3);
        assert!(grown.counters.is_empty());
    }
}
