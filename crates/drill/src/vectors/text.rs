//! A rehearsal's result for people.

use std::collections::BTreeMap;
use std::fmt;

use super::result::Rehearsed;

impl fmt::Display for Rehearsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}): {}", self.vector, self.known_as, self.about)?;
        let tried = &self.tried;
        let kinds = [
            (tried.connections, "connections"),
            (tried.requests, "requests"),
            (tried.frames, "frames"),
            (tried.datagrams, "datagrams"),
            (tried.bytes, "bytes"),
        ];
        let kinds = kinds.iter().filter(|(n, _)| *n > 0);
        let tried: Vec<_> = kinds.map(|(n, kind)| format!("{n} {kind}")).collect();
        row(f, "tried", &format!("{} in {} s", or_nothing(&tried), self.seconds))?;
        row(f, "connections", &list(&self.fate.ends))?;
        if !self.fate.answers.is_empty() {
            row(f, "answers", &list(&self.fate.answers))?;
        }
        if !self.fate.resets.is_empty() {
            row(f, "streams reset", &list(&self.fate.resets))?;
        }
        let longest = self.fate.longest_ms as f64 / 1000.0;
        let allowed = match self.held_at_most_ms {
            Some(allowed) => format!(", {} s are allowed", allowed as f64 / 1000.0),
            None => String::new(),
        };
        row(f, "held longest", &format!("{longest:.1} s{allowed}"))?;
        if let Some(allowed) = self.asked_at_most {
            let most = self.fate.most_asked;
            row(f, "asked most", &format!("{most} requests, {allowed} are allowed"))?;
        }
        let people = &self.visitors;
        let failed = match people.failed.is_empty() {
            true => String::new(),
            false => format!("; not served: {}", list(&people.failed)),
        };
        row(
            f,
            "honest visitors",
            &format!(
                "{} of {} pages, waiting {} ms (half of them) to {} ms (99 in 100){failed}",
                people.served, people.asked, people.median_ms, people.p99_ms
            ),
        )?;
        if let Some(gate) = &self.gate {
            row(f, "gate: reasons", &list(&gate.reasons))?;
            row(f, "gate: cuts", &list(&gate.cuts))?;
            if !gate.counters.is_empty() {
                row(f, "gate: counters", &list(&gate.counters))?;
            }
        }
        row(f, "verdict", &self.verdict)
    }
}

fn row(f: &mut fmt::Formatter<'_>, head: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {head:<16} {text}")
}

fn or_nothing(parts: &[String]) -> String {
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    let parts: Vec<_> = counts.iter().map(|(word, n)| format!("{n} {word}")).collect();
    or_nothing(&parts)
}
