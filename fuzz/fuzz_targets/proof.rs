//! Proofs as strangers may write them: no text makes the reader or the verification fail, what is
//! read is written again unchanged, and nothing proves an entry that the seed's log does not have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_ledger::{Hash, Proof, Signer, Tile, verify_consistency, verify_inclusion};

fuzz_target!(|text: &str| {
    if let Some(tile) = Tile::parse(text) {
        assert_eq!(tile.path(), text);
    }
    let Ok(proof) = text.parse::<Proof>() else { return };
    assert_eq!(proof.to_string(), text);
    let Ok(signer) = Signer::new("fuzz.example", &[7; 32]) else { return };
    let absent = Hash::of_leaf(b"not in the log");
    assert!(proof.verify(absent, &signer.verifier()).is_err());
    // Sizes of every kind; a root that no proof leads to.
    for size in [0, 1, proof.index, proof.index.saturating_add(1), u64::MAX] {
        assert!(!verify_inclusion(absent, proof.index, size, &proof.hashes, Hash::EMPTY_ROOT));
        let old = proof.index;
        assert!(
            old == 0 || !verify_consistency(old, absent, size, Hash::EMPTY_ROOT, &proof.hashes)
        );
    }
});
