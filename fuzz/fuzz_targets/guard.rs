//! HTTP/2 frames in passing, from and to a visitor: read from any bytes without a panic, and alike
//! however they are cut. The first bytes say how.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_edge::reads_alike;
use portcullis_model::Limits;

fuzz_target!(|bytes: &[u8]| {
    let (lengths, frames) = bytes.split_at(bytes.len().min(4));
    let lengths: Vec<usize> = lengths.iter().map(|length| usize::from(*length)).collect();
    assert!(lengths.is_empty() || reads_alike(&Limits::default(), frames, &lengths));
});
