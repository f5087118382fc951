//! HTTP/1.1 requests in passing: read from any bytes without a panic; cut anywhere, nothing is
//! believed that is not believed in one piece.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_edge::framing::Framing;

fuzz_target!(|bytes: &[u8]| {
    let whole = Framing::new().feed(bytes).map_err(|ambiguous| ambiguous.at);
    let mut framing = Framing::new();
    let piece = usize::from(bytes.first().copied().unwrap_or(1) % 7) + 1;
    let mut before = 0;
    let mut in_pieces = Ok(());
    for part in bytes.chunks(piece) {
        if let Err(ambiguous) = framing.feed(part) {
            in_pieces = Err(before + ambiguous.at);
            break;
        }
        before += part.len();
    }
    match (whole, in_pieces) {
        (Err(whole), Err(cut)) => assert!(cut >= whole),
        (whole, cut) => assert_eq!(whole, cut),
    }
});
