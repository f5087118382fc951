//! `Range`: no text makes the gate panic; what asks for little asks for little under a higher limit,
//! too, and still does when items are taken away.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_edge::fuzzing::ranges_within_limit;

fuzz_target!(|bytes: &[u8]| {
    let Some((limit, text)) = bytes.split_first() else { return };
    let limit = usize::from(limit % 16);
    let values: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    if ranges_within_limit(&values, limit) {
        assert!(ranges_within_limit(&values, limit + 1));
        let fewer = text.iter().rposition(|byte| *byte == b',').map_or(text, |at| &text[..at]);
        let fewer: Vec<&[u8]> = fewer.split(|byte| *byte == b'\n').collect();
        assert!(ranges_within_limit(&fewer, limit));
    }
});
