//! Reading tiles and entry bundles from a folder that a writer may be adding to.

use std::io;

use crate::disk::{Files, Kind, read_if_there};
use crate::error::Error;
use crate::hash::Hash;
use crate::tile::{MAX_BUNDLE_BYTES, MAX_TILE_BYTES, Shelf, TILE_WIDTH, Tile, split_bundle};

/// How often a missing tile is looked for again: between two looks a writer may have replaced it by
/// a wider one.
const LOOKS: usize = 3;

/// The hashes of a tile, as many as its width says.
pub(crate) fn read_hashes(files: &impl Files, tile: Tile) -> Result<Vec<Hash>, Error> {
    let (found, bytes) = read_at_least(files, tile)?;
    let mut hashes = hashes_in(found, &bytes)?;
    hashes.truncate(usize::from(tile.width));
    Ok(hashes)
}

/// The entries of a bundle, as many as its width says.
pub(crate) fn read_entries(files: &impl Files, tile: Tile) -> Result<Vec<Vec<u8>>, Error> {
    let (found, bytes) = read_at_least(files, tile)?;
    let (entries, rest) = split_bundle(&bytes);
    if rest > 0 || entries.len() != usize::from(found.width) {
        let entry = tile.index * TILE_WIDTH + entries.len() as u64;
        let what = format!("it should hold {} entries and does not", found.width);
        return Err(Error::Damaged { file: found.path(), entry: Some(entry), what });
    }
    Ok(entries.into_iter().take(usize::from(tile.width)).map(<[u8]>::to_vec).collect())
}

/// Splits the bytes of a hash tile, which must be exactly those that its width asks for.
pub(crate) fn hashes_in(tile: Tile, bytes: &[u8]) -> Result<Vec<Hash>, Error> {
    Hash::row_from_bytes(bytes).filter(|row| row.len() == usize::from(tile.width)).ok_or_else(
        || {
            let expected = usize::from(tile.width) * Hash::BYTES;
            let what =
                format!("it has {} bytes where a tile of its width has {expected}", bytes.len());
            Error::damaged(tile.path(), what)
        },
    )
}

/// The narrowest file that holds at least the slots asked for: this width, a wider partial one, or
/// the full one.
fn read_at_least(files: &impl Files, tile: Tile) -> Result<(Tile, Vec<u8>), Error> {
    for _ in 0..LOOKS {
        for candidate in candidates(files, tile)? {
            let path = candidate.path();
            let content = read_if_there(files, &path, size_limit(tile.shelf));
            if let Some(content) = content.map_err(Error::io("read", &path))? {
                return Ok((candidate, content));
            }
        }
    }
    Err(Error::damaged(tile.path(), "it is missing"))
}

/// The files that may hold the slots of a tile, narrowest first.
pub(crate) fn candidates(files: &impl Files, tile: Tile) -> Result<Vec<Tile>, Error> {
    let full = Tile { width: TILE_WIDTH as u16, ..tile };
    if tile.is_full() {
        return Ok(vec![full]);
    }
    let mut candidates: Vec<Tile> = partials(files, tile)
        .map_err(Error::io("list", &tile.partials_folder()))?
        .into_iter()
        .filter(|partial| partial.width >= tile.width)
        .collect();
    candidates.push(full);
    Ok(candidates)
}

/// The partial versions of a tile that are there, narrowest first.
pub(crate) fn partials(files: &impl Files, tile: Tile) -> io::Result<Vec<Tile>> {
    let listed = match files.list(&tile.partials_folder()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed?,
    };
    let mut found: Vec<Tile> = listed
        .into_iter()
        .filter(|(_, kind)| *kind == Kind::File)
        .filter_map(|(name, _)| Tile::parse(&format!("{}/{name}", tile.partials_folder())))
        .collect();
    found.sort_unstable_by_key(|partial| partial.width);
    Ok(found)
}

/// The most bytes of a file of this shelf that are read.
pub(crate) fn size_limit(shelf: Shelf) -> u64 {
    match shelf {
        Shelf::Entries => MAX_BUNDLE_BYTES,
        Shelf::Hashes(_) => MAX_TILE_BYTES,
    }
}
