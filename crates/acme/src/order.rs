//! One order: obtains a certificate for one host name.

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
use crate::sinks::CertSinks;

/// Polling for the result of validation, and then again for the certificate.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(90));

/// Obtains a certificate; returns the chain and the key in PEM format.
pub(crate) async fn run(
    account: &Account,
    host: &str,
    kind: AcmeChallenge,
    sinks: &CertSinks,
) -> Result<String, AcmeError> {
    let names = [Identifier::Dns(host.to_owned())];
    let mut order = account.new_order(&NewOrder::new(&names)).await?;
    {
        // Dropping the guards withdraws the challenge responses, also after an error.
        let mut guards = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                other => {
                    return Err(protocol(format!(
                        "starts with an authorization in state {other:?}"
                    )));
                }
            }
            let wanted = match kind {
                AcmeChallenge::Http01 => ChallengeType::Http01,
                AcmeChallenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
            };
            let challenge = authorization.challenge(wanted);
            let mut challenge = challenge
                .ok_or_else(|| protocol(format!("offers no {} for {host}", kind.as_str())))?;
            guards.push(ChallengeGuard::new(&challenge, host, kind, sinks)?);
            challenge.set_ready().await?;
        }
        let status = order.poll_ready(&POLLING).await;
        if !matches!(status, Ok(OrderStatus::Ready)) {
            let why = validation_error(&mut order).await;
            return Err(match (status, why) {
                (_, Some(why)) => AcmeError::ChallengeFailed(why),
                (Err(error), None) => error.into(),
                (Ok(status), None) => protocol(format!("ended the order in state {status:?}")),
            });
        }
    }
    let key = request_certificate(&mut order, host).await?;
    let chain = order.poll_certificate(&POLLING).await?;
    Ok(format!("{}\n{key}", chain.trim_end()))
}

fn protocol(what: String) -> AcmeError {
    AcmeError::Protocol(what)
}

/// Requests a certificate for `host` with a new P-256 key; returns the key in PEM format.
async fn request_certificate(order: &mut Order, host: &str) -> Result<String, AcmeError> {
    let key = KeyPair::generate()?;
    let mut request = CertificateParams::new(vec![host.to_owned()])?;
    request.distinguished_name = rcgen::DistinguishedName::new();
    order.finalize_csr(request.serialize_request(&key)?.der()).await?;
    Ok(key.serialize_pem())
}

/// The authority's error for a challenge that it could not validate.
async fn validation_error(order: &mut Order) -> Option<String> {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let state = authorization.refresh().await.ok()?;
        let error = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = error {
            let text = problem.to_string();
            let text = text.trim_start_matches([':', ' ']);
            return Some(text.chars().filter(|c| !c.is_control()).take(500).collect());
        }
    }
    None
}

/// Publishes the response to a challenge; withdraws it on drop.
struct ChallengeGuard<'s> {
    sinks: &'s CertSinks,
    kind: AcmeChallenge,
    /// The token (HTTP-01) or the host (TLS-ALPN-01).
    name: String,
}

impl<'s> ChallengeGuard<'s> {
    fn new(
        challenge: &ChallengeHandle<'_>,
        host: &str,
        kind: AcmeChallenge,
        sinks: &'s CertSinks,
    ) -> Result<Self, AcmeError> {
        let response = challenge.key_authorization();
        let name = match kind {
            AcmeChallenge::Http01 => {
                sinks.answers.set(&challenge.token, response.as_str());
                challenge.token.clone()
            }
            AcmeChallenge::TlsAlpn01 => {
                sinks
                    .challenges
                    .set(host, &challenge_certificate(host, response.digest().as_ref())?);
                host.to_owned()
            }
        };
        Ok(Self { sinks, kind, name })
    }
}

impl Drop for ChallengeGuard<'_> {
    fn drop(&mut self) {
        match self.kind {
            AcmeChallenge::Http01 => self.sinks.answers.remove(&self.name),
            AcmeChallenge::TlsAlpn01 => self.sinks.challenges.remove(&self.name),
        }
    }
}

/// The certificate for TLS-ALPN-01 (RFC 8737 section 3).
fn challenge_certificate(host: &str, digest: &[u8]) -> Result<Arc<CertifiedKey>, AcmeError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![host.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = ring::sign::any_supported_type(&key)?;
    // `CertifiedKey::from_der` would refuse the critical extension, which it does not know.
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)))
}
