//! Whether a request asks for parts of a document in a way that costs its origin more than the
//! whole (RFC 9110, sections 14.2 and 17.15; CVE-2011-3192).

use crate::head::Head;

/// Whether `Range` names at most `limit` parts, none of which overlap as far as can be known without
/// the document. The origin ignores an item that is no range, but such items count: an origin may
/// accept more forms than this parser.
pub fn within_limit(head: &Head<'_>, limit: usize) -> bool {
    let items = || head.all("range").flat_map(|line| line.split(|byte| *byte == b','));
    let several = items().nth(1).is_some();
    !several
        || items().nth(limit).is_none()
            && !overlap(&items().filter_map(ByteRange::of).map(ByteRange::span).collect::<Vec<_>>())
}

/// What one item asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByteRange {
    /// From the first to the last of these, both of them.
    FromTo(u64, u64),
    /// From here to the end.
    From(u64),
    /// The last bytes.
    Suffix,
}

impl ByteRange {
    /// Its place, if it is one.
    fn of(item: &[u8]) -> Option<Self> {
        // The unit precedes the first.
        let spec = item.rsplit(|byte| *byte == b'=').next()?;
        let dash = memchr::memchr(b'-', spec)?;
        let (first, last) = (spec[..dash].trim_ascii(), spec[dash + 1..].trim_ascii());
        match (first, last) {
            (b"", last) => number(last).map(|_| Self::Suffix),
            (first, b"") => Some(Self::From(number(first)?)),
            (first, last) => Some(Self::FromTo(number(first)?, number(last)?)),
        }
    }

    /// Where it begins and ends; the last bytes are taken to be beyond all others.
    const fn span(self) -> (u64, u64) {
        match self {
            Self::FromTo(first, last) => (first, last),
            Self::From(first) => (first, u64::MAX),
            Self::Suffix => (u64::MAX, u64::MAX),
        }
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value =
        |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, value))
}

/// Compares each pair: there are no more parts than the limit.
fn overlap(spans: &[(u64, u64)]) -> bool {
    let meets = |(at, (first, last)): (usize, &(u64, u64))| {
        spans[at + 1..].iter().any(|other| *first <= other.1 && other.0 <= *last)
    };
    spans.iter().enumerate().any(meets)
}

#[cfg(test)]
mod tests {
    use http::Version;
    use proptest::prelude::*;

    use super::*;
    use crate::head::{Field, RequestTarget};

    fn asked(lines: &[&str]) -> bool {
        let fields: Vec<_> =
            lines.iter().map(|line| Field { name: "range", value: line.as_bytes() }).collect();
        let target = RequestTarget::parse("GET", "/").expect("a target");
        within_limit(&Head { version: Version::HTTP_11, method: "GET", target, fields: &fields }, 8)
    }

    #[test]
    fn downloads_players_and_readers_of_documents_get_their_parts() {
        for range in [
            "bytes=0-",
            "bytes=1000-",
            "bytes=-500",
            "bytes=0-1023",
            "bytes=0-99, 200-299, 1000-1999",
            "bytes=0-99,100-199,-1024",
            "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14",
            "pages=1-2",
            "nonsense",
            "",
        ] {
            assert!(asked(&[range]), "{range}");
        }
        assert!(asked(&[]));
    }

    #[test]
    fn many_parts_and_overlapping_ones_are_too_much() {
        for range in [
            "bytes=0-,5-0,5-1,5-2,5-3,5-4,5-5,5-6,5-7",
            "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16",
            "bytes=0-,0-",
            "bytes=0-99, 99-200",
            "bytes=500-600, 0-1000",
            "bytes=0-,-1",
            "bytes=-1,-2",
            "BYTES = 0-10 , 5-6",
            ",,,,,,,,",
        ] {
            assert!(!asked(&[range]), "{range}");
        }
        assert!(!asked(&["bytes=0-9", "bytes=5-9"]));
    }

    proptest! {
        #[test]
        fn what_passes_never_asks_for_a_byte_twice(
            parts in prop::collection::vec((0u64..40, 0u64..10), 1..9),
        ) {
            let items: Vec<_> =
                parts.iter().map(|(first, more)| format!("{first}-{}", first + more)).collect();
            let mut requested = [0; 64];
            for (first, more) in &parts {
                for byte in *first..=first + more {
                    requested[byte as usize] += 1;
                }
            }
            let once = requested.iter().all(|times| *times <= 1);
            prop_assert_eq!(asked(&[&format!("bytes={}", items.join(","))]), once);
        }

        #[test]
        fn arbitrary_values_never_panic(value in "[ -~]{0,60}", digits in "bytes=[-0-9, ]{0,60}") {
            asked(&[&value]);
            asked(&[&digits]);
        }
    }
}
