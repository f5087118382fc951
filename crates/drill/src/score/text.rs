//! The score card as text of at most 100 columns.

use std::fmt;

use super::thresholds::{format_percent, format_seconds, not_recorded};
use super::{ScoreCard, ServiceLevel};
use crate::gate_facts::CrowdAssessment;

impl fmt::Display for ScoreCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = format_seconds(self.lasts_ms);
        writeln!(
            f,
            "Drill {}, seed {}: {length} without the gate, then the same {length} with it.\n",
            self.scenario, self.seed
        )?;
        self.write_people(f)?;
        self.write_load(f)?;
        self.write_cost(f)?;
        self.write_defence(f)?;
        self.write_thresholds(f)
    }
}

impl ScoreCard {
    fn write_people(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:32}{:^34}{:>24}", "", "without the gate", "with the gate")?;
        writeln!(
            f,
            "{:32}{:>16}{:>18}{:>16}{:>18}",
            "Phase", "people served", "waited, ms", "people served", "waited, ms"
        )?;
        for phase in &self.phases {
            let mark = if phase.is_attack { '!' } else { ' ' };
            let title: String = phase.title.chars().take(29).collect();
            writeln!(
                f,
                "{mark} {title:30}{:>16}{:>18}{:>16}{:>18}",
                format_served(&phase.without),
                format_waits(&phase.without),
                format_served(&phase.with),
                format_waits(&phase.with),
            )?;
        }
        writeln!(
            f,
            "{:32}{:>16}{:>18}{:>16}{:>18}",
            "  The whole run",
            format_served(&self.without.people),
            format_waits(&self.without.people),
            format_served(&self.with.people),
            format_waits(&self.with.people),
        )?;
        writeln!(
            f,
            "\n  ! an attack. Served: share of the pages (with their assets), forms and feeds requested in\n  \
             the phase that arrived completely, and their number. A visitor waits at most {} for a\n  \
             page, and {} longer on pages that announce a wait. Waited: median, 95th and 99th\n  \
             percentile of those served, challenges included.\n",
            format_seconds(self.page_timeout_ms),
            format_seconds(self.announced_wait_limit_ms),
        )
    }

    fn write_load(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            (
                "sent by visitors and attackers",
                u64::from(self.without.peak_offered_per_second),
                u64::from(self.with.peak_offered_per_second),
            ),
            (
                "reached the origin",
                self.without.peak_origin_per_second,
                self.with.peak_origin_per_second,
            ),
        ];
        writeln!(f, "{:44}{:>12}{:>12}", "Requests in the busiest second", "without", "with")?;
        for (what, without, with) in rows {
            writeln!(f, "  {what:42}{:>12}{:>12}", group_digits(without), group_digits(with))?;
        }
        let (without, with) = (&self.without, &self.with);
        writeln!(f, "{:44}{:>12}{:>12}", "Attackers, whole run", "without", "with")?;
        for (what, without, with) in [
            ("requests and slow connections sent", without.attack_attempts, with.attack_attempts),
            ("successful", without.attack_succeeded, with.attack_succeeded),
            ("tactic changes", without.tactic_changes, with.tactic_changes),
        ] {
            writeln!(
                f,
                "  {what:42}{:>12}{:>12}",
                group_digits(u64::from(without)),
                group_digits(u64::from(with))
            )?;
        }
        writeln!(f)
    }

    fn write_cost(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, crowd) = (&self.with.people, &self.with.flash_crowd);
        writeln!(f, "{:44}{:>12}{:>12}", "Cost of defence", "all visitors", "crowd")?;
        for (what, all, crowd) in [
            ("requested, with the gate", all.requested, crowd.requested),
            ("challenged, then served", all.challenged, crowd.challenged),
            ("refused", all.refused, crowd.refused),
            ("timed out", all.timed_out, crowd.timed_out),
            ("connection failed", all.connection_failed, crowd.connection_failed),
        ] {
            writeln!(
                f,
                "  {what:42}{:>12}{:>12}",
                group_digits(u64::from(all)),
                group_digits(u64::from(crowd))
            )?;
        }
        writeln!(f)
    }

    fn write_defence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |ms: Option<u32>| ms.map_or_else(not_recorded, format_seconds);
        writeln!(
            f,
            "{:26}{:>18}{:>18}{:>32}",
            "The gate's ledger", "detected after", "mitigated after", "full speed, after the end"
        )?;
        for (number, wave) in (1..).zip(&self.waves) {
            let name = format!(
                "  Wave {number}, {} s to {} s",
                wave.sent.from_ms / 1_000,
                wave.sent.to_ms / 1_000
            );
            writeln!(
                f,
                "{name:26}{:>18}{:>18}{:>32}",
                time(wave.detected_after_ms),
                time(wave.mitigated_after_ms),
                time(wave.full_speed_after_ms),
            )?;
        }
        self.write_cuts(f)?;
        let crowd = match self.crowd {
            CrowdAssessment::NoCrowd => return writeln!(f),
            CrowdAssessment::Unnoticed => "not recorded",
            CrowdAssessment::Surge => "classified as a surge, not as an attack",
            CrowdAssessment::Attack => "wrongly classified as an attack",
        };
        writeln!(f, "  Flash crowd: {crowd}\n")
    }

    /// What the gate cut, most first.
    fn write_cuts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cuts: Vec<(&String, &u64)> = self.cuts.iter().collect();
        cuts.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let parts: Vec<String> =
            cuts.iter().map(|(reason, n)| format!("{reason} {}", group_digits(**n))).collect();
        let mut line = String::from("  Connections and streams cut:");
        if parts.is_empty() {
            line += " none";
        }
        for (at, one) in parts.iter().enumerate() {
            let comma = if at + 1 < parts.len() { "," } else { "" };
            if line.len() + one.len() + comma.len() + 1 > 100 {
                writeln!(f, "{line}")?;
                line = String::from("   ");
            }
            line.push(' ');
            line += one;
            line += comma;
        }
        writeln!(f, "{line}")
    }

    fn write_thresholds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let met = self.thresholds.iter().filter(|threshold| threshold.met).count();
        writeln!(f, "Thresholds: {met} of {} met", self.thresholds.len())?;
        for threshold in &self.thresholds {
            let mark = if threshold.met { "met" } else { "MISSED" };
            writeln!(
                f,
                "  {mark:7} {:54} {:>13}  {}",
                threshold.name, threshold.required, threshold.measured
            )?;
        }
        Ok(())
    }
}

fn format_served(service: &ServiceLevel) -> String {
    service.served_share().map_or_else(
        || "no requests".to_owned(),
        |share| format!("{} of {:>4}", format_percent(share), service.requested),
    )
}

fn format_waits(service: &ServiceLevel) -> String {
    match (service.p50_ms, service.p95_ms, service.p99_ms) {
        (Some(p50), Some(p95), Some(p99)) => format!("{p50}/{p95}/{p99}"),
        _ => "-".to_owned(),
    }
}

/// A count with its thousands apart.
fn group_digits(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
