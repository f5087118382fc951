//! The PROXY protocol header, versions 1 and 2, in which a trusted proxy names its client.
//!
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>. The parser is a pure function
//! over the bytes received so far; it is bounded by [`LONGEST`] and never panics. Only TCP sources
//! are taken; anything else a proxy may send legally (`UNKNOWN`, `LOCAL`, datagrams, unix sockets)
//! means "the proxy itself".

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

/// The twelve bytes that begin version 2, chosen so that no other protocol begins so.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest version 1 header, with its line end (section 2.1).
const LONGEST_V1: usize = 107;

/// The longest header that is accepted: version 2 may announce 64 KiB of extensions, but real
/// ones fit into a fraction of this.
pub const LONGEST: usize = 4096;

/// What the bytes so far amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParsedHeader {
    /// A whole header.
    Complete {
        /// Bytes that it took; the visitor's own bytes follow.
        length: usize,
        /// The proxy's client; `None` if the connection is the proxy's own (a health check).
        source: Option<SocketAddr>,
    },
    /// Not yet a whole header, but so far nothing is wrong with it.
    Incomplete,
}

/// Why the bytes are not a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyHeaderError {
    /// Neither version begins so.
    #[error("the connection does not begin with a PROXY protocol header")]
    Signature,
    /// A version 1 line that is too long, not terminated, or not of the required form.
    #[error("the PROXY protocol line (version 1) is malformed")]
    Line,
    /// A version or command that does not exist.
    #[error("the PROXY protocol header has an unknown version or command")]
    Command,
    /// The address block is shorter than its family demands.
    #[error("the PROXY protocol header is too short for its address family")]
    Short,
    /// More extensions than are accepted.
    #[error("the PROXY protocol header is longer than {LONGEST} bytes")]
    Long,
}

/// Reads a PROXY protocol header at the beginning of `bytes`.
pub fn parse(bytes: &[u8]) -> Result<ParsedHeader, ProxyHeaderError> {
    if begins_like(bytes, SIGNATURE) {
        version_2(bytes)
    } else if begins_like(bytes, b"PROXY ") {
        version_1(bytes)
    } else {
        Err(ProxyHeaderError::Signature)
    }
}

/// Whether `bytes` agree with `start` as far as both go.
fn begins_like(bytes: &[u8], start: &[u8]) -> bool {
    let common = bytes.len().min(start.len());
    bytes[..common] == start[..common]
}

fn version_1(bytes: &[u8]) -> Result<ParsedHeader, ProxyHeaderError> {
    let window = &bytes[..bytes.len().min(LONGEST_V1)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if window.len() == LONGEST_V1 {
            Err(ProxyHeaderError::Line)
        } else {
            Ok(ParsedHeader::Incomplete)
        };
    };
    let line = core::str::from_utf8(&window[..end]).map_err(|_| ProxyHeaderError::Line)?;
    let mut words = line.split(' ');
    let (_, family) = (words.next(), words.next());
    let source = match family {
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(line_source::<Ipv4Addr>(words)?),
        Some("TCP6") => Some(line_source::<Ipv6Addr>(words)?),
        _ => return Err(ProxyHeaderError::Line),
    };
    Ok(ParsedHeader::Complete { length: end + 2, source })
}

/// `SOURCE DESTINATION SOURCE-PORT DESTINATION-PORT`, and nothing after.
fn line_source<'a, A>(
    mut words: impl Iterator<Item = &'a str>,
) -> Result<SocketAddr, ProxyHeaderError>
where
    A: FromStr + Into<IpAddr>,
{
    let mut address = || words.next().and_then(|word| word.parse::<A>().ok());
    let (source, destination) = (address(), address());
    let mut port = || words.next().and_then(port_number);
    let (source_port, destination_port) = (port(), port());
    match (source, destination, source_port, destination_port) {
        (Some(source), Some(_), Some(port), Some(_)) if words.next().is_none() => {
            Ok(SocketAddr::new(source.into(), port))
        }
        _ => Err(ProxyHeaderError::Line),
    }
}

/// Digits alone: `u16::from_str` would take a `+`.
fn port_number(word: &str) -> Option<u16> {
    word.bytes().all(|b| b.is_ascii_digit()).then(|| word.parse().ok()).flatten()
}

fn version_2(bytes: &[u8]) -> Result<ParsedHeader, ProxyHeaderError> {
    let Some(head) = bytes.get(..16) else {
        return Ok(ParsedHeader::Incomplete);
    };
    let local = match head[12] {
        0x20 => true,
        0x21 => false,
        _ => return Err(ProxyHeaderError::Command),
    };
    let announced = usize::from(u16::from_be_bytes([head[14], head[15]]));
    let length = 16 + announced;
    if length > LONGEST {
        return Err(ProxyHeaderError::Long);
    }
    let Some(block) = bytes.get(16..length) else {
        return Ok(ParsedHeader::Incomplete);
    };
    let source = match head[13] {
        _ if local => None,
        0x11 => Some(v4_source(block).ok_or(ProxyHeaderError::Short)?),
        0x21 => Some(v6_source(block).ok_or(ProxyHeaderError::Short)?),
        // Unspecified, datagrams and unix sockets: legal, and not a TCP visitor.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => None,
        _ => return Err(ProxyHeaderError::Command),
    };
    Ok(ParsedHeader::Complete { length, source })
}

fn v4_source(block: &[u8]) -> Option<SocketAddr> {
    let block: &[u8; 12] = block.get(..12)?.try_into().ok()?;
    let address = Ipv4Addr::new(block[0], block[1], block[2], block[3]);
    let port = u16::from_be_bytes([block[8], block[9]]);
    Some(SocketAddr::new(address.into(), port))
}

fn v6_source(block: &[u8]) -> Option<SocketAddr> {
    let block = block.get(..36)?;
    let octets: [u8; 16] = block[..16].try_into().ok()?;
    let port = u16::from_be_bytes([block[32], block[33]]);
    Some(SocketAddr::new(Ipv6Addr::from(octets).into(), port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn complete(bytes: &[u8]) -> (usize, Option<SocketAddr>) {
        match parse(bytes) {
            Ok(ParsedHeader::Complete { length, source }) => (length, source),
            other => panic!("{other:?}"),
        }
    }

    fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.push(0x20 | command);
        bytes.push(family);
        bytes.extend((block.len() as u16).to_be_bytes());
        bytes.extend(block);
        bytes
    }

    fn binary_of(source: SocketAddr, extensions: &[u8]) -> Vec<u8> {
        let mut block = Vec::new();
        match source.ip() {
            IpAddr::V4(v4) => {
                block.extend(v4.octets());
                block.extend([192, 0, 2, 1]);
            }
            IpAddr::V6(v6) => {
                block.extend(v6.octets());
                block.extend(Ipv6Addr::LOCALHOST.octets());
            }
        }
        block.extend(source.port().to_be_bytes());
        block.extend(443u16.to_be_bytes());
        block.extend(extensions);
        binary(1, if source.is_ipv4() { 0x11 } else { 0x21 }, &block)
    }

    #[test]
    fn a_line_names_the_visitor() {
        let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 4000 80\r\nGET / HTTP/1.1\r\n";
        let (length, source) = complete(line);
        assert_eq!(&line[length..length + 3], b"GET");
        assert_eq!(source, Some("192.0.2.7:4000".parse().expect("address")));
        let (_, source) = complete(b"PROXY TCP6 2001:db8::7 ::1 4000 80\r\n");
        assert_eq!(source, Some("[2001:db8::7]:4000".parse().expect("address")));
    }

    #[test]
    fn a_proxys_own_connection_names_no_client() {
        assert_eq!(complete(b"PROXY UNKNOWN\r\n"), (15, None));
        assert_eq!(complete(b"PROXY UNKNOWN ffff:: ::1 0 0\r\n").1, None);
        assert_eq!(complete(&binary(0, 0x11, &[])), (16, None));
        assert_eq!(complete(&binary(1, 0x31, &[0; 216])).1, None);
    }

    #[test]
    fn what_is_not_a_header_is_refused() {
        let refused: &[&[u8]] = &[
            b"GET / HTTP/1.1\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4000\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4000 80 extra\r\n",
            b"PROXY TCP4 2001:db8::7 ::1 4000 80\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 70000 80\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 +400 80\r\n",
            b"PROXY UDP4 192.0.2.7 198.51.100.1 4000 80\r\n",
            b"PROXY  TCP4 192.0.2.7 198.51.100.1 4000 80\r\n",
            b"PROXY\t",
            &[b'\r', b'\n', b'\r', b'\n', 1],
        ];
        for bytes in refused {
            assert!(parse(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(parse(&binary(1, 0x11, &[1, 2, 3])), Err(ProxyHeaderError::Short));
        assert_eq!(parse(&binary(7, 0x11, &[0; 12])), Err(ProxyHeaderError::Command));
        assert_eq!(parse(&binary(1, 0x11, &[0; LONGEST])), Err(ProxyHeaderError::Long));
        let endless = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
        assert_eq!(parse(&endless), Err(ProxyHeaderError::Line));
    }

    fn source() -> impl Strategy<Value = SocketAddr> {
        prop_oneof![
            (any::<[u8; 4]>(), any::<u16>())
                .prop_map(|(ip, port)| SocketAddr::new(ip.into(), port)),
            (any::<[u8; 16]>(), any::<u16>())
                .prop_map(|(ip, port)| SocketAddr::new(ip.into(), port)),
        ]
    }

    fn line_of(source: SocketAddr) -> Vec<u8> {
        let (family, other) =
            if source.is_ipv4() { ("TCP4", "198.51.100.1") } else { ("TCP6", "::1") };
        format!("PROXY {family} {} {other} {} 443\r\n", source.ip(), source.port()).into_bytes()
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(ParsedHeader::Complete { length, .. }) = parse(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }

        #[test]
        fn a_damaged_header_never_panics(source in source(), at in 0usize..60, byte in any::<u8>(), v2 in any::<bool>()) {
            let mut bytes = if v2 { binary_of(source, b"") } else { line_of(source) };
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = parse(&bytes);
        }

        #[test]
        fn a_header_is_whole_exactly_when_its_last_byte_has_arrived(
            source in source(),
            extensions in prop::collection::vec(any::<u8>(), 0..64),
            after in prop::collection::vec(any::<u8>(), 0..20),
            v2 in any::<bool>(),
        ) {
            let header = if v2 { binary_of(source, &extensions) } else { line_of(source) };
            for cut in 0..header.len() {
                prop_assert_eq!(parse(&header[..cut]), Ok(ParsedHeader::Incomplete));
            }
            let whole = [header.as_slice(), &after].concat();
            prop_assert_eq!(
                parse(&whole),
                Ok(ParsedHeader::Complete { length: header.len(), source: Some(source) })
            );
        }
    }
}
