//! Findings for people.

use std::fmt::Write as _;

use portcullis_incident::words;
use portcullis_model::WallTime;

use crate::findings::Findings;
use crate::history::{ReplayedAttack, ReplayedProcedure, ReplayedSurge};
use crate::impact::Impact;
use crate::line_counts::FileFacts;
use crate::space_saving::Ranked;
use crate::text_page::{SHOWN, TextPage};

impl Findings {
    /// The findings for people, in lines of at most a hundred characters.
    pub fn text(&self) -> String {
        write_findings(self).finish()
    }
}

/// All that is written of the findings.
pub(crate) fn write_findings(found: &Findings) -> TextPage {
    let mut page = TextPage::default();
    write_head(&mut page, found);
    if found.window.is_none() {
        page.line(1, "There was no line of an access log in it.");
        return page;
    }
    write_detections(&mut page, found);
    write_procedures(&mut page, found);
    write_impact(&mut page, found);
    page.heading("What a recording cannot show");
    for caveat in &found.caveats {
        page.item(1, caveat);
    }
    page
}

/// What the result is based on, above anything that it says.
fn write_lines(page: &mut TextPage, found: &Findings) {
    let lines = &found.lines;
    if !found.reliable {
        page.line(
            1,
            &format!("UNRELIABLE: {}. Judge nothing by this result.", what_is_missing(found)),
        );
    }
    let mut text = words::counted(lines.read, "line");
    match (lines.unparsed, lines.parsed) {
        (0, 0) => {}
        (0, _) => text.push_str(", all of them read"),
        (unparsed, _) => {
            let _ = write!(text, ", {} of them not read", with_share(unparsed, lines.read));
        }
    }
    let _ = write!(text, "; read as {}", words::list(&formats(found)));
    page.line(1, &text);
    for unread in &lines.unread {
        let first = &unread.first;
        page.item(
            1,
            &format!(
                "{}: {}, first in {}, line {}: {}",
                words::sentence(unread.kind),
                words::counted(unread.lines, "line"),
                first.file,
                first.line,
                first.error
            ),
        );
        page.line(2, &first.text);
    }
    for copied in &lines.copies {
        page.item(
            1,
            &format!(
                "{} and {} contain the same lines: {} counted once",
                copied.first,
                copied.second,
                words::count(copied.lines)
            ),
        );
    }
    write_remarks(page, found);
}

/// Why the result does not describe the recordings.
fn what_is_missing(found: &Findings) -> String {
    let lines = &found.lines;
    if lines.with_content() == 0 {
        return "there is no line to read".to_owned();
    }
    if lines.is_reliable() {
        let broken = found.files.iter().filter(|file| file.read_error.is_some()).count();
        return format!("{} could not be read to the end", words::counted(broken as u64, "log"));
    }
    format!(
        "{} of {} with content are not in it",
        with_share(lines.left_out(), lines.with_content()),
        words::counted(lines.with_content(), "line")
    )
}

/// What is to be known of single logs.
fn write_remarks(page: &mut TextPage, found: &Findings) {
    let remarkable = |file: &&FileFacts| {
        file.hidden_sources.is_some() || file.too_late > 0 || file.read_error.is_some()
    };
    for file in found.files.iter().filter(remarkable).take(SHOWN) {
        if let Some(why) = file.hidden_sources {
            page.item(1, &format!("{}: {why}", file.name));
        }
        if file.too_late > 0 {
            write_late(page, file);
        }
        if let Some(why) = &file.read_error {
            let lines = words::counted(file.lines, "line");
            page.item(1, &format!("{} broke off after {lines}: {why}", file.name));
        }
    }
    let more = found.files.iter().filter(remarkable).skip(SHOWN).count() as u64;
    if more > 0 {
        page.line(
            1,
            &format!("The same kinds of remarks apply to {}.", words::counted(more, "more log")),
        );
    }
}

/// The formats that were recognised, with what is around the lines.
fn formats(found: &Findings) -> Vec<String> {
    let mut formats: Vec<String> = found
        .files
        .iter()
        .map(|file| match file.wrapper {
            Some(wrapper) => format!("{} in {wrapper}", file.format),
            None => file.format.clone(),
        })
        .collect();
    formats.sort_unstable();
    formats.dedup();
    formats
}

fn write_late(page: &mut TextPage, file: &FileFacts) {
    let lines = words::counted(file.too_late, "line");
    let why = match file.first_too_late {
        None => "their times are an hour or more ahead of all lines around them".to_owned(),
        Some(first) => format!(
            "the first is line {first}. They were written up to {} after lines of a later time{}. \
             --sort puts them in order",
            words::span(file.late_by_seconds * 1_000),
            match file.clock_steps {
                0 => "",
                _ => ". Its clock was set back, or older lines were appended to it",
            }
        ),
    };
    page.item(1, &format!("{}: {lines} left out; {why}", file.name));
}

fn write_head(page: &mut TextPage, found: &Findings) {
    let names: Vec<&str> = found.files.iter().map(|file| file.name.as_str()).collect();
    page.heading(&match names.as_slice() {
        [] => "Replay".to_owned(),
        [one] => format!("Replay of {}", words::plain(one)),
        [first, ..] => {
            format!("Replay of {} recordings, from {} on", names.len(), words::plain(first))
        }
    });
    if let Some(window) = found.window {
        let lasted = words::span(window.millis() + 1_000);
        page.line(1, &format!("{} ({lasted})", words::period(window.from, window.to)));
    }
    write_lines(page, found);
    if found.requests == 0 {
        return;
    }
    let mut text = words::counted(found.requests, "request");
    let busiest = found.busiest_second;
    if found.hidden_sources < found.requests {
        let _ = write!(text, " from about {}", words::counted(found.sources, "source"));
    }
    let _ = write!(
        text,
        "; the busiest second, {}, had {}",
        words::moment(busiest.at),
        words::count(busiest.requests)
    );
    page.line(1, &text);
    if found.malformed + found.silent > 0 {
        page.line(
            1,
            &format!(
                "and {} about bytes that were no request, {} about connections without a word",
                words::counted(found.malformed, "line"),
                words::count(found.silent)
            ),
        );
    }
}

fn write_detections(page: &mut TextPage, found: &Findings) {
    page.heading("What the watch would have reported");
    if found.surges.count() + found.attacks.count() == 0 {
        page.line(1, "Nothing: no surge and no attack.");
    }
    // Surges that turned into attacks are listed there.
    let surges = found.surges.iter().filter(|surge| surge.turned_into_wave.is_none());
    for surge in surges.take(SHOWN) {
        write_surge(page, surge);
    }
    page.more(&found.surges, "surge");
    for attack in found.attacks.iter().take(SHOWN) {
        write_attack(page, attack);
    }
    page.more(&found.attacks, "wave");
    for degradation in found.degradations.iter().take(SHOWN) {
        let period = describe_period(degradation.from, degradation.to);
        page.line(1, &format!("Origin degraded on {}: {period}", degradation.platform));
        page.line(2, &words::full_stop(&degradation.summary));
    }
    page.more(&found.degradations, "degradation");
}

fn write_surge(page: &mut TextPage, surge: &ReplayedSurge) {
    page.line(
        1,
        &format!(
            "Surge on {} ({}): {}",
            surge.platform,
            words::list(&surge.activities),
            describe_period(surge.from, surge.to)
        ),
    );
    page.line(
        2,
        &format!(
            "{} requests a second where the baseline expects {}; the busiest second had {}",
            words::count(surge.per_second),
            words::thousandths(surge.baseline_milli),
            words::count(surge.peak_per_second)
        ),
    );
}

fn write_attack(page: &mut TextPage, attack: &ReplayedAttack) {
    let on = match attack.activities.as_slice() {
        [] => attack.platform.clone(),
        activities => format!("{} ({})", attack.platform, words::list(activities)),
    };
    let period = describe_period(attack.onset, attack.to);
    page.line(1, &format!("Attack on {on}, wave {}: {period}", attack.wave));
    let detected = attack.detected.millis().saturating_sub(attack.onset.millis());
    page.line(
        2,
        &format!(
            "detected {} after it began; the busiest second had {}, where the baseline expects {}",
            words::span(detected),
            words::counted(attack.peak_per_second, "request"),
            words::thousandths(attack.baseline_milli)
        ),
    );
    for evidence in &attack.evidence {
        page.item(2, &evidence.summary);
    }
    page.line(
        2,
        &match attack.mitigated_after_ms {
            Some(ms) => format!(
                "what reached the origin would have been back within its baseline after {}",
                words::span(ms)
            ),
            None => "what reached the origin would not have come back within its baseline".into(),
        },
    );
}

fn write_procedures(page: &mut TextPage, found: &Findings) {
    page.heading("What the gate would have done");
    if found.procedures.count() == 0 {
        page.line(1, "Nothing: no procedure would have been engaged.");
    }
    for procedure in found.procedures.iter().take(SHOWN) {
        write_procedure(page, procedure);
    }
    page.more(&found.procedures, "procedure");
}

fn write_procedure(page: &mut TextPage, procedure: &ReplayedProcedure) {
    let facts = &procedure.facts;
    let scope = facts.activity.as_deref().unwrap_or("all activities");
    page.line(
        1,
        &format!(
            "{}. {} on {} ({scope}): {}",
            facts.id.0,
            words::sentence(&facts.measure.replace('-', " ")),
            facts.platform,
            describe_period(procedure.engaged, procedure.released)
        ),
    );
    page.line(2, &words::full_stop(&facts.summary));
    page.line(2, &words::full_stop(&format!("Because {}", facts.reason)));
    let (Some(effect), Some(cost)) = (procedure.effect, procedure.cost) else { return };
    let mut text = format!("Stopped {}", words::counted(effect.stopped, "request"));
    if cost.delayed > 0 {
        let _ = write!(text, ", delayed {}", words::count(cost.delayed));
    }
    if cost.collateral_per_million > 0 {
        let _ = write!(
            text,
            "; at most {} in a million ordinary requests look like this",
            words::count(cost.collateral_per_million.into())
        );
    }
    page.line(2, &words::full_stop(&text));
}

fn write_impact(page: &mut TextPage, found: &Findings) {
    let (impact, requests) = (&found.impact, found.requests);
    page.heading("Whom it would have hit");
    let refused = impact.refused_by_procedures();
    if impact.hit_requests() == 0 {
        let all = words::counted(requests, "request");
        page.line(
            1,
            &format!(
                "No visitor: none of {all} would have been delayed or refused by limits or procedures."
            ),
        );
        return;
    }
    page.line(
        1,
        &format!(
            "Of {}, {} would have gone to the origin immediately, {} after a challenge, and {} would \
             have been refused.",
            words::counted(requests, "request"),
            with_share(impact.forwarded, requests),
            with_share(impact.delayed, requests),
            with_share(refused, requests)
        ),
    );
    let reasons: Vec<String> = impact
        .refused
        .iter()
        .map(|(reason, n)| format!("{} {}", words::count(*n), reason.replace('-', " ")))
        .collect();
    if !reasons.is_empty() {
        page.line(1, &format!("Refused by reason: {}.", words::list(&reasons)));
    }
    if found.hidden_sources == found.requests {
        page.line(1, "How many visitors these were is not known: the log hides their sources.");
    } else {
        write_visitors(page, impact);
    }
    page.line(1, "Most affected activities:");
    for activity in &impact.activities {
        let (name, platform) = (&activity.name, &activity.platform);
        page.row(
            &words::count(activity.delayed + activity.refused),
            &format!("{name} on {platform}, of {}", words::count(activity.offered)),
        );
    }
    write_ranking(page, "Most affected user agents:", &impact.user_agents);
    write_ranking(page, "Most affected paths:", &impact.paths);
}

fn write_visitors(page: &mut TextPage, impact: &Impact) {
    page.line(
        1,
        &format!(
            "Visitors (a source with its user agent): about {} refused at least once, from about \
             {}; about {} delayed.",
            words::count(impact.visitors_refused),
            words::counted(impact.sources_refused, "source"),
            words::count(impact.visitors_delayed)
        ),
    );
    page.line(
        1,
        &format!(
            "Visitors who had been served in calm time before sent {} of the requests that were \
             delayed or refused.",
            with_share(impact.from_known_visitors, impact.hit_requests())
        ),
    );
}

fn write_ranking(page: &mut TextPage, heading: &str, ranked: &[Ranked]) {
    if ranked.is_empty() {
        return;
    }
    page.line(1, heading);
    for one in ranked {
        let about = if one.error_bound > 0 { "≤ " } else { "" };
        let count = format!("{about}{}", words::count(one.requests));
        page.row(&count, &one.text);
    }
}

/// `1,200 (12.5%)`, or `none`.
fn with_share(n: u64, all: u64) -> String {
    match n * 10_000 / all.max(1) {
        _ if n == 0 => "none".to_owned(),
        0 => words::count(n),
        basis_points => format!("{} ({})", words::count(n), words::share(basis_points)),
    }
}

/// From a moment to another, or to the end of the recording.
pub(crate) fn describe_period(from: WallTime, to: Option<WallTime>) -> String {
    match to {
        Some(to) => words::period(from, to),
        None => format!("{}, to the end of the recording", words::moment(from)),
    }
}
