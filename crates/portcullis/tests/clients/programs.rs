//! Programs that people use: Python's own client, requests, httpx, aiohttp (`programs.py`), and curl.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use portcullis_testkit::peers::{has_peer, python};

use crate::common::text;
use crate::message::chunks;
use crate::origin::{Origin, ReceivedRequest, answer};
use crate::script;
use crate::{digest, gate, pattern, pause};

/// The requests of the programs (`programs.py` states each response).
fn origin() -> Origin {
    Origin::start(|link| {
        while let Some(asked) = link.next_request() {
            let stays = match asked.path.as_str() {
                "/cut/length" => {
                    link.write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
                    link.write(pattern(50_000));
                    false
                }
                "/cut/chunked" => {
                    link.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nC350\r\n");
                    link.write(pattern(50_000));
                    false
                }
                _ => {
                    link.write(content_of(&asked));
                    !asked.path.starts_with("/close/")
                }
            };
            if !stays {
                pause();
                return;
            }
        }
    })
}

fn content_of(asked: &ReceivedRequest) -> Vec<u8> {
    let (form, size) = asked.path[1..].split_once('/').unwrap_or((&asked.path[1..], ""));
    let size = size.parse().unwrap_or(0);
    match form {
        "length" if asked.method == "HEAD" => {
            format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes()
        }
        "length" => answer(pattern(size)),
        "chunked" => {
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            [head.to_vec(), chunks(&pattern(size), &[5, 16_384, 60_000])].concat()
        }
        "close" => [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), pattern(size)].concat(),
        "204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "304" => b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n".to_vec(),
        "404" => b"HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\nnot here".to_vec(),
        "hints" => {
            let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
            [hints.to_vec(), answer("behind the hints")].concat()
        }
        "range" => {
            let range = asked.head.field("range").unwrap().strip_prefix("bytes=").unwrap();
            let (from, to) = range.split_once('-').unwrap();
            let part = &pattern(size)[from.parse().unwrap()..=to.parse().unwrap()];
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {range}/{size}\r\n\
                 Content-Length: {}\r\n\r\n",
                part.len()
            );
            [head.as_bytes(), part].concat()
        }
        _ => answer(format!(
            "{{\"method\":{:?},\"path\":{:?},\"length\":{},\"sha256\":\"{}\"}}",
            asked.method,
            asked.path,
            asked.content.bytes.len(),
            digest(&asked.content.bytes)
        )),
    }
}

/// Runs over TCP and over TLS, all libraries at the same time.
fn works(libraries: &[&str], packages: &str) {
    let Some(python) = python(packages) else { return };
    let origin = origin();
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    let bases = [format!("http://{}", gate.listen), format!("https://{secure}")];
    let tries = libraries.iter().flat_map(|library| bases.iter().map(move |base| (library, base)));
    let running: Vec<_> = tries
        .map(|(library, base)| {
            let started = Command::new(&python)
                .arg(script("programs.py"))
                .args([library, base.as_str()])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn();
            (library, base, started.unwrap())
        })
        .collect();
    for (library, base, process) in running {
        let output = process.wait_with_output().unwrap();
        let complaint = text(&output.stderr);
        assert!(output.status.success(), "{library} by {base}: {complaint}");
        assert_eq!(text(&output.stdout), "all as it should be\n", "{library} by {base}");
    }
    gate.stop();
}

#[test]
fn the_http_client_of_python_gets_every_response() {
    works(&["http.client"], "http.client");
}

#[test]
fn common_http_libraries_get_every_response() {
    works(&["requests", "httpx", "aiohttp"], "requests, httpx, aiohttp");
}

/// Runs curl, which has to be there where the others are.
fn curl(arguments: &[&str], input: &[u8]) -> Output {
    let mut process = Command::new("curl")
        .args(["--silent", "--show-error", "--insecure", "--max-time", "20", "--noproxy", "*"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let input = input.to_vec();
    let writes = std::thread::spawn(move || stdin.write_all(&input));
    let output = process.wait_with_output().unwrap();
    let _ = writes.join().unwrap();
    output
}

fn expected_output(asked: (&str, &str), content: &[u8]) -> String {
    let (method, path) = asked;
    let (length, sha256) = (content.len(), digest(content));
    format!(
        "{{\"method\":{method:?},\"path\":{path:?},\"length\":{length},\"sha256\":\"{sha256}\"}}"
    )
}

fn curl_works(base: &str, kind: &[&str]) {
    let run = |more: &[&str], path: &str, input: &[u8]| {
        let url = format!("{base}{path}");
        let output = curl(&[kind, more, &[&url]].concat(), input);
        (output.status.code(), output.stdout, text(&output.stderr))
    };
    let fine = |content: Vec<u8>| (Some(0), content, String::new());
    let large = pattern(3_000_000);
    // With a length, in chunks, and after leave to send it, which curl requests automatically, too.
    for more in [
        &["-X", "PUT", "--data-binary", "@-"][..],
        &["-T", "-"],
        &["-T", "-", "-H", "Expect: 100-continue", "--expect100-timeout", "15"],
        &["-T", "-", "-H", "Expect:"],
    ] {
        let expected = expected_output(("PUT", "/echo/large"), &large).into_bytes();
        assert_eq!(run(more, "/echo/large", &large), fine(expected), "{more:?}");
    }
    for form in ["length", "chunked", "close"] {
        assert_eq!(run(&[], &format!("/{form}/3000000"), b""), fine(large.clone()), "{form}");
    }
    assert_eq!(run(&["-r", "10-19"], "/range/1000", b""), fine(pattern(20)[10..].to_vec()));
    assert_eq!(run(&[], "/hints", b""), fine(b"behind the hints".to_vec()));
    assert_eq!(run(&["-w", "%{http_code}"], "/204", b""), fine(b"204".to_vec()));
    let (code, head, _) = run(&["-I"], "/length/5000", b"");
    assert!(
        code == Some(0) && text(&head).to_ascii_lowercase().contains("content-length: 5000\r\n")
    );
    for path in ["/cut/length", "/cut/chunked"] {
        let (code, part, _) = run(&[], path, b"");
        // CURLE_PARTIAL_FILE; CURLE_RECV_ERROR where the connection is reset.
        assert!(matches!(code, Some(18 | 56)), "{path}: {code:?}, {} bytes", part.len());
    }
    // Three on one connection.
    let url = format!("{base}/length/10");
    let output = curl(&[kind, &["-w", "%{num_connects}", &url, &url, &url]].concat(), b"");
    let content = text(&pattern(10));
    assert_eq!(text(&output.stdout), format!("{content}1{content}0{content}0"));
}

fn with_curl(test: impl Fn(SocketAddr, SocketAddr)) {
    if !has_peer("curl") {
        return;
    }
    let origin = origin();
    let folder = tempfile::tempdir().unwrap();
    let (gate, secure) = gate(folder.path(), origin.address, "");
    test(gate.listen, secure);
    gate.stop();
}

#[test]
fn curl_gets_every_response_over_tcp_and_tls() {
    with_curl(|plain, secure| {
        curl_works(&format!("http://{plain}"), &["--http1.1"]);
        curl_works(&format!("https://{secure}"), &["--http1.1"]);
        curl_works(&format!("https://{secure}"), &["--no-alpn"]);
    });
}

#[test]
fn curl_with_http_1_0_gets_every_response_without_chunks() {
    with_curl(|plain, secure| {
        for base in [format!("http://{plain}"), format!("https://{secure}")] {
            for path in ["/length/100000", "/chunked/100000", "/close/100000"] {
                let output =
                    curl(&["--http1.0", "--no-alpn", "--raw", &format!("{base}{path}")], b"");
                assert!(output.status.success(), "{}", text(&output.stderr));
                assert_eq!(digest(&output.stdout), digest(&pattern(100_000)), "{path}");
            }
        }
    });
}
