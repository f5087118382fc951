//! Where a tree lies on disk: tiles of 256 hashes and bundles of 256 entries, by the C2SP
//! specification [tlog-tiles](https://c2sp.org/tlog-tiles).

use crate::hash::Hash;

/// How many hashes a full tile holds, and how many entries a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// The tree levels that one tile spans: a tile of 256 hashes is 8 levels of the tree.
pub(crate) const TILE_LEVELS: u32 = 8;

/// The largest entry in bytes: a bundle states an entry's size in 16 bits.
pub const MAX_ENTRY_BYTES: usize = 65_535;

/// The largest bundle in bytes: 256 entries of the largest size, each with its two bytes of length.
pub(crate) const MAX_BUNDLE_BYTES: u64 = TILE_WIDTH * (2 + MAX_ENTRY_BYTES as u64);

/// The largest hash tile in bytes.
pub(crate) const MAX_TILE_BYTES: u64 = TILE_WIDTH * Hash::BYTES as u64;

/// What a tile holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Shelf {
    /// The entries themselves: an entry bundle.
    Entries,
    /// Hashes: leaf hashes at level 0; at each level above, one hash for each full tile below.
    Hashes(u8),
}

impl Shelf {
    /// How many slots of this shelf a tree of `size` entries fills.
    pub fn filled(self, size: u64) -> u64 {
        match self {
            Self::Entries | Self::Hashes(0) => size,
            Self::Hashes(level) => size.checked_shr(TILE_LEVELS * u32::from(level)).unwrap_or(0),
        }
    }
}

/// The place of one tile or entry bundle: what it holds, which one it is, and how many slots are
/// filled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Tile {
    /// Entries, or hashes of a level.
    pub shelf: Shelf,
    /// Which tile of its shelf, from 0.
    pub index: u64,
    /// How many slots it holds, 1 to 256; fewer than 256 makes it a partial tile.
    pub width: u16,
}

impl Tile {
    /// The tile `index` of a shelf, as wide as it is in a tree of `size` entries; `None` if empty
    /// there.
    pub fn in_tree(shelf: Shelf, index: u64, size: u64) -> Option<Self> {
        let before = index.checked_mul(TILE_WIDTH)?;
        let width = shelf.filled(size).checked_sub(before)?.min(TILE_WIDTH) as u16;
        (width > 0).then_some(Self { shelf, index, width })
    }

    /// Whether all 256 slots are filled; such a tile never changes again.
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == TILE_WIDTH
    }

    /// The path below the log's folder, with `/` between its parts.
    pub fn path(&self) -> String {
        if self.is_full() {
            self.full_path()
        } else {
            format!("{}/{}", self.partials_folder(), self.width)
        }
    }

    /// The folder that holds this tile's partial versions.
    pub fn partials_folder(&self) -> String {
        self.full_path() + ".p"
    }

    fn full_path(&self) -> String {
        let shelf = match self.shelf {
            Shelf::Entries => "entries".to_owned(),
            Shelf::Hashes(level) => level.to_string(),
        };
        let mut number = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            number = format!("x{:03}/{number}", rest % 1000);
            rest /= 1000;
        }
        format!("tile/{shelf}/{number}")
    }

    /// Reads a path as [`Tile::path`] writes it; `None` for everything else, other spellings
    /// included.
    pub fn parse(path: &str) -> Option<Self> {
        let (shelf, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let shelf = match shelf {
            "entries" => Shelf::Entries,
            level => Shelf::Hashes(level.parse().ok().filter(|level| *level <= 63)?),
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
        let tile = Self { shelf, index, width };
        // Writing it again settles every other rule: leading zeros, where an x stands, a width of 1
        // to 255.
        (1..=256).contains(&width).then_some(tile).filter(|tile| tile.path() == path)
    }
}

/// The bytes of an entry bundle: each entry after its size in two bytes, most significant first.
/// Entries are at most [`MAX_ENTRY_BYTES`] long, which `append` sees to.
pub(crate) fn bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        debug_assert!(entry.len() <= MAX_ENTRY_BYTES);
        bytes.extend((entry.len() as u16).to_be_bytes());
        bytes.extend(entry);
    }
    bytes
}

/// Splits an entry bundle into the entries that can be told apart, and the number of bytes left
/// over after them, which is 0 in a whole bundle.
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
        Tile { shelf: Shelf::Hashes(level), index, width }
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(hashes(0, 1_234_067, 256).path(), "tile/0/x001/x234/067");
        assert_eq!(hashes(1, 0, 17).path(), "tile/1/000.p/17");
        let entries = Tile { shelf: Shelf::Entries, index: 273, width: 112 };
        assert_eq!(entries.path(), "tile/entries/273.p/112");
    }

    #[test]
    fn a_tree_of_70_000_has_the_tiles_that_the_specification_counts() {
        let size = 70_000;
        assert_eq!(Tile::in_tree(Shelf::Hashes(0), 272, size), Some(hashes(0, 272, 256)));
        assert_eq!(Tile::in_tree(Shelf::Hashes(0), 273, size), Some(hashes(0, 273, 112)));
        assert_eq!(Tile::in_tree(Shelf::Hashes(0), 274, size), None);
        assert_eq!(Tile::in_tree(Shelf::Hashes(1), 0, size), Some(hashes(1, 0, 256)));
        assert_eq!(Tile::in_tree(Shelf::Hashes(1), 1, size), Some(hashes(1, 1, 17)));
        assert_eq!(Tile::in_tree(Shelf::Hashes(2), 0, size), Some(hashes(2, 0, 1)));
        assert_eq!(Tile::in_tree(Shelf::Hashes(3), 0, size), None);
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
        fn a_path_reads_back_as_the_tile_it_was_written_for(
            level in 0_u8..=8, index in 0_u64..=u64::MAX / 256, width in 1_u16..=256,
        ) {
            let shelf = if level == 8 { Shelf::Entries } else { Shelf::Hashes(level) };
            let tile = Tile { shelf, index, width };
            prop_assert_eq!(Tile::parse(&tile.path()), Some(tile));
        }

        #[test]
        fn no_text_makes_the_path_reader_fail(path in "(tile/)?[0-9exntris/.p+x]{0,24}") {
            if let Some(tile) = Tile::parse(&path) {
                prop_assert_eq!(tile.path(), path);
            }
        }

        #[test]
        fn a_bundle_splits_into_the_entries_it_was_made_of(
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
