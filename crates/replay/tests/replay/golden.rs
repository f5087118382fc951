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

#[test]
fn the_page_has_all_that_the_text_has_and_nothing_to_fetch_or_run() {
    let found = replayed(&log());
    let page = found.html();
    let shown = page.replace("&#39;", "'").replace("&#38;", "&").replace("&#60;", "<");
    for (at, line) in found.text().lines().enumerate() {
        let words = line.trim().trim_start_matches("- ");
        // Columns are cells, and long lines are wrapped.
        for part in words.split("  ").filter(|part| !part.is_empty()) {
            assert!(shown.contains(part.trim()), "line {at}: {part}");
        }
    }
    for part in
        ["lang=\"en-GB\"", "<h1>", "role=\"img\"", "<svg", "scope=\"col\"", "Attack, wave 1"]
    {
        assert!(page.contains(part), "{part}");
    }
    for part in ["<script", "javascript:", "src=", "href=\"http", "@import", "url("] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(!page.contains("class=\"warning\""));
}

#[test]
fn the_page_of_a_log_that_was_not_read_warns_above_all_else() {
    let page = replayed("<script>alert(1)</script>\nnothing of the kind\n").html();
    let at = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part}: {page}"));
    assert!(at("class=\"warning\"") < at("<main>"));
    assert!(!page.contains("<script>"));
}
