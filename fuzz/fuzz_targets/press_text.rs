//! Press statements: any text is checked without a panic, each finding points into the text, and a
//! text passes without an incident only if it makes no claim about one.
#![no_main]

#[path = "../../crates/incident/tests/campaign_day/mod.rs"]
mod campaign_day;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use portcullis_incident::{Incident, fold};
use portcullis_model::WallTime;
use portcullis_statement::{Check, CheckContext, TEXT_BYTES, check};

fn incident() -> &'static Incident {
    static INCIDENT: OnceLock<Incident> = OnceLock::new();
    INCIDENT.get_or_init(|| fold(campaign_day::whole(false)).remove(0))
}

/// Sentences follow each other in the text, and what is rejected is in its sentence.
fn points_into(checked: &Check, text: &str) {
    let mut end = 0;
    for sentence in &checked.sentences {
        assert!(end <= sentence.at.start && text.get(sentence.at.clone()).is_some());
        end = sentence.at.end;
        for rejected in &sentence.rejected {
            assert!(sentence.at.start <= rejected.at.start && rejected.at.end <= end);
            assert!(text.get(rejected.at.clone()).is_some());
        }
    }
}

fuzz_target!(|text: &str| {
    for incident in [None, Some(incident())] {
        // Noon of a day after the incident.
        let made_at = Some(WallTime(1_800_014_400_000));
        let context = CheckContext { made_at, ..CheckContext::default() };
        let Ok(checked) = check(text, incident, &context) else {
            assert!(text.len() > TEXT_BYTES);
            continue;
        };
        points_into(&checked, text);
        let _ = (checked.to_text(), checked.to_json());
        if incident.is_none() && checked.passes() {
            assert!(checked.sentences.iter().all(|sentence| sentence.rejected.is_empty()));
        }
    }
});
