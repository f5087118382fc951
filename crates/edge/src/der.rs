//! The part of DER (X.690) that a certificate's validity is read with.

use portcullis_model::WallTime;

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const SEQUENCE: u8 = 0x30;
/// What the structure itself numbers: `[0]`, with values inside.
pub(crate) const FIRST: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of what certificates can say (`99991231235959Z`, RFC 5280 section 4.1.2.5).
const NEVER: WallTime = WallTime(253_402_300_799_000);

/// The content of the first value, which has to be a `tag`, and what follows it.
pub(crate) fn value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = any(bytes)?;
    (found == tag).then_some((content, rest))
}

/// The tag and content of the first value, and what follows it.
fn any(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = if short < 0x80 {
        (usize::from(short), rest)
    } else {
        let (long, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
        if long.len() > 4 {
            return None;
        }
        (long.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// A moment, and what follows it.
pub(crate) fn moment(bytes: &[u8]) -> Option<(WallTime, &[u8])> {
    let short = value(bytes, UTC_TIME);
    let (text, rest) = short.or_else(|| value(bytes, GENERALIZED_TIME))?;
    let text = core::str::from_utf8(text).ok()?;
    let text = if short.is_some() {
        // Years of two digits are those from 1950 on.
        let century = if text.get(..2)? < "50" { "20" } else { "19" };
        format!("{century}{text}")
    } else {
        text.to_owned()
    };
    if text.len() != 15 || !text.ends_with('Z') {
        return None;
    }
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or("");
    let stamp = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14)
    );
    let at = if text.starts_with("999912") { Some(NEVER) } else { WallTime::parse(&stamp) };
    // Before 1970: long ago is all that matters.
    Some((at.or_else(|| text.starts_with("19").then(WallTime::default))?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_moment_never_comes() {
        assert_eq!(moment(b"\x18\x0f99991231235959Z"), Some((NEVER, &[][..])));
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        assert_eq!(value(&[SEQUENCE, 0x85, 1, 1, 1, 1, 1], SEQUENCE), None);
        assert_eq!(value(&[SEQUENCE, 2, 0], SEQUENCE), None);
        assert_eq!(value(&[SEQUENCE, 0x81, 1, 7, 8], SEQUENCE), Some((&[7][..], &[8][..])));
    }
}
