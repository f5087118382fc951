//! The keys of one gate, all derived from one secret.

use core::fmt;
use core::hash::Hasher;

use hmac::{Hmac, KeyInit, Mac};
use portcullis_model::SourceKey;
use sha2::Sha256;
use siphasher::sip::SipHasher13;

/// The secret of one gate: 32 random bytes made once and handed in by the shell.
///
/// Separate keys for table slots, feature values and tokens are derived from it, so that an attacker
/// cannot aim at a table slot (`HashDoS`), forge a token or invert a feature value.
#[derive(Clone)]
pub struct Secret {
    table: (u64, u64),
    features: (u64, u64),
    token: Hmac<Sha256>,
    /// The key of before, for tokens that were issued before this second of the Unix epoch.
    previous_token: Option<(Hmac<Sha256>, u32)>,
}

/// Never prints the keys.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Derives the keys from 32 random bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        let pair = |label: &[u8]| {
            let tag = keyed(bytes).chain_update(label).finalize().into_bytes();
            let word = |at: usize| {
                tag[at..at + 8].iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte))
            };
            (word(0), word(8))
        };
        Self {
            table: pair(b"portcullis table v1"),
            features: pair(b"portcullis features v1"),
            token: token_authenticator(bytes),
            previous_token: None,
        }
    }

    /// The same keys, but tokens are authenticated by `current` from the second `since` of the Unix
    /// epoch on, and by `previous` before, so that a change of key costs no visitor a challenge.
    #[must_use]
    pub fn with_token_keys(
        self,
        current: &[u8; 32],
        since: u32,
        previous: Option<&[u8; 32]>,
    ) -> Self {
        Self {
            token: token_authenticator(current),
            previous_token: previous.map(|key| (token_authenticator(key), since)),
            ..self
        }
    }

    /// Where in a table something lives; never zero, which marks an empty slot.
    pub(crate) fn slot_hash(&self, kind: u8, bits: u64) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.table.0, self.table.1);
        hasher.write_u8(kind);
        hasher.write_u64(bits);
        hasher.finish() | 1
    }

    /// A keyed hash that names a source in logs: the same for the same source, and nothing that leads
    /// back to it without the secret.
    pub fn pseudonym(&self, source: SourceKey) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.features.0, self.features.1);
        hasher.write(b"portcullis pseudonym v1");
        hasher.write_u64(source.bits());
        hasher.finish()
    }

    /// A hasher for feature values.
    pub(crate) fn feature_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.features.0, self.features.1)
    }

    /// An authenticator for tokens that were issued at this second of the Unix epoch.
    pub(crate) fn token_mac(&self, issued: u32) -> Hmac<Sha256> {
        match &self.previous_token {
            Some((previous, until)) if issued < *until => previous.clone(),
            _ => self.token.clone(),
        }
    }
}

fn token_authenticator(secret: &[u8; 32]) -> Hmac<Sha256> {
    keyed(&keyed(secret).chain_update(b"portcullis token v1").finalize().into_bytes())
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length")
}
