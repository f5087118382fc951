//! `X-Forwarded-For` and `Forwarded`: no text makes the gate panic, add a line to what the origin
//! gets, or believe an address that a trusted proxy did not write.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_edge::fuzzing::forwarded;

const NAMES: [&str; 6] = [
    "x-forwarded-for",
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-proto",
    "host",
    "x-forwarded-port",
];

fuzz_target!(|bytes: &[u8]| {
    // A line each: a digit that names the field, then its value, as a parser would give it.
    let fields: Vec<(&'static str, &[u8])> = bytes
        .split(|byte| matches!(byte, b'\r' | b'\n' | 0))
        .filter_map(|line| line.split_first())
        .map(|(name, value)| (NAMES[usize::from(*name) % NAMES.len()], value.trim_ascii()))
        .collect();
    let trusted = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().expect("a network"));

    let stranger = [192, 0, 2, 1].into();
    let (source, _) = forwarded(stranger, &trusted, &fields, "example.org");
    assert_eq!(source, forwarded(stranger, &trusted, &[], "example.org").0);

    let (_, lines) = forwarded([10, 0, 0, 1].into(), &trusted, &fields, "example.org");
    let text = String::from_utf8_lossy(&lines);
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert!((4..=5).contains(&lines.len()), "{text:?}");
    assert!(lines.iter().all(|line| !line.contains(['\r', '\n'])), "{text:?}");
    let hops = lines[0].strip_prefix("x-forwarded-for: ").expect("the chain");
    assert!(hops.split(", ").all(|hop| hop.parse::<std::net::IpAddr>().is_ok()), "{text:?}");
    assert!(hops.ends_with("10.0.0.1"), "{text:?}");
});
