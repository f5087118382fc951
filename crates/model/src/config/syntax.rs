//! The errors of the TOML parser, for people who do not know TOML's grammar.

use core::ops::Range;

use toml::de::Error;

use super::problem::{ProblemCollector, ValueError, quoted};

/// Lines that are reported. A bracket that is never closed makes every line after it wrong; a few
/// of them are enough.
const LINES: usize = 5;

/// Reports what makes the file no TOML, the first slip of each line: the parser recovers within
/// a line and then complains of what follows from it.
pub(super) fn report(report: &mut ProblemCollector, text: &str, errors: &[Error]) {
    let mut errors: Vec<(Range<usize>, &str)> =
        errors.iter().map(|error| (error.span().unwrap_or(0..0), error.message())).collect();
    errors.sort_by_key(|(place, _)| place.start);
    let mut before = 0;
    let mut lines = 0;
    for (place, message) in errors {
        let start = place.start.min(text.len());
        let same_line = lines > 0 && !text.as_bytes()[before..start].contains(&b'\n');
        before = start;
        if same_line {
            continue;
        }
        lines += 1;
        if lines > LINES {
            return;
        }
        let meant = text.get(place.clone()).unwrap_or_default();
        report.add(Some(&place), "", error(message, meant));
    }
}

/// Turns the parser's message into found, expected and hint. Its own words stay where they
/// help: they are what one can search for.
fn error(message: &str, meant: &str) -> ValueError {
    let (found, expected) =
        message.split_once(", expected ").unwrap_or((message, "another character or word"));
    let error = |expected: &str| ValueError::new(format!("this is not TOML: {found}"), expected);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':');
    match found {
        "duplicate key" => error("each key once in its table")
            .hint("where there are several tables of a kind, each begins with its own [[heading]]"),
        "string values must be quoted" => {
            let error = error("a text between quotation marks");
            if !meant.is_empty() && meant.chars().all(plain) {
                error.hint(format!("write \"{}\"", quoted(meant).trim_matches('`')))
            } else {
                error
            }
        }
        "invalid basic string" => error(expected).hint(
            "a text ends on its own line; within it, a backslash is written \\\\ and a \"\\\"",
        ),
        _ => error(expected),
    }
}
