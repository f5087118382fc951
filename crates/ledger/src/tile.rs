//! The files of a tree: tiles of 256 hashes and bundles of 256 entries, by the C2SP specification
//! [tlog-tiles](https://c2sp.org/tlog-tiles).

use crate::hash::Hash;

/// The number of hashes in a full tile, and of entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// The number of tree levels in one tile: 256 hashes are 8 levels.
pub(crate) const TILE_LEVELS: u32 = 8;

/// The largest entry in bytes: a bundle stores the size of an entry in 16 bits.
pub const MAX_ENTRY_BYTES: usize = 65_535;

/// The largest bundle in bytes: 256 entries of the largest size, each with 2 bytes of length.
pub(crate) const MAX_BUNDLE_BYTES: u64 = TILE_WIDTH * (2 + MAX_ENTRY_BYTES as u64);

/// The largest hash tile in bytes.
pub(crate) const MAX_TILE_BYTES: u64 = TILE_WIDTH * Hash::BYTES as u64;

/// The content of a tile.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TileKind {
    /// The entries themselves: an entry bundle.
    Entries,
    /// Hashes: leaf hashes at level 0; at each higher level, one hash for each full tile below.
    Hashes(u8),
}

impl TileKind {
    /// The number of slots of this kind in a tree of `size` entries.
    pub fn filled(self, size: u64) -> u64 {
        match self {
            Self::Entries | Self::Hashes(0) => size,
            Self::Hashes(level) => size.checked_shr(TILE_LEVELS * u32::from(level)).unwrap_or(0),
        }
    }
}

/// The address of one tile or entry bundle: its kind, its index, and the number of filled slots.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Tile {
    /// Entries, or hashes of a level.
    pub kind: TileKind,
    /// The number of the tile among those of its kind, from 0.
    pub index: u64,
    /// The number of filled slots, 1 to 256; a tile with fewer than 256 is partial.
    pub width: u16,
}

impl Tile {
    /// The tile `index` of a kind, with its width in a tree of `size` entries; `None` if it is empty
    /// there.
    pub fn in_tree(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let before = index.checked_mul(TILE_WIDTH)?;
        let width = kind.filled(size).checked_sub(before)?.min(TILE_WIDTH) as u16;
        (width > 0).then_some(Self { kind, index, width })
    }

    /// Whether all 256 slots are filled; such a tile never changes again.
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == TILE_WIDTH
    }

    /// The path in the log's folder, with `/` between its parts.
    pub fn path(&self) -> String {
        if self.is_full() {
            self.full_path()
        } else {
            format!("{}/{}", self.partials_folder(), self.width)
        }
    }

    /// The folder of the partial versions of this tile.
    pub fn partials_folder(&self) -> String {
        self.full_path() + ".p"
    }

    fn full_path(&self) -> String {
        let kind = match self.kind {
            TileKind::Entries => "entries".to_owned(),
            TileKind::Hashes(level) => level.to_string(),
        };
        let mut number = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            number = format!("x{:03}/{number}", rest % 1000);
            rest /= 1000;
        }
        format!("tile/{kind}/{number}")
    }

    /// Parses a path as [`Tile::path`] writes it; `None` for any other spelling.
    pub fn parse(path: &str) -> Option<Self> {
        let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes(level.parse().ok().filter(|level| *level <= 63)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().ok()?),
            None => (rest, TILE_WIDTH as u16),
        };
        let mut index = 0_u64;
        for part in number.split('/') {
            let digits = part.strip_prefix('x').unwrap_or(part);
            let digits = digits.parse::<u64>().ok().filter(|digits| *digits < 1000)?;
            index = index.checked_mul(1000)?.checked_add(digits)?;
        }
        let tile = Self { kind, index, width };
        // Comparing with the written path checks all other rules: leading zeros, the position of
        // each x, a partial width below 256.
        (1..=256).contains(&width).then_some(tile).filter(|tile| tile.path() == path)
    }
}

/// The bytes of an entry bundle: each entry after its size in 2 bytes, most significant first.
/// `append` ensures that entries have at most [`MAX_ENTRY_BYTES`].
pub(crate) fn bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        debug_assert!(entry.len() <= MAX_ENTRY_BYTES);
        bytes.extend((entry.len() as u16).to_be_bytes());
        bytes.extend(entry);
    }
    bytes
}

/// Splits an entry bundle into its whole entries and the number of bytes after them, which is 0 for
/// a valid bundle.
pub(crate) fn split_bundle(bytes: &[u8]) -> (Vec<&[u8]>, usize) {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while let Some((size, after)) = rest.split_first_chunk::<2>() {
        let Some((entry, after)) = after.split_at_checked(usize::from(u16::from_be_bytes(*size)))
        else {
            break;
        };
        entries.push(entry);
        rest = after;
    }
    (entries, rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hashes(level: u8, index: u64, width: u16) -> Tile {
        Tile { kind: TileKind::Hashes(level), index, width }
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(hashes(0, 1_234_067, 256).path(), "tile/0/x001/x234/067");
        assert_eq!(hashes(1, 0, 17).path(), "tile/1/000.p/17");
        let entries = Tile { kind: TileKind::Entries, index: 273, width: 112 };
        assert_eq!(entries.path(), "tile/entries/273.p/112");
    }

    #[test]
    fn a_tree_of_70_000_has_the_tiles_that_the_specification_counts() {
        let size = 70_000;
        assert_eq!(Tile::in_tree(TileKind::Hashes(0), 272, size), Some(hashes(0, 272, 256)));
        assert_eq!(Tile::in_tree(TileKind::Hashes(0), 273, size), Some(hashes(0, 273, 112)));
        assert_eq!(Tile::in_tree(TileKind::Hashes(0), 274, size), None);
        assert_eq!(Tile::in_tree(TileKind::Hashes(1), 0, size), Some(hashes(1, 0, 256)));
        assert_eq!(Tile::in_tree(TileKind::Hashes(1), 1, size), Some(hashes(1, 1, 17)));
        assert_eq!(Tile::in_tree(TileKind::Hashes(2), 0, size), Some(hashes(2, 0, 1)));
        assert_eq!(Tile::in_tree(TileKind::Hashes(3), 0, size), None);
    }

    #[test]
    fn other_spellings_of_a_path_are_refused() {
        for path in [
            "tile/0/1",
            "tile/00/001",
            "tile/64/001",
            "tile/0/x000/001",
            "tile/0/x001",
            "tile/0/001.p/0",
            "tile/0/001.p/256",
            "tile/0/001.p/07",
            "tile/0/001/002",
            "tile/0/+01",
            "tile/entries/",
            "tile//001",
            "checkpoint",
        ] {
            assert_eq!(Tile::parse(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_written_path_is_parsed_to_the_same_tile(
            level in 0_u8..=8, index in 0_u64..=u64::MAX / 256, width in 1_u16..=256,
        ) {
            let kind = if level == 8 { TileKind::Entries } else { TileKind::Hashes(level) };
            let tile = Tile { kind, index, width };
            prop_assert_eq!(Tile::parse(&tile.path()), Some(tile));
        }

        #[test]
        fn any_text_is_parsed_without_a_panic(path in "(tile/)?[0-9exntris/.p+x]{0,24}") {
            if let Some(tile) = Tile::parse(&path) {
                prop_assert_eq!(tile.path(), path);
            }
        }

        #[test]
        fn a_bundle_is_split_into_its_entries(
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
            cut in 0_usize..50,
        ) {
            let bytes = bundle(entries.iter().map(Vec::as_slice));
            let (split, rest) = split_bundle(&bytes);
            prop_assert_eq!(rest, 0);
            prop_assert_eq!(&split, &entries);
            let cut = &bytes[..bytes.len().saturating_sub(cut)];
            let (split, _) = split_bundle(cut);
            prop_assert!(entries.iter().map(Vec::as_slice).collect::<Vec<_>>().starts_with(&split));
        }
    }
}
