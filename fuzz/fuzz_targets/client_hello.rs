//! The first message of a TLS visitor: read from any bytes without a panic, within its bounds, and
//! the same however it is cut into records.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_edge::client_hello::{ClientHello, LONGEST, message};
use portcullis_edge::ja4::Ja4;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(whole)) = message(bytes) {
        assert!(whole.len() <= LONGEST);
        if let Ok(hello) = ClientHello::read(&whole) {
            let text = Ja4::of(&hello);
            assert_eq!(text.as_str().len(), 36);
            let records: Vec<u8> = whole
                .chunks(whole.len().div_ceil(8).max(1))
                .flat_map(|part| {
                    [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat()
                })
                .collect();
            assert_eq!(Ja4::of_records(&records), Some(text));
        }
    }
    let _ = ClientHello::read(bytes);
});
