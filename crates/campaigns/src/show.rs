//! The timeline of one campaign, for a person who wants to know why.

use core::fmt::Write as _;

use portcullis_model::Evidence;

use crate::outcome::CampaignOutcome;
use crate::played::Played;
use crate::request::{PARTIES, Party};
use crate::site::short;
use crate::truth::{RecordedEvent, SecondRow};

/// The timeline with what the campaign was and what was demanded of it.
pub(crate) fn timeline(outcome: &CampaignOutcome, played: &Played<'_>) -> String {
    let mut text = String::new();
    head(&mut text, outcome, played);
    let line = "      time   load: people robots event attack | expected forwarded | judgement";
    let _ = writeln!(text, "\n{line}\n{}", "-".repeat(line.len() + 20));
    rows(&mut text, played);
    text
}

fn head(text: &mut String, outcome: &CampaignOutcome, played: &Played<'_>) {
    let scenario = &played.scenario;
    let _ = writeln!(text, "campaign {}: {}", scenario.seed, scenario.family.as_str());
    let _ = writeln!(text, "{}", outcome.site);
    let means = played.world.site.means;
    let _ = writeln!(
        text,
        "per visit: {:.1} requests, {:.1} of them pages, forms and data; returning {:.0}%",
        means.all,
        means.direct,
        played.world.site.returning_share * 100.0
    );
    let _ = writeln!(
        text,
        "the gate begins {} ({} s of ordinary time before the observation{})",
        scenario.start,
        scenario.observed_from / 1_000,
        if scenario.cold { ", cold" } else { "" }
    );
    let _ = writeln!(
        text,
        "from {} to {} s of the observation: {} times the usual",
        relative(scenario.from, played),
        relative(scenario.to, played),
        short(outcome.multiple)
    );
    if let Some(plan) = &scenario.attack {
        let _ = writeln!(text, "attack: {plan:?}");
    }
    let _ = writeln!(text, "result: {}", serde_json::to_string(outcome).unwrap_or_default());
    let fates = &played.world.truth.fates;
    let _ = writeln!(text, "people, crowd: {:?}", fates.people());
    let _ = writeln!(text, "robots, programs: {:?}", fates.programs());
    let _ = writeln!(text, "attack: {:?}", fates.attack());
}

fn relative(at: u64, played: &Played<'_>) -> i64 {
    (at.cast_signed() - played.scenario.observed_from.cast_signed()) / 1_000
}

/// How many seconds a line covers.
fn step(second: u64, played: &Played<'_>) -> u64 {
    let scenario = &played.scenario;
    let (from, to) = (scenario.from / 1_000, scenario.to / 1_000);
    let eventful = played.world.truth.judgements.iter().any(|(at, judgement)| {
        !matches!(judgement, RecordedEvent::Released(_)) && (at / 1_000).abs_diff(second) <= 3
    });
    let after = second.saturating_sub(from);
    if eventful || (second + 5 >= from && after < 20) {
        1
    } else if (second >= from && after < 120) || second.abs_diff(to) < 20 {
        5
    } else if to - from > 20_000 {
        1_800
    } else {
        30
    }
}

fn rows(text: &mut String, played: &Played<'_>) {
    let truth = &played.world.truth;
    let mut judgements = truth.judgements.iter().peekable();
    while judgements.peek().is_some_and(|(at, _)| *at < played.scenario.observed_from) {
        if let Some((at, judgement)) = judgements.next() {
            note(text, relative(*at, played), judgement, played);
        }
    }
    let (mut begin, mut last) = (None, String::new());
    for row in &truth.rows {
        while let Some((at, judgement)) = judgements.next_if(|(at, _)| *at / 1_000 < row.second) {
            note(text, relative(*at, played), judgement, played);
        }
        let from = *begin.get_or_insert(row.second - 1);
        let due = row.second - from >= step(row.second, played) || row.second.is_multiple_of(1_800);
        let evidence = row.evidence.join("\n") != last;
        if !due && !evidence {
            continue;
        }
        load(text, from, row, played);
        begin = Some(row.second);
        if evidence {
            for piece in &row.evidence {
                let _ = writeln!(text, "             evidence: {piece}");
            }
            last = row.evidence.join("\n");
        }
    }
    for (at, judgement) in judgements {
        note(text, relative(*at, played), judgement, played);
    }
}

fn load(text: &mut String, from: u64, row: &SecondRow, played: &Played<'_>) {
    let sums = played.world.truth.between(from * 1_000, row.second * 1_000);
    let seconds = (row.second - from).max(1) as f64;
    let rate = |party: Party| short(sums[party as usize] as f64 / seconds);
    let all: u64 = sums.iter().sum();
    let _ = write!(
        text,
        "{:>8} s {:>7}/s: {:>6} {:>6} {:>6} {:>7} | {:>7} {:>6} | {:?}",
        relative(row.second * 1_000, played),
        short(all as f64 / seconds),
        rate(Party::People),
        rate(Party::Robots),
        rate(Party::Event),
        rate(Party::Attack),
        short(row.expected_milli as f64 / 1_000.0),
        row.forwarded,
        row.posture,
    );
    if let Some(wave) = row.wave {
        let _ = write!(text, " wave {wave}");
    }
    if !row.over.is_empty() {
        let _ = write!(text, " over: {}", row.over.join(", "));
    }
    if !row.procedures.is_empty() {
        let _ = write!(text, " [{}]", row.procedures.join(", "));
    }
    if let Some(degradation) = &row.degradation {
        let _ = write!(text, " origin: {degradation}");
    }
    let _ = writeln!(text);
}

fn note(text: &mut String, at: i64, judgement: &RecordedEvent, played: &Played<'_>) {
    let _ = write!(text, "{at:>8} s >>> ");
    let _ = match judgement {
        RecordedEvent::AttackBegan { onset, baseline_milli, .. } => {
            let onset = onset.millis().saturating_sub(played.scenario.start.millis());
            let onset = relative(onset, played);
            writeln!(text, "ATTACK BEGAN, onset {onset} s, baseline {baseline_milli} milli/s")
        }
        RecordedEvent::AttackChanged { .. } => writeln!(text, "attack changed"),
        RecordedEvent::AttackEnded { figures } => writeln!(text, "ATTACK ENDED {figures:?}"),
        RecordedEvent::SurgeBegan { per_second, baseline_milli, activities } => writeln!(
            text,
            "SURGE BEGAN {} at {per_second}/s, baseline {baseline_milli} milli/s",
            activities.join(", ")
        ),
        RecordedEvent::SurgeEnded => writeln!(text, "surge ended"),
        RecordedEvent::Engaged(what) => writeln!(text, "engaged: {what}"),
        RecordedEvent::Released(why) => writeln!(text, "released: {why}"),
        RecordedEvent::Posture(posture) => writeln!(text, "posture {posture:?}"),
        RecordedEvent::Origin(what) => writeln!(text, "origin: {what}"),
    };
    if let RecordedEvent::AttackBegan { evidence, .. } | RecordedEvent::AttackChanged { evidence } =
        judgement
    {
        for piece in evidence {
            evidence_line(text, piece);
        }
    }
}

fn evidence_line(text: &mut String, piece: &Evidence) {
    let _ = writeln!(
        text,
        "                 {:?} {}: {} of {}: {}",
        piece.kind.strength(),
        piece.kind.as_str(),
        piece.measured,
        piece.threshold,
        piece.summary
    );
}

const _: () = assert!(PARTIES == 4);
