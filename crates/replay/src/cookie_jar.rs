//! The cookies of recorded visitors.
//!
//! A recording cannot answer a challenge. Each recorded visitor is taken to do what browsers,
//! feed readers and most programs do: follow the redirect, and keep the cookie if they take
//! cookies at all. So challenges are shown at their highest cost and their least effect.

use portcullis_model::SourceKey;

/// Visitors whose cookie is stored, in a table of fixed size: a visitor who falls on another's
/// place is asked again, as a browser is that lost its cookies.
const SLOTS: usize = 32_768;

/// One cookie for each visitor.
#[derive(Debug, Default)]
pub(crate) struct CookieJar {
    /// Empty until the first cookie: most recordings never need it.
    slots: Vec<Option<(u64, Box<str>)>>,
}

impl CookieJar {
    /// The visitor's `name=value`.
    pub(crate) fn get(&self, visitor: u64) -> Option<&str> {
        match self.slots.get(slot(visitor))? {
            Some((owner, cookie)) if *owner == visitor => Some(cookie),
            _ => None,
        }
    }

    /// Stores the cookie of a `Set-Cookie` field.
    pub(crate) fn store(&mut self, visitor: u64, set_cookie: &str) {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, || None);
        }
        let cookie = set_cookie.split(';').next().unwrap_or_default();
        self.slots[slot(visitor)] = Some((visitor, cookie.into()));
    }

    /// Throws all cookies away: no procedure asks for them any more.
    pub(crate) fn clear(&mut self) {
        self.slots = Vec::new();
    }
}

const fn slot(visitor: u64) -> usize {
    (visitor >> 32) as usize % SLOTS
}

/// Names a visitor: a source and its user agent, as far as a log can tell visitors apart.
pub(crate) fn visitor_id(source: SourceKey, user_agent: Option<&str>) -> u64 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = source.bits().wrapping_mul(SPREAD);
    let mut words = user_agent.unwrap_or("").as_bytes().chunks_exact(8);
    for word in words.by_ref() {
        let word = word.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        state = (state.rotate_left(23) ^ word).wrapping_mul(SPREAD);
    }
    for byte in words.remainder() {
        state = (state.rotate_left(23) ^ u64::from(*byte)).wrapping_mul(SPREAD);
    }
    // The finaliser of SplitMix64, so that every bit depends on every other.
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_browsers_behind_one_address_are_two_visitors() {
        let source = SourceKey::of([192, 0, 2, 7].into());
        let other = SourceKey::of([192, 0, 2, 8].into());
        let one = visitor_id(source, Some("Mozilla/5.0 (one)"));
        assert_eq!(one, visitor_id(source, Some("Mozilla/5.0 (one)")));
        assert_ne!(one, visitor_id(source, Some("Mozilla/5.0 (two)")));
        assert_ne!(one, visitor_id(other, Some("Mozilla/5.0 (one)")));
        assert_ne!(visitor_id(source, None), visitor_id(other, None));
    }

    #[test]
    fn a_jar_gives_back_what_its_visitor_was_handed() {
        let mut cookies = CookieJar::default();
        assert_eq!(cookies.get(5), None);
        cookies.store(5, "portcullis=abc; Path=/; HttpOnly");
        assert_eq!(cookies.get(5), Some("portcullis=abc"));
        assert_eq!(cookies.get(6), None);
    }
}
