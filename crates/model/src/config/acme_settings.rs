//! `[acme]` as the rest of the program reads it.

use core::time::Duration;
use std::path::{Path, PathBuf};

use super::tls_files::TlsFiles;

/// Certificates from an authority with ACME (RFC 8555), one for each host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeConfig {
    /// The URL of the authority's directory. Begins with `https://`.
    pub directory: String,
    /// Where the authority writes to when something is wrong; an address of e-mail.
    pub contact: Option<String>,
    /// The folder of the account and the certificates.
    pub folder: PathBuf,
    /// How the authority sees that a host is ours.
    pub challenge: AcmeChallenge,
    /// What certificates are for. Never empty; names in lower case, no addresses.
    pub hosts: Vec<String>,
    /// A file with more root certificates (PEM), for a private authority.
    pub root: Option<PathBuf>,
    /// How long to wait after a first failure; doubled with each one more.
    pub retry: Duration,
}

/// How an authority sees that a host is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// It asks for a page over plain HTTP, on port 80 (RFC 8555 section 8.3).
    Http01,
    /// It checks a certificate on port 443 (RFC 8737).
    TlsAlpn01,
}

impl AcmeChallenge {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }
}

impl AcmeConfig {
    /// The directory of Let's Encrypt.
    pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
    /// The directory of its trial: certificates that browsers refuse, with far wider limits.
    pub const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";
    /// The default folder.
    pub const FOLDER: &str = "acme";
    /// Let's Encrypt counts five failures an hour for one host; with this, doubled each time, there
    /// are four in the first hour, and fewer after.
    pub const RETRY: Duration = Duration::from_secs(300);

    /// The self-signed certificate that listeners use until one is issued; it names no host. The
    /// reader of the configuration creates it if it is absent. One file holds chain and key.
    pub fn placeholder_certificate(&self) -> TlsFiles {
        placeholder_in(&self.folder)
    }

    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        self.folder = folder.join(&self.folder);
        if let Some(root) = &mut self.root {
            *root = folder.join(&*root);
        }
    }
}

pub(super) fn placeholder_in(folder: &Path) -> TlsFiles {
    let file = folder.join("stand-in.pem");
    TlsFiles { certificate: file.clone(), key: file }
}
