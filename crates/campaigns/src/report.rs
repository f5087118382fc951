//! All campaigns together, as a table.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::family::{CampaignFamily, Demand};
use crate::outcome::CampaignOutcome;

/// The sums over one family.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FamilySummary {
    /// Campaigns.
    pub campaigns: u64,
    /// Campaigns of which something is demanded.
    pub demanded: u64,
    /// Of these, those that keep the rule.
    pub kept: u64,
    /// Recorded as an attack.
    pub found: u64,
    /// Recorded as a surge alone.
    pub surge_only: u64,
    /// The middle delay until found, in milliseconds.
    pub median_delay_ms: u64,
    /// Nine tenths were found in this time, in milliseconds.
    pub late_delay_ms: u64,
    /// The middle number of attack requests until found.
    pub median_requests: u64,
    /// Attacks recorded for one, on average, in thousandths.
    pub events_milli: u64,
    /// Attacks recorded without one.
    pub false_attacks: u64,
    /// Requests of people kept from the site, in a million.
    pub hurt_per_million: u64,
    /// Requests of legitimate programs kept from the site, in a million.
    pub programs_hurt_per_million: u64,
    /// Requests of the attack that reached the origin, in thousandths.
    pub through_milli: u64,
    /// The middle time until the gate lets go, in milliseconds.
    pub median_let_go_ms: u64,
    /// Attacks whose total is off by more than two in a hundred, in thousandths.
    pub totals_off_milli: u64,
    /// The same for the peak.
    pub peaks_off_milli: u64,
}

/// All campaigns together.
#[derive(Debug, Clone, Serialize)]
pub struct CampaignReport {
    /// Every campaign.
    pub outcomes: Vec<CampaignOutcome>,
}

/// Time and false records over a set of campaigns.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct CalmSummary {
    /// Weeks of one site without event or attack.
    pub calm_weeks: f64,
    /// Weeks of one site with innocent events.
    pub event_weeks: f64,
    /// Attacks recorded in calm time.
    pub calm_attacks: u64,
    /// Attacks recorded in innocent events.
    pub event_attacks: u64,
    /// Surges recorded in calm time.
    pub calm_surges: u64,
}

fn middle(mut all: Vec<u64>, share: f64) -> u64 {
    all.sort_unstable();
    let at = ((all.len() as f64 - 1.0).max(0.0) * share).round() as usize;
    all.get(at).copied().unwrap_or(0)
}

fn part(of: u64, all: u64, scale: u64) -> u64 {
    (of * scale).checked_div(all).unwrap_or(0)
}

impl FamilySummary {
    fn of(outcomes: &[&CampaignOutcome]) -> Self {
        let count = |wanted: &dyn Fn(&CampaignOutcome) -> bool| {
            outcomes.iter().filter(|outcome| wanted(outcome)).count() as u64
        };
        let sum = |of: &dyn Fn(&CampaignOutcome) -> u64| {
            outcomes.iter().map(|outcome| of(outcome)).sum::<u64>()
        };
        let all = |of: &dyn Fn(&CampaignOutcome) -> Option<u64>| -> Vec<u64> {
            outcomes.iter().filter_map(|outcome| of(outcome)).collect()
        };
        let found = count(&|o| o.found.is_some());
        let figures = count(&|o| o.figures.is_some());
        let off = |wanted: &dyn Fn(&CampaignOutcome) -> Option<u64>| {
            part(all(wanted).iter().filter(|off| **off > 20).count() as u64, figures, 1_000)
        };
        let delays = || all(&|o| o.found.map(|found| found.after_ms));
        Self {
            campaigns: outcomes.len() as u64,
            demanded: count(&|o| o.kept.is_some()),
            kept: count(&|o| o.kept == Some(true)),
            found,
            surge_only: count(&|o| o.found.is_none() && o.surge.is_some()),
            median_delay_ms: middle(delays(), 0.5),
            late_delay_ms: middle(delays(), 0.9),
            median_requests: middle(all(&|o| o.found.map(|found| found.requests)), 0.5),
            events_milli: part(sum(&|o| u64::from(o.events)), found, 1_000),
            false_attacks: sum(&|o| o.false_attacks.len() as u64),
            hurt_per_million: part(sum(&|o| o.people_hurt), sum(&|o| o.people), 1_000_000),
            programs_hurt_per_million: part(
                sum(&|o| o.programs_hurt),
                sum(&|o| o.programs),
                1_000_000,
            ),
            through_milli: part(sum(&|o| o.attack_through), sum(&|o| o.attack), 1_000),
            median_let_go_ms: middle(all(&|o| o.found.and(o.let_go_ms)), 0.5),
            totals_off_milli: off(&|o| o.figures.map(|figures| figures.offered)),
            peaks_off_milli: off(&|o| o.figures.map(|figures| figures.peak)),
        }
    }
}

impl CampaignReport {
    /// The sums by family, over the seeds that `wanted` accepts.
    pub fn families(
        &self,
        wanted: impl Fn(u64) -> bool,
    ) -> BTreeMap<CampaignFamily, FamilySummary> {
        let mut by_family: BTreeMap<CampaignFamily, Vec<&CampaignOutcome>> = BTreeMap::new();
        for outcome in self.outcomes.iter().filter(|outcome| wanted(outcome.seed)) {
            by_family.entry(outcome.family).or_default().push(outcome);
        }
        by_family.iter().map(|(family, all)| (*family, FamilySummary::of(all))).collect()
    }

    /// Time without an attack, over the seeds that `wanted` accepts.
    pub fn calm(&self, wanted: impl Fn(u64) -> bool) -> CalmSummary {
        const WEEK: f64 = 7.0 * 86_400.0;
        let mut calm = CalmSummary::default();
        for outcome in self.outcomes.iter().filter(|outcome| wanted(outcome.seed)) {
            calm.calm_weeks += outcome.calm_seconds as f64 / WEEK;
            calm.event_weeks += outcome.event_seconds as f64 / WEEK;
            calm.calm_surges += u64::from(outcome.calm_surges);
            let event = !outcome.family.is_attack() && outcome.family != CampaignFamily::Calm;
            for false_attack in &outcome.false_attacks {
                if event && false_attack.during_event {
                    calm.event_attacks += 1;
                } else {
                    calm.calm_attacks += 1;
                }
            }
        }
        calm
    }

    /// The tables in Markdown: all, seeds to look at, seeds held out.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "## Seeds to look at (even)\n");
        self.half(&mut text, |seed| seed % 2 == 0);
        let _ = writeln!(text, "## Seeds held out (odd)\n");
        self.half(&mut text, |seed| seed % 2 == 1);
        text
    }

    fn half(&self, text: &mut String, wanted: impl Fn(u64) -> bool + Copy) {
        let families = self.families(wanted);
        self.rules(text, &families, wanted);
        let _ = writeln!(
            text,
            "| attack | campaigns | rule kept | found | surge only | delay, median | delay, 90% | \
             requests, median | events per attack | people hurt | programs hurt | attack through | \
             let go | totals off | peaks off |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
        );
        for (family, sum) in families.iter().filter(|(family, _)| family.is_attack()) {
            attack_line(text, *family, sum);
        }
        let _ = writeln!(
            text,
            "\n| innocent | campaigns | without a false attack | false attacks | people hurt | \
             programs hurt |\n|---|--:|--:|--:|--:|--:|"
        );
        for (family, sum) in families.iter().filter(|(family, _)| !family.is_attack()) {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                family.as_str(),
                sum.campaigns,
                per_cent(sum.kept, sum.demanded),
                sum.false_attacks,
                millionths(sum.hurt_per_million),
                millionths(sum.programs_hurt_per_million),
            );
        }
        let _ = writeln!(text);
    }

    /// What is demanded of the whole, and whether it is kept.
    fn rules(
        &self,
        text: &mut String,
        families: &BTreeMap<CampaignFamily, FamilySummary>,
        wanted: impl Fn(u64) -> bool,
    ) {
        let _ = writeln!(text, "| demanded | measured | kept |\n|---|--:|---|");
        for (rule, what) in [
            (Demand::Flood, "floods of three times the load found within 5 s or 100 requests"),
            (Demand::Ramp, "ramps found before they are four times the load"),
            (
                Demand::Slow,
                "slow attacks of twice an activity's load found within 5 minutes or 100 requests",
            ),
            (Demand::Innocent, "innocent campaigns without a recorded attack"),
        ] {
            let of = || families.iter().filter(|(family, _)| family.rule() == rule);
            let demanded: u64 = of().map(|(_, sum)| sum.demanded).sum();
            let kept: u64 = of().map(|(_, sum)| sum.kept).sum();
            line(text, what, &format!("{kept} of {demanded}"), kept == demanded);
        }
        let calm = self.calm(wanted);
        let per_week = |count: u64, weeks: f64| count as f64 / weeks.max(1e-9);
        let false_rate = per_week(calm.calm_attacks, calm.calm_weeks);
        line(
            text,
            "at most one false attack per site and week of ordinary time",
            &format!("{false_rate:.2} ({} in {:.1} weeks)", calm.calm_attacks, calm.calm_weeks),
            false_rate <= 1.0,
        );
        let all =
            per_week(calm.calm_attacks + calm.event_attacks, calm.calm_weeks + calm.event_weeks);
        line(
            text,
            "the same, with the time of innocent events",
            &format!("{all:.2} ({:.1} weeks of events)", calm.event_weeks),
            all <= 1.0,
        );
        let surges = per_week(calm.calm_surges, calm.calm_weeks);
        line(
            text,
            "at most one surge per site and week of ordinary time",
            &format!("{surges:.2}"),
            surges <= 1.0,
        );
        let attacks = || families.iter().filter(|(family, _)| family.is_attack());
        let found: u64 = attacks().map(|(_, sum)| sum.found).sum();
        let events: u64 = attacks().map(|(_, sum)| sum.events_milli * sum.found).sum();
        let ratio = events as f64 / found.max(1) as f64 / 1_000.0;
        line(text, "one event per attack", &format!("{ratio:.2}"), ratio <= 1.05);
    }
}

fn line(text: &mut String, what: &str, measured: &str, kept: bool) {
    let _ = writeln!(text, "| {what} | {measured} | {} |", if kept { "yes" } else { "**no**" });
}

fn per_cent(part: u64, all: u64) -> String {
    if all == 0 { "–".into() } else { format!("{:.0}%", part as f64 * 100.0 / all as f64) }
}

fn millionths(n: u64) -> String {
    format!("{:.2}%", n as f64 / 10_000.0)
}

fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1_000.0)
}

fn attack_line(text: &mut String, family: CampaignFamily, sum: &FamilySummary) {
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {} | {} | {} | {} | {:.2} | {} | {} | {:.0}% | {} | {:.0}% | {:.0}% |",
        family.as_str(),
        sum.campaigns,
        per_cent(sum.kept, sum.demanded),
        per_cent(sum.found, sum.campaigns),
        per_cent(sum.surge_only, sum.campaigns),
        seconds(sum.median_delay_ms),
        seconds(sum.late_delay_ms),
        sum.median_requests,
        sum.events_milli as f64 / 1_000.0,
        millionths(sum.hurt_per_million),
        millionths(sum.programs_hurt_per_million),
        sum.through_milli as f64 / 10.0,
        seconds(sum.median_let_go_ms),
        sum.totals_off_milli as f64 / 10.0,
        sum.peaks_off_milli as f64 / 10.0,
    );
}
