//! The first words of a TLS visitor, read before any cryptography is done for them (RFC 8446
//! sections 4.1.2 and 5.1).
//!
//! Reads no more than it needs: what a [`Ja4`](crate::tls::ja4::Ja4) is made of. Whether the rest is
//! right is for the TLS library to say, which gets the same bytes.

use std::borrow::Cow;

/// The longest first message that is waited for, with the heads of its records. A browser's has
/// two kilobytes with its post-quantum key, and four with a ticket and padding.
pub const LONGEST: usize = 16 * 1024;
/// The largest number of records that it may come in. Most clients send one or two; clients that
/// evade censorship send some dozens.
pub const MOST_RECORDS: usize = 64;

const HANDSHAKE_RECORD: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// The longest content of a plaintext record.
const LONGEST_RECORD: usize = 1 << 14;

const SERVER_NAME: u16 = 0;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;

/// Why this is no first message of a TLS visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientHelloError {
    /// It breaks the protocol, or is another one.
    Malformed,
    /// It is, or announces to be, longer than [`LONGEST`], or comes in more than
    /// [`MOST_RECORDS`].
    TooLong,
}

/// The message in what has come so far, out of its records. `None`: there is more to come.
pub fn message(bytes: &[u8]) -> Result<Option<Cow<'_, [u8]>>, ClientHelloError> {
    let mut rest = bytes;
    let mut message = Cow::Borrowed(&[][..]);
    for _ in 0..MOST_RECORDS {
        match rest.first() {
            Some(&HANDSHAKE_RECORD) => {}
            Some(_) => return Err(ClientHelloError::Malformed),
            None => return unfinished(bytes),
        }
        let Some((head, after)) = rest.split_first_chunk::<5>() else {
            return unfinished(bytes);
        };
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        if head[1] != 3 || length == 0 || length > LONGEST_RECORD {
            return Err(ClientHelloError::Malformed);
        }
        let (content, after) = after.split_at(length.min(after.len()));
        if message.is_empty() {
            message = Cow::Borrowed(content);
        } else {
            message.to_mut().extend_from_slice(content);
        }
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err(ClientHelloError::Malformed);
        }
        if let Some([_, a, b, c]) = message.first_chunk() {
            let whole = 4 + (usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c));
            if whole > LONGEST {
                return Err(ClientHelloError::TooLong);
            }
            if message.len() > whole {
                // Nothing may follow until the server has answered.
                return Err(ClientHelloError::Malformed);
            }
            if message.len() == whole {
                return Ok(Some(message));
            }
        }
        if content.len() < length {
            return unfinished(bytes);
        }
        rest = after;
    }
    Err(ClientHelloError::TooLong)
}

const fn unfinished<'a>(bytes: &[u8]) -> Result<Option<Cow<'a, [u8]>>, ClientHelloError> {
    if bytes.len() < LONGEST { Ok(None) } else { Err(ClientHelloError::TooLong) }
}

/// The content of a `ClientHello`, as far as the gate uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// The version in the field that TLS 1.2 and earlier used.
    pub version: u16,
    /// In the order of the message, like all lists here.
    pub cipher_suites: Vec<u16>,
    /// Their kinds.
    pub extensions: Vec<u16>,
    /// Whether it asks for a server by name.
    pub server_name: bool,
    /// Of an extension, and so are the following.
    pub supported_versions: Vec<u16>,
    /// As listed in the extension of this name.
    pub signature_algorithms: Vec<u16>,
    /// The first protocol that it offers (ALPN).
    pub first_protocol: Option<&'a [u8]>,
}

impl<'a> ClientHello<'a> {
    /// Reads a whole message, as [`message`] gives it.
    pub fn read(message: &'a [u8]) -> Result<Self, ClientHelloError> {
        read(message).ok_or(ClientHelloError::Malformed)
    }
}

fn read(message: &[u8]) -> Option<ClientHello<'_>> {
    let mut rest = message.get(4..)?;
    let version = number(&mut rest)?;
    let _random = take(&mut rest, 32)?;
    let _session = short_vector(&mut rest)?;
    let cipher_suites = numbers(long_vector(&mut rest)?)?;
    let _compression = short_vector(&mut rest)?;
    let mut hello = ClientHello { version, cipher_suites, ..ClientHello::default() };
    if rest.is_empty() {
        // Before TLS 1.2 there may be none (RFC 5246 section 7.4.1.2).
        return Some(hello);
    }
    let mut extensions = long_vector(&mut rest)?;
    if !rest.is_empty() {
        return None;
    }
    while !extensions.is_empty() {
        let kind = number(&mut extensions)?;
        let mut content = long_vector(&mut extensions)?;
        hello.extensions.push(kind);
        match kind {
            SERVER_NAME => hello.server_name = true,
            SUPPORTED_VERSIONS => {
                hello.supported_versions = numbers(short_vector(&mut content)?)?;
            }
            SIGNATURE_ALGORITHMS => {
                hello.signature_algorithms = numbers(long_vector(&mut content)?)?;
            }
            ALPN => {
                let mut protocols = long_vector(&mut content)?;
                if !protocols.is_empty() {
                    hello.first_protocol = Some(short_vector(&mut protocols)?);
                }
            }
            _ => {}
        }
    }
    Some(hello)
}

pub(crate) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

pub(crate) fn number(rest: &mut &[u8]) -> Option<u16> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u16::from_be_bytes(*number))
}

/// With a length of one byte before it.
pub(crate) fn short_vector<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = *take(rest, 1)?.first()?;
    take(rest, usize::from(length))
}

/// With a length of two bytes before it.
pub(crate) fn long_vector<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(rest)?;
    take(rest, usize::from(length))
}

fn numbers(bytes: &[u8]) -> Option<Vec<u16>> {
    let (pairs, []) = bytes.as_chunks() else {
        return None;
    };
    Some(pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn long(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
    }

    fn bytes_of(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
    }

    /// The message with the content of `hello`.
    pub(crate) fn write(hello: &ClientHello<'_>) -> Vec<u8> {
        let mut extensions = Vec::new();
        for kind in &hello.extensions {
            let content = match *kind {
                SERVER_NAME => long(b"\0\0\x0bexample.org"),
                SUPPORTED_VERSIONS => {
                    let versions = bytes_of(&hello.supported_versions);
                    [&[versions.len() as u8], &versions[..]].concat()
                }
                SIGNATURE_ALGORITHMS => long(&bytes_of(&hello.signature_algorithms)),
                ALPN => {
                    let first = hello.first_protocol.map(|p| [&[p.len() as u8], p].concat());
                    long(&first.unwrap_or_default())
                }
                _ => vec![7; 3],
            };
            extensions.extend(kind.to_be_bytes());
            extensions.extend(long(&content));
        }
        let mut body = hello.version.to_be_bytes().to_vec();
        body.extend([9; 32]);
        body.push(0);
        body.extend(long(&bytes_of(&hello.cipher_suites)));
        body.extend([1, 0]);
        body.extend(long(&extensions));
        let length = (body.len() as u32).to_be_bytes();
        [&[CLIENT_HELLO], &length[1..], &body[..]].concat()
    }

    /// In records of at most `size` bytes.
    pub(crate) fn records(message: &[u8], size: usize) -> Vec<u8> {
        let records = message.chunks(size);
        records.flat_map(|record| [&[22, 3, 1][..], &long(record)].concat()).collect()
    }

    prop_compose! {
        fn hellos()(
            version: u16,
            cipher_suites in prop::collection::vec(any::<u16>(), 0..50),
            mut extensions in prop::collection::btree_set(any::<u16>(), 0..20),
            server_name: bool,
            supported_versions in prop::collection::vec(any::<u16>(), 0..5),
            signature_algorithms in prop::collection::vec(any::<u16>(), 0..20),
            alpn: bool,
        ) -> ClientHello<'static> {
            extensions.remove(&SERVER_NAME);
            if server_name {
                extensions.insert(SERVER_NAME);
            }
            extensions.extend([SUPPORTED_VERSIONS, SIGNATURE_ALGORITHMS, ALPN]);
            ClientHello {
                version,
                cipher_suites,
                extensions: extensions.into_iter().collect(),
                server_name,
                supported_versions,
                signature_algorithms,
                first_protocol: alpn.then_some(b"http/1.1"),
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_however_it_is_cut_into_records(
            hello in hellos(), size in 16..2_000usize,
        ) {
            let written = write(&hello);
            prop_assume!(written.len().div_ceil(size) <= MOST_RECORDS);
            let bytes = records(&written, size);
            for cut in 0..bytes.len() {
                prop_assert_eq!(message(&bytes[..cut]), Ok(None));
            }
            let whole = message(&bytes).expect("well formed").expect("whole");
            prop_assert_eq!(&whole[..], &written[..]);
            prop_assert_eq!(ClientHello::read(&whole), Ok(hello));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0..400usize,
        ) {
            let _ = message(&bytes);
            let _ = ClientHello::read(&bytes);
            let hello = ClientHello {
                cipher_suites: vec![4865],
                extensions: vec![SERVER_NAME, ALPN],
                ..ClientHello::default()
            };
            let mut damaged = write(&hello);
            let at = cut % damaged.len();
            damaged.splice(at.., bytes);
            let _ = ClientHello::read(&damaged);
            let _ = message(&records(&damaged, 100));
        }
    }

    #[test]
    fn another_protocol_is_recognised_by_its_first_byte() {
        assert_eq!(message(b"G"), Err(ClientHelloError::Malformed));
        assert_eq!(message(&[22, 3, 1, 0, 1, 2]), Err(ClientHelloError::Malformed));
        assert_eq!(message(&[22, 3, 1, 0, 0]), Err(ClientHelloError::Malformed));
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused_before_the_rest_is_waited_for() {
        assert_eq!(message(&[22, 3, 1, 64, 0, 1, 0, 0x40, 0]), Err(ClientHelloError::TooLong));
        assert_eq!(message(&[22, 3, 1, 64, 0, 1, 0, 0x3f, 0]), Ok(None));
    }

    #[test]
    fn a_message_in_crumbs_is_too_long() {
        let hello = ClientHello { cipher_suites: vec![1; 100], ..ClientHello::default() };
        assert_eq!(message(&records(&write(&hello), 2)), Err(ClientHelloError::TooLong));
    }
}
