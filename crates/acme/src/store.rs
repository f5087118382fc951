//! The files that survive a restart: the account, and a certificate with its key for each host.
//!
//! Files are replaced atomically and readable by the gate's user only. Each authority has a separate
//! folder, so that a certificate of a staging authority is not used as a real one.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use portcullis_durable::{FileAccess, write_file};
use portcullis_model::{AcmeConfig, TlsFiles};

use crate::error::AcmeError;

/// The folder of one authority.
#[derive(Clone, Debug)]
pub struct Store(PathBuf);

impl Store {
    /// Opens the folder of `config`'s authority; creates it if it is missing.
    pub fn open(config: &AcmeConfig) -> Result<Self, AcmeError> {
        let folder = folder_of(config);
        create_folder(&folder)?;
        Ok(Self(folder))
    }

    pub(crate) fn account(&self) -> PathBuf {
        // No host has this name: the files of hosts end in `.pem`.
        self.0.join("account.json")
    }

    /// The file of the certificate for `host`, which may not exist; it has both chain and key.
    pub fn certificate(&self, host: &str) -> TlsFiles {
        let file = file_in(&self.0, host);
        TlsFiles { certificate: file.clone(), key: file }
    }
}

/// The file of the certificate by `config`'s authority for `host`, which may not exist.
pub(crate) fn file_of(config: &AcmeConfig, host: &str) -> PathBuf {
    file_in(&folder_of(config), host)
}

fn folder_of(config: &AcmeConfig) -> PathBuf {
    config.folder.join(folder_name(&config.directory))
}

fn file_in(folder: &Path, host: &str) -> PathBuf {
    folder.join(format!("{host}.pem"))
}

/// Creates the self-signed placeholder certificate for hosts that have none yet, unless it exists.
pub fn create_placeholder(config: &AcmeConfig) -> Result<(), AcmeError> {
    let file = config.placeholder_certificate().certificate;
    if file.exists() {
        return Ok(());
    }
    create_folder(&config.folder)?;
    // A reserved name that no host has (RFC 6761 section 6.4).
    let made = rcgen::generate_simple_self_signed(vec!["portcullis.invalid".into()])?;
    write(&file, &format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem()))
}

fn create_folder(folder: &Path) -> Result<(), AcmeError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| AcmeError::File {
        what: "create the folder",
        path: folder.to_owned(),
        source,
    })
}

/// The URL of an ACME directory as the name of a folder.
fn folder_name(directory: &str) -> String {
    let rest = directory.strip_prefix("https://").unwrap_or(directory);
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' };
    // File systems allow 255 bytes.
    rest.chars().map(plain).take(200).collect()
}

/// Replaces a file durably; it is readable by the gate's user only.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), AcmeError> {
    write_file(path, text.as_bytes(), FileAccess::OwnerOnly).map_err(|error| AcmeError::File {
        what: error.step,
        path: path.to_owned(),
        source: error.source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_authority_has_a_separate_folder() {
        let names = [AcmeConfig::LETS_ENCRYPT, AcmeConfig::STAGING].map(folder_name);
        assert_eq!(names[0], "acme-v02.api.letsencrypt.org_directory");
        assert_ne!(names[0], names[1]);
        assert_eq!(folder_name("https://../x:1/a b"), ".._x_1_a_b");
    }
}
