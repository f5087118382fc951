//! What a press officer needs first: a headline, three lines to quote, what is known and what is not.

use portcullis_incident::{Incident, TimeWindow, words};
use portcullis_model::WallTime;
use serde::Serialize;

use crate::{Claim, ClaimKind, Finding, LocalZone};

/// What the caller knows for the press.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PressDetails {
    /// Local time.
    pub zone: LocalZone,
    /// When the next update is due, as it is to be printed.
    pub next_update: Option<String>,
    /// Whom to ask.
    pub contact: Option<String>,
}

/// The part of a statement that can be quoted as it is. Each sentence asserts only what is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PressSummary {
    /// One line.
    pub headline: String,
    /// Three lines.
    pub quotable: Vec<String>,
    /// What the record supports.
    pub known: Vec<String>,
    /// What it does not show.
    pub not_known: Vec<String>,
    /// What is in progress, as far as it is recorded.
    pub being_done: Vec<String>,
    /// When the next update is due.
    pub next_update: String,
    /// Whom to ask.
    pub contact: String,
}

/// Makes the summary of an incident whose claims have their findings.
pub(crate) fn summarise(
    incident: &Incident,
    claims: &[Claim],
    details: &PressDetails,
) -> PressSummary {
    let finding = |kind: ClaimKind| {
        let claim = claims.iter().find(|claim| claim.kind == kind);
        claim.map_or(Finding::NotShown, |claim| claim.finding)
    };
    let press = Press { incident, zone: &details.zone };
    let attacked = finding(ClaimKind::Attack) == Finding::Supported;
    let (headline, what) = press.what(attacked);
    let quotable = vec![
        what,
        press.effect(finding(ClaimKind::StayedUp)),
        press.state(finding(ClaimKind::FullSpeed)),
    ];
    let blank = |given: &Option<String>, what: &str| {
        given.as_deref().map_or_else(|| format!("[fill in: {what}]"), words::plain)
    };
    PressSummary {
        headline: press.rehearsed(headline),
        quotable: quotable.into_iter().map(|line| press.rehearsed(line)).collect(),
        known: known(claims),
        not_known: not_known(claims),
        being_done: press.being_done(),
        next_update: blank(&details.next_update, "when the next update is due"),
        contact: blank(&details.contact, "name, telephone and mail of the press office"),
    }
}

fn known(claims: &[Claim]) -> Vec<String> {
    let listed = [
        ClaimKind::Detected,
        ClaimKind::SwiftAction,
        ClaimKind::AttemptsFailed,
        ClaimKind::LargeScale,
        ClaimKind::Platforms,
        ClaimKind::SlowedDown,
        ClaimKind::Reported,
    ];
    let supported = claims.iter().filter(|claim| {
        let figure = claim.kind == ClaimKind::LargeScale && claim.finding != Finding::NotShown;
        listed.contains(&claim.kind) && (claim.finding == Finding::Supported || figure)
    });
    supported.map(|claim| claim.sentence.clone()).filter(|s| !s.is_empty()).collect()
}

fn not_known(claims: &[Claim]) -> Vec<String> {
    let kinds = [ClaimKind::Integrity, ClaimKind::NoBreach];
    let open = claims.iter().filter(|c| kinds.contains(&c.kind) && c.finding != Finding::Supported);
    let mut lines: Vec<String> = open.map(|claim| claim.sentence.clone()).collect();
    lines.push("We do not know who was behind it, or why.".to_owned());
    lines
}

struct Press<'a> {
    incident: &'a Incident,
    zone: &'a LocalZone,
}

impl Press<'_> {
    fn rehearsed(&self, line: String) -> String {
        if self.incident.rehearsal { format!("Rehearsal, not a real attack: {line}") } else { line }
    }

    /// The headline, and what happened.
    fn what(&self, attacked: bool) -> (String, String) {
        let waves = self.incident.waves.len() as u64 + self.incident.more_waves;
        if waves == 0 {
            return self.without_waves();
        }
        let names = words::list(&self.incident.attacked());
        let began = self.zone.moment(self.incident.onset());
        let (day, time) = began.split_once(", ").unwrap_or((&began, ""));
        if !attacked {
            return (
                format!("Unusual traffic on {names} on {day}"),
                format!("There was an unusual load on {names} from {time} on {day}."),
            );
        }
        let were = if self.incident.attacked().len() == 1 { "was" } else { "were" };
        let times = match waves {
            1 => "once".to_owned(),
            2 => "twice".to_owned(),
            n => format!("{} times", words::count(n)),
        };
        let ongoing = if self.incident.ongoing() { ", and the attack is ongoing" } else { "" };
        (
            format!("{} {were} attacked {times}{ongoing}", words::sentence(&names)),
            format!(
                "{} {were} attacked {times}; the first attack began on {day} at {time}.",
                words::sentence(&names)
            ),
        )
    }

    fn without_waves(&self) -> (String, String) {
        let longest =
            self.incident.outages.iter().max_by_key(|o| o.lasted_ms(self.incident.as_of.at));
        match longest {
            Some(outage) => {
                let platform = &outage.platform;
                let began = self.zone.moment(outage.onset);
                let (day, time) = began.split_once(", ").unwrap_or((&began, ""));
                let lasted = words::duration(outage.lasted_ms(self.incident.as_of.at));
                (
                    format!("{} was down for {lasted}", words::sentence(platform)),
                    format!(
                        "{} was down for {lasted} from {time} on {day}.",
                        words::sentence(platform)
                    ),
                )
            }
            None => (
                "Our gate was flooded".to_owned(),
                "Our gate was flooded with requests and connections that belong to none of our \
                 platforms."
                    .to_owned(),
            ),
        }
    }

    /// What visitors noticed.
    fn effect(&self, stayed_up: Finding) -> String {
        let outages = self.incident.outages.count();
        if outages > 0 {
            let as_of = self.incident.as_of.at;
            let lasted: u64 = self.incident.outages.iter().map(|o| o.lasted_ms(as_of)).sum();
            return match outages {
                1 => "There was one outage.".to_owned(),
                n => format!(
                    "There were {} outages, which lasted {} in total.",
                    words::count(n),
                    words::duration(lasted)
                ),
            };
        }
        let share = self.incident.attack().served_share();
        match (stayed_up, share) {
            (Finding::Supported, Some(10_000)) => {
                "Every request that we passed on to our server was answered.".to_owned()
            }
            (_, Some(share)) => format!(
                "During the attack {} of the requests that we passed on to our server were answered.",
                words::share(share)
            ),
            (_, None) => "How many requests were answered is not on record.".to_owned(),
        }
    }

    /// How it is now.
    fn state(&self, full_speed: Finding) -> String {
        let incident = self.incident;
        if incident.ongoing() {
            return "The attack is ongoing.".to_owned();
        }
        let since = incident
            .platforms
            .iter()
            .filter_map(|p| incident.back_at_full_speed(&p.name))
            .map(|back| back.since)
            .max();
        if let (Finding::Supported, Some(since)) = (full_speed, since) {
            let since = self.zone.moment(since);
            let (day, time) = since.split_once(", ").unwrap_or((&since, ""));
            return format!("Our platforms have been back at full speed since {time} on {day}.");
        }
        let ended: Option<WallTime> =
            incident.outages.iter().map(|o| o.ended.map(|e| e.at)).min().flatten();
        match (incident.waves.is_empty(), ended) {
            (true, Some(_)) => "The outage is over.".to_owned(),
            (true, None) if incident.outages.count() > 0 => "The outage is continuing.".to_owned(),
            (true, None) => "No attack on one of our platforms was recorded.".to_owned(),
            (false, _) => "The attack has ended.".to_owned(),
        }
    }

    /// What is engaged where the record ends, and who was notified.
    fn being_done(&self) -> Vec<String> {
        let live: u64 = self.incident.platforms.iter().map(|p| p.still_active).sum();
        let mut lines = Vec::new();
        if live > 0 {
            let engaged = words::counted(live, "procedure");
            lines.push(format!("{engaged} {} engaged.", if live == 1 { "is" } else { "are" }));
        } else if self.incident.procedures.count() > 0 {
            let stretches = self.incident.procedures_engaged();
            let last = stretches.iter().copied().reduce(TimeWindow::with);
            lines.extend(last.map(|w| {
                format!(
                    "No procedure is engaged any more; the last ended on {}.",
                    self.zone.moment(w.to)
                )
            }));
        }
        for notification in self.incident.notifications.iter().take(8) {
            let receipt = &notification.receipt;
            lines.push(words::plain(&format!(
                "{} was informed by {} on {} (reference {}).",
                words::sentence(&receipt.recipient),
                receipt.channel,
                self.zone.moment(receipt.notified_at),
                receipt.reference
            )));
        }
        if lines.is_empty() {
            lines.push("Nothing that is being done is on record.".to_owned());
        }
        lines
    }
}
