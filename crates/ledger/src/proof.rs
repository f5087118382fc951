//! Verification of inclusion and consistency proofs, by the algorithms of RFC 9162, section 2.1.

use crate::hash::Hash;

/// The most hashes a proof can need: one for each level of a tree of 64-bit size.
pub(crate) const MAX_PROOF_HASHES: usize = 64;

/// Whether `proof` leads from the leaf hash at `index` to the root of a tree of `size` leaves
/// (RFC 9162, section 2.1.3.2).
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node % 2 == 1 || node == last {
            hash = Hash::of_node(sibling, &hash);
            // A last node without a sibling moves up until it has one on its left.
            while node % 2 == 0 && node != 0 {
                node /= 2;
                last /= 2;
            }
        } else {
            hash = Hash::of_node(&hash, sibling);
        }
        node /= 2;
        last /= 2;
    }
    last == 0 && hash == root
}

/// Whether `proof` shows that one tree is the beginning of another (RFC 9162, section 2.1.4.2): the
/// tree of `old_size` leaves with root `old_root` of the tree of `new_size` leaves with root
/// `new_root`. The empty tree is the beginning of every tree.
pub fn verify_consistency(
    old_size: u64,
    old_root: Hash,
    new_size: u64,
    new_root: Hash,
    proof: &[Hash],
) -> bool {
    if old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    if old_size == 0 {
        return proof.is_empty() && old_root == Hash::EMPTY_ROOT;
    }
    // If the old tree is a full subtree of the new one, the proof omits its root.
    let (first, proof) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        match proof.split_first() {
            Some((first, rest)) => (*first, rest),
            None => return false,
        }
    };
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    while node % 2 == 1 {
        node /= 2;
        last /= 2;
    }
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node % 2 == 1 || node == last {
            old_hash = Hash::of_node(sibling, &old_hash);
            new_hash = Hash::of_node(sibling, &new_hash);
            while node % 2 == 0 && node != 0 {
                node /= 2;
                last /= 2;
            }
        } else {
            new_hash = Hash::of_node(&new_hash, sibling);
        }
        node /= 2;
        last /= 2;
    }
    last == 0 && old_hash == old_root && new_hash == new_root
}
