//! Errors, as messages for the operators' log.

use std::io;
use std::path::PathBuf;

/// A certificate or an account could not be obtained or used.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// A local file cannot be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// The operation, as a verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The file system's error.
        source: io::Error,
    },
    /// A local file has invalid content.
    #[error("{} {problem}", path.display())]
    InvalidFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The authority refused a request, or the connection to it failed.
    #[error("{}", describe(.0))]
    Authority(#[from] instant_acme::Error),
    /// The authority could not validate the challenge.
    #[error("the authority could not validate the challenge: {0}")]
    ChallengeFailed(String),
    /// The authority deviated from ACME.
    #[error("the authority {0}")]
    Protocol(String),
    /// TLS to the authority could not be set up, or the challenge certificate not be made.
    #[error("cannot use TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A key or a certificate could not be made.
    #[error("cannot make a key or a certificate: {0}")]
    Key(#[from] rcgen::Error),
    /// The whole order took too long.
    #[error("the order took longer than {0} seconds")]
    Timeout(u64),
}

impl AcmeError {
    /// Whether the authority does not know the account (RFC 8555 section 6.7).
    pub(crate) fn is_unknown_account(&self) -> bool {
        let Self::Authority(instant_acme::Error::Api(problem)) = self else { return false };
        problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:accountDoesNotExist")
    }
}

/// An error with all its causes: "client error (Connect)" alone does not help.
fn describe(error: &instant_acme::Error) -> String {
    let mut text = match error {
        instant_acme::Error::Api(problem) => format!("the authority refuses {problem}"),
        other => other.to_string(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text = format!("{text}: {next_text}");
        }
        cause = next.source();
    }
    // The authority's text is untrusted: one line of limited length.
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(600).collect()
}
