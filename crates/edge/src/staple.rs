//! A certificate authority's word that a certificate has not been revoked, shown with the
//! certificate (OCSP stapling, RFC 6066 section 8, RFC 6960).
//!
//! Its signature is for the visitor to check. What is read here is what an operator can mend: the
//! file of another certificate, a refusal, an answer that is too old.

use portcullis_model::{TlsFiles, WallTime};
use rustls::sign::CertifiedKey;

use crate::der::{ENUMERATED, FIRST, INTEGER, OBJECT, OCTETS, SEQUENCE, any, moment, value};
use crate::error::EdgeError;
use crate::tls;

/// `id-pkix-ocsp-basic`, 1.3.6.1.5.5.7.48.1.1.
const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
/// `[0] IMPLICIT NULL`: the certificate is good.
const GOOD: u8 = 0x80;
/// `[1]`: it has been revoked.
const REVOKED: u8 = 0xa1;

/// What an answer says of the certificate with a given serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Staple {
    /// Until when its word is to be taken. `None`: until there is a newer one.
    pub(crate) until: Option<WallTime>,
}

/// The answer in the file that belongs to a certificate, if there is one, and what it says.
pub(crate) fn of(
    files: &TlsFiles,
    pair: &CertifiedKey,
) -> Result<Option<(Vec<u8>, Staple)>, EdgeError> {
    let Some(path) = &files.ocsp else {
        return Ok(None);
    };
    let answer = tls::read(path)?;
    let serial = pair.cert.first().and_then(|leaf| serial(leaf)).unwrap_or_default();
    match read(&answer, serial) {
        Ok(staple) => Ok(Some((answer, staple))),
        Err(problem) => Err(EdgeError::Pem { path: path.clone(), problem: problem.into() }),
    }
}

/// Reads an answer about the certificate with this serial number; or says what is wrong with it.
pub(crate) fn read(answer: &[u8], serial: &[u8]) -> Result<Staple, &'static str> {
    const UNREADABLE: &str = "is no OCSP response in DER form";
    let (response, _) = value(answer, SEQUENCE).ok_or(UNREADABLE)?;
    let (status, body) = value(response, ENUMERATED).ok_or(UNREADABLE)?;
    if status != [0] {
        return Err("is an OCSP response that says that it has no answer");
    }
    for (found, content, until) in answers(body).ok_or(UNREADABLE)? {
        if found == serial {
            return match content {
                GOOD => Ok(Staple { until }),
                REVOKED => Err("says that the certificate has been revoked: ask for a new one"),
                _ => Err("says that the authority does not know the certificate"),
            };
        }
    }
    Err("is about another certificate")
}

/// The serial number in a certificate (RFC 5280 section 4.1).
pub(crate) fn serial(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = value(certificate, SEQUENCE)?;
    let (body, _) = value(certificate, SEQUENCE)?;
    let body = value(body, FIRST).map_or(body, |(_, rest)| rest);
    value(body, INTEGER).map(|(serial, _)| serial)
}

type Single<'a> = (&'a [u8], u8, Option<WallTime>);

/// By certificate: its serial number, the tag of its status, and until when that holds.
fn answers(body: &[u8]) -> Option<Vec<Single<'_>>> {
    let (body, _) = value(body, FIRST)?;
    let (body, _) = value(body, SEQUENCE)?;
    let (kind, body) = value(body, OBJECT)?;
    if kind != BASIC {
        return None;
    }
    let (basic, _) = value(body, OCTETS)?;
    let (basic, _) = value(basic, SEQUENCE)?;
    let (data, _) = value(basic, SEQUENCE)?;
    let data = value(data, FIRST).map_or(data, |(_, rest)| rest);
    let (_, _responder, data) = any(data)?;
    let (_produced, data) = moment(data)?;
    let (mut singles, _) = value(data, SEQUENCE)?;
    let mut all = Vec::new();
    while !singles.is_empty() {
        let (single, rest) = value(singles, SEQUENCE)?;
        singles = rest;
        let (id, single) = value(single, SEQUENCE)?;
        let (_algorithm, id) = value(id, SEQUENCE)?;
        let (_name, id) = value(id, OCTETS)?;
        let (_key, id) = value(id, OCTETS)?;
        let (serial, _) = value(id, INTEGER)?;
        let (status, _, single) = any(single)?;
        let (_this_update, single) = moment(single)?;
        let until = match value(single, FIRST) {
            Some((next, _)) => Some(moment(next)?.0),
            None => None,
        };
        all.push((serial, status, until));
    }
    Some(all)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = (content.len() as u16).to_be_bytes();
        [&[tag, 0x82], &length[..], &content].concat()
    }

    /// An answer about one certificate, with a signature of nobody.
    pub(crate) fn answer(serial: &[u8], status: &[u8], until: &str) -> Vec<u8> {
        let now = tagged(0x18, &[b"20261125120000Z"]);
        let next = tagged(FIRST, &[&tagged(0x18, &[until.as_bytes()])]);
        let octets = tagged(OCTETS, &[&[7; 20]]);
        let id = tagged(
            SEQUENCE,
            &[&tagged(SEQUENCE, &[]), &octets, &octets, &tagged(INTEGER, &[serial])],
        );
        let single = tagged(SEQUENCE, &[&id, status, &now, &next]);
        let responder = tagged(0xa2, &[&octets]);
        let data = tagged(SEQUENCE, &[&responder, &now, &tagged(SEQUENCE, &[&single])]);
        let basic = tagged(SEQUENCE, &[&data, &tagged(SEQUENCE, &[]), &tagged(0x03, &[&[0; 9]])]);
        let body = tagged(SEQUENCE, &[&tagged(OBJECT, &[BASIC]), &tagged(OCTETS, &[&basic])]);
        tagged(SEQUENCE, &[&[ENUMERATED, 1, 0], &tagged(FIRST, &[&body])])
    }

    #[test]
    fn an_answer_holds_until_it_says() {
        let good = answer(&[1, 2], &[GOOD, 0], "20261202120000Z");
        let until = WallTime::parse("2026-12-02T12:00:00Z");
        assert_eq!(read(&good, &[1, 2]), Ok(Staple { until }));
    }

    #[test]
    fn what_is_wrong_with_an_answer_is_said() {
        let until = "20261202120000Z";
        let moment = b"\x18\x0f20261120000000Z";
        let revoked = [&[REVOKED, moment.len() as u8], &moment[..]].concat();
        for (bytes, said) in [
            (answer(&[9], &[GOOD, 0], until), "another certificate"),
            (answer(&[1], &revoked, until), "revoked"),
            (answer(&[1], &[0x82, 0], until), "does not know"),
            (vec![SEQUENCE, 3, ENUMERATED, 1, 3], "no answer"),
            (b"-----BEGIN OCSP RESPONSE-----".to_vec(), "DER"),
        ] {
            let problem = read(&bytes, &[1]).expect_err(said);
            assert!(problem.contains(said), "{problem}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_answer_is_read_without_a_panic(
            at in 0..200usize, byte: u8, length in 0..300usize,
        ) {
            let mut bytes = answer(&[1, 2], &[GOOD, 0], "20261202120000Z");
            bytes[at] = byte;
            bytes.truncate(length);
            let _ = read(&bytes, &[1, 2]);
        }
    }
}
