//! The origin has the limits that it announces.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::pages::{Page, Route, render, route};
use super::*;

fn get(address: SocketAddr, path: &str, timeout: Duration) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, timeout).ok()?;
    stream.set_read_timeout(Some(timeout)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).ok()?;
    Some(response)
}

const TIMEOUT: Duration = Duration::from_secs(2);

#[test]
fn pages_assets_and_forms_are_answered() {
    let origin = DemoOrigin::start(&DemoOriginConfig::default()).unwrap();
    let at = origin.address().address();
    for path in ["/", "/news", "/news/rents", "/volunteer", "/search?q=rents", "/leaflet?ward=3"] {
        let response = get(at, path, TIMEOUT).unwrap();
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {response}");
        assert!(response.contains("<html lang=\"en-GB\">"), "{path}");
    }
    for (path, _) in crate::site::ASSETS {
        assert!(get(at, path, TIMEOUT).unwrap().starts_with("HTTP/1.1 200 OK\r\n"), "{path}");
    }
    assert!(get(at, "/nothing", TIMEOUT).unwrap().starts_with("HTTP/1.1 404 "));

    let mut stream = TcpStream::connect(at).unwrap();
    stream
        .write_all(b"POST /volunteer HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nname=A\r\n0\r\n\r\n")
        .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 303 See Other\r\n"), "{response}");
    assert!(response.contains("Location: /thank-you\r\n"));

    let status = origin.status();
    assert_eq!((status.received, status.served), (12, 12));
    let status_response =
        get(origin.status_address().address(), "/origin-status", TIMEOUT).unwrap();
    let json = status_response.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(serde_json::from_str::<DemoOriginStatus>(json).unwrap().received, 12);
}

#[test]
fn slow_headers_take_every_slot_and_idle_connections_take_none() {
    let config = DemoOriginConfig { slots: 8, ..DemoOriginConfig::default() };
    let origin = DemoOrigin::start(&config).unwrap();
    let at = origin.address().address();

    let idle: Vec<_> = (0..30).map(|_| TcpStream::connect(at).unwrap()).collect();
    assert!(get(at, "/", TIMEOUT).is_some(), "idle connections were in the way");

    let slow: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(at).unwrap();
            stream.write_all(b"GET / HT").unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(origin.status().busy_slots, 8);
    assert!(get(at, "/", Duration::from_millis(500)).is_none(), "a slot was free");

    drop(slow);
    assert!(get(at, "/", TIMEOUT).is_some(), "the slots did not come back");
    drop(idle);
}

#[test]
fn a_header_that_takes_too_long_loses_its_slot() {
    let config = DemoOriginConfig {
        slots: 1,
        header_timeout: Duration::from_millis(200),
        ..DemoOriginConfig::default()
    };
    let origin = DemoOrigin::start(&config).unwrap();
    let at = origin.address().address();
    let mut slow = TcpStream::connect(at).unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    assert!(get(at, "/assets/site.css", TIMEOUT).is_some());
    assert_eq!(origin.status().header_timeouts, 1);
    let mut response = String::new();
    slow.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
}

#[test]
fn a_full_queue_rejects_immediately() {
    let config = DemoOriginConfig { workers: 1, queue: 2, ..DemoOriginConfig::default() };
    let origin = DemoOrigin::start(&config).unwrap();
    let at = origin.address().address();
    let start = Instant::now();
    let answers: Vec<_> = (0..12)
        .map(|_| std::thread::spawn(move || get(at, "/search?q=votes", TIMEOUT)))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|thread| thread.join().unwrap().unwrap())
        .collect();
    let busy = answers.iter().filter(|response| response.starts_with("HTTP/1.1 503 ")).count();
    // One in work, unless all come before it is taken up, and two waiting; a slow machine may let
    // some more through.
    assert!((6..=10).contains(&busy), "{busy} of 12 refused");
    assert!(start.elapsed() >= Duration::from_millis(100), "searches cost time");
    assert_eq!(origin.status().rejected, busy as u64);
}

#[test]
fn a_search_cannot_write_markup_into_the_page() {
    let Route::Page(page) = route("GET", "/search?q=<script>alert(1)</script>") else {
        panic!("a search is a page")
    };
    let text = String::from_utf8(render(&page)).unwrap();
    assert!(!text.contains("<script>alert"), "{text}");
    assert!(text.contains("&lt;script&gt;"));
}

#[test]
fn pages_have_the_size_of_real_ones() {
    let size = |page: &Page| render(page).len();
    assert!((3_000..12_000).contains(&size(&Page::Home)), "{}", size(&Page::Home));
    assert!((15_000..60_000).contains(&size(&Page::Leaflet("3".into()))));
    assert!(size(&Page::ThankYou) < 3_000);
}
