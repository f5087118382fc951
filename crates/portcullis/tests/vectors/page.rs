//! docs/vectors.md against the code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use portcullis_drill::vectors::VECTORS;
use portcullis_model::{ConnReason, Cut, Outcome, Reason, Verdict};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The cells of every row of a vector: number, vector, defence, keys, counted as, drill, tests.
fn rows() -> Vec<Vec<String>> {
    let page = read("docs/vectors.md");
    let rows = page.lines().filter(|line| {
        line.strip_prefix("| ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    let cells = |line: &str| {
        let inner = line.trim_start_matches('|').trim_end_matches('|');
        inner.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    rows.map(|line| {
        let cells = cells(line);
        assert_eq!(cells.len(), 7, "{line}");
        cells
    })
    .collect()
}

/// The texts between backticks.
fn named(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Every key with its default, from the reference that is made of the reader itself.
fn keys() -> BTreeMap<String, String> {
    let page = read("docs/configuration.md");
    let mut keys = BTreeMap::new();
    let mut table = String::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("### `[") {
            heading.trim_end_matches(['`', ']']).trim_start_matches('[').clone_into(&mut table);
        }
        let cells: Vec<_> = line.split(" | ").collect();
        if let [key, default, _, ..] = cells[..]
            && let Some(key) = key.strip_prefix("| `").and_then(|key| key.strip_suffix('`'))
        {
            keys.insert(format!("{table}.{key}"), default.trim_matches('`').to_owned());
        }
    }
    keys
}

#[test]
fn every_vector_of_the_taxonomy_is_on_the_page_once() {
    let mut numbers: Vec<u32> = rows().iter().map(|row| row[0].parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=36).collect::<Vec<_>>());
}

#[test]
fn the_page_and_the_drill_name_the_same_vectors() {
    let on_page: Vec<String> = rows().iter().flat_map(|row| named(&row[5])).collect();
    let drilled: BTreeSet<&str> = VECTORS.iter().map(|vector| vector.name).collect();
    let unique: BTreeSet<&str> = on_page.iter().map(String::as_str).collect();
    assert_eq!(unique, drilled);
    assert_eq!(unique.len(), on_page.len(), "each has one row");
}

#[test]
fn every_key_on_the_page_exists_and_has_the_default_that_is_stated() {
    let keys = keys();
    for row in rows() {
        for key in named(&row[3]) {
            let (key, default) = key.split_once(" = ").expect("a key and its default");
            assert_eq!(keys.get(key).map(String::as_str), Some(default), "{key}");
        }
    }
}

#[test]
fn every_counter_on_the_page_is_a_reason_a_cut_or_an_outcome() {
    let known: BTreeSet<&str> = Reason::ALL
        .iter()
        .map(|reason| reason.as_str())
        .chain(ConnReason::ALL.iter().map(|reason| reason.as_str()))
        .chain(Cut::ALL.iter().map(|cut| cut.as_str()))
        .chain(Outcome::ALL.iter().map(|outcome| outcome.as_str()))
        .collect();
    for row in rows() {
        for word in named(&row[4]) {
            assert!(known.contains(word.as_str()), "{word}");
        }
    }
}

#[test]
fn every_vector_of_the_drill_has_the_test_that_the_page_names() {
    for row in rows() {
        let mut here = String::new();
        for test in named(&row[6]) {
            match test.split_once('/') {
                Some((name, file)) => {
                    let path = root().join(format!("crates/{name}/tests"));
                    let exists = path.join(format!("{file}.rs")).is_file()
                        || path.join(file).join("main.rs").is_file();
                    assert!(exists, "{test}");
                }
                None => here += &read(&format!("crates/portcullis/tests/vectors/{test}.rs")),
            }
        }
        for vector in named(&row[5]) {
            assert!(here.contains(&format!("\"{vector}\"")), "no test of {vector}");
        }
    }
}

/// The rows of the table under a heading, without its head.
fn table_under(heading: &str) -> Vec<Vec<String>> {
    let page = read("docs/vectors.md");
    let (_, after) = page.split_once(&format!("\n{heading}\n")).expect("the heading");
    let section = after.split("\n#").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect();
    rows.map(cells).collect()
}

/// Checks that the table lists exactly these words, each with its meaning.
fn lists(heading: &str, words: &[&str]) {
    let rows = table_under(heading);
    let listed: Vec<String> = rows.iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert_eq!(listed, words, "under {heading}");
    for row in rows {
        let meaning = row.last().unwrap();
        assert!(meaning.len() >= 15 && meaning.ends_with('.'), "{row:?}");
    }
}

#[test]
fn every_reason_is_explained_with_its_verdict() {
    let requests = Reason::ALL.iter().map(|reason| {
        let verdict = match reason.verdict() {
            Verdict::Forward => "forward",
            Verdict::Challenge => "challenge",
            Verdict::Refuse => "refuse",
        };
        (reason.as_str(), verdict)
    });
    let connections = ConnReason::ALL.iter().map(|reason| (reason.as_str(), "drop"));
    let (words, verdicts): (Vec<_>, Vec<_>) = requests.chain(connections).unzip();
    lists("### Reasons", &words);
    for (row, verdict) in table_under("### Reasons").iter().zip(verdicts) {
        assert_eq!(row[1], verdict, "{row:?}");
    }
}

#[test]
fn every_cut_is_explained_and_marked_ordinary_where_the_grading_treats_it_so() {
    lists("### Causes of cuts", &Cut::ALL.iter().map(|cut| cut.as_str()).collect::<Vec<_>>());
    for (row, cut) in table_under("### Causes of cuts").iter().zip(Cut::ALL) {
        assert_eq!(row[1].ends_with("Ordinary."), cut.technique().is_none(), "{row:?}");
    }
}

#[test]
fn every_outcome_is_explained() {
    lists("### Outcomes", &Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect::<Vec<_>>());
}
