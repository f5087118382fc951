//! The Merkle tree: its growing right edge, and proofs from its tiles.
//!
//! This module only computes hashes; the caller reads the tiles.

use std::collections::{BTreeMap, BTreeSet};

use crate::hash::{Hash, split};
use crate::tile::{TILE_LEVELS, TILE_WIDTH, Tile, TileKind};

/// The right edge of a tree: at each level, the hashes of the tile that is not full yet.
///
/// That is all the state needed to add leaves and to compute the root of a tree of any size: at most
/// 255 hashes a level.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct RightEdge {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

impl RightEdge {
    /// Rebuilds the edge of a tree whose size is a multiple of 256 from its full tiles, which
    /// `full_tile` reads.
    pub(crate) fn from_full_tiles<E>(
        size: u64,
        mut full_tile: impl FnMut(Tile) -> Result<Vec<Hash>, E>,
    ) -> Result<Self, E> {
        debug_assert!(size.is_multiple_of(TILE_WIDTH), "a tree of {size} leaves has partial tiles");
        let mut levels = Vec::new();
        let mut level = 0_u8;
        while TileKind::Hashes(level).filled(size) > 0 {
            let filled = TileKind::Hashes(level).filled(size);
            let first = filled - filled % TILE_WIDTH;
            let mut hashes = Vec::with_capacity((filled - first) as usize);
            for below in first..filled {
                // Level 0 has no partial tile, so this loop runs only where there is a level below.
                let kind = TileKind::Hashes(level.saturating_sub(1));
                let tile = Tile { kind, index: below, width: TILE_WIDTH as u16 };
                hashes.push(Hash::of_row(&full_tile(tile)?));
            }
            levels.push(hashes);
            level += 1;
        }
        Ok(Self { size, levels })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the partial tile of a level; empty if the level ends in a full tile.
    pub(crate) fn level(&self, level: u8) -> &[Hash] {
        self.levels.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }

    /// The number of tile levels.
    pub(crate) fn height(&self) -> u8 {
        self.levels.len() as u8
    }

    /// Adds one leaf; calls `filled` for every hash tile that it completes.
    pub(crate) fn push(&mut self, leaf: Hash, mut filled: impl FnMut(Tile, Vec<Hash>)) {
        self.size += 1;
        let mut carry = Some(leaf);
        let mut level = 0;
        while let Some(hash) = carry.take() {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let hashes = &mut self.levels[level];
            hashes.push(hash);
            if hashes.len() as u64 == TILE_WIDTH {
                let full = std::mem::take(hashes);
                carry = Some(Hash::of_row(&full));
                let kind = TileKind::Hashes(level as u8);
                let index = kind.filled(self.size) / TILE_WIDTH - 1;
                filled(Tile { kind, index, width: TILE_WIDTH as u16 }, full);
            }
            level += 1;
        }
    }

    /// The root of the whole tree.
    pub(crate) fn root(&self) -> Hash {
        // From the leaves up: the unfinished part of a level is the last node of the next level.
        let mut unfinished: Option<Hash> = None;
        for hashes in &self.levels {
            let mut row = hashes.clone();
            row.extend(unfinished);
            unfinished = (!row.is_empty()).then(|| Hash::of_row(&row));
        }
        unfinished.unwrap_or(Hash::EMPTY_ROOT)
    }
}

/// The root of the tree over the first `size` leaves, for each of `sizes` that is not too large.
pub(crate) fn roots_at(
    leaves: &[Hash],
    sizes: impl IntoIterator<Item = u64>,
) -> BTreeMap<u64, Hash> {
    let sizes: BTreeSet<u64> = sizes.into_iter().collect();
    let mut edge = RightEdge::default();
    let mut roots = BTreeMap::new();
    let mut leaves = leaves.iter();
    for size in sizes {
        while edge.size() < size {
            let Some(leaf) = leaves.next() else {
                return roots;
            };
            edge.push(*leaf, |_, _| {});
        }
        roots.insert(size, edge.root());
    }
    roots
}

/// A tree of a given size whose tiles are read when needed, each of them once.
pub(crate) struct Tree<R> {
    size: u64,
    read: R,
    tiles: BTreeMap<(u8, u64), Vec<Hash>>,
}

impl<R, E> Tree<R>
where
    R: FnMut(Tile) -> Result<Vec<Hash>, E>,
{
    /// A tree of `size` leaves. `read` returns at least `width` hashes of a tile.
    pub(crate) fn new(size: u64, read: R) -> Self {
        Self { size, read, tiles: BTreeMap::new() }
    }

    /// The root of the tree.
    #[cfg(test)]
    pub(crate) fn root(&mut self) -> Result<Hash, E> {
        if self.size == 0 { Ok(Hash::EMPTY_ROOT) } else { self.range(0, self.size) }
    }

    /// The hashes that lead from leaf `index` to the root (RFC 6962, section 2.1.1), the leaf's
    /// sibling first. `index` is below the size.
    pub(crate) fn inclusion(&mut self, index: u64) -> Result<Vec<Hash>, E> {
        debug_assert!(index < self.size);
        let (mut start, mut end) = (0, self.size);
        let mut path = Vec::new();
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                path.push(self.range(middle, end)?);
                end = middle;
            } else {
                path.push(self.range(start, middle)?);
                start = middle;
            }
        }
        path.reverse();
        Ok(path)
    }

    /// The hashes that prove that the tree of the first `old` leaves is the beginning of this one (RFC
    /// 6962, section 2.1.2). Empty if `old` is 0 or the size; `old` is at most the size.
    pub(crate) fn consistency(&mut self, old: u64) -> Result<Vec<Hash>, E> {
        debug_assert!(old <= self.size);
        if old == 0 || old == self.size {
            return Ok(Vec::new());
        }
        let (mut start, mut end) = (0, self.size);
        let mut path = Vec::new();
        // Walk to the node that ends where the old tree ended.
        while end != old {
            let middle = start + split(end - start);
            if old <= middle {
                path.push(self.range(middle, end)?);
                end = middle;
            } else {
                path.push(self.range(start, middle)?);
                start = middle;
            }
        }
        // If that node is the old root, the verifier already has it.
        if start != 0 {
            path.push(self.range(start, end)?);
        }
        path.reverse();
        Ok(path)
    }

    /// The hash of the subtree over leaves `start..end`, a node of the tree.
    fn range(&mut self, start: u64, end: u64) -> Result<Hash, E> {
        let leaves = end - start;
        if leaves.is_power_of_two() && start.is_multiple_of(leaves) {
            return self.node(leaves.ilog2(), start / leaves);
        }
        let middle = start + split(leaves);
        let (left, right) = (self.range(start, middle)?, self.range(middle, end)?);
        Ok(Hash::of_node(&left, &right))
    }

    /// The hash of the full subtree number `index` over `2^height` leaves.
    fn node(&mut self, height: u32, index: u64) -> Result<Hash, E> {
        let level = (height / TILE_LEVELS) as u8;
        let first = index << (height % TILE_LEVELS);
        let count = 1_usize << (height % TILE_LEVELS);
        let key = (level, first / TILE_WIDTH);
        if !self.tiles.contains_key(&key) {
            let tile = Tile::in_tree(TileKind::Hashes(level), key.1, self.size)
                .expect("a node of the tree is in one of its tiles");
            self.tiles.insert(key, (self.read)(tile)?);
        }
        let offset = (first % TILE_WIDTH) as usize;
        Ok(Hash::of_row(&self.tiles[&key][offset..offset + count]))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn leaves(size: u64) -> Vec<Hash> {
        (0..size).map(|index| Hash::of_leaf(&index.to_be_bytes())).collect()
    }

    /// The edge and all tiles of a tree, after adding the leaves one by one.
    fn grow(leaves: &[Hash]) -> (RightEdge, BTreeMap<(TileKind, u64), Vec<Hash>>) {
        let mut edge = RightEdge::default();
        let mut tiles = BTreeMap::new();
        for leaf in leaves {
            edge.push(*leaf, |tile, hashes| {
                tiles.insert((tile.kind, tile.index), hashes);
            });
        }
        for level in 0..edge.height() {
            let kind = TileKind::Hashes(level);
            let index = kind.filled(edge.size()) / TILE_WIDTH;
            tiles.insert((kind, index), edge.level(level).to_vec());
        }
        (edge, tiles)
    }

    fn tree_of(
        size: u64,
        tiles: &BTreeMap<(TileKind, u64), Vec<Hash>>,
    ) -> Tree<impl FnMut(Tile) -> Result<Vec<Hash>, Infallible> + '_> {
        Tree::new(size, move |tile| Ok(tiles[&(tile.kind, tile.index)].clone()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn edge_tiles_and_definition_have_the_same_root(size in 0_u64..1500) {
            let leaves = leaves(size);
            let (edge, tiles) = grow(&leaves);
            prop_assert_eq!(edge.root(), Hash::of_row(&leaves));
            prop_assert_eq!(tree_of(size, &tiles).root().unwrap(), edge.root());
        }

        #[test]
        fn an_edge_rebuilt_from_full_tiles_is_the_same_edge(bundles in 0_u64..6) {
            let size = bundles * TILE_WIDTH;
            let (edge, tiles) = grow(&leaves(size));
            let rebuilt = RightEdge::from_full_tiles::<Infallible>(size, |tile| {
                Ok(tiles[&(tile.kind, tile.index)].clone())
            });
            prop_assert_eq!(rebuilt.unwrap(), edge);
        }
    }

    #[test]
    fn a_tree_of_three_tile_levels_has_the_same_root_by_every_method() {
        let size = 256 * 256 + 300;
        let leaves = leaves(size);
        let (edge, tiles) = grow(&leaves);
        assert_eq!(edge.height(), 3);
        assert_eq!(edge.root(), Hash::of_row(&leaves));
        assert_eq!(tree_of(size, &tiles).root().unwrap(), edge.root());
        let whole = size - size % TILE_WIDTH;
        let mut rebuilt = RightEdge::from_full_tiles::<Infallible>(whole, |tile| {
            Ok(tiles[&(tile.kind, tile.index)].clone())
        })
        .unwrap();
        for leaf in &leaves[whole as usize..] {
            rebuilt.push(*leaf, |_, _| {});
        }
        assert_eq!(rebuilt, edge);
    }
}
