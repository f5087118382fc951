//! Inclusion proofs as text, by the C2SP specification [tlog-proof](https://c2sp.org/tlog-proof).
//!
//! With the entry, this text and the log's public key, anyone can check offline that the entry is
//! in the log.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{Checkpoint, MAX_CHECKPOINT_BYTES, decimal};
use crate::error::FormatError;
use crate::hash::Hash;
use crate::note::Verifier;
use crate::proof::{MAX_PROOF_HASHES, verify_inclusion};

/// The file name extension of proofs, from the specification.
pub const PROOF_EXTENSION: &str = ".tlog-proof";

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// The largest proof in bytes: the checkpoint, 64 hashes, and the same size again for extra data.
pub(crate) const MAX_PROOF_BYTES: usize = 2 * MAX_CHECKPOINT_BYTES;

/// The proof that an entry is in the log: its index, the hashes from it to the root, and the
/// checkpoint that signs the root. Displays and parses as the content of a `.tlog-proof` file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// Data next to the proof that the proof does not authenticate.
    pub extra: Option<Vec<u8>>,
    /// The entry's index in the log, from 0.
    pub index: u64,
    /// The hashes from the entry's sibling up to the root's child.
    pub hashes: Vec<Hash>,
    /// The checkpoint as the log wrote it, a signed note.
    pub checkpoint: String,
}

/// Whether a path names a file with a proof.
pub(crate) fn is_proof_file(path: &str) -> bool {
    path.ends_with(PROOF_EXTENSION)
}

impl Proof {
    /// Checks that the entry with this leaf hash is in the log; returns the checkpoint that covers it.
    pub fn verify(&self, leaf: Hash, verifier: &Verifier) -> Result<Checkpoint, FormatError> {
        let checkpoint = Checkpoint::verify(&self.checkpoint, verifier)?;
        let (size, root) = (checkpoint.size(), checkpoint.root());
        if verify_inclusion(leaf, self.index, size, &self.hashes, root) {
            Ok(checkpoint)
        } else {
            Err(FormatError::ProofFails { index: self.index })
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for Proof {
    type Err = FormatError;

    /// Reads a proof in its only valid spelling, without checking hashes or signatures: see
    /// [`Proof::verify`].
    fn from_str(text: &str) -> Result<Self, FormatError> {
        if text.len() > MAX_PROOF_BYTES {
            return Err(FormatError::TooLong { bytes: text.len(), limit: MAX_PROOF_BYTES });
        }
        let Some((proof, checkpoint)) = text.split_once("\n\n") else {
            return Err(FormatError::Whole("a proof, an empty line and a checkpoint"));
        };
        let wrong = |line, expected| FormatError::Line { line, expected };
        let mut lines = proof.split('\n').zip(1..).peekable();
        if lines.next().is_none_or(|(line, _)| line != FIRST_LINE) {
            return Err(wrong(1, "\"c2sp.org/tlog-proof@v1\""));
        }
        let extra = match lines.peek().and_then(|(line, _)| line.strip_prefix("extra ")) {
            None => None,
            Some(extra) => {
                lines.next();
                Some(STANDARD.decode(extra).map_err(|_| wrong(2, "\"extra\" and base64"))?)
            }
        };
        let at = lines.peek().map_or(2, |(_, number)| *number);
        let index = lines.next().and_then(|(line, _)| decimal(line.strip_prefix("index ")?));
        let index = index.ok_or(wrong(at, "\"index\" and a number without leading zeros"))?;
        let mut hashes = Vec::new();
        for (line, number) in lines {
            if hashes.len() == MAX_PROOF_HASHES {
                return Err(wrong(number, "at most 64 hashes"));
            }
            let hash = Hash::from_base64(line);
            hashes.push(hash.ok_or(wrong(number, "a hash, 32 bytes in base64"))?);
        }
        Ok(Self { extra, index, hashes, checkpoint: checkpoint.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::note::Signer;

    fn proof() -> (Proof, Hash, Verifier) {
        let signer = Signer::new("log.example", &[3; 32]).unwrap();
        let (left, right) = (Hash::of_leaf(b"left"), Hash::of_leaf(b"right"));
        let checkpoint = Checkpoint::sign(2, Hash::of_node(&left, &right), &signer).unwrap();
        let checkpoint = checkpoint.note().to_owned();
        let proof = Proof { extra: None, index: 1, hashes: vec![left], checkpoint };
        (proof, right, signer.verifier())
    }

    #[test]
    fn a_proof_is_written_as_in_the_specification() {
        let (proof, leaf, verifier) = proof();
        let text = proof.to_string();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 1\n"), "{text}");
        assert!(text.ends_with(&format!("\n\n{}", proof.checkpoint)), "{text}");
        let read: Proof = text.parse().unwrap();
        assert_eq!(read, proof);
        assert_eq!(read.verify(leaf, &verifier).unwrap().size(), 2);
    }

    #[test]
    fn extra_data_is_unchanged_after_writing_and_reading() {
        let (mut proof, ..) = proof();
        proof.extra = Some(b"context".to_vec());
        let text = proof.to_string();
        assert!(text.contains("\nextra Y29udGV4dA==\nindex 1\n"), "{text}");
        assert_eq!(text.parse::<Proof>().unwrap(), proof);
    }

    #[test]
    fn a_proof_of_another_entry_fails() {
        let (proof, _, verifier) = proof();
        let error = proof.verify(Hash::of_leaf(b"other"), &verifier).unwrap_err();
        assert_eq!(error, FormatError::ProofFails { index: 1 });
    }

    #[test]
    fn an_error_names_the_invalid_line() {
        let (proof, ..) = proof();
        let text = proof.to_string();
        for (from, to, line) in [
            ("proof@v1", "proof@v2", 1),
            ("index 1", "index 01", 2),
            ("index 1\n", "index 1\nx\n", 3),
        ] {
            match text.replace(from, to).parse::<Proof>() {
                Err(FormatError::Line { line: found, .. }) => assert_eq!(found, line),
                other => panic!("{other:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn a_change_of_any_byte_of_a_proof_is_detected(at in 0_usize..400, to in any::<u8>()) {
            let (proof, leaf, verifier) = proof();
            let mut bytes = proof.to_string().into_bytes();
            let at = at % bytes.len();
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            if let Ok(text) = String::from_utf8(bytes) {
                let verdict = text.parse::<Proof>().and_then(|proof| proof.verify(leaf, &verifier));
                prop_assert!(verdict.is_err());
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(
            lines in "(c2sp.org/tlog-proof@v1\n)?((extra|index) [A-Za-z0-9=]{0,6}\n){0,3}\\PC{0,30}\n{0,3}\\PC{0,30}",
        ) {
            if let Ok(proof) = lines.parse::<Proof>() {
                prop_assert_eq!(proof.to_string(), lines);
            }
        }
    }
}
