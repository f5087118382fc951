//! What outlives a restart: the account, and a certificate with its key for each host.
//!
//! Each file is written whole beside its place and then moved there, so that a crash leaves the old
//! one or the new one; both are readable by the gate's user alone. Every authority has a folder of
//! its own: what a trial issued is not taken for the real thing.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use portcullis_model::{AcmeConfig, TlsFiles};

use crate::error::AcmeError;

/// The folder of one authority.
#[derive(Clone, Debug)]
pub struct Store(PathBuf);

impl Store {
    /// Makes the folder where it is missing.
    pub fn open(config: &AcmeConfig) -> Result<Self, AcmeError> {
        let folder = folder_of(config);
        make_folder(&folder)?;
        Ok(Self(folder))
    }

    pub(crate) fn account(&self) -> PathBuf {
        // Not to be mistaken for a host: those end in `.pem`.
        self.0.join("account.json")
    }

    /// Where the certificate for `host` is, or will be; chain and key are in one file.
    pub fn certificate(&self, host: &str) -> TlsFiles {
        let file = file_in(&self.0, host);
        TlsFiles { certificate: file.clone(), key: file }
    }
}

/// Where the certificate of `config`'s authority for `host` is, or will be.
pub(crate) fn file_of(config: &AcmeConfig, host: &str) -> PathBuf {
    file_in(&folder_of(config), host)
}

fn folder_of(config: &AcmeConfig) -> PathBuf {
    config.folder.join(folder_name(&config.directory))
}

fn file_in(folder: &Path, host: &str) -> PathBuf {
    folder.join(format!("{host}.pem"))
}

/// Makes what visitors are shown as long as there is nothing better, unless it is there.
pub fn make_stand_in(config: &AcmeConfig) -> Result<(), AcmeError> {
    let file = config.stand_in().certificate;
    if file.exists() {
        return Ok(());
    }
    make_folder(&config.folder)?;
    // A name that is nobody's (RFC 6761 section 6.4).
    let made = rcgen::generate_simple_self_signed(vec!["portcullis.invalid".into()])?;
    write(&file, &format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem()))
}

fn make_folder(folder: &Path) -> Result<(), AcmeError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| AcmeError::File {
        what: "make the folder",
        path: folder.to_owned(),
        source,
    })
}

/// The address of a directory as the name of a folder.
fn folder_name(directory: &str) -> String {
    let rest = directory.strip_prefix("https://").unwrap_or(directory);
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' };
    // File systems allow 255 bytes.
    rest.chars().map(plain).take(200).collect()
}

/// Writes a file whole, readable by us alone, and sees that it is on the disk.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), AcmeError> {
    let beside = path.with_extension("new");
    let written = || -> io::Result<()> {
        // What an earlier attempt left may have other permissions.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
    };
    written().map_err(|source| AcmeError::File { what: "write", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_written_is_for_our_eyes_alone_and_replaces_what_was_there() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("a.pem");
        fs::write(&file, "old").expect("written");
        fs::write(folder.path().join("a.new"), "half").expect("written");
        write(&file, "new").expect("written");
        assert_eq!(fs::read_to_string(&file).expect("read"), "new");
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1);
    }

    #[test]
    fn each_authority_has_a_folder_of_its_own() {
        let names = [AcmeConfig::LETS_ENCRYPT, AcmeConfig::STAGING].map(folder_name);
        assert_eq!(names[0], "acme-v02.api.letsencrypt.org_directory");
        assert_ne!(names[0], names[1]);
        assert_eq!(folder_name("https://../x:1/a b"), ".._x_1_a_b");
    }
}
