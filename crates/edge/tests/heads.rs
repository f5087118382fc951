//! Heads of HTTP/2 requests, frame by frame.

#![allow(clippy::unwrap_used)]

mod common;

use core::time::Duration;

use common::wire::{DATA, END_HEADERS, END_STREAM, HEADERS, Wire, frame, header_block, request};
use common::{Gate, Origin, config, secure};
use portcullis_edge::http_1::request_parser::RequestParser;
use portcullis_model::Reason;

/// Asks for `/` with these fields; the text of the answer.
fn ask(wire: &mut Wire, stream: u32, fields: &[(&str, &str)]) -> String {
    let block = request("GET", "/", fields);
    wire.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &block));
    let answer = wire.until(|frame| frame.stream == stream && frame.kind == DATA);
    String::from_utf8(answer.expect("an answer").payload).unwrap()
}

/// How long this thread has worked, however long it waited for its turn.
#[cfg(target_os = "linux")]
fn worked() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// CPU time to read `heads` heads of `bytes` bytes that arrive byte by byte: the least of five runs.
#[cfg(target_os = "linux")]
fn cost_of_drips(heads: usize, bytes: usize) -> Duration {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(bytes));
    let drip_once = || {
        let mut reading = RequestParser::new();
        for byte in head.as_bytes() {
            reading.feed(&[*byte]).unwrap();
        }
        assert_eq!((reading.heads, reading.is_between()), (1, true));
    };
    let measured = (0..5).map(|_| {
        let before = worked();
        (0..heads).for_each(|_| drip_once());
        worked().saturating_sub(before)
    });
    measured.min().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn the_cost_of_a_head_that_arrives_byte_by_byte_grows_with_its_length_only() {
    let (short, long) = (cost_of_drips(64, 4 * 1024), cost_of_drips(1, 256 * 1024));
    // The same number of bytes. Parsed again for each byte, the long one would cost 64 times as
    // much. (Some kernels report a thread's CPU time to the hundredth of a second only.)
    let tick = Duration::from_millis(10);
    assert!(long < short.max(tick) * 16, "{short:?}, {long:?}");
}

#[test]
fn crumbs_of_a_cookie_count_as_fields_and_are_refused_beyond_the_limit() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    let _files = secure(&mut settings);
    let gate = Gate::start(settings);
    let mut wire = Wire::connect(&gate, &[]);
    assert_eq!(ask(&mut wire, 1, &[("cookie", "a=1"); 100]), "hello");
    assert_eq!(origin.last().head.matches("a=1").count(), 100);
    assert!(ask(&mut wire, 3, &[("cookie", "a=1"); 101]).contains("header-too-large"));
    // Each names a field of the table for one byte, and unpacks to 38.
    let mut bomb = request("GET", "/", &[]);
    bomb.extend([0x40, 6]);
    bomb.extend(b"cookie");
    bomb.extend([3, b'a', b'=', b'1']);
    bomb.extend([0xbe; 700]);
    wire.send(&frame(HEADERS, END_STREAM | END_HEADERS, 5, &bomb));
    let answer = wire.until(|frame| frame.stream == 5 && frame.kind == DATA).unwrap();
    assert!(String::from_utf8_lossy(&answer.payload).contains("header-too-large"));
    assert_eq!(gate.reason(Reason::HeaderTooLarge), 2);
    assert_eq!(gate.offered(), 3);
    assert_eq!(origin.requests(), 1);
    assert_eq!(ask(&mut wire, 7, &[]), "hello");
}

#[test]
fn many_parts_of_a_document_or_the_same_twice_are_refused_and_one_part_is_not() {
    let origin = Origin::hello();
    let gate = Gate::start(config(origin.address));
    let mut visitor = gate.connect();
    let mut ask = |range: &str| {
        visitor.send(format!("GET /a.pdf HTTP/1.1\r\nHost: a\r\nRange: {range}\r\n\r\n"));
        visitor.answer().status
    };
    assert_eq!(ask("bytes=0-1023"), 200);
    assert_eq!(origin.last().field("range"), Some("bytes=0-1023"));
    assert_eq!(ask("bytes=0-99,500-599,-1024"), 200);
    let many: Vec<_> = (0..1300).map(|at| format!("{}-{}", at * 2, at * 2)).collect();
    assert_eq!(ask(&format!("bytes={}", many.join(","))), 416);
    assert_eq!(ask("bytes=0-,0-,0-"), 416);
    assert_eq!(gate.reason(Reason::TooManyRanges), 2);
    assert_eq!(origin.requests(), 2);
    assert_eq!(ask("bytes=5-"), 200);
}

#[test]
fn white_space_around_a_value_and_long_targets_are_refused() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.limits.max_target_bytes = 1024;
    let _files = secure(&mut settings);
    let gate = Gate::start(settings);
    let mut wire = Wire::connect(&gate, &[]);
    for (at, value) in [" a", "a ", "\ta", "a\t"].iter().enumerate() {
        let stream = at as u32 * 2 + 1;
        assert!(ask(&mut wire, stream, &[("x", value)]).contains("malformed"), "{value:?}");
    }
    assert_eq!(gate.reason(Reason::Malformed), 4);
    let block = request("GET", &format!("/{}", "x".repeat(1024)), &[]);
    wire.send(&frame(HEADERS, END_STREAM | END_HEADERS, 11, &block));
    let answer = wire.until(|frame| frame.stream == 11 && frame.kind == DATA).unwrap();
    assert!(String::from_utf8_lossy(&answer.payload).contains("target-too-long"));
    assert_eq!(gate.reason(Reason::TargetTooLong), 1);
    assert_eq!(origin.requests(), 0);
    assert_eq!(ask(&mut wire, 13, &[("x", "a b")]), "hello");
}

/// Proxies that translate HTTP/1.1 into HTTP/2 may leave `Host` as it is (RFC 9113, section 8.3.1).
#[test]
fn a_host_field_does_without_an_authority() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.platforms[0].hosts = vec!["example.org".into()];
    let _files = secure(&mut settings);
    let gate = Gate::start(settings);
    let mut wire = Wire::connect(&gate, &[]);
    let block = header_block(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/"),
        ("host", "example.org"),
    ]);
    wire.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block));
    let answer = wire.until(|frame| frame.stream == 1 && frame.kind == DATA);
    assert_eq!(answer.expect("an answer").payload, b"hello");
    assert_eq!(gate.reason(Reason::Allowed), 1);
}

/// Some clients send the end of a request as an empty frame of data.
#[test]
fn a_request_whose_body_is_empty_reaches_the_origin_without_one() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    let _files = secure(&mut settings);
    let gate = Gate::start(settings);
    let mut wire = Wire::connect(&gate, &[]);
    for (stream, method, length) in
        [(1, "GET", None), (3, "HEAD", None), (5, "POST", Some("0")), (7, "GET", None)]
    {
        wire.send(&frame(HEADERS, END_HEADERS, stream, &request(method, "/", &[])));
        if stream == 7 {
            wire.send(&frame(DATA, 0, stream, b""));
        }
        wire.send(&frame(DATA, END_STREAM, stream, b""));
        wire.until(|frame| frame.stream == stream && frame.flags & END_STREAM != 0);
        let received = origin.last();
        assert!(received.line().starts_with(method));
        assert_eq!(received.field("transfer-encoding"), None, "{method}");
        assert_eq!(received.field("content-length"), length, "{method}");
    }
}
