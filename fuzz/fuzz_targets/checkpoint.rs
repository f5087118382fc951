//! Checkpoints, notes and keys as strangers may write them: no text makes a reader fail, and what
//! is read is written again unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_ledger::{Checkpoint, Note, Signer, TreeHead, Verifier};

fuzz_target!(|text: &str| {
    let Ok(signer) = Signer::new("fuzz.example", &[7; 32]) else { return };
    let verifier = signer.verifier();
    // The key is not in the input, so that a good signature can only be the seed's, over its very
    // text.
    if let Ok(checkpoint) = Checkpoint::verify(text, &verifier) {
        assert_eq!(checkpoint.note(), text);
        assert_eq!(checkpoint.origin(), "fuzz.example");
    }
    if let Ok(note) = Note::parse(text, 1 << 20) {
        assert!(text.starts_with(note.text));
        let _ = note.verify(&verifier);
    }
    if let Ok(head) = text.parse::<TreeHead>() {
        assert_eq!(head.to_string(), text);
        // What can be read can be signed, and then verifies if it is of the signer's log.
        if let Ok(note) = signer.sign(text) {
            assert_eq!(Checkpoint::verify(&note, &verifier).is_ok(), head.origin == "fuzz.example");
        }
    }
    if let Ok(verifier) = text.parse::<Verifier>() {
        assert_eq!(verifier.to_string(), text);
    }
});
