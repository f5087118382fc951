//! Lines of access logs: no panic, and each line is either a request or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_replay::{Parser, parse};

fuzz_target!(|bytes: &[u8]| {
    // One parser for all lines, as a replay has: what it remembers must not change what it reads.
    let mut parser = Parser::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        let fresh = parse(line);
        assert_eq!(parser.parse(line), fresh);
        match fresh {
            Ok(read) => {
                assert_eq!(read.is_request(), !read.path.is_empty());
                assert!(read.query.is_none() || read.is_request());
            }
            Err(error) => assert!(error.to_string().starts_with("expected")),
        }
    }
});
