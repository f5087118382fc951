//! The score card as text of at most 100 columns.

use std::fmt;

use super::floors::{not_recorded, percent, seconds};
use super::{ScoreCard, Service};
use crate::facts::CrowdJudgement;

impl fmt::Display for ScoreCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = seconds(self.lasts_ms);
        writeln!(
            f,
            "Drill {}, seed {}: {length} without the gate, then the same {length} with it.\n",
            self.scenario, self.seed
        )?;
        self.people(f)?;
        self.load(f)?;
        self.cost(f)?;
        self.defence(f)?;
        self.floor_list(f)
    }
}

impl ScoreCard {
    fn people(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
                served(&phase.without),
                waits(&phase.without),
                served(&phase.with),
                waits(&phase.with),
            )?;
        }
        writeln!(
            f,
            "{:32}{:>16}{:>18}{:>16}{:>18}",
            "  The whole run",
            served(&self.without.people),
            waits(&self.without.people),
            served(&self.with.people),
            waits(&self.with.people),
        )?;
        writeln!(
            f,
            "\n  ! an attack. Served: share of the pages (with their assets), forms and feeds asked for in\n  \
             the phase that arrived whole, and their number. Nobody waits longer than {} in silence,\n  \
             or {} on pages that say they continue. Waited: median, 95th and 99th percentile of\n  \
             those served, challenges included.\n",
            seconds(self.patience_ms),
            seconds(self.announced_patience_ms),
        )
    }

    fn load(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            (
                "offered by everybody",
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
            writeln!(f, "  {what:42}{:>12}{:>12}", grouped(without), grouped(with))?;
        }
        let (without, with) = (&self.without, &self.with);
        writeln!(f, "{:44}{:>12}{:>12}", "Attackers, whole run", "without", "with")?;
        for (what, without, with) in [
            ("requests and slow connections tried", without.attack_attempts, with.attack_attempts),
            ("of those, reached what they wanted", without.attack_succeeded, with.attack_succeeded),
            ("times that tactics were changed", without.tactic_changes, with.tactic_changes),
        ] {
            writeln!(
                f,
                "  {what:42}{:>12}{:>12}",
                grouped(u64::from(without)),
                grouped(u64::from(with))
            )?;
        }
        writeln!(f)
    }

    fn cost(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, crowd) = (&self.with.people, &self.with.flash_crowd);
        writeln!(f, "{:44}{:>12}{:>12}", "What the defence cost people", "everybody", "crowd")?;
        for (what, all, crowd) in [
            ("asked, with the gate", all.asked, crowd.asked),
            ("challenged, then served", all.challenged, crowd.challenged),
            ("refused", all.refused, crowd.refused),
            ("timed out", all.timed_out, crowd.timed_out),
            ("connection failed", all.connection_failed, crowd.connection_failed),
        ] {
            writeln!(
                f,
                "  {what:42}{:>12}{:>12}",
                grouped(u64::from(all)),
                grouped(u64::from(crowd))
            )?;
        }
        writeln!(f)
    }

    fn defence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |ms: Option<u32>| ms.map_or_else(not_recorded, seconds);
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
        self.cut(f)?;
        let crowd = match self.crowd {
            CrowdJudgement::NotRehearsed => return writeln!(f),
            CrowdJudgement::Unremarked => "nothing was recorded about it",
            CrowdJudgement::Surge => "noticed as a surge, not called an attack",
            CrowdJudgement::Attack => "called an attack, wrongly",
        };
        writeln!(f, "  Flash crowd: {crowd}\n")
    }

    /// What the gate cut, most first.
    fn cut(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cuts: Vec<(&String, &u64)> = self.cuts.iter().collect();
        cuts.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let said: Vec<String> =
            cuts.iter().map(|(cause, n)| format!("{cause} {}", grouped(**n))).collect();
        let mut line = String::from("  Cut after it had been let in:");
        if said.is_empty() {
            line += " nothing";
        }
        for (at, one) in said.iter().enumerate() {
            let comma = if at + 1 < said.len() { "," } else { "" };
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

    fn floor_list(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let met = self.floors.iter().filter(|floor| floor.met).count();
        writeln!(f, "Floors: {met} of {} met", self.floors.len())?;
        for floor in &self.floors {
            let mark = if floor.met { "met" } else { "MISSED" };
            writeln!(f, "  {mark:7} {:54} {:>13}  {}", floor.what, floor.floor, floor.measured)?;
        }
        Ok(())
    }
}

fn served(service: &Service) -> String {
    service.served_share().map_or_else(
        || "nobody asked".to_owned(),
        |share| format!("{} of {:>4}", percent(share), service.asked),
    )
}

fn waits(service: &Service) -> String {
    match (service.p50_ms, service.p95_ms, service.p99_ms) {
        (Some(p50), Some(p95), Some(p99)) => format!("{p50}/{p95}/{p99}"),
        _ => "-".to_owned(),
    }
}

/// A count with its thousands apart.
fn grouped(count: u64) -> String {
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
