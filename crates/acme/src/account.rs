//! The account at the authority: read from its file, or created.

use std::fs;
use std::io;
use std::path::Path;

use instant_acme::{Account, AccountCredentials, NewAccount};
use portcullis_model::AcmeConfig;
use tracing::{info, warn};

use crate::client::BoundedHttpClient;
use crate::error::AcmeError;
use crate::store::{self, Store};

/// Loads the account from the store, or creates one and stores it before it is used.
pub(crate) async fn load_or_create(
    config: &AcmeConfig,
    store: &Store,
) -> Result<Account, AcmeError> {
    let client = BoundedHttpClient::new(config.root.as_deref())?;
    let builder = Account::builder_with_http(Box::new(client));
    let path = store.account();
    if let Some(credentials) = read(&path)? {
        return Ok(builder.from_credentials(credentials).await?);
    }
    let contact = config.contact.as_ref().map(|address| format!("mailto:{address}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let wanted = NewAccount {
        contact: &contact,
        // The configuration reader refuses `[acme]` without the operator's agreement.
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let (account, credentials) = builder.create(&wanted, config.directory.clone(), None).await?;
    let text = serde_json::to_string(&credentials).map_err(instant_acme::Error::from)?;
    store::write(&path, &text)?;
    info!(directory = %config.directory, "ACME account created");
    Ok(account)
}

fn read(path: &Path) -> Result<Option<AccountCredentials>, AcmeError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(AcmeError::File { what: "read", path: path.to_owned(), source }),
    };
    // The message omits serde's error, which could quote the key.
    let problem =
        "does not hold an account. Move it away, and the gate creates a new account.".to_owned();
    let read = serde_json::from_str(&text);
    read.map(Some).map_err(|_| AcmeError::InvalidFile { path: path.to_owned(), problem })
}

/// Renames the file of an account that the authority does not know; the next attempt creates one.
pub(crate) fn archive_account(store: &Store) {
    let path = store.account();
    match fs::rename(&path, path.with_extension("unknown")) {
        Ok(()) => warn!("the authority does not know the ACME account; creating a new one"),
        Err(error) => warn!(%error, "cannot rename the file of an unknown ACME account"),
    }
}
