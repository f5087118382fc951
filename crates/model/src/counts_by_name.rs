//! Counts as they are written down: by name, without the zeros, so that a list that grows or changes
//! its order keeps its meaning.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::meter::{ActivityCounts, Cuts, LatencyHistogram, UnassignedCounts};
use crate::{ConnReason, Cut, Outcome, Reason};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedCounts {
    reasons: BTreeMap<String, u64>,
    conn_reasons: BTreeMap<String, u64>,
    cuts: BTreeMap<String, u64>,
}

impl Serialize for UnassignedCounts {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        let reasons = Reason::ALL.iter().map(|r| (r.as_str(), self.reason(*r)));
        let conns = ConnReason::ALL.iter().map(|r| (r.as_str(), self.conn_reason(*r)));
        let cuts = Cut::ALL.iter().map(|cut| (cut.as_str(), self.cuts.of(*cut)));
        let named = NamedCounts {
            reasons: nonzero(reasons),
            conn_reasons: nonzero(conns),
            cuts: nonzero(cuts),
        };
        named.serialize(output)
    }
}

impl<'de> Deserialize<'de> for UnassignedCounts {
    /// Names that this version does not know are left out.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let named = NamedCounts::deserialize(input)?;
        let get = |map: &BTreeMap<String, u64>, name: &str| map.get(name).copied().unwrap_or(0);
        let mut counts = Self::default();
        for reason in Reason::ALL {
            counts.reasons[*reason as usize] = get(&named.reasons, reason.as_str());
        }
        for reason in ConnReason::ALL {
            counts.conn_reasons[*reason as usize] = get(&named.conn_reasons, reason.as_str());
        }
        counts.cuts = Cuts::by(|cut| get(&named.cuts, cut.as_str()));
        Ok(counts)
    }
}

/// An activity's counts. Latencies are by bucket, the same in every version.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedActivityCounts {
    reasons: BTreeMap<String, u64>,
    outcomes: BTreeMap<String, u64>,
    latency: BTreeMap<usize, u64>,
    latency_micros: u64,
    origin_micros: u64,
    bytes_in: u64,
    bytes_out: u64,
    cuts: BTreeMap<String, u64>,
}

impl Serialize for ActivityCounts {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        let buckets = self.latency.0.iter().copied().enumerate();
        let named = NamedActivityCounts {
            reasons: nonzero(self.by_name()),
            outcomes: nonzero(Outcome::ALL.iter().map(|o| (o.as_str(), self.outcome(*o)))),
            latency: buckets.filter(|(_, n)| *n > 0).collect(),
            latency_micros: self.latency_micros,
            origin_micros: self.origin_micros,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            cuts: nonzero(Cut::ALL.iter().map(|cut| (cut.as_str(), self.cuts.of(*cut)))),
        };
        named.serialize(output)
    }
}

impl<'de> Deserialize<'de> for ActivityCounts {
    /// Names that this version does not know are left out.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let named = NamedActivityCounts::deserialize(input)?;
        let get = |map: &BTreeMap<String, u64>, name: &str| map.get(name).copied().unwrap_or(0);
        let mut counts = Self {
            latency: LatencyHistogram::default(),
            latency_micros: named.latency_micros,
            origin_micros: named.origin_micros,
            bytes_in: named.bytes_in,
            bytes_out: named.bytes_out,
            cuts: Cuts::by(|cut| get(&named.cuts, cut.as_str())),
            ..Self::default()
        };
        for (bucket, n) in counts.latency.0.iter_mut().enumerate() {
            *n = named.latency.get(&bucket).copied().unwrap_or(0);
        }
        for reason in Reason::ALL {
            counts.reasons[*reason as usize] = get(&named.reasons, reason.as_str());
        }
        for outcome in Outcome::ALL {
            counts.outcomes[*outcome as usize] = get(&named.outcomes, outcome.as_str());
        }
        Ok(counts)
    }
}

fn nonzero<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> BTreeMap<String, u64> {
    counts.filter(|(_, n)| *n > 0).map(|(name, n)| (name.to_owned(), n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_an_activity_read_back() {
        let mut counts = ActivityCounts { latency_micros: 5, bytes_out: 9, ..Default::default() };
        counts.reasons[Reason::Allowed as usize] = 7;
        counts.outcomes[Outcome::Served as usize] = 6;
        counts.latency.0[11] = 4;
        let json = serde_json::to_string(&counts).unwrap();
        assert!(json.contains("\"allowed\":7") && json.contains("\"11\":4"), "{json}");
        assert_eq!(serde_json::from_str::<ActivityCounts>(&json).unwrap(), counts);
    }

    #[test]
    fn counts_read_back_and_names_of_another_version_are_left_out() {
        let mut counts = UnassignedCounts::default();
        counts.reasons[Reason::Malformed as usize] = 7;
        counts.conn_reasons[ConnReason::ProxyHeader as usize] = 3;
        counts.cuts = Cuts::by(|cut| u64::from(cut == Cut::SlowRead) * 2);
        let json = serde_json::to_string(&counts).unwrap();
        assert!(json.contains("\"malformed\":7"), "{json}");
        assert_eq!(serde_json::from_str::<UnassignedCounts>(&json).unwrap(), counts);
        let newer = json.replace("\"malformed\":7", "\"malformed\":7,\"teapot\":1");
        assert_eq!(serde_json::from_str::<UnassignedCounts>(&newer).unwrap(), counts);
    }
}
