//! The PROXY protocol header: read from any bytes without a panic, within its bounds, and the same
//! however much of it has come.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_edge::proxy_protocol::{LONGEST, ParsedHeader, parse};

fuzz_target!(|bytes: &[u8]| {
    let whole = parse(bytes);
    match whole {
        Ok(ParsedHeader::Complete { length, .. }) => {
            assert!(0 < length && length <= LONGEST && length <= bytes.len());
            assert_eq!(parse(&bytes[..length]), whole);
            for shorter in 0..length {
                assert_eq!(parse(&bytes[..shorter]), Ok(ParsedHeader::Incomplete));
            }
        }
        Ok(ParsedHeader::Incomplete) => assert!(bytes.len() < LONGEST),
        // What is wrong stays wrong when more comes.
        Err(_) => assert!(parse(&[bytes, b"\r\n more"].concat()).is_err()),
    }
});
