//! One order: from a host's name to its certificate.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeHandle, ChallengeType, Identifier, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use portcullis_model::AcmeChallenge;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::AcmeError;
use crate::keeper::Doors;

/// How long the authority may take to look for the challenge, and then again to issue.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(90));

/// The chain and the key, PEM.
pub(crate) async fn order(
    account: &Account,
    host: &str,
    kind: AcmeChallenge,
    doors: &Doors,
) -> Result<String, AcmeError> {
    let names = [Identifier::Dns(host.to_owned())];
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    {
        // Taken down when this ends, however it ends.
        let mut shown = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                other => return Err(strange(format!("begins with an authorization {other:?}"))),
            }
            let wanted = match kind {
                AcmeChallenge::Http01 => ChallengeType::Http01,
                AcmeChallenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
            };
            let challenge = authorization.challenge(wanted);
            let mut challenge = challenge
                .ok_or_else(|| strange(format!("offers no {} for {host}", kind.as_str())))?;
            shown.push(Shown::new(&challenge, host, kind, doors)?);
            challenge.set_ready().await?;
        }
        let status = order.poll_ready(&PATIENCE).await;
        if !matches!(status, Ok(OrderStatus::Ready)) {
            let why = complaint(&mut order).await;
            return Err(match (status, why) {
                (_, Some(why)) => AcmeError::Unproven(why),
                (Err(error), None) => error.into(),
                (Ok(status), None) => strange(format!("ended the order as {status:?}")),
            });
        }
    }
    let key = order_key(&mut order, host).await?;
    let chain = order.poll_certificate(&PATIENCE).await?;
    Ok(format!("{}\n{key}", chain.trim_end()))
}

fn strange(what: String) -> AcmeError {
    AcmeError::Strange(what)
}

/// Asks for the certificate of a fresh key (P-256), for `host` alone.
async fn order_key(order: &mut Order, host: &str) -> Result<String, AcmeError> {
    let key = KeyPair::generate()?;
    let mut request = CertificateParams::new(vec![host.to_owned()])?;
    request.distinguished_name = rcgen::DistinguishedName::new();
    order.finalize_csr(request.serialize_request(&key)?.der()).await?;
    Ok(key.serialize_pem())
}

/// What the authority says of a challenge that it did not find.
async fn complaint(order: &mut Order) -> Option<String> {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let state = authorization.refresh().await.ok()?;
        let said = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = said {
            let text = problem.to_string();
            let text = text.trim_start_matches([':', ' ']);
            return Some(text.chars().filter(|c| !c.is_control()).take(500).collect());
        }
    }
    None
}

/// A challenge that can be found, until this is dropped.
struct Shown<'d> {
    doors: &'d Doors,
    kind: AcmeChallenge,
    /// The token, or the host.
    name: String,
}

impl<'d> Shown<'d> {
    fn new(
        challenge: &ChallengeHandle<'_>,
        host: &str,
        kind: AcmeChallenge,
        doors: &'d Doors,
    ) -> Result<Self, AcmeError> {
        let answer = challenge.key_authorization();
        let name = match kind {
            AcmeChallenge::Http01 => {
                doors.answers.set(&challenge.token, answer.as_str());
                challenge.token.clone()
            }
            AcmeChallenge::TlsAlpn01 => {
                doors.challenges.set(host, &proof(host, answer.digest().as_ref())?);
                host.to_owned()
            }
        };
        Ok(Self { doors, kind, name })
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        match self.kind {
            AcmeChallenge::Http01 => self.doors.answers.remove(&self.name),
            AcmeChallenge::TlsAlpn01 => self.doors.challenges.remove(&self.name),
        }
    }
}

/// The certificate that shows that we know the answer (RFC 8737 section 3).
fn proof(host: &str, digest: &[u8]) -> Result<Arc<CertifiedKey>, AcmeError> {
    let key = KeyPair::generate()?;
    let mut made = CertificateParams::new(vec![host.to_owned()])?;
    made.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let made = made.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = ring::sign::any_supported_type(&key)
        .map_err(|error| strange(format!("cannot be answered: {error}")))?;
    // Unchecked: no browser knows the critical extension that this is all about.
    Ok(Arc::new(CertifiedKey::new(vec![made.der().clone()], key)))
}
