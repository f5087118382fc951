//! Signed notes, by the C2SP specification [signed-note](https://c2sp.org/signed-note), with
//! Ed25519 keys.
//!
//! A note is a text, an empty line, and one line for each signature. Checkpoints and manifests are
//! signed notes.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::error::{Error, FormatError};
use crate::hash::{Hash, from_hex, hex};

/// The signature type that the specification assigns to plain Ed25519.
const ED25519: u8 = 0x01;

/// The most signatures in one note; the specification demands support for at least 16.
const MAX_SIGNATURES: usize = 64;

/// The longest name of a key in characters. The specification has no limit; this one keeps lines
/// readable.
const MAX_NAME_CHARS: usize = 200;

/// The beginning of a signature line: an em dash and a space.
const SIGNATURE_MARK: &str = "\u{2014} ";

/// A name and a secret key that sign the notes of one log.
pub struct Signer {
    name: String,
    key: SigningKey,
}

impl Signer {
    /// Makes a signer from 32 bytes of secret entropy. The name is the log's origin, a URL without its
    /// scheme, such as `party.example/portcullis`.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, Error> {
        if !is_key_name(name) {
            return Err(Error::BadName(name.to_owned()));
        }
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(seed) })
    }

    /// The name in its signatures.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key and name, which verify this signer's signatures.
    pub fn verifier(&self) -> Verifier {
        Verifier::new(self.name.clone(), self.key.verifying_key())
    }

    /// Signs a text and returns the note. The text is one or more lines, each with a newline at its
    /// end, and has no other control character.
    pub fn sign(&self, text: &str) -> Result<String, FormatError> {
        check_characters(text)?;
        if !text.ends_with('\n') {
            return Err(FormatError::Whole("a text that ends in a newline"));
        }
        let mut bytes = self.verifier().id.to_vec();
        bytes.extend(self.key.sign(text.as_bytes()).to_bytes());
        Ok(format!("{text}\n{SIGNATURE_MARK}{} {}\n", self.name, STANDARD.encode(bytes)))
    }

    /// The secret key, to be stored where only the log's writer can read it.
    pub(crate) fn seed(&self) -> [u8; 32] {
        self.key.to_bytes()
    }
}

/// Writes the public key only.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier())
    }
}

/// A name and a public key that verify the notes of one log. Displays and parses as a "vkey",
/// `<name>+<key ID>+<base64 of type and key>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verifier {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl Verifier {
    fn new(name: String, key: VerifyingKey) -> Self {
        // SHA-256(name || 0x0A || type || public key)[:4], as the specification recommends.
        let mut identity = name.clone().into_bytes();
        identity.extend([b'\n', ED25519]);
        identity.extend(key.as_bytes());
        let [a, b, c, d, ..] = Hash::of_bytes(&identity).0;
        Self { name, id: [a, b, c, d], key }
    }

    /// The name in the signatures that it verifies.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex(&self.id), STANDARD.encode(key))
    }
}

impl FromStr for Verifier {
    type Err = FormatError;

    /// Parses a vkey in its only valid spelling, without surrounding white space.
    fn from_str(vkey: &str) -> Result<Self, FormatError> {
        // Base64 may contain a plus, a name may not.
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(FormatError::Whole("a key of the form name+hash+base64"));
        };
        if !is_key_name(name) {
            return Err(FormatError::Whole("a key with a valid name: not empty, no spaces"));
        }
        let id: [u8; 4] = from_hex(id).ok_or(FormatError::Whole(
            "a key with 8 lower-case hexadecimal digits in its middle",
        ))?;
        let key =
            STANDARD.decode(key).map_err(|_| FormatError::Whole("a key that ends in base64"))?;
        let key = match key.split_first() {
            Some((&ED25519, key)) => <[u8; 32]>::try_from(key).ok(),
            Some(_) | None => None,
        };
        let key = key.ok_or(FormatError::Whole("an Ed25519 key (type 1, 32 bytes)"))?;
        let key = VerifyingKey::from_bytes(&key)
            .ok()
            .filter(|key| !key.is_weak())
            .ok_or(FormatError::Whole("a valid Ed25519 public key"))?;
        let verifier = Self::new(name.to_owned(), key);
        if verifier.id != id {
            return Err(FormatError::Whole("a key whose hash is that of its name and base64"));
        }
        Ok(verifier)
    }
}

/// A parsed note. Its text is not trustworthy before [`Note::verify`] returns `Ok`.
#[derive(Debug)]
pub struct Note<'a> {
    /// The signed text, with its final newline.
    pub text: &'a str,
    signatures: Vec<SignatureLine<'a>>,
}

#[derive(Debug)]
struct SignatureLine<'a> {
    name: &'a str,
    id: [u8; 4],
    signature: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Parses a note of at most `limit` bytes.
    pub fn parse(note: &'a str, limit: usize) -> Result<Self, FormatError> {
        if note.len() > limit {
            return Err(FormatError::TooLong { bytes: note.len(), limit });
        }
        check_characters(note)?;
        let Some(gap) = note.rfind("\n\n") else {
            return Err(FormatError::Whole(
                "a text, an empty line and at least one signature line",
            ));
        };
        let (text, lines) = (&note[..=gap], &note[gap + 2..]);
        let first = text.lines().count() + 2;
        let Some(lines) = lines.strip_suffix('\n') else {
            return Err(FormatError::Whole("a note that ends in a newline after its signatures"));
        };
        let mut signatures = Vec::new();
        for (line, number) in lines.split('\n').zip(first..) {
            if signatures.len() == MAX_SIGNATURES {
                return Err(FormatError::Line { line: number, expected: "at most 64 signatures" });
            }
            signatures.push(SignatureLine::parse(line).ok_or(FormatError::Line {
                line: number,
                expected: "a signature: an em dash, a name and base64",
            })?);
        }
        Ok(Self { text, signatures })
    }

    /// Verifies that there is at least one signature by this key, and that all of them are valid.
    /// Signatures by other keys are ignored, as the specification demands.
    pub fn verify(&self, verifier: &Verifier) -> Result<(), FormatError> {
        let mut found = false;
        for line in &self.signatures {
            if line.name != verifier.name || line.id != verifier.id {
                continue;
            }
            let good = Signature::from_slice(&line.signature).is_ok_and(|signature| {
                verifier.key.verify_strict(self.text.as_bytes(), &signature).is_ok()
            });
            if !good {
                return Err(FormatError::BadSignature(verifier.name.clone()));
            }
            found = true;
        }
        if found { Ok(()) } else { Err(FormatError::NotSignedBy(verifier.to_string())) }
    }

    /// The number of signatures that are not by this key.
    pub fn signatures_by_others(&self, verifier: &Verifier) -> usize {
        let others = self.signatures.iter();
        others.filter(|line| line.name != verifier.name || line.id != verifier.id).count()
    }
}

impl<'a> SignatureLine<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, signature) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
        let signature = STANDARD.decode(signature).ok()?;
        let (id, signature) = signature.split_first_chunk::<4>()?;
        let usable = is_key_name(name) && !signature.is_empty();
        usable.then(|| Self { name, id: *id, signature: signature.to_vec() })
    }
}

/// Whether a text is a valid name of a key: not empty, no white space, no plus, no control
/// character.
fn is_key_name(name: &str) -> bool {
    let forbidden =
        |character: char| character.is_whitespace() || character.is_control() || character == '+';
    !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS && !name.contains(forbidden)
}

fn check_characters(text: &str) -> Result<(), FormatError> {
    for (line, number) in text.split('\n').zip(1..) {
        if line.bytes().any(|byte| byte < 0x20) {
            let expected = "no control characters other than the newline";
            return Err(FormatError::Line { line: number, expected });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of the specification.
    const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    #[test]
    fn the_example_of_the_specification_verifies() {
        let verifier: Verifier = VKEY.parse().unwrap();
        assert_eq!(verifier.to_string(), VKEY);
        let note = Note::parse(NOTE, 1000).unwrap();
        assert_eq!(note.text, "This is an example message.\n");
        note.verify(&verifier).unwrap();
    }

    #[test]
    fn a_changed_text_is_a_bad_signature() {
        let verifier: Verifier = VKEY.parse().unwrap();
        let changed = NOTE.replace("example message", "altered message");
        let error = Note::parse(&changed, 1000).unwrap().verify(&verifier).unwrap_err();
        assert_eq!(error, FormatError::BadSignature("example.com/foo".into()));
    }

    #[test]
    fn an_unknown_signature_is_ignored_and_not_sufficient() {
        let verifier: Verifier = VKEY.parse().unwrap();
        let other = Signer::new("witness.example", &[9; 32]).unwrap();
        let other = other.sign("This is an example message.\n").unwrap();
        let both = NOTE.to_owned() + other.split_once("\n\n").unwrap().1;
        Note::parse(&both, 1000).unwrap().verify(&verifier).unwrap();
        let error = Note::parse(&other, 1000).unwrap().verify(&verifier).unwrap_err();
        assert!(matches!(error, FormatError::NotSignedBy(_)), "{error}");
    }

    #[test]
    fn the_text_ends_at_the_last_empty_line() {
        let signer = Signer::new("poem.example", &[1; 32]).unwrap();
        let note = signer.sign("one\n\ntwo\n").unwrap();
        let note = Note::parse(&note, 1000).unwrap();
        assert_eq!(note.text, "one\n\ntwo\n");
        note.verify(&signer.verifier()).unwrap();
    }

    #[test]
    fn names_that_would_break_a_signature_line_are_refused() {
        for name in ["", "two words", "a+b", "line\nbreak", "non\u{a0}breaking"] {
            assert!(Signer::new(name, &[1; 32]).is_err(), "{name:?}");
        }
    }

    #[test]
    fn debug_output_of_a_signer_does_not_show_the_secret() {
        let signer = Signer::new("log.example", &[0xAB; 32]).unwrap();
        assert_eq!(format!("{signer:?}"), format!("Signer({})", signer.verifier()));
    }

    proptest! {
        #[test]
        fn a_change_of_any_byte_of_a_key_is_detected(at in 0..VKEY.len(), to in any::<u8>()) {
            let mut bytes = VKEY.as_bytes().to_vec();
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            if let Ok(text) = String::from_utf8(bytes) {
                prop_assert!(text.parse::<Verifier>().is_err());
            }
        }

        #[test]
        fn any_text_is_parsed_without_a_panic(text in "\\PC{0,40}(\n{1,2}\u{2014}? ?[a-z/]{0,9} [A-Za-z+/=]{0,16}){0,3}\n?") {
            let _ = Note::parse(&text, 10_000).map(|note| note.verify(&VKEY.parse().unwrap()));
        }
    }
}
