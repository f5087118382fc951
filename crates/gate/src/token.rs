//! Tokens: what a visitor earns by passing a challenge, a budget of requests and not a pass.
//!
//! A token is issued and verified without state: an HMAC over its content and its binding (the
//! visitor's network and user agent). Its use is counted in the token table. It travels in a cookie, and in the query of the one redirect that hands it out, so that
//! visitors without cookies get through too, a round trip later each time, and no redirect ever
//! loops.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use portcullis_model::{ChallengeKind, SourceKey, WallTime};

use crate::secret::Secret;

/// The name of the gate's cookie. It is taken out before a request goes to the origin.
pub const COOKIE: &str = "portcullis";

/// The name of the gate's query parameter. It is taken out before a request goes to the origin.
pub const TOKEN_PARAM: &str = "__portcullis";

/// How far a clock may be set back without making visitors earn new tokens.
const CLOCK_STEP_SECONDS: u32 = 5;

const MAC_BYTES: usize = 16;
const TOKEN_BYTES: usize = 1 + 4 + 8 + MAC_BYTES;
/// Length of a token's text.
const TEXT_BYTES: usize = TOKEN_BYTES.div_ceil(3) * 4 - 1;

/// A token's text, copied out of a header field.
pub(crate) type TokenText = [u8; TEXT_BYTES];

/// The content of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A challenge of this kind was passed.
    ChallengePassed(ChallengeKind),
    /// The page of a wait challenge was shown; good for nothing until the wait is over.
    WaitPending,
}

impl TokenKind {
    const fn byte(self) -> u8 {
        match self {
            Self::ChallengePassed(ChallengeKind::Redirect) => 1,
            Self::ChallengePassed(ChallengeKind::WaitPage) => 2,
            Self::WaitPending => 3,
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::ChallengePassed(ChallengeKind::Redirect)),
            2 => Some(Self::ChallengePassed(ChallengeKind::WaitPage)),
            3 => Some(Self::WaitPending),
            _ => None,
        }
    }
}

/// Who may show a token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenBinding {
    /// Phones roam within a /24 or a /48; further away, the visitor is asked again.
    pub network: u64,
    /// The hashed user agent.
    pub user_agent: u32,
}

impl TokenBinding {
    pub(crate) const fn of(source: SourceKey, user_agent: u32) -> Self {
        Self { network: source.network(), user_agent }
    }
}

/// A token that verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: TokenKind,
    /// Seconds since the Unix epoch, wrapping in 2106.
    pub issued: u32,
    /// Names its budget.
    pub number: u64,
}

impl Token {
    pub(crate) fn issue(kind: TokenKind, number: u64, wall: WallTime) -> Self {
        Self { kind, issued: wall.seconds() as u32, number }
    }

    /// Seconds since it was issued. Clocks are set back a little now and then: what was issued
    /// just ahead of now has no age; what was issued further ahead is not believed.
    pub(crate) const fn age(&self, wall: WallTime) -> Option<u32> {
        let now = wall.seconds() as u32;
        if self.issued > now && self.issued - now <= CLOCK_STEP_SECONDS {
            return Some(0);
        }
        now.checked_sub(self.issued)
    }

    fn mac(&self, secret: &Secret, bearer: TokenBinding) -> [u8; MAC_BYTES] {
        let tag = secret
            .token_mac(self.issued)
            .chain_update([self.kind.byte()])
            .chain_update(self.issued.to_be_bytes())
            .chain_update(self.number.to_be_bytes())
            .chain_update(bearer.network.to_be_bytes())
            .chain_update(bearer.user_agent.to_be_bytes())
            .finalize()
            .into_bytes();
        let mut short = [0; MAC_BYTES];
        short.copy_from_slice(&tag[..MAC_BYTES]);
        short
    }

    pub(crate) fn text(&self, secret: &Secret, bearer: TokenBinding) -> String {
        let mut bytes = [0; TOKEN_BYTES];
        bytes[0] = self.kind.byte();
        bytes[1..5].copy_from_slice(&self.issued.to_be_bytes());
        bytes[5..13].copy_from_slice(&self.number.to_be_bytes());
        bytes[13..].copy_from_slice(&self.mac(secret, bearer));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token and checks that this gate made it for this bearer, at most `lifetime` seconds ago.
    /// A forgery of another age costs no authentication.
    pub(crate) fn verify(
        text: &[u8],
        secret: &Secret,
        bearer: TokenBinding,
        wall: WallTime,
        lifetime: u64,
    ) -> Option<Self> {
        if text.len() != TEXT_BYTES {
            return None;
        }
        let mut bytes = [0; TOKEN_BYTES];
        URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        let token = Self {
            kind: TokenKind::of(bytes[0])?,
            issued: u32::from_be_bytes(bytes[1..5].try_into().ok()?),
            number: u64::from_be_bytes(bytes[5..13].try_into().ok()?),
        };
        if u64::from(token.age(wall)?) > lifetime {
            return None;
        }
        let expected = token.mac(secret, bearer);
        // Compared without an early exit, so that timing reveals nothing about the MAC.
        let difference = expected.iter().zip(&bytes[13..]).fold(0, |sum, (a, b)| sum | (a ^ b));
        (difference == 0).then_some(token)
    }
}

/// Collects what may be the gate's cookie from a `Cookie` field, into the free places of `found`.
pub(crate) fn from_cookies(value: &[u8], found: &mut [Option<TokenText>]) {
    let candidates = value.split(|b| *b == b';').filter_map(|pair| {
        let value = pair.trim_ascii().strip_prefix(COOKIE.as_bytes())?.strip_prefix(b"=")?;
        TokenText::try_from(value).ok()
    });
    for (place, candidate) in found.iter_mut().filter(|place| place.is_none()).zip(candidates) {
        *place = Some(candidate);
    }
}

/// `query` without the gate's parameter; `None` if nothing is left.
pub fn strip_token_param(query: &str) -> Option<String> {
    let rest: Vec<_> = query
        .split('&')
        .filter(|pair| pair.split_once('=').map_or(*pair, |(name, _)| name) != TOKEN_PARAM)
        .collect();
    let rest = rest.join("&");
    (!rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEARER: TokenBinding = TokenBinding { network: 5, user_agent: 6 };
    const NOW: WallTime = WallTime(1_800_000_000_000);

    fn token() -> (Secret, Token, String) {
        let secret = Secret::new(&[1; 32]);
        let token = Token::issue(TokenKind::WaitPending, 77, NOW);
        let text = token.text(&secret, BEARER);
        (secret, token, text)
    }

    #[test]
    fn a_token_verifies_for_its_bearer_alone() {
        let (secret, token, text) = token();
        let verify = |bearer| Token::verify(text.as_bytes(), &secret, bearer, NOW, 60);
        assert_eq!(verify(BEARER), Some(token));
        assert_eq!(verify(TokenBinding { network: 6, ..BEARER }), None);
        assert_eq!(verify(TokenBinding { user_agent: 7, ..BEARER }), None);
        let other_gate = Secret::new(&[2; 32]);
        assert_eq!(Token::verify(text.as_bytes(), &other_gate, BEARER, NOW, 60), None);
    }

    #[test]
    fn a_token_of_the_key_before_verifies_until_it_is_too_old() {
        let (_, token, _) = token();
        let old = Secret::new(&[1; 32]).with_token_keys(&[3; 32], 0, None);
        let text = token.text(&old, BEARER);
        let verify = |secret: &Secret, now| {
            Token::verify(text.as_bytes(), secret, BEARER, now, 60).is_some()
        };
        let changed = NOW + core::time::Duration::from_secs(10);
        let since = changed.seconds() as u32;
        let new = Secret::new(&[1; 32]).with_token_keys(&[4; 32], since, Some(&[3; 32]));
        assert!(verify(&old, changed) && verify(&new, changed));
        assert!(!verify(&new, NOW + core::time::Duration::from_secs(61)), "too old");
        let fresh = Token::issue(TokenKind::WaitPending, 78, changed);
        let fresh = fresh.text(&new, BEARER);
        assert!(Token::verify(fresh.as_bytes(), &new, BEARER, changed, 60).is_some());
        assert!(Token::verify(fresh.as_bytes(), &old, BEARER, changed, 60).is_none());
    }

    #[test]
    fn a_changed_character_anywhere_spoils_a_token() {
        let (secret, _, text) = token();
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(Token::verify(&changed, &secret, BEARER, NOW, 60), None, "at {at}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let (_, _, text) = token();
        let field = format!("a=1; portcullis={text}; b=2");
        let mut found = [None; 2];
        from_cookies(field.as_bytes(), &mut found);
        assert_eq!(found[0].expect("cookie"), text.as_bytes());
        from_cookies(b"xportcullis=abc; portcullis", &mut found);
        assert_eq!(found[1], None);
    }

    #[test]
    fn the_parameter_is_removed_and_the_rest_unchanged() {
        assert_eq!(strip_token_param("a=1&__portcullis=x&b=2").as_deref(), Some("a=1&b=2"));
        assert_eq!(strip_token_param("__portcullis=x"), None);
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_verify_and_never_panic(bytes: Vec<u8>) {
            let (secret, _, _) = token();
            prop_assert_eq!(Token::verify(&bytes, &secret, BEARER, NOW, 60), None);
            from_cookies(&bytes, &mut [None; 2]);
        }
    }
}
