//! SHA-256 hashes and the nodes of an RFC 6962 Merkle tree.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// A SHA-256 value: a leaf hash, an inner node or the root of a tree. Displays as base64, as in the
/// C2SP text formats.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; Hash::BYTES]);

impl Hash {
    /// The size of a hash in bytes.
    pub const BYTES: usize = 32;

    /// The root of the empty tree, SHA-256 of nothing (RFC 6962, section 2.1).
    pub const EMPTY_ROOT: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9,
        0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52,
        0xb8, 0x55,
    ]);

    /// SHA-256 of the bytes without a prefix: for files, not for nodes of the tree.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The hash of a leaf: SHA-256 of 0x00 and the leaf (RFC 6962, section 2.1).
    pub fn of_leaf(leaf: &[u8]) -> Self {
        let mut sha = Sha256::new();
        sha.update([0x00]);
        sha.update(leaf);
        Self(sha.finalize().into())
    }

    /// The hash of an inner node: SHA-256 of 0x01 and its two children (RFC 6962, section 2.1).
    pub fn of_node(left: &Self, right: &Self) -> Self {
        let mut sha = Sha256::new();
        sha.update([0x01]);
        sha.update(left.0);
        sha.update(right.0);
        Self(sha.finalize().into())
    }

    /// The root of a tree whose lowest nodes are `hashes`. By RFC 6962 the last one may be the root of
    /// a subtree that is not full, so this also combines tiles of several levels.
    pub fn of_row(hashes: &[Self]) -> Self {
        match hashes {
            [] => Self::EMPTY_ROOT,
            [one] => *one,
            more => {
                let (left, right) = more.split_at(split(more.len() as u64) as usize);
                Self::of_node(&Self::of_row(left), &Self::of_row(right))
            }
        }
    }

    /// Parses 44 characters of standard base64 in their only valid spelling.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// The hash as lower-case hexadecimal, as `sha256sum` prints it.
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// Splits the bytes of a tile into hashes; `None` if the size is not a multiple of 32.
    pub fn row_from_bytes(bytes: &[u8]) -> Option<Vec<Self>> {
        let (hashes, rest) = bytes.as_chunks::<{ Hash::BYTES }>();
        rest.is_empty().then(|| hashes.iter().map(|hash| Self(*hash)).collect())
    }

    /// The bytes of a tile with these hashes.
    pub fn row_to_bytes(hashes: &[Self]) -> Vec<u8> {
        hashes.iter().flat_map(|hash| hash.0).collect()
    }
}

/// The largest power of two smaller than `n`, where RFC 6962 splits a tree of `n` leaves.
/// `n` is at least 2.
pub(crate) fn split(n: u64) -> u64 {
    debug_assert!(n >= 2, "a tree of {n} leaves has no split");
    1 << (n.max(2) - 1).ilog2()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// Parses lower-case hexadecimal of exactly `N` bytes.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_chunks::<2>().0) {
        let [high, low] = digits.map(|digit| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        });
        *byte = high? << 4 | low?;
    }
    Some(bytes)
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        assert_eq!(Hash::EMPTY_ROOT, Hash::of_bytes(b""));
    }

    /// The Certificate Transparency project's published reference leaves and roots.
    #[test]
    fn reference_leaves_have_their_published_roots() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let hashes: Vec<Hash> = leaves.iter().map(|leaf| Hash::of_leaf(leaf)).collect();
        for (size, root) in [
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ] {
            assert_eq!(Hash::of_row(&hashes[..size]).to_hex(), root, "size {size}");
        }
    }

    #[test]
    fn a_hash_has_one_spelling_in_base64() {
        let text = Hash::EMPTY_ROOT.to_string();
        assert_eq!(Hash::from_base64(&text), Some(Hash::EMPTY_ROOT));
        assert_eq!(Hash::from_base64(text.trim_end_matches('=')), None);
        // The last character has two bits that must be zero.
        assert_eq!(Hash::from_base64(&text.replace("U=", "V=")), None);
    }

    #[test]
    fn hexadecimal_is_lower_case_only() {
        assert_eq!(from_hex::<2>("0aff"), Some([0x0a, 0xff]));
        assert_eq!(from_hex::<2>("0AFF"), None);
        assert_eq!(from_hex::<2>("0af"), None);
    }
}
