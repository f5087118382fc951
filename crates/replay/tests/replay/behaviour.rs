//! Quiet logs are quiet, floods are found, crowds are served.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use portcullis_model::{EvidenceKind, WallTime};
use portcullis_replay::{Findings, LINE_BYTES};

use crate::writer::{Writer, config, replayed, replayed_with};

fn summary(found: &Findings) -> String {
    found.text()
}

#[test]
fn an_ordinary_log_is_quiet() {
    for seed in 1..4 {
        let mut writer = Writer::new(seed);
        writer.calm(1_800);
        let found = replayed(&writer.log);
        assert_eq!(found.surges.count() + found.attacks.count(), 0, "{}", summary(&found));
        assert_eq!(
            found.procedures.count() + found.impact.hit_requests(),
            0,
            "{}",
            summary(&found)
        );
        assert_eq!(found.impact.forwarded, found.requests);
        assert!(found.text().contains("No visitor"), "{}", summary(&found));
    }
}

#[test]
fn a_scripted_flood_is_found_and_refused_and_people_are_not() {
    for seed in 1..4 {
        let mut writer = Writer::new(seed);
        writer.calm(600);
        let began = writer.second;
        writer.phase(60, |writer| (0..200).for_each(|_| writer.flood()));
        writer.calm(300);
        let found = replayed(&writer.log);
        assert_eq!(found.attacks.count(), 1, "{}", summary(&found));
        let attack = &found.attacks.items[0];
        assert_eq!(attack.activities, ["search"], "{}", summary(&found));
        assert!(attack.onset.seconds().abs_diff(began) <= 1, "{}", summary(&found));
        assert!(attack.detected.seconds() - began <= 2, "{}", summary(&found));
        assert!(attack.to.is_some() && attack.full_speed.is_some(), "{}", summary(&found));
        assert!(attack.peak_per_second >= 200);
        let strong = [EvidenceKind::ExcessivePageRate, EvidenceKind::RepeatedRequests];
        assert!(attack.evidence.iter().any(|e| strong.contains(&e.kind)), "{}", summary(&found));
        let signature = found.procedures.iter().find(|p| p.facts.measure == "refuse-signature");
        let measure = &signature.unwrap_or_else(|| panic!("{}", summary(&found))).facts.summary;
        assert!(measure.contains("fetcher/1.0"), "{measure}");
        // Forty machines sent 12,000 requests; the first seconds got through.
        let affected = &found.impact;
        assert!(affected.refused_by_procedures() > 11_000, "{}", summary(&found));
        assert!((39..=44).contains(&affected.sources_refused), "{}", summary(&found));
        assert_eq!(affected.user_agents[0].text, "fetcher/1.0");
        assert_eq!(affected.paths[0].text, "/search");
        assert_eq!(affected.activities[0].name, "search");
        assert!(affected.activities[0].refused * 100 >= affected.refused_by_procedures() * 99);
    }
}

#[test]
fn figures_of_a_challenged_flood_are_those_of_a_naive_count() {
    let mut writer = Writer::new(9);
    writer.calm(900);
    writer.phase(120, |writer| (0..40).for_each(|_| writer.spread_flood()));
    writer.calm(300);
    // The lines of each second, counted by the text of their time.
    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    for line in writer.log.lines() {
        let time = line.split(['[', ']']).nth(1).expect("a time");
        *counts.entry(time.to_owned()).or_default() += 1;
    }
    let found = replayed(&writer.log);
    assert_eq!(found.attacks.count(), 1, "{}", summary(&found));
    assert!(found.impact.delayed > 1_000, "challenged: {}", summary(&found));
    let attack = &found.attacks.items[0];
    let figures = attack.figures.as_ref().expect("it ended");
    let clock = |at: WallTime| at.to_string()[11..19].to_owned();
    let (from, to) = (clock(attack.onset), clock(attack.to.expect("it ended")));
    let lines: u64 = counts
        .iter()
        .filter(|(time, _)| (&from[..]..&to[..]).contains(&&time[12..20]))
        .map(|(_, count)| count)
        .sum();
    let close = |a: u64, b: u64| a.abs_diff(b) * 50 <= b;
    assert!(close(figures.offered, lines), "{} of {lines}", figures.offered);
    let peak = counts.values().copied().max().unwrap_or(0);
    assert!(
        close(figures.peak_offered_per_second, peak),
        "{} of {peak}",
        figures.peak_offered_per_second
    );
}

#[test]
fn a_flash_crowd_is_a_surge_and_none_of_it_is_refused() {
    for seed in 1..4 {
        let mut writer = Writer::new(seed);
        writer.calm(600);
        let mut arrived = 0;
        writer.phase(120, |writer| {
            arrived = (arrived + 4).min(50);
            (0..arrived).for_each(|_| writer.page_view(11));
        });
        writer.calm(300);
        let found = replayed(&writer.log);
        assert_eq!(found.attacks.count(), 0, "{}", summary(&found));
        assert!(found.surges.count() >= 1, "{}", summary(&found));
        let surge = &found.surges.items[0];
        assert_eq!(surge.activities, ["everything else"]);
        assert!(surge.peak_per_second >= 200 && surge.to.is_some(), "{}", summary(&found));
        assert_eq!(found.impact.hit_requests(), 0, "{}", summary(&found));
    }
}

#[test]
fn what_the_recorded_server_could_not_serve_is_a_degradation() {
    let mut writer = Writer::new(1);
    writer.calm(400);
    writer.phase(30, |writer| {
        for n in 0..20 {
            writer.request(&format!("10.7.0.{n}"), "/", 503, "-", "Mozilla/5.0 (browser 1)");
        }
    });
    writer.calm(60);
    let found = replayed(&writer.log);
    assert_eq!(found.degradations.count(), 1, "{}", summary(&found));
    assert!(found.degradations.items[0].to.is_some());
    assert!(found.text().contains("Origin degraded on site"), "{}", summary(&found));
}

#[test]
fn compressed_or_not_and_in_chunks_of_any_size_the_findings_are_the_same() {
    let mut writer = Writer::new(2);
    writer.calm(400);
    writer.phase(20, |writer| (0..100).for_each(|_| writer.flood()));
    let plain = replayed(&writer.log);
    assert_eq!(plain, replayed(&writer.log), "the same again");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(writer.log.as_bytes()).expect("compresses");
    let mut zipped = replayed_with(config(), encoder.finish().expect("compresses"));
    assert!(zipped.files[0].compressed);
    zipped.files[0].compressed = false;
    assert_eq!(zipped, plain);
}

#[test]
fn lines_in_any_order_within_the_minute_give_the_same_findings() {
    let mut writer = Writer::new(3);
    writer.calm(400);
    let plain = replayed(&writer.log);
    // Every block of twenty seconds is written backwards, as if all its requests ended late.
    let second = |line: &&str| line.find('[').map(|at| line[at..at + 22].to_owned());
    let lines: Vec<&str> = writer.log.lines().collect();
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for line in lines.chunk_by(|a, b| second(a) == second(b)) {
        blocks.push(line.to_vec());
    }
    let backwards: Vec<String> = blocks
        .chunks(20)
        .flat_map(|chunk| chunk.iter().rev().flatten())
        .map(|l| format!("{l}\n"))
        .collect();
    assert_eq!(replayed(&backwards.concat()), plain);
}

#[test]
fn unreadable_lines_are_counted_and_the_first_few_shown() {
    let mut writer = Writer::new(4);
    writer.calm(30);
    let lines = writer.log.lines().count() as u64;
    let mut bytes = b"#Software: something else\n\n\x00\xff\xfe\n".to_vec();
    bytes.extend_from_slice(writer.log.as_bytes());
    bytes.extend(vec![b'x'; LINE_BYTES + 10]);
    bytes.extend(b"\n10.0.0.1 - - [yesterday] \"GET / HTTP/1.1\" 200 5\n");
    let found = replayed_with(config(), bytes);
    assert_eq!((found.lines.read, found.lines.parsed), (lines + 5, lines));
    assert_eq!((found.lines.unparsed, found.lines.empty), (4, 1));
    let kinds: Vec<_> = found.lines.unread.iter().map(|u| (u.kind, u.lines)).collect();
    assert_eq!(kinds.iter().map(|(_, lines)| lines).sum::<u64>(), 4);
    let first = |kind| {
        let unread = found.lines.unread.iter().find(|unread| unread.kind == kind);
        unread.unwrap_or_else(|| panic!("{kinds:?}")).first.clone()
    };
    assert_eq!(first("no address at the beginning").line, 1);
    assert!(first("no address at the beginning").error.contains("found `#Software: something"));
    assert!(first("too long").error.contains("65536 bytes"));
    assert!(first("no time").error.contains("found ` - - [yesterday]"));
    assert!(found.reliable, "4 of some hundred lines");
}

#[test]
fn a_log_that_breaks_off_is_unreliable_and_names_where() {
    let mut writer = Writer::new(6);
    writer.calm(300);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(writer.log.as_bytes()).expect("compresses");
    let mut cut = encoder.finish().expect("compresses");
    cut.truncate(cut.len() / 2);
    let found = replayed_with(config(), cut);
    assert!(!found.reliable && found.requests > 100);
    let text = found.text();
    assert!(text.contains("UNRELIABLE: 1 log could not be read to the end"), "{text}");
    assert!(text.contains("access.log broke off after"), "{text}");
}

#[test]
fn an_empty_recording_is_reported_as_empty() {
    let found = replayed("nothing\nof the kind\n");
    assert_eq!(found.requests, 0);
    assert!(found.text().contains("There was no line of an access log in it."));
    assert!(found.svg().starts_with("<svg"));
    assert!(found.json().contains("\"window\": null"));
}

#[test]
fn hosts_choose_their_platform_and_unknown_hosts_are_refused() {
    let mut config = config();
    config.platforms[0].hosts = vec!["campaign.example".into()];
    let mut other = config.platforms[0].clone();
    (other.name, other.hosts) = ("shop".into(), vec!["shop.example".into()]);
    config.platforms.push(other);
    let line = r#"192.0.2.7 - - [23/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-""#;
    let log = format!(
        "{line}\nshop.example:443 {line}\nCAMPAIGN.example {line}\nelsewhere.example {line}\n"
    );
    let found = replayed_with(config, log.into_bytes());
    assert_eq!(found.impact.forwarded, 3);
    assert_eq!(found.impact.refused["unknown-host"], 1);
    assert!(
        found.caveats.iter().any(|c| c.starts_with("1 of 4 requests name no host")),
        "{:?}",
        found.caveats
    );
}

#[test]
fn bytes_that_are_no_request_are_refused_by_the_gate_itself() {
    let at = "192.0.2.7 - - [23/Nov/2026:09:00:00 +0000]";
    let log = format!(
        "{at} \"\\x16\\x03\\x01\\x02\\x00\" 400 150 \"-\" \"-\"\n{at} \"\" 400 0 \"-\" \"-\"\n\
         {at} \"-\" 408 - \"-\" \"-\"\n{at} \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"\n"
    );
    let found = replayed(&log);
    assert_eq!((found.requests, found.malformed, found.silent), (1, 1, 2));
    assert_eq!(found.impact.refused["malformed"], 1);
    assert_eq!(found.impact.hit_requests(), 0);
}

#[test]
fn what_people_read_stays_within_a_hundred_columns() {
    let mut writer = Writer::new(5);
    writer.calm(600);
    writer.phase(60, |writer| (0..200).for_each(|_| writer.flood()));
    writer.calm(200);
    let text = replayed(&writer.log).text();
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}
