//! The patterns of activities: `/donate`, `POST /donate/*`.

use crate::{PathPattern, RequestPattern};

use super::problem::{ValueError, quoted};

/// Methods that a pattern may name: RFC 9110, PATCH, and those of `WebDAV`. A name that is not
/// here is far more probably a slip than a method.
const METHODS: [&str; 16] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "QUERY",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
];

/// The longest path of a pattern: longer ones are not typed by people.
const LONGEST_PATH: usize = 1_024;

pub(super) fn parse_pattern(text: &str) -> Result<RequestPattern, ValueError> {
    let error = || {
        ValueError::new(
            format!("{} is not a path", quoted(text)),
            "a path such as /donate, /donate/* (whatever begins so) or POST /donate (one method)",
        )
    };
    let (method, path) = match text.split_once(' ') {
        Some((method, path)) => (Some(method), path),
        None => (None, text),
    };
    if let Some(method) = method
        && !METHODS.contains(&method)
    {
        let upper = method.to_ascii_uppercase();
        return Err(ValueError::new(
            format!("{} is not a method", quoted(method)),
            format!("one of {}", METHODS.join(", ")),
        )
        .hint(match super::nearest::nearest(&upper, METHODS) {
            Some(meant) => format!("did you mean \"{meant} {path}\"?"),
            None => "leave it out for every method".into(),
        }));
    }
    if !path.starts_with('/') {
        let hint = match path {
            "*" => "for every path, write /*".to_owned(),
            _ if path.contains("://") => "write the path alone, from its first slash".into(),
            _ if path.starts_with(' ') => "put one space between method and path".into(),
            _ => "a path begins with a slash".into(),
        };
        return Err(error().hint(hint));
    }
    if path.len() > LONGEST_PATH {
        return Err(error().hint("it is longer than 1024 bytes"));
    }
    if path.contains(['?', '#']) {
        return Err(error().hint("the query is not compared: leave it out, from ? or # on"));
    }
    // A request's path is ASCII without spaces (RFC 9112, section 3); others would never match.
    if !path.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(error().hint(
            "write spaces and letters outside ASCII as browsers send them, such as %20 or %C3%A9",
        ));
    }
    let (path, prefix) = match path.strip_suffix('*') {
        Some(prefix) => (prefix, true),
        None => (path, false),
    };
    if path.contains('*') {
        return Err(error().hint("`*` is only known at the end"));
    }
    Ok(RequestPattern {
        method: method.map(str::to_owned),
        path: if prefix {
            PathPattern::Prefix(path.to_owned())
        } else {
            PathPattern::Exact(path.to_owned())
        },
    })
}

/// As it is written in the file.
pub(super) fn format_pattern(pattern: &RequestPattern) -> String {
    let method = pattern.method.as_ref().map(|method| format!("{method} "));
    let method = method.unwrap_or_default();
    match &pattern.path {
        PathPattern::Exact(path) => format!("{method}{path}"),
        PathPattern::Prefix(path) => format!("{method}{path}*"),
    }
}

/// Whether every request that `later` matches is matched by `earlier`.
pub(super) fn covers(earlier: &RequestPattern, later: &RequestPattern) -> bool {
    let method = earlier.method.is_none() || earlier.method == later.method;
    method
        && match (&earlier.path, &later.path) {
            (PathPattern::Exact(earlier), PathPattern::Exact(later)) => earlier == later,
            (PathPattern::Exact(_), PathPattern::Prefix(_)) => false,
            (
                PathPattern::Prefix(earlier),
                PathPattern::Exact(later) | PathPattern::Prefix(later),
            ) => later.starts_with(earlier.as_str()),
        }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_is_a_path_perhaps_with_a_method() {
        for text in ["/", "/donate", "/donate/*", "POST /donate", "GET /*"] {
            assert_eq!(format_pattern(&parse_pattern(text).expect(text)), text);
        }
    }

    #[test]
    fn each_slip_has_its_hint() {
        for (text, part) in [
            ("donate", "begins with a slash"),
            ("*", "write /*"),
            ("post /donate", "did you mean \"POST /donate\"?"),
            ("PSOT /donate", "did you mean \"POST /donate\"?"),
            ("POST  /donate", "one space"),
            ("/donate?amount=5", "the query is not compared"),
            ("/a*b", "only known at the end"),
            ("/straße", "as browsers send them"),
            ("https://example.org/donate", "the path alone"),
            ("", "begins with a slash"),
        ] {
            let sentence = parse_pattern(text).expect_err(text).sentence();
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    fn pattern() -> impl Strategy<Value = RequestPattern> {
        "((GET|POST) )?/[ab]{0,3}\\*?".prop_map(|text| parse_pattern(&text).expect("pattern"))
    }

    proptest! {
        #[test]
        fn a_covered_pattern_matches_nothing_new(
            earlier in pattern(), later in pattern(),
            method in "GET|POST|PUT", path in "/[abc]{0,4}",
        ) {
            if covers(&earlier, &later) && later.matches(&method, &path) {
                prop_assert!(earlier.matches(&method, &path));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = parse_pattern(&text);
        }
    }
}
