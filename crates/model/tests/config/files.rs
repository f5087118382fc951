//! Files by name, good and bad.

use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_model::{Config, Limits, PostureSettings, WatchSettings};

use crate::rules::assert_sound;
use crate::{assert_is_file, repository, testdata, text_of};

#[test]
fn good_files_are_read() {
    for path in testdata("good") {
        match Config::read(&text_of(&path), "good.toml") {
            Ok(config) => assert_sound(&config),
            Err(problems) => panic!("{}:\n{problems}", path.display()),
        }
    }
}

#[test]
fn bad_files_are_refused_with_helpful_messages() {
    for path in testdata("bad") {
        let name = path.file_name().and_then(|name| name.to_str()).expect("name");
        let problems = Config::read(&text_of(&path), name).expect_err(name);
        assert_is_file(&path.with_extension("txt"), &format!("{problems}\n"));
    }
}

fn good(name: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/good").join(name);
    Config::read(&text_of(&path), name).expect("a good file")
}

#[test]
fn a_minimal_file_means_every_default() {
    let config = good("minimal.toml");
    let origin = portcullis_model::parse_origin("http://127.0.0.1:3000").expect("origin");
    let listen = "127.0.0.1:8080".parse().expect("address");
    assert_eq!(config, Config::for_origin(listen, origin));
}

#[test]
fn every_key_is_read() {
    insta::assert_debug_snapshot!("everything", good("everything.toml"));
    insta::assert_debug_snapshot!("several_platforms", good("several-platforms.toml"));
}

#[test]
fn line_ends_of_other_systems_and_inline_tables_are_read() {
    let config = good("crlf-and-comments.toml");
    assert_eq!(config.limits.idle_timeout, Duration::from_secs(5));
    assert_eq!(config.platforms[0].hosts, ["example.org"]);
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file_and_absolute_ones_stay() {
    let config = good("tls.toml").resolve_paths(Path::new("/etc/portcullis"));
    assert_eq!(config.ledger, PathBuf::from("/var/lib/portcullis/ledger"));
    let tls = config.listeners[0].tls.as_ref().expect("TLS");
    assert_eq!(tls.certificate, PathBuf::from("/etc/portcullis/tls/site.pem"));
    assert_eq!(tls.key, PathBuf::from("/etc/portcullis/tls/site.key"));
}

#[test]
fn certificates_are_obtained_for_every_host_of_a_platform_and_stored_next_to_the_file() {
    let config = good("acme.toml").resolve_paths(Path::new("/etc/portcullis"));
    let acme = config.acme.as_ref().expect("ACME");
    assert_eq!(acme.hosts, ["example.org", "www.example.org"]);
    assert_eq!(acme.directory, portcullis_model::AcmeConfig::STAGING);
    assert_eq!(acme.folder, PathBuf::from("/etc/portcullis/acme"));
    assert_eq!(acme.root, Some(PathBuf::from("/etc/portcullis/authority.pem")));
    assert_eq!(config.listeners[0].tls, Some(acme.placeholder_certificate()));
    assert!(
        config.tls_files().is_empty(),
        "files that no operator has named are not theirs to fix"
    );
}

#[test]
fn the_example_is_valid_unchanged_and_with_every_line_in_force() {
    let text = text_of(&repository("portcullis.example.toml"));
    let config = Config::read(&text, "portcullis.example.toml").unwrap_or_else(|p| panic!("{p}"));
    assert_sound(&config);

    // `#key = …` is a key with its default; `# Words` are words.
    let all: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
            _ => line,
        })
        .fold(String::new(), |all, line| all + line + "\n");
    let all = Config::read(&all, "portcullis.example.toml").unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(all.limits, Limits::default());
    assert_eq!(all.watch, WatchSettings::default());
    assert_eq!(all.posture, PostureSettings::default());
    assert_eq!(all.platforms, config.platforms);
    assert_eq!((all.admin, all.ledger), (config.admin, config.ledger));
}

#[test]
fn the_example_shows_every_key() {
    fn keys<'s>(schema: &'s serde_json::Value, found: &mut Vec<&'s str>) {
        match schema {
            serde_json::Value::Object(fields) => {
                if let Some(properties) = fields.get("properties").and_then(|p| p.as_object()) {
                    found.extend(properties.keys().map(String::as_str));
                }
                fields.values().for_each(|below| keys(below, found));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
            _ => {}
        }
    }
    let schema = Config::schema();
    let mut all = Vec::new();
    keys(&schema, &mut all);
    assert!(all.len() > 40);
    let text = text_of(&repository("portcullis.example.toml"));
    for key in all {
        let shown = text.lines().any(|line| {
            let line = line.trim_start_matches(['#', '[']);
            line.strip_prefix(key)
                .or_else(|| line.rsplit_once('.')?.1.strip_prefix(key))
                .is_some_and(|rest| rest.starts_with([' ', ']', '.']))
        });
        assert!(shown, "portcullis.example.toml does not show `{key}`");
    }
}

#[test]
fn too_many_activities_are_refused_where_they_become_too_many() {
    let activity =
        |n: u32| format!("[[platforms.activities]]\nname = \"a{n}\"\npaths = [\"/{n}\"]\n");
    let activities: Vec<_> = (0..60).map(activity).collect();
    let platform = |n: u32| {
        let origin = "http://127.0.0.1:3000";
        let site = format!("name = \"p{n}\"\nhosts = [\"{n}.example\"]\norigin = \"{origin}\"\n");
        format!("[[platforms]]\n{site}{}", activities.concat())
    };
    let platforms: Vec<_> = (0..9).map(platform).collect();
    let listen = "[[listeners]]\naddress = \"127.0.0.1:8080\"\n";
    let text = format!("{listen}{}", platforms.concat());
    let problems = Config::read(&text, "many.toml").expect_err("too many");
    assert_eq!(problems.problems.len(), 1, "{problems}");
    assert_eq!(problems.problems[0].key, "platforms[8].activities");
    assert!(problems.to_string().contains("at most 512"), "{problems}");
}

#[test]
fn a_file_above_the_size_limit_is_not_read() {
    let problems = Config::read(&"# \n".repeat(100_000), "large.toml").expect_err("too large");
    assert!(problems.to_string().contains("at most 256 KiB"), "{problems}");
}

#[test]
fn a_hundred_problems_are_shown_and_all_are_counted() {
    let lines: Vec<_> = (0..250).map(|n| format!("unknown{n} = 1\n")).collect();
    let problems = Config::read(&lines.concat(), "many.toml").expect_err("unknown keys");
    assert_eq!(problems.problems.len(), 100);
    // `listen` and `platforms` are missing too.
    assert_eq!(problems.more, 152);
    assert!(problems.to_string().ends_with("252 problems in many.toml; 100 are shown"));
}
