//! Paths, held against implementations that were not made here: the `url` crate resolves a path as
//! browsers do (WHATWG URL), `iri-string` normalises it by RFC 3986, section 6.2.2.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use iri_string::types::UriStr;
use portcullis_gate::{Demands, Disposition, Policy, Request, Secret, Tables, decide};
use portcullis_model::{Config, Ids, PathRules, Reason, SourceKey, Time, WallTime};
use proptest::prelude::*;

const SITE: &str = r#"
[[listeners]]
address = "127.0.0.1:8080"

[[platforms]]
name = "site"
hosts = ["*"]
origin = "http://127.0.0.1:3000"

[[platforms.activities]]
name = "hook"
paths = ["/hooks/*"]
challenge = false

[[platforms.activities]]
name = "sign"
paths = ["POST /search"]

[[platforms.activities]]
name = "search"
paths = ["/search", "/search/*", "/~find"]
"#;

struct Gate {
    policy: Policy,
    tables: Tables,
    ids: Ids,
}

impl Gate {
    fn new(rules: PathRules) -> Self {
        let mut config = Config::read(SITE, "site.toml").unwrap();
        config.platforms[0].path_rules = rules;
        let secret = Secret::new(&[7; 32]);
        Self {
            ids: Ids::new(&config),
            policy: Policy::new(Arc::new(config), secret.clone()),
            tables: Tables::new(1_024, secret),
        }
    }

    /// The activity that a request is judged as; `None` if its path is refused.
    fn activity(&self, method: &str, path: &str) -> Option<String> {
        let none: &[(&str, &str)] = &[];
        let request = Request {
            source: SourceKey::of([192, 0, 2, 7].into()),
            host: "example.org",
            method,
            path,
            query: None,
            secure: true,
            tls_client: None,
            fields: &none,
            demands: Demands::default(),
        };
        let now = Time::from_secs(1);
        let decision = decide(&self.policy, &self.tables, &request, now, WallTime(1_000));
        let Some(assigned) = decision.record.assigned else {
            assert_eq!(decision.record.reason, Reason::AmbiguousPath, "{path}");
            assert_eq!(decision.answer, Disposition::Refuse { retry_after: None });
            return None;
        };
        Some(self.ids.activity_name(assigned.activity).unwrap().1.to_owned())
    }
}

/// The activity of a path that has been resolved, written out by hand.
fn expected(method: &str, path: &str) -> &'static str {
    if path.starts_with("/hooks/") {
        "hook"
    } else if path == "/search" && method == "POST" {
        "sign"
    } else if path == "/search" || path.starts_with("/search/") || path == "/~find" {
        "search"
    } else {
        "everything else"
    }
}

fn merge_slashes(mut path: String) -> String {
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    path
}

/// Normalised by RFC 3986: unreserved escapes decoded, dot segments removed.
fn by_rfc_3986(path: &str) -> Option<String> {
    let whole = format!("http://h{path}");
    let normal = UriStr::new(whole.as_str()).ok()?.normalize().to_string();
    Some(merge_slashes(normal.strip_prefix("http://h")?.to_owned()))
}

/// Resolved as browsers do, and then normalised.
fn by_whatwg(path: &str) -> Option<String> {
    let url = url::Url::parse(&format!("http://h{path}")).ok()?;
    by_rfc_3986(url.path())
}

fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop_oneof!["hooks", "search", "~find", "x"],
        4 => Just("/".to_owned()),
        1 => prop_oneof![Just("//".to_owned()), Just("/./".to_owned()), Just("/../".to_owned())],
        1 => prop_oneof![Just("..".to_owned()), Just(".".to_owned()), Just("...".to_owned())],
        1 => prop_oneof!["%2[eE]", "%252e", "%2[fF]", "%5[cC]", "\\\\", ";", ";a=b", "%3[bB]"],
        1 => prop_oneof!["%73", "%7[eE]", "%41", "%25", "%00", "%C3%A9", "%e9", "%", "%zz"],
    ];
    proptest::collection::vec(piece, 1..9).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// What is let through belongs to the activity that every other reader finds.
    #[test]
    fn no_path_is_judged_as_another_activity_than_others_read(
        path in path(),
        method in "GET|POST|post|FROB",
    ) {
        let gate = Gate::new(PathRules::default());
        if let Some(activity) = gate.activity(&method, &path) {
            for resolved in [by_rfc_3986(&path), by_whatwg(&path)].into_iter().flatten() {
                prop_assert_eq!(&activity, expected(&method, &resolved), "{} -> {}", path, resolved);
                // An origin that cuts off parameters finds the same.
                let bare: Vec<&str> = resolved
                    .split('/')
                    .map(|segment| segment.split(';').next().unwrap_or_default())
                    .collect();
                let bare = merge_slashes(bare.join("/"));
                prop_assert_eq!(&activity, expected(&method, &bare), "{} -> {}", path, bare);
            }
            prop_assert!(by_rfc_3986(&path).is_some() || !path.is_ascii());
        }
    }

    /// Whatever an origin is said to read in one way, a dot segment never passes.
    #[test]
    fn no_rule_lets_a_dot_segment_through(path in path()) {
        let gate = Gate::new(PathRules::ANY);
        if gate.activity("GET", &path).is_some() {
            // Resolution has removed no segment.
            let resolved = url::Url::parse(&format!("http://h{path}")).unwrap();
            let slashes = |path: &str| path.matches('/').count();
            prop_assert_eq!(slashes(resolved.path()), slashes(&path), "{}", path);
        }
    }
}

#[test]
fn each_spelling_belongs_to_its_activity_or_is_refused() {
    let gate = Gate::new(PathRules::default());
    for (path, activity) in [
        ("/search", Some("search")),
        ("//search", Some("search")),
        ("/%73earch", Some("search")),
        ("/search//deep", Some("search")),
        ("/%7Efind", Some("search")),
        ("/hooks/pay", Some("hook")),
        ("//hooks///pay", Some("hook")),
        ("/hooks/../search", None),
        ("/hooks/%2e%2e/search", None),
        ("/hooks/..;/search", None),
        ("/hooks\\..\\search", None),
        ("/hooks/..%2fsearch", None),
        ("/hooks/..%5csearch", None),
        ("/hooks/%252e%252e/search", None),
        ("/hooks%2fpay", None),
        ("/search;x", None),
        ("/x;y/z", Some("everything else")),
        ("/hooks/a;b", Some("hook")),
        ("/hooks;x/pay", None),
        ("/hooks;/;", None),
        ("/./search", None),
        ("/search/.", None),
        ("/.well-known/change-password", Some("everything else")),
    ] {
        assert_eq!(gate.activity("GET", path).as_deref(), activity, "{path}");
    }
}

#[test]
fn methods_are_compared_exactly() {
    let gate = Gate::new(PathRules::default());
    for (method, activity) in
        [("POST", "sign"), ("post", "search"), ("Post", "search"), ("FROB", "search")]
    {
        assert_eq!(gate.activity(method, "/search").as_deref(), Some(activity), "{method}");
    }
}

#[test]
fn an_origin_that_keeps_parameters_has_one_reading_of_them() {
    let rules = PathRules { allow_parameters: true, ..PathRules::default() };
    let gate = Gate::new(rules);
    assert_eq!(gate.activity("GET", "/search;x").as_deref(), Some("everything else"));
    assert_eq!(gate.activity("GET", "/hooks/..;/search"), None);
}
