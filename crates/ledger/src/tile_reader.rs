//! Reading tiles and entry bundles from a folder that a writer may be adding to.

use std::io;

use portcullis_durable::{FileKind, ReadDisk, read_if_present};

use crate::error::Error;
use crate::hash::Hash;
use crate::tile::{MAX_BUNDLE_BYTES, MAX_TILE_BYTES, TILE_WIDTH, Tile, TileKind, split_bundle};

/// The number of attempts to find a tile. Between listing and reading, a writer may replace it by a
/// wider one.
const MAX_ATTEMPTS: usize = 3;

/// Reads the hashes of a tile, exactly `tile.width` of them.
pub(crate) fn read_hashes(disk: &impl ReadDisk, tile: Tile) -> Result<Vec<Hash>, Error> {
    let (found, bytes) = read_at_least(disk, tile)?;
    let mut hashes = hashes_in(found, &bytes)?;
    hashes.truncate(usize::from(tile.width));
    Ok(hashes)
}

/// Reads the entries of a bundle, exactly `tile.width` of them.
pub(crate) fn read_entries(disk: &impl ReadDisk, tile: Tile) -> Result<Vec<Vec<u8>>, Error> {
    let (found, bytes) = read_at_least(disk, tile)?;
    let (entries, rest) = split_bundle(&bytes);
    if rest > 0 || entries.len() != usize::from(found.width) {
        let entry = tile.index * TILE_WIDTH + entries.len() as u64;
        let what = format!("it does not hold exactly {} entries", found.width);
        return Err(Error::Damaged { file: found.path(), entry: Some(entry), what });
    }
    Ok(entries.into_iter().take(usize::from(tile.width)).map(<[u8]>::to_vec).collect())
}

/// Splits the bytes of a hash tile, whose size must fit its width.
pub(crate) fn hashes_in(tile: Tile, bytes: &[u8]) -> Result<Vec<Hash>, Error> {
    Hash::row_from_bytes(bytes).filter(|row| row.len() == usize::from(tile.width)).ok_or_else(
        || {
            let expected = usize::from(tile.width) * Hash::BYTES;
            let what =
                format!("it has {} bytes, but a tile of its width has {expected}", bytes.len());
            Error::damaged(tile.path(), what)
        },
    )
}

/// Reads the narrowest file with at least `tile.width` slots: that width, a wider partial tile, or
/// the full tile.
fn read_at_least(disk: &impl ReadDisk, tile: Tile) -> Result<(Tile, Vec<u8>), Error> {
    for _ in 0..MAX_ATTEMPTS {
        for candidate in candidates(disk, tile)? {
            let path = candidate.path();
            let content = read_if_present(disk, &path, size_limit(tile.kind));
            if let Some(content) = content.map_err(Error::io("read", &path))? {
                return Ok((candidate, content));
            }
        }
    }
    Err(Error::damaged(tile.path(), "it is missing"))
}

/// The files that may hold the slots of a tile, narrowest first.
pub(crate) fn candidates(disk: &impl ReadDisk, tile: Tile) -> Result<Vec<Tile>, Error> {
    let full = Tile { width: TILE_WIDTH as u16, ..tile };
    if tile.is_full() {
        return Ok(vec![full]);
    }
    let mut candidates: Vec<Tile> = partials(disk, tile)
        .map_err(Error::io("list", &tile.partials_folder()))?
        .into_iter()
        .filter(|partial| partial.width >= tile.width)
        .collect();
    candidates.push(full);
    Ok(candidates)
}

/// The existing partial versions of a tile, narrowest first.
pub(crate) fn partials(disk: &impl ReadDisk, tile: Tile) -> io::Result<Vec<Tile>> {
    let listed = match disk.list(&tile.partials_folder()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed?,
    };
    let mut found: Vec<Tile> = listed
        .into_iter()
        .filter(|(_, kind)| *kind == FileKind::File)
        .filter_map(|(name, _)| Tile::parse(&format!("{}/{name}", tile.partials_folder())))
        .collect();
    found.sort_unstable_by_key(|partial| partial.width);
    Ok(found)
}

/// The most bytes read of a file of this kind.
pub(crate) fn size_limit(kind: TileKind) -> u64 {
    match kind {
        TileKind::Entries => MAX_BUNDLE_BYTES,
        TileKind::Hashes(_) => MAX_TILE_BYTES,
    }
}
