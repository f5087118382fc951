//! The Merkle tree: its growing right edge, and proofs drawn from its tiles.
//!
//! Everything here is arithmetic over hashes; where tiles come from is the caller's business.

use std::collections::BTreeMap;

use crate::hash::{Hash, split};
use crate::tile::{Shelf, TILE_LEVELS, TILE_WIDTH, Tile};

/// The right edge of a tree: at each level, the hashes of the one tile that is not full yet. It is
/// all that is needed to add leaves and to know the root, whatever the size: at most 255 hashes a
/// level.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// Rebuilds the edge of a tree whose size is a multiple of 256 from its full tiles, which
    /// `full_tile` hands out by level and index.
    pub(crate) fn from_full_tiles<E>(
        size: u64,
        mut full_tile: impl FnMut(Tile) -> Result<Vec<Hash>, E>,
    ) -> Result<Self, E> {
        debug_assert!(size.is_multiple_of(TILE_WIDTH), "only full bundles leave full tiles alone");
        let mut levels = Vec::new();
        let mut level = 0_u8;
        while Shelf::Hashes(level).filled(size) > 0 {
            let filled = Shelf::Hashes(level).filled(size);
            let first = filled - filled % TILE_WIDTH;
            let mut hashes = Vec::with_capacity((filled - first) as usize);
            for below in first..filled {
                // At level 0 nothing is partial, so there is a level below whenever this loop runs.
                let shelf = Shelf::Hashes(level.saturating_sub(1));
                let tile = Tile { shelf, index: below, width: TILE_WIDTH as u16 };
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

    /// The hashes of the tile at the right edge of a level; empty where the level ends in a full
    /// tile.
    pub(crate) fn level(&self, level: u8) -> &[Hash] {
        self.levels.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }

    /// How many levels of tiles the tree has begun.
    pub(crate) fn height(&self) -> u8 {
        self.levels.len() as u8
    }

    /// Adds one leaf, and hands every hash tile that becomes full by it to `filled`.
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
                let shelf = Shelf::Hashes(level as u8);
                let index = shelf.filled(self.size) / TILE_WIDTH - 1;
                filled(Tile { shelf, index, width: TILE_WIDTH as u16 }, full);
            }
            level += 1;
        }
    }

    /// The root of the whole tree.
    pub(crate) fn root(&self) -> Hash {
        // From the leaves up: what a level leaves unfinished is the last, unfinished node of the
        // next one.
        let mut unfinished: Option<Hash> = None;
        for hashes in &self.levels {
            let mut row = hashes.clone();
            row.extend(unfinished);
            unfinished = (!row.is_empty()).then(|| Hash::of_row(&row));
        }
        unfinished.unwrap_or(Hash::EMPTY_ROOT)
    }
}

/// A tree of a given size whose hashes are read from tiles as they are needed. Each tile is asked
/// for once.
pub(crate) struct Tree<R> {
    size: u64,
    read: R,
    tiles: BTreeMap<(u8, u64), Vec<Hash>>,
}

impl<R, E> Tree<R>
where
    R: FnMut(Tile) -> Result<Vec<Hash>, E>,
{
    /// A tree of `size` leaves. `read` returns at least as many hashes as the tile's width says.
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

    /// The hashes that show the tree of the first `old` leaves to be the beginning of this one (RFC
    /// 6962, section 2.1.2). Empty if `old` is 0 or the size itself; `old` is not above the size.
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
        // A verifier knows that node already if it is the old root.
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
            let tile = Tile::in_tree(Shelf::Hashes(level), key.1, self.size)
                .expect("a node of the tree lies in one of its tiles");
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

    /// All tiles of a tree, made by pushing leaf after leaf.
    fn grown(leaves: &[Hash]) -> (Edge, BTreeMap<(Shelf, u64), Vec<Hash>>) {
        let mut edge = Edge::default();
        let mut tiles = BTreeMap::new();
        for leaf in leaves {
            edge.push(*leaf, |tile, hashes| {
                tiles.insert((tile.shelf, tile.index), hashes);
            });
        }
        for level in 0..edge.height() {
            let shelf = Shelf::Hashes(level);
            let index = shelf.filled(edge.size()) / TILE_WIDTH;
            tiles.insert((shelf, index), edge.level(level).to_vec());
        }
        (edge, tiles)
    }

    fn tree_of(
        size: u64,
        tiles: &BTreeMap<(Shelf, u64), Vec<Hash>>,
    ) -> Tree<impl FnMut(Tile) -> Result<Vec<Hash>, Infallible> + '_> {
        Tree::new(size, move |tile| Ok(tiles[&(tile.shelf, tile.index)].clone()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn edge_tiles_and_definition_agree_on_the_root(size in 0_u64..1500) {
            let leaves = leaves(size);
            let (edge, tiles) = grown(&leaves);
            prop_assert_eq!(edge.root(), Hash::of_row(&leaves));
            prop_assert_eq!(tree_of(size, &tiles).root().unwrap(), edge.root());
        }

        #[test]
        fn an_edge_rebuilt_from_full_tiles_is_the_edge(bundles in 0_u64..6) {
            let size = bundles * TILE_WIDTH;
            let (edge, tiles) = grown(&leaves(size));
            let rebuilt = Edge::from_full_tiles::<Infallible>(size, |tile| {
                Ok(tiles[&(tile.shelf, tile.index)].clone())
            });
            prop_assert_eq!(rebuilt.unwrap(), edge);
        }
    }

    #[test]
    fn a_tree_of_three_tile_levels_has_one_root_by_every_way() {
        let size = 256 * 256 + 300;
        let leaves = leaves(size);
        let (edge, tiles) = grown(&leaves);
        assert_eq!(edge.height(), 3);
        assert_eq!(edge.root(), Hash::of_row(&leaves));
        assert_eq!(tree_of(size, &tiles).root().unwrap(), edge.root());
        let whole = size - size % TILE_WIDTH;
        let mut rebuilt = Edge::from_full_tiles::<Infallible>(whole, |tile| {
            Ok(tiles[&(tile.shelf, tile.index)].clone())
        })
        .unwrap();
        for leaf in &leaves[whole as usize..] {
            rebuilt.push(*leaf, |_, _| {});
        }
        assert_eq!(rebuilt, edge);
    }
}
