//! Any text is either a sound configuration or a list of problems that people can read; so is
//! any origin of the command line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_model::{Config, parse_origin};

fuzz_target!(|text: &str| {
    match Config::read(text, "portcullis.toml") {
        Ok(config) => {
            assert!(!config.listeners.is_empty() && !config.platforms.is_empty());
            let memory = u64::from(config.limits.max_connections)
                * u64::from(config.limits.max_header_bytes);
            assert!(memory <= 16 << 30);
            for platform in &config.platforms {
                let last = platform.activities.last().expect("every list ends in its catch-all");
                assert!(last.matches.iter().any(|pattern| pattern.matches("GET", "")));
            }
        }
        Err(problems) => {
            let lines = text.split('\n').count();
            assert!(!problems.problems.is_empty());
            assert!(problems.problems.iter().all(|problem| problem.line <= lines));
            let shown = problems.to_string();
            assert!(!shown.chars().any(|c| c.is_control() && c != '\n'));
        }
    }
    if let Ok(origin) = parse_origin(text) {
        let again = parse_origin(&format!("http://{}", origin.authority()));
        assert_eq!(again, Ok(origin));
    }
});
