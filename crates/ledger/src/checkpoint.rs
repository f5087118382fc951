//! Checkpoints: the signed heads of the ledger, by the C2SP specification
//! [tlog-checkpoint](https://c2sp.org/tlog-checkpoint).

use std::fmt;
use std::str::FromStr;

use crate::error::FormatError;
use crate::hash::Hash;
use crate::note::{Note, Signer, Verifier};

/// The largest checkpoint in bytes: enough for many witnesses' signatures, also post-quantum ones (up
/// to 5 kB each).
pub(crate) const MAX_CHECKPOINT_BYTES: usize = 256 * 1024;

/// The content of a checkpoint: the log, the number of entries, and the root of the tree over them.
/// Displays and parses as the signed text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TreeHead {
    /// The log's name.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The root of the tree over these entries.
    pub root: Hash,
    /// Additional lines by other software; this crate adds none.
    pub extensions: Vec<String>,
}

impl fmt::Display for TreeHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for TreeHead {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let Some(text) = text.strip_suffix('\n') else {
            return Err(FormatError::Whole("a checkpoint text that ends in a newline"));
        };
        let mut lines = text.split('\n');
        let wrong = |line, expected| FormatError::Line { line, expected };
        let origin = lines.next().filter(|line| !line.is_empty());
        let origin = origin.ok_or(wrong(1, "the name of the log"))?.to_owned();
        let size = lines.next().and_then(decimal);
        let size = size.ok_or(wrong(2, "the number of entries, without leading zeros"))?;
        let root = lines.next().and_then(Hash::from_base64);
        let root = root.ok_or(wrong(3, "the root hash, 32 bytes in base64"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if let Some(empty) = extensions.iter().position(String::is_empty) {
            return Err(wrong(4 + empty, "no empty line"));
        }
        Ok(Self { origin, size, root, extensions })
    }
}

/// Parses a number in its only valid spelling: ASCII digits, no leading zero, below 2^63 (other
/// implementations use signed 64-bit numbers).
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text && i64::try_from(number).is_ok()).then_some(number)
}

/// A tree head with a valid signature by the log's key. Displays as the signed note.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    head: TreeHead,
    note: String,
}

impl Checkpoint {
    /// Signs a tree head. The origin is the signer's name.
    pub(crate) fn sign(size: u64, root: Hash, signer: &Signer) -> Result<Self, FormatError> {
        let origin = signer.name().to_owned();
        let head = TreeHead { origin, size, root, extensions: Vec::new() };
        let note = signer.sign(&head.to_string())?;
        Ok(Self { head, note })
    }

    /// Parses a checkpoint and verifies that it names the verifier's log and has its signature.
    pub fn verify(note: &str, verifier: &Verifier) -> Result<Self, FormatError> {
        let parsed = Note::parse(note, MAX_CHECKPOINT_BYTES)?;
        let head: TreeHead = parsed.text.parse()?;
        parsed.verify(verifier)?;
        if head.origin != verifier.name() {
            let expected = verifier.name().to_owned();
            return Err(FormatError::OtherOrigin { found: head.origin, expected });
        }
        Ok(Self { head, note: note.to_owned() })
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.head.origin
    }

    /// The number of entries that it covers.
    pub fn size(&self) -> u64 {
        self.head.size
    }

    /// The root of the tree over these entries.
    pub fn root(&self) -> Hash {
        self.head.root
    }

    /// The signed note, which is the content of the file `checkpoint`.
    pub fn note(&self) -> &str {
        &self.note
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.note)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_example_of_the_specification_is_parsed_and_written_unchanged() {
        let head: TreeHead = HEAD.parse().unwrap();
        assert_eq!(head.origin, "example.com/behind-the-sofa");
        assert_eq!(head.size, 20_852_163);
        assert_eq!(head.to_string(), HEAD);
        let extended = HEAD.to_owned() + "note for later\n";
        assert_eq!(extended.parse::<TreeHead>().unwrap().extensions, ["note for later"]);
        assert_eq!(extended.parse::<TreeHead>().unwrap().to_string(), extended);
    }

    #[test]
    fn an_error_names_the_invalid_line() {
        for (broken, line) in [
            ("\n5\nx\n".to_owned(), 1),
            (HEAD.replace("20852163", "020852163"), 2),
            (HEAD.replace("20852163", "-1"), 2),
            (HEAD.replace("20852163", "+1"), 2),
            (HEAD.replace("20852163", "9223372036854775808"), 2),
            (HEAD.replace("q2I=", "q2I"), 3),
            (HEAD.to_owned() + "\n", 4),
        ] {
            match broken.parse::<TreeHead>() {
                Err(FormatError::Line { line: found, .. }) => assert_eq!(found, line, "{broken}"),
                other => panic!("{broken}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_checkpoint_of_another_log_by_the_same_key_is_refused() {
        let signer = Signer::new("one.example", &[5; 32]).unwrap();
        let text = HEAD.replace("example.com/behind-the-sofa", "two.example");
        let error = Checkpoint::verify(&signer.sign(&text).unwrap(), &signer.verifier());
        assert!(matches!(error, Err(FormatError::OtherOrigin { .. })), "{error:?}");
    }

    proptest! {
        #[test]
        fn a_change_of_any_byte_of_a_checkpoint_is_detected(at in 0_usize..200, to in any::<u8>()) {
            let signer = Signer::new("log.example", &[5; 32]).unwrap();
            let good = Checkpoint::sign(12, Hash::EMPTY_ROOT, &signer).unwrap();
            let mut bytes = good.note().as_bytes().to_vec();
            let at = at % bytes.len();
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            if let Ok(text) = String::from_utf8(bytes) {
                prop_assert!(Checkpoint::verify(&text, &signer.verifier()).is_err());
            }
        }
    }
}
