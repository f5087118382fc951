//! The account at the authority: found in its file, or made there.

use std::fs;
use std::io;
use std::path::Path;

use instant_acme::{Account, AccountCredentials, NewAccount};
use portcullis_model::AcmeConfig;
use tracing::{info, warn};

use crate::client::Bounded;
use crate::error::AcmeError;
use crate::store::{self, Store};

/// The account in the store; without one, a new one, which is stored before it is used.
pub(crate) async fn account(config: &AcmeConfig, store: &Store) -> Result<Account, AcmeError> {
    let builder = Account::builder_with_http(Box::new(Bounded::new(config.root.as_deref())?));
    let path = store.account();
    if let Some(credentials) = read(&path)? {
        return Ok(builder.from_credentials(credentials).await?);
    }
    let contact = config.contact.as_ref().map(|address| format!("mailto:{address}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let wanted = NewAccount {
        contact: &contact,
        // The configuration says so, or it is refused.
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let (account, credentials) = builder.create(&wanted, config.directory.clone(), None).await?;
    let text = serde_json::to_string(&credentials).map_err(instant_acme::Error::from)?;
    store::write(&path, &text)?;
    info!(directory = %config.directory, "an account was made at the certificate authority");
    Ok(account)
}

fn read(path: &Path) -> Result<Option<AccountCredentials>, AcmeError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(AcmeError::File { what: "read", path: path.to_owned(), source }),
    };
    // What serde says could quote the key.
    let problem = "does not hold an account. Move it away, and a new account is made.".to_owned();
    let read = serde_json::from_str(&text);
    read.map(Some).map_err(|_| AcmeError::Content { path: path.to_owned(), problem })
}

/// Moves aside an account that the authority no longer knows; the next attempt makes a new one.
pub(crate) fn set_aside(store: &Store) {
    let path = store.account();
    match fs::rename(&path, path.with_extension("unknown")) {
        Ok(()) => warn!("the authority does not know our account any more: a new one is made"),
        Err(error) => warn!(%error, "an account that is unknown cannot be moved aside"),
    }
}
