//! What people and programs read, unchanged unless a person accepts a change.

use crate::writer::{Writer, replayed};

fn log() -> String {
    let mut writer = Writer::new(11);
    writer.log.push_str("this line is none of an access log\n");
    writer.calm(420);
    writer.phase(40, |writer| (0..15).for_each(|_| writer.page_view(11)));
    writer.calm(120);
    writer.phase(30, |writer| (0..120).for_each(|_| writer.flood()));
    writer.calm(240);
    writer.log
}

#[test]
fn the_findings_read_as_before() {
    let found = replayed(&log());
    insta::assert_snapshot!("text", found.text());
    insta::assert_snapshot!("json", found.json());
}

#[test]
fn the_picture_shades_what_was_found_and_marks_what_was_done() {
    let svg = replayed(&log()).svg();
    for part in [
        "surge",
        "wave 1 detected",
        "pc-strong",
        "refuse signature engaged",
        "baseline",
        "recorded",
    ] {
        assert!(svg.contains(part), "{part}");
    }
}
