//! The patterns of activities: `/donate`, `POST /donate/*`.

use crate::{PathForm, PathPattern, PathRules, RequestPattern};

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

pub(super) fn parse_pattern(text: &str, rules: PathRules) -> Result<RequestPattern, ValueError> {
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
    let path = parse_path(text, path, rules)?;
    Ok(RequestPattern { method: method.map(str::to_owned), path })
}

/// The path of the pattern `text`.
fn parse_path(text: &str, path: &str, rules: PathRules) -> Result<PathPattern, ValueError> {
    let error = || {
        ValueError::new(
            format!("{} is not a path", quoted(text)),
            "a path such as /donate, /donate/* (whatever begins so) or POST /donate (one method)",
        )
    };
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
    // Requests are compared in this form, so a pattern in another form would never match. The last
    // segment of a prefix continues in the request.
    let whole = if prefix { format!("{path}x") } else { path.to_owned() };
    let form = PathForm::of(&whole, rules).map_err(|problem| {
        error().hint(format!("a request for it would be refused: it has {}", problem.as_str()))
    })?;
    let mut path = form.as_str().to_owned();
    if prefix {
        path.pop();
    }
    Ok(if prefix { PathPattern::Prefix(path) } else { PathPattern::Exact(path) })
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
            assert_eq!(
                format_pattern(&parse_pattern(text, PathRules::default()).expect(text)),
                text
            );
        }
    }

    #[test]
    fn a_pattern_has_the_form_in_which_paths_are_compared() {
        let rules = PathRules::default();
        let pattern = parse_pattern("/%73earch//*", rules).expect("pattern");
        assert_eq!(format_pattern(&pattern), "/search/*");
        assert_eq!(format_pattern(&parse_pattern("/.*", rules).expect("pattern")), "/.*");
        assert!(parse_pattern("/caf%c3%a9", rules).expect("pattern").matches("GET", "/caf%C3%A9"));
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
            ("/a/../b", "a segment `.` or `..`"),
            ("/a%2fb", "an encoded slash"),
            ("/a%2", "without two hexadecimal digits"),
        ] {
            let sentence = parse_pattern(text, PathRules::default()).expect_err(text).sentence();
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    fn pattern() -> impl Strategy<Value = RequestPattern> {
        "((GET|POST) )?/[ab]{0,3}\\*?"
            .prop_map(|text| parse_pattern(&text, PathRules::default()).expect("pattern"))
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
            let _ = parse_pattern(&text, PathRules::default());
        }
    }
}
