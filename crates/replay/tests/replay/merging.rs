//! Logs of several servers, of workers that write late, of clocks that were set back: nothing in
//! them makes a surge that never was.

use portcullis_replay::{Findings, LogInput, ReplayError};

use crate::writer::{Writer, config, input, replay};

fn merged(logs: &[(&str, &str)]) -> Result<Findings, ReplayError> {
    let inputs = logs.iter().map(|(name, log)| input(name, log.as_bytes().to_vec())).collect();
    replay(config()).run(inputs, &mut |_| {})
}

fn sorted(logs: &[(&str, &str)]) -> Findings {
    let inputs = logs.iter().map(|(name, log)| input(name, log.as_bytes().to_vec())).collect();
    let folder = tempfile::tempdir().expect("a folder");
    replay(config()).run_sorted(inputs, folder.path(), &mut |_| {}).expect("sorts")
}

fn quiet(seed: u64, seconds: u64) -> String {
    let mut writer = Writer::new(seed);
    writer.calm(seconds);
    writer.log
}

/// The lines that one of two servers wrote.
fn half(log: &str, which: usize) -> String {
    let lines = log.lines().enumerate().filter(|(at, _)| at % 7 / 4 == which);
    lines.map(|(_, line)| format!("{line}\n")).collect()
}

fn events(found: &Findings) -> u64 {
    found.surges.count() + found.attacks.count()
}

/// The most lines that name the same second: what `cut | uniq -c | sort` finds.
fn busiest(log: &str) -> u64 {
    let second = |line: &&str| line[line.find('[').expect("a time")..].get(..21).map(str::to_owned);
    let lines: Vec<&str> = log.lines().collect();
    let runs = lines.chunk_by(|a, b| second(a) == second(b));
    runs.map(<[&str]>::len).max().unwrap_or(0) as u64
}

#[test]
fn the_logs_of_two_servers_are_what_one_server_would_have_written() {
    let log = quiet(21, 3_600);
    let (one, two) = (half(&log, 0), half(&log, 1));
    let found = merged(&[("two", &two), ("one", &one)]).expect("merges");
    assert_eq!(events(&found), 0, "{}", found.text());
    assert_eq!(found.requests, log.lines().count() as u64);
    assert_eq!(found.busiest_second.requests, busiest(&log));
    assert_eq!(found.lines.left_out(), 0);
    assert!(found.lines.copies.is_empty(), "{:?}", found.lines.copies);
    let as_sorted = sorted(&[("one", &one), ("two", &two)]);
    assert_eq!(
        (as_sorted.requests, as_sorted.busiest_second),
        (found.requests, found.busiest_second)
    );
}

#[test]
fn a_flood_over_two_servers_is_counted_whole() {
    let mut writer = Writer::new(22);
    writer.calm(600);
    writer.phase(60, |writer| (0..120).for_each(|_| writer.flood()));
    writer.calm(120);
    let found = merged(&[("one", &half(&writer.log, 0)), ("two", &half(&writer.log, 1))]);
    let found = found.expect("merges");
    assert_eq!(found.attacks.count(), 1, "{}", found.text());
    assert_eq!(found.busiest_second.requests, busiest(&writer.log));
}

#[test]
fn the_same_log_twice_is_an_error_and_a_copy_that_begins_later_counts_once() {
    let log = quiet(23, 900);
    let error = merged(&[("access.log", &log), ("copy.log", &log)]).expect_err("twice");
    assert!(error.to_string().contains("access.log and copy.log begin with the same lines"));
    let later = &log[log.len() / 3..];
    let later = &later[later.find('\n').expect("a line") + 1..];
    let found = merged(&[("access.log", &log), ("later.log", later)]).expect("merges");
    assert_eq!(events(&found), 0, "{}", found.text());
    let copied = &found.lines.copies[0];
    assert_eq!((copied.first.as_str(), copied.second.as_str()), ("access.log", "later.log"));
    assert!(found.text().contains("contain the same lines"), "{}", found.text());
    let counted = found.requests - log.lines().count() as u64;
    assert!(counted <= 10 * busiest(&log), "{counted} of the first seconds in common");
}

#[test]
fn a_clock_set_back_by_an_hour_is_reported_and_is_no_surge() {
    let mut writer = Writer::new(24);
    writer.calm(4_000);
    writer.second -= 3_600;
    writer.calm(3_600 + 4_000);
    let lines = writer.log.lines().count() as u64;
    let found = merged(&[("access.log", &writer.log)]).expect("one log");
    assert_eq!(events(&found), 0, "{}", found.text());
    assert_eq!(found.files[0].clock_steps, 1, "{}", found.text());
    assert_eq!(found.requests + found.lines.too_late, lines);
    assert!((3_400..=3_600).contains(&found.files[0].late_by_seconds), "{}", found.text());
    assert!(!found.reliable, "an hour of three is missing");
    assert!(found.text().contains("Its clock was set back"), "{}", found.text());
    assert!(found.text().lines().nth(2).is_some_and(|line| line.contains("UNRELIABLE")));
}

#[test]
fn four_workers_that_write_their_buffers_late_make_no_surge() {
    let log = quiet(25, 3_600);
    // Each worker writes 64 lines at a time.
    let mut buffers: Vec<Vec<&str>> = vec![Vec::new(); 4];
    let mut written = String::new();
    for (at, line) in log.lines().enumerate() {
        let buffer = &mut buffers[at * 2_654_435_761 / 65_536 % 4];
        buffer.push(line);
        if buffer.len() == 64 {
            written.extend(buffer.drain(..).flat_map(|line| [line, "\n"]));
        }
    }
    written.extend(buffers.into_iter().flatten().flat_map(|line| [line, "\n"]));
    let found = merged(&[("access.log", &written)]).expect("one log");
    assert_eq!(events(&found), 0, "{}", found.text());
    assert!(found.reliable, "{}", found.text());
    assert_eq!(found.busiest_second.requests, busiest(&log));
}

#[test]
fn sorting_brings_hours_in_any_order_together() {
    let log = quiet(26, 7_200);
    let lines: Vec<&str> = log.lines().collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    let swapped: String = second.iter().chain(first).map(|line| format!("{line}\n")).collect();
    let found = sorted(&[("joined.log", &swapped)]);
    assert_eq!(events(&found), 0, "{}", found.text());
    assert_eq!((found.requests, found.lines.left_out()), (lines.len() as u64, 0));
    assert!(found.caveats.iter().any(|caveat| caveat.starts_with("The lines were sorted")));
    let unsorted = merged(&[("joined.log", &swapped)]).expect("one log");
    assert!(!unsorted.reliable && unsorted.text().contains("--sort"), "{}", unsorted.text());
}

#[test]
fn rotated_logs_follow_each_other_whatever_their_order() {
    let log = quiet(27, 1_200);
    let lines: Vec<String> = log.lines().map(|line| format!("{line}\n")).collect();
    let parts: Vec<String> = lines.chunks(lines.len() / 5 + 1).map(<[String]>::concat).collect();
    let names: Vec<String> = (0..parts.len()).map(|n| format!("access.log.{n}")).collect();
    let mut logs: Vec<LogInput> = Vec::new();
    for at in [3, 0, 4, 2, 1] {
        logs.push(input(&names[at], parts[at].clone().into_bytes()));
    }
    let found = replay(config()).run(logs, &mut |_| {}).expect("merges");
    let whole = merged(&[("access.log", &log)]).expect("one log");
    assert_eq!(found.requests, whole.requests);
    assert_eq!((found.surges, found.series), (whole.surges, whole.series));
    let order: Vec<&str> = found.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(
        order,
        ["access.log.0", "access.log.1", "access.log.2", "access.log.3", "access.log.4"]
    );
}
