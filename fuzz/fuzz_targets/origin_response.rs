//! Responses of an origin, heads and bodies: read from any bytes without a panic; cut anywhere, they
//! are the same responses; no field that belongs to the origin's connection reaches the visitor.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_edge::fuzzing::responses;

fuzz_target!(|bytes: &[u8]| {
    // The first bytes say how the rest is cut.
    let (lengths, bytes) = bytes.split_at(bytes.len().min(3));
    let lengths: Vec<usize> = lengths.iter().map(|length| usize::from(*length)).collect();
    let whole = responses(bytes, &[usize::MAX]);
    assert_eq!(whole, responses(bytes, &lengths));
    assert!(whole.content.len() <= bytes.len());
    for head in &whole.heads {
        assert!(head.is_empty() || head.ends_with(b"\r\n"));
        for line in head.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line = line.strip_suffix(b"\r").expect("a whole line");
            assert!(!line.contains(&b'\r'));
            let colon = line.iter().position(|byte| *byte == b':').expect("a name");
            let name = &line[..colon];
            assert!(!name.is_empty() && !name.iter().any(u8::is_ascii_uppercase));
            for own in
                ["connection", "keep-alive", "transfer-encoding", "content-length", "alt-svc"]
            {
                assert_ne!(name, own.as_bytes());
            }
        }
    }
});
