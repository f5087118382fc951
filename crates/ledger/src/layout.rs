//! The files of a ledger's folder: names, size limits, and the small ones read and written.

use portcullis_durable::{
    Disk, FileAccess, FileKind, ReadDisk, join_path, read_if_present, replace,
};

use crate::error::Error;
use crate::note::{Signer, Verifier};

/// The format of the folder. A change that an older program would misread gets a new number.
pub(crate) const FORMAT: &str = "portcullis-ledger 1\n";

/// States the format. It is written last when a ledger is created, so without it there is no ledger.
pub(crate) const FORMAT_FILE: &str = "format";
/// The 32 bytes of the secret key.
pub(crate) const KEY_FILE: &str = "key";
/// The public key, as a vkey and a newline.
pub(crate) const VKEY_FILE: &str = "vkey";
/// The latest published checkpoint.
pub(crate) const CHECKPOINT_FILE: &str = "checkpoint";
/// The entries that are not in durable full bundles yet.
pub(crate) const JOURNAL_FILE: &str = "journal";
/// The name under which every file is written before it is renamed.
pub(crate) const PENDING_FILE: &str = "pending";
/// The writer holds the lock of this file. It is empty.
pub(crate) const LOCK_FILE: &str = "lock";

/// The most bytes read of `format`, `key` or `vkey`.
pub(crate) const SMALL_FILE_BYTES: u64 = 4096;

/// The most bytes read of a journal: several times what the writer keeps in memory.
pub(crate) const MAX_JOURNAL_BYTES: u64 = 256 * 1024 * 1024;

/// Replaces a file at the top of the folder, durably and atomically.
pub(crate) fn replace_file(
    disk: &mut impl Disk,
    path: &str,
    content: &[u8],
    access: FileAccess,
) -> Result<(), Error> {
    replace(disk, path, PENDING_FILE, content, access).map_err(Error::write(path))
}

/// Refuses a folder without a ledger, or with one of another format.
pub(crate) fn check_format(disk: &impl ReadDisk) -> Result<(), Error> {
    let format = read_if_present(disk, FORMAT_FILE, SMALL_FILE_BYTES)
        .map_err(Error::io("read", FORMAT_FILE))?
        .ok_or(Error::NotALedger { folder: "the folder".to_owned() })?;
    if format == FORMAT.as_bytes() {
        return Ok(());
    }
    let found = String::from_utf8_lossy(&format).trim_end().to_owned();
    Err(Error::OtherFormat { found, expected: FORMAT.trim_end() })
}

/// The public key that the folder names.
pub(crate) fn read_vkey(disk: &impl ReadDisk) -> Result<Verifier, Error> {
    let vkey = read_if_present(disk, VKEY_FILE, SMALL_FILE_BYTES)
        .map_err(Error::io("read", VKEY_FILE))?
        .ok_or_else(|| Error::damaged(VKEY_FILE, "it is missing"))?;
    let vkey = str::from_utf8(&vkey).ok().and_then(|vkey| vkey.strip_suffix('\n'));
    let vkey = vkey.ok_or_else(|| Error::damaged(VKEY_FILE, "it is not one line of text"))?;
    vkey.parse().map_err(|error| Error::damaged(VKEY_FILE, format!("{error}")))
}

/// The signer for the bytes of a key file, if they are the secret half of `verifier`.
pub(crate) fn check_key(seed: &[u8], verifier: &Verifier) -> Result<Signer, &'static str> {
    let seed: &[u8; 32] =
        seed.try_into().map_err(|_| "it does not have the 32 bytes of a secret key")?;
    Signer::new(verifier.name(), seed)
        .ok()
        .filter(|signer| signer.verifier() == *verifier)
        .ok_or("it is not the secret half of the key in vkey")
}

/// Whether only the writer needs a file, so that copies leave it out: the secret key, the lock and
/// the pending file. `listed` is sorted by path.
pub(crate) fn is_private(path: &str, listed: &[(String, FileKind)]) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let private = [KEY_FILE, LOCK_FILE, PENDING_FILE].contains(&name);
    let is_ledger = || {
        let vkey = join_path(folder, VKEY_FILE);
        listed.binary_search_by(|(known, _)| known.as_str().cmp(&vkey)).is_ok()
    };
    private && is_ledger()
}
