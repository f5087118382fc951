//! What holds for any text at all.

use portcullis_model::{Config, Problems};
use proptest::prelude::*;

use crate::rules::assert_sound;
use crate::{repository, testdata, text_of};

/// Reads a text and checks whichever answer comes.
fn check(text: &str) -> Result<Config, Problems> {
    let read = Config::read(text, "portcullis.toml");
    match &read {
        Ok(config) => assert_sound(config),
        Err(problems) => {
            assert!(!problems.problems.is_empty());
            let lines = text.split('\n').count();
            for problem in &problems.problems {
                assert!(problem.line <= lines, "line {} of {lines}", problem.line);
                assert!(!problem.found.is_empty() && !problem.expected.is_empty());
            }
            let shown = problems.to_string();
            assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
        }
    }
    read
}

#[test]
fn a_lost_or_doubled_line_is_read_or_reported() {
    let mut files = testdata("good");
    files.push(repository("portcullis.example.toml"));
    for path in files {
        let text = text_of(&path);
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        for at in 0..lines.len() {
            let lost: String = [&lines[..at], &lines[at + 1..]].concat().concat();
            let _ = check(&lost);
            let doubled: String = [&lines[..=at], &lines[at..]].concat().concat();
            let _ = check(&doubled);
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_read_or_reported() {
    for path in testdata("good") {
        let text = text_of(&path);
        for (at, _) in text.char_indices() {
            let _ = check(&text[..at]);
        }
    }
}

/// The rows of the reference: table, key, default, range.
fn rows() -> Vec<(String, String, String, String)> {
    let reference = Config::reference();
    let mut section = String::new();
    let mut rows = Vec::new();
    for line in reference.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            heading.trim_matches('`').clone_into(&mut section);
        }
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if let ["", key, default, range, ..] = cells.as_slice()
            && let Some(key) = key.strip_prefix('`')
        {
            let key = key.trim_matches('`').to_owned();
            let default = default.trim_matches('`').to_owned();
            rows.push((section.clone(), key, default, (*range).to_owned()));
        }
    }
    rows
}

/// The two ends of a documented range as they are written in the file, and one step beyond
/// each where there is one.
fn ends(range: &str) -> Option<([String; 2], Vec<String>)> {
    let (least, most) = range.split_once(" to ")?;
    if most.ends_with("entries") {
        return None;
    }
    let number = |text: &str| text.replace('_', "").parse::<u64>().ok();
    if let (Some(low), Some(high)) = (number(least), number(most)) {
        let beyond = vec![format!("{}", i128::from(low) - 1), format!("{}", high + 1)];
        return Some(([least.to_owned(), most.to_owned()], beyond));
    }
    if let (Ok(_), Ok(high)) = (least.parse::<f64>(), most.parse::<f64>()) {
        let beyond = vec!["1".to_owned(), format!("{:.1}", high + 0.1)];
        return Some(([least.to_owned(), most.to_owned()], beyond));
    }
    let beyond = if most.ends_with('B') {
        vec!["\"1 B\"".to_owned(), "\"2000 GiB\"".to_owned()]
    } else {
        let mut beyond = vec![format!("\"{most} 1ms\"")];
        if least != "0s" {
            beyond.push("\"1ms\"".to_owned());
        }
        beyond
    };
    Some(([format!("\"{least}\""), format!("\"{most}\"")], beyond))
}

const SITE: &str = "[[listeners]]\naddress = \"127.0.0.1:8080\"\n";
const PLATFORM: &str = "[[platforms]]\nname = \"site\"\nhosts = [\"*\"]\n";
const ACTIVITY: &str = "[[platforms.activities]]\nname = \"chat\"\npaths = [\"/chat\"]\n";
/// What `[acme]` cannot do without: its terms and a host, and a listener that shows certificates.
const ACME: &str = "terms_accepted = true\nhosts = [\"example.org\"]\n";
/// What `[access_log]` cannot do without.
const ACCESS_LOG: &str = "file = \"access.log\"\n";
const SECURE: &str = "[[listeners]]\naddress = \"127.0.0.1:8443\"\ntls = true\n";

/// A file with one value for each key that has a range.
fn file_of(mut value: impl FnMut(&str, &str, &str) -> Option<String>) -> String {
    let mut top = String::new();
    let mut tables = String::from(SITE);
    let mut origin = String::from("[platforms.origin]\nurl = \"http://127.0.0.1:3000\"\n");
    let mut activity = String::new();
    let mut section = String::new();
    for (table, key, _, range) in rows() {
        let Some(value) = value(&table, &key, &range) else {
            continue;
        };
        let line = format!("{key} = {value}\n");
        match table.as_str() {
            "Top of the file" => top += &line,
            "[platforms.origin]" => origin += &line,
            "[[platforms.activities]]" => activity += &line,
            _ => {
                if table != section {
                    if table == "[acme]" {
                        tables += SECURE;
                    }
                    tables = tables + &table + "\n";
                    match table.as_str() {
                        "[acme]" => tables += ACME,
                        "[access_log]" => tables += ACCESS_LOG,
                        _ => {}
                    }
                    section = table;
                }
                tables += &line;
            }
        }
    }
    if !activity.is_empty() {
        activity = format!("{ACTIVITY}{activity}");
    }
    format!("{top}{tables}{PLATFORM}{origin}{activity}")
}

#[test]
fn both_ends_of_every_documented_range_are_accepted() {
    let mut ranges = 0;
    for end in [0, 1] {
        let text = file_of(|table, key, range| {
            let (ends, _) = ends(range)?;
            ranges += 1;
            // All connections with the largest headers would be more than the memory allows.
            if (table, key, end) == ("[limits]", "max_connections", 1) {
                return Some("65_536".into());
            }
            Some(ends[end].clone())
        });
        check(&text).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
    }
    assert!(ranges > 50, "{ranges}");
}

#[test]
fn nothing_beyond_a_documented_range_is_accepted() {
    for (table, key, _, range) in rows() {
        let Some((_, beyond)) = ends(&range) else {
            continue;
        };
        for value in beyond {
            let text = file_of(|t, k, _| ((t, k) == (&*table, &*key)).then(|| value.clone()));
            let problems = check(&text).expect_err(&text);
            let path = problems.problems[0].key.clone();
            assert!(path.ends_with(&key), "{text}\n{problems}");
        }
    }
}

#[test]
fn an_absent_key_means_its_documented_default() {
    let base = file_of(|_, _, _| None);
    let base = check(&base).expect("base");
    // Without its table, nothing of it has a default.
    let with_acme =
        file_of(|t, k, _| ((t, k) == ("[acme]", "folder")).then(|| "\"acme\"".to_owned()));
    let with_acme = check(&with_acme).expect("with ACME");
    let logged = |t: &str, k: &str| (t, k) == ("[access_log]", "format");
    let with_log = file_of(|t, k, _| logged(t, k).then(|| "\"combined\"".to_owned()));
    let with_log = check(&with_log).expect("with an access log");
    for (table, key, default, _) in rows() {
        if default == "required"
            || !default.starts_with(|c: char| c == '"' || c.is_ascii_digit())
            || table.starts_with("[[")
        {
            continue;
        }
        let text = file_of(|t, k, _| ((t, k) == (&*table, &*key)).then(|| default.clone()));
        let config = check(&text).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
        let expected = match table.as_str() {
            "[acme]" => &with_acme,
            "[access_log]" => &with_log,
            _ => &base,
        };
        assert_eq!(&config, expected, "{table} {key}");
    }
}

/// A value for a key: often in its range, often not, sometimes of another kind.
fn value(range: &str) -> BoxedStrategy<String> {
    let odd = prop_oneof![
        Just("true".to_owned()),
        Just("\"\"".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u16>().prop_map(|n| format!("\"{n}s\"")),
        "\"[ -~]{0,12}\"".prop_filter("no escapes", |text| !text.contains('\\')),
    ];
    match ends(range) {
        Some((ends, beyond)) => prop_oneof![
            8 => proptest::sample::select(ends.to_vec()),
            1 => proptest::sample::select(beyond),
            1 => odd,
        ]
        .boxed(),
        None => odd.boxed(),
    }
}

/// Files of the right form with values of every kind; many are good.
fn any_file() -> impl Strategy<Value = String> {
    let ranged: Vec<_> = rows().into_iter().filter(|row| ends(&row.3).is_some()).collect();
    let values: Vec<_> =
        ranged.iter().map(|row| proptest::option::weighted(0.15, value(&row.3))).collect();
    values.prop_map(move |values| {
        file_of(|table, key, _| {
            let at = ranged.iter().position(|row| row.0 == table && row.1 == key)?;
            values[at].clone()
        })
    })
}

/// Lines that a file may hold, in any order and number.
fn any_lines() -> impl Strategy<Value = String> {
    let mut lines: Vec<String> = testdata("good")
        .iter()
        .chain(&testdata("bad"))
        .flat_map(|path| text_of(path).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines.sort();
    lines.dedup();
    proptest::collection::vec(proptest::sample::select(lines), 0..30)
        .prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn whatever_is_accepted_is_sound(text in any_file()) {
        let _ = check(&text);
    }

    #[test]
    fn lines_in_any_order_are_read_or_named(text in any_lines()) {
        let _ = check(&text);
    }

    #[test]
    fn any_text_is_read_or_named(text in "\\PC{0,200}", raw in any::<Vec<u8>>()) {
        let _ = check(&text);
        let _ = check(&String::from_utf8_lossy(&raw));
    }
}
