//! A vector's result as text.

use std::collections::BTreeMap;
use std::fmt;

use super::result::VectorResult;

impl fmt::Display for VectorResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}): {}", self.vector, self.known_as, self.about)?;
        let attempted = &self.attempted;
        let kinds = [
            (attempted.connections, "connections"),
            (attempted.requests, "requests"),
            (attempted.frames, "frames"),
            (attempted.datagrams, "datagrams"),
            (attempted.bytes, "bytes"),
        ];
        let kinds = kinds.iter().filter(|(n, _)| *n > 0);
        let attempted: Vec<_> = kinds.map(|(n, kind)| format!("{n} {kind}")).collect();
        write_row(f, "sent", &format!("{} in {} s", join_or_nothing(&attempted), self.seconds))?;
        write_row(f, "connections", &format_counts(&self.outcome.ends))?;
        if !self.outcome.responses.is_empty() {
            write_row(f, "responses", &format_counts(&self.outcome.responses))?;
        }
        if !self.outcome.resets.is_empty() {
            write_row(f, "streams reset", &format_counts(&self.outcome.resets))?;
        }
        let longest = self.outcome.longest_ms as f64 / 1000.0;
        let allowed = match self.max_hold_ms {
            Some(allowed) => format!(", {} s are allowed", allowed as f64 / 1000.0),
            None => String::new(),
        };
        write_row(f, "longest hold", &format!("{longest:.1} s{allowed}"))?;
        if let Some(allowed) = self.max_requests {
            let most = self.outcome.most_requests;
            write_row(f, "most requests", &format!("{most} requests, {allowed} are allowed"))?;
        }
        let people = &self.visitors;
        let failed = match people.failed.is_empty() {
            true => String::new(),
            false => format!("; not served: {}", format_counts(&people.failed)),
        };
        write_row(
            f,
            "legitimate visitors",
            &format!(
                "{} of {} pages, waiting {} ms (half of them) to {} ms (99 in 100){failed}",
                people.served, people.requested, people.median_ms, people.p99_ms
            ),
        )?;
        if let Some(gate) = &self.gate {
            write_row(f, "gate: reasons", &format_counts(&gate.reasons))?;
            write_row(f, "gate: cuts", &format_counts(&gate.cuts))?;
            if !gate.counters.is_empty() {
                write_row(f, "gate: counters", &format_counts(&gate.counters))?;
            }
        }
        write_row(f, "verdict", &self.verdict)
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, head: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {head:<19} {text}")
}

fn join_or_nothing(parts: &[String]) -> String {
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

fn format_counts(counts: &BTreeMap<String, u64>) -> String {
    let parts: Vec<_> = counts.iter().map(|(word, n)| format!("{n} {word}")).collect();
    join_or_nothing(&parts)
}
