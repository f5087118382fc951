//! Paths: a form is its own form, and has no empty segment and no dot segment.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_model::{PathForm, PathRules};

fuzz_target!(|raw: &str| {
    let raw = format!("/{raw}");
    for rules in [PathRules::default(), PathRules::ANY] {
        let Ok(form) = PathForm::of(&raw, rules) else { continue };
        for text in [Some(form.as_str()), form.without_parameters()].into_iter().flatten() {
            let again = PathForm::of(text, rules).expect("a form can be read");
            assert_eq!(again.as_str(), text);
            assert!(text.starts_with('/') && !text.contains("//"));
            assert!(!text.split('/').any(|segment| matches!(segment, "." | "..")));
        }
    }
});
