//! HTTP/3 frames of a visitor, on a request's stream and on the control stream: read from any bytes
//! without a panic, and alike however they are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_edge::fuzzing::http_3_frames;
use portcullis_model::Limits;

fuzz_target!(|bytes: &[u8]| {
    // The first bytes say how the rest is cut.
    let (lengths, bytes) = bytes.split_at(bytes.len().min(3));
    let lengths: Vec<usize> = lengths.iter().map(|length| usize::from(*length)).collect();
    for control in [false, true] {
        let whole = http_3_frames(&Limits::default(), bytes, &[usize::MAX], control);
        assert_eq!(whole, http_3_frames(&Limits::default(), bytes, &lengths, control));
        for ((_, length), came) in whole.frames.iter().zip(&whole.content) {
            assert!(came <= length);
        }
        // Every frame but the last one came whole, and each has a head of two bytes at least.
        let heads = 2 * whole.frames.len() as u64;
        assert!(heads + whole.content.iter().sum::<u64>() <= bytes.len() as u64);
    }
});
