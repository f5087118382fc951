//! Lines of access logs, alone and as files: no panic, each line is either a request or an error,
//! and what a reader remembers from line to line does not change what it reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_replay::{LineFormat, LineReader, parse};

fuzz_target!(|bytes: &[u8]| {
    let mut file = LineReader::recognise(bytes, None);
    for line in bytes.split(|byte| *byte == b'\n') {
        match parse(line) {
            Ok(read) => {
                assert_eq!(read.is_request(), !read.path.is_empty());
                assert!(read.query.is_none() || read.is_request());
            }
            Err(error) => assert!(error.to_string().starts_with("expected")),
        }
        let mut again = file.clone();
        assert_eq!(file.read(line), again.read(line));
    }
    // The first line as a pattern for the others.
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let pattern = lines.next().and_then(|line| core::str::from_utf8(line).ok());
    if let Some(format) = pattern.and_then(|text| text.parse::<LineFormat>().ok()) {
        let rest = lines.next().unwrap_or_default();
        let mut reader = LineReader::recognise(rest, Some(&format));
        for line in rest.split(|byte| *byte == b'\n') {
            let _ = reader.read(line);
        }
    }
});
