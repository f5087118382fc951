//! One entry's proof in one small text, by the C2SP specification
//! [tlog-proof](https://c2sp.org/tlog-proof): whoever has the entry, the text and the log's key can
//! check without a network that the log held the entry.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{Checkpoint, MAX_CHECKPOINT_BYTES, decimal};
use crate::error::FormatError;
use crate::hash::Hash;
use crate::note::Verifier;
use crate::proof::{MAX_PROOF_HASHES, verify_inclusion};

/// The ending that the specification gives to files with a proof.
pub const PROOF_EXTENSION: &str = ".tlog-proof";

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// The most bytes of a proof that are read: the checkpoint, 64 hashes, and as much again for extra
/// data.
pub(crate) const MAX_PROOF_BYTES: usize = 2 * MAX_CHECKPOINT_BYTES;

/// That an entry is in the log: where it stands, the hashes from it to the root, and the checkpoint
/// that signs the root. Displays and parses as the text of a `.tlog-proof` file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// Data that travels with the proof and is not authenticated by it.
    pub extra: Option<Vec<u8>>,
    /// The entry's index in the log, from 0.
    pub index: u64,
    /// The hashes from the entry's sibling up to the root's child.
    pub hashes: Vec<Hash>,
    /// The checkpoint as the log wrote it, a signed note.
    pub checkpoint: String,
}

impl Proof {
    /// Checks that the entry with this leaf hash is in the log, and hands back the checkpoint that
    /// says so.
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

    /// Reads a proof in its one valid spelling. Neither the hashes nor the checkpoint's signatures
    /// are checked by this: see [`Proof::verify`].
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
    fn a_proof_is_the_text_that_the_specification_shows() {
        let (proof, leaf, verifier) = proof();
        let text = proof.to_string();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 1\n"), "{text}");
        assert!(text.ends_with(&format!("\n\n{}", proof.checkpoint)), "{text}");
        let read: Proof = text.parse().unwrap();
        assert_eq!(read, proof);
        assert_eq!(read.verify(leaf, &verifier).unwrap().size(), 2);
    }

    #[test]
    fn extra_data_is_kept_as_it_came() {
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
    fn the_line_that_breaks_the_form_is_named() {
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
        fn no_byte_of_a_proof_can_change_unseen(at in 0_usize..400, to in any::<u8>()) {
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
        fn no_text_makes_the_proof_reader_fail(
            lines in "(c2sp.org/tlog-proof@v1\n)?((extra|index) [A-Za-z0-9=]{0,6}\n){0,3}\\PC{0,30}\n{0,3}\\PC{0,30}",
        ) {
            if let Ok(proof) = lines.parse::<Proof>() {
                prop_assert_eq!(proof.to_string(), lines);
            }
        }
    }
}
