//! What can go wrong, in words for the operators' log.

use std::io;
use std::path::PathBuf;

/// Why there is no certificate, or no account.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// A file of ours cannot be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error("{} {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The authority refused, or could not be spoken with.
    #[error("{}", in_words(.0))]
    Authority(#[from] instant_acme::Error),
    /// The authority looked for the challenge and was not content.
    #[error("the authority did not find its challenge: {0}")]
    Unproven(String),
    /// Whatever the authority did is not what ACME says.
    #[error("the authority {0}")]
    Strange(String),
    /// Cryptography gave up.
    #[error("cannot make a key or a certificate: {0}")]
    Key(#[from] rcgen::Error),
    /// A limit of time.
    #[error("the authority took longer than {0} seconds over it")]
    Late(u64),
}

impl AcmeError {
    /// Whether the authority no longer knows the account (RFC 8555 section 6.7).
    pub(crate) fn is_unknown_account(&self) -> bool {
        let Self::Authority(instant_acme::Error::Api(problem)) = self else { return false };
        problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:accountDoesNotExist")
    }
}

/// The whole chain of causes: "client error (Connect)" alone helps nobody.
fn in_words(error: &instant_acme::Error) -> String {
    let mut words = match error {
        instant_acme::Error::Api(problem) => format!("the authority refuses {problem}"),
        other => other.to_string(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let next_words = next.to_string();
        if !words.contains(&next_words) {
            words = format!("{words}: {next_words}");
        }
        cause = next.source();
    }
    // What an authority writes is foreign: one line of it, and not a long one.
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(600).collect()
}
