//! Answers to certificate authorities that ask over HTTP whether a host is ours (HTTP-01).

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use portcullis_gate::Head;

/// Where authorities ask (RFC 8555 section 8.3).
const PATH: &str = "/.well-known/acme-challenge/";

/// The answers to certificate authorities, by token. Only the ACME client adds entries; nothing
/// that a visitor sends does.
#[derive(Debug, Default)]
pub struct ChallengeAnswers(ArcSwap<HashMap<String, Arc<str>>>);

impl ChallengeAnswers {
    /// From now on requests for `token` get this answer.
    pub fn set(&self, token: &str, answer: &str) {
        self.0.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.insert(token.to_owned(), answer.into());
            all
        });
    }

    /// From now on `token` is unknown: requests for it go where others go.
    pub fn remove(&self, token: &str) {
        self.0.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.remove(token);
            all
        });
    }

    /// The answer, if this is a request for a token that is ours. A token is a secret of 128 bits
    /// between the authority and us for some seconds, so that the host need not be looked at.
    pub(crate) fn to(&self, head: &Head<'_>) -> Option<Arc<str>> {
        let token = head.target.path.strip_prefix(PATH)?;
        let asks = matches!(head.method, "GET" | "HEAD");
        self.0.load().get(token).filter(|_| asks).cloned()
    }
}
