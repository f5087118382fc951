//! HTTP/1.1 requests, heads and bodies: read from any bytes without a panic; cut anywhere, they are
//! the same requests.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_edge::http_1::request_parser::RequestParser;

fuzz_target!(|bytes: &[u8]| {
    let mut whole = RequestParser::new();
    let uncut = whole.feed(bytes);
    let mut cut = RequestParser::new();
    let piece = usize::from(bytes.first().copied().unwrap_or(1) % 7) + 1;
    let parts = bytes.chunks(piece).try_for_each(|part| cut.feed(part));
    assert_eq!(uncut, parts);
    assert_eq!((whole.heads, whole.content), (cut.heads, cut.content));
});
