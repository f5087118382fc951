//! Which TLS library a visitor uses, by the JA4 method of FoxIO: a name for the software, not for
//! the person.
//!
//! `t13d1516h2_8daaf6152771_e5627efa2ab1`: over TCP, TLS 1.3, asks for a name, 15 cipher suites,
//! 16 extensions, HTTP/2; a digest of the suites; a digest of extensions and signature
//! algorithms. Over QUIC it begins with `q`. Values that are there to be ignored (GREASE, RFC 8701) are. Most libraries have
//! two fingerprints: one of them with a ticket of an earlier session.

use core::fmt::Write;

use sha2::{Digest, Sha256};

use super::client_hello::{ClientHello, message};

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// A JA4 fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ja4([u8; Self::LENGTH]);

impl Ja4 {
    const LENGTH: usize = 36;

    /// The fingerprint of a first message, in its records. `None` where it cannot be read: the
    /// TLS library will say why.
    pub fn of_records(bytes: &[u8]) -> Option<Self> {
        let message = message(bytes).ok()??;
        Some(Self::of(&ClientHello::read(&message).ok()?))
    }

    /// The fingerprint of a first message over QUIC, where it comes without records.
    pub fn of_quic(message: &[u8]) -> Option<Self> {
        Some(Self::over('q', &ClientHello::read(message).ok()?))
    }

    /// The fingerprint of a first message over TCP.
    pub fn of(hello: &ClientHello<'_>) -> Self {
        Self::over('t', hello)
    }

    fn over(transport: char, hello: &ClientHello<'_>) -> Self {
        let suites = meant(&hello.cipher_suites);
        let extensions = meant(&hello.extensions);
        let algorithms = meant(&hello.signature_algorithms);
        let name = if hello.server_name { 'd' } else { 'i' };
        let [first, last] = hello.first_protocol.map_or(['0', '0'], ends);
        let mut text = String::with_capacity(Self::LENGTH);
        let _ = write!(
            text,
            "{transport}{}{name}{:02}{:02}{first}{last}_",
            version(hello),
            suites.len().min(99),
            extensions.len().min(99),
        );
        digest(&in_order(suites), &[], &mut text);
        text.push('_');
        let rest = extensions.into_iter().filter(|kind| !matches!(*kind, SERVER_NAME | ALPN));
        digest(&in_order(rest.collect()), &algorithms, &mut text);
        // Every part above is ASCII and of a fixed length.
        let mut fingerprint = [b'0'; Self::LENGTH];
        for (to, from) in fingerprint.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        Self(fingerprint)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or("")
    }
}

impl core::fmt::Debug for Ja4 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Without those that are there to be ignored: 0x0a0a, 0x1a1a, … 0xfafa (RFC 8701 section 2).
fn meant(values: &[u16]) -> Vec<u16> {
    let ignored = |value: u16| value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff;
    values.iter().copied().filter(|value| !ignored(*value)).collect()
}

fn in_order(mut values: Vec<u16>) -> Vec<u16> {
    values.sort_unstable();
    values
}

fn version(hello: &ClientHello<'_>) -> &'static str {
    let offered = meant(&hello.supported_versions).into_iter().max();
    match offered.unwrap_or(hello.version) {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// The first and the last character of a protocol's name; of its hexadecimal form, where one of
/// them is no letter or digit.
fn ends(protocol: &[u8]) -> [char; 2] {
    let (Some(&first), Some(&last)) = (protocol.first(), protocol.last()) else {
        return ['0', '0'];
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        [first.into(), last.into()]
    } else {
        let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
        [digit(first >> 4), digit(last & 15)]
    }
}

/// The first twelve hexadecimal digits of the digest of `values` and, behind an underscore,
/// `more`; zeros if there are no values.
fn digest(values: &[u16], more: &[u16], text: &mut String) {
    if values.is_empty() {
        text.push_str("000000000000");
        return;
    }
    let mut list = String::with_capacity(5 * (values.len() + more.len()));
    for (values, before) in [(values, ""), (more, "_")] {
        let mut between = before;
        for value in values {
            let _ = write!(list, "{between}{value:04x}");
            between = ",";
        }
    }
    for byte in &Sha256::digest(list.as_bytes())[..6] {
        let _ = write!(text, "{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::client_hello::tests::records;
    use crate::tls::client_hello::tests::write;

    const GREASE: u16 = 0x3a3a;

    fn numbers(list: &str) -> Vec<u16> {
        let values = list.split(',').filter(|text| !text.is_empty());
        values.map(|text| u16::from_str_radix(text, 16).expect("hexadecimal")).collect()
    }

    /// The message of the client that a raw fingerprint is of.
    fn hello_of(raw: &str) -> ClientHello<'_> {
        let mut parts = raw.split('_');
        let start = parts.next().expect("a start");
        let version = match &start[1..3] {
            "13" => 0x0304,
            "12" => 0x0303,
            "10" => 0x0301,
            other => panic!("{other}"),
        };
        let mut list = || numbers(parts.next().unwrap_or(""));
        let protocol = &start[8..];
        let hello = ClientHello {
            version,
            cipher_suites: list(),
            extensions: list(),
            signature_algorithms: list(),
            first_protocol: (protocol != "00").then_some(protocol.as_bytes()),
            ..ClientHello::default()
        };
        let listed = hello.extensions.contains(&43);
        ClientHello {
            version: if listed { 0x0303 } else { version },
            server_name: hello.extensions.contains(&SERVER_NAME),
            supported_versions: if listed { vec![0x0301, version] } else { Vec::new() },
            ..hello
        }
    }

    fn greasy(mut hello: ClientHello<'_>) -> ClientHello<'_> {
        hello.cipher_suites.insert(0, GREASE);
        hello.extensions.insert(0, 0x0a0a);
        hello.extensions.push(0xfafa);
        if !hello.supported_versions.is_empty() {
            hello.supported_versions.insert(0, 0xcaca);
        }
        hello.signature_algorithms.insert(0, 0x6a6a);
        hello
    }

    #[test]
    fn the_published_fingerprints_are_found() {
        let vectors = include_str!("../../tests/ja4.txt");
        let mut seen = 0;
        for line in vectors.lines().filter(|line| !line.starts_with('#')) {
            let (expected, raw) = line.split_once(' ').expect("two columns");
            let hello = hello_of(raw);
            assert_eq!(Ja4::of(&hello).as_str(), expected);
            let written = write(&greasy(hello));
            let found = Ja4::of_records(&records(&written, 300)).expect("readable");
            assert_eq!(found.as_str(), expected);
            seen += 1;
        }
        assert_eq!(seen, 25);
    }

    #[test]
    fn the_example_of_the_specification_is_found_without_its_algorithms_too() {
        let extensions = numbers(
            "001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015",
        );
        let hello = ClientHello { extensions, ..ClientHello::default() };
        assert_eq!(Ja4::of(&hello).as_str(), "t00i001600_000000000000_6d807ffa2a79");
    }

    #[test]
    fn a_protocol_is_named_by_its_ends_as_in_the_specification() {
        for (protocol, expected) in [
            (&b""[..], "00"),
            (b"h2", "h2"),
            (b"http/1.1", "h1"),
            (b"x", "xx"),
            (&[0xab], "ab"),
            (&[0x20], "20"),
            (&[0xab, 0xcd], "ad"),
            (&[0x20, 0x61], "21"),
            (&[0x30, 0xab], "3b"),
            (&[0x61, 0x20], "60"),
            (&[0x30, 0x31, 0xab, 0xcd], "3d"),
            (&[0x30, 0xab, 0xcd, 0x31], "01"),
        ] {
            assert_eq!(ends(protocol).iter().collect::<String>(), expected, "{protocol:x?}");
        }
    }

    #[test]
    fn more_than_ninety_nine_are_ninety_nine() {
        let hello = ClientHello { cipher_suites: vec![5; 100], ..ClientHello::default() };
        assert!(Ja4::of(&hello).as_str().starts_with("t00i990000_"));
    }
}
