//! Sees `Content-Length` beside `Transfer-Encoding` before the HTTP library tidies it away.
//!
//! A request with both is either broken or an attempt at request smuggling (RFC 9112, section
//! 6.3). hyper keeps `Transfer-Encoding`, removes `Content-Length` and says nothing, so the bytes
//! of a head are looked at as they arrive: one search for line ends, and the first letters of
//! each line.

const NAMES: [&[u8]; 2] = [b"content-length", b"transfer-encoding"];
const LONGEST: usize = NAMES[1].len();

/// Looks at one request head as it arrives in pieces.
#[derive(Clone, Debug)]
pub(crate) struct HeadScan {
    /// The first letters of the current line, if a name of interest may begin so.
    start: [u8; LONGEST],
    length: u8,
    line: Line,
    seen: [bool; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// The start of the line may still be interesting.
    Start,
    /// The rest of the line does not matter.
    Rest,
    /// The head is over.
    Over,
}

impl HeadScan {
    /// Ready for a new head. The request line is not a field.
    pub(crate) const fn new() -> Self {
        Self { start: [0; LONGEST], length: 0, line: Line::Rest, seen: [false; 2] }
    }

    /// Whether both fields were seen in this head.
    pub(crate) const fn conflict(&self) -> bool {
        self.seen[0] && self.seen[1]
    }

    /// The next bytes of the head; whatever follows its end is not looked at.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while self.line != Line::Over {
            // A name that was cut in two is put together letter by letter.
            while self.line == Line::Start {
                let Some(byte) = bytes.get(at) else { return };
                self.letter(*byte);
                at += 1;
            }
            if self.line == Line::Rest {
                at = self.lines(bytes, at);
                if at == bytes.len() {
                    return;
                }
            }
        }
    }

    /// Passes over lines that cannot be of interest, up to the start of one that may be. Nearly
    /// every line of nearly every request is dealt with here.
    fn lines(&mut self, bytes: &[u8], from: usize) -> usize {
        for end in memchr::memchr_iter(b'\n', &bytes[from..]) {
            let start = from + end + 1;
            // An empty line, the first letters of a name of interest, or too few to tell.
            let (may_be, known) = match &bytes[start..] {
                [b'c' | b'C', b'o' | b'O', b'n' | b'N', ..]
                | [b't' | b'T', b'r' | b'R', ..]
                | [b'\r' | b'\n', ..] => (true, true),
                rest => (false, rest.len() >= 3),
            };
            if may_be || !known {
                self.line = Line::Start;
                self.length = 0;
                return start;
            }
        }
        bytes.len()
    }

    fn letter(&mut self, byte: u8) {
        let length = usize::from(self.length);
        match byte {
            b'\n' => self.line = Line::Over,
            // The end of an empty line, unless something follows.
            b'\r' if length == 0 => {}
            b':' => {
                for (name, seen) in NAMES.iter().zip(&mut self.seen) {
                    *seen |= self.start[..length] == **name;
                }
                self.line = Line::Rest;
            }
            _ => {
                let byte = byte.to_ascii_lowercase();
                let so_far = &self.start[..length];
                let possible = NAMES
                    .iter()
                    .any(|name| name.starts_with(so_far) && name.get(length) == Some(&byte));
                if possible {
                    self.start[length] = byte;
                    self.length += 1;
                } else {
                    self.line = Line::Rest;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn conflict(pieces: &[&[u8]]) -> bool {
        let mut scan = HeadScan::new();
        for piece in pieces {
            scan.feed(piece);
        }
        scan.conflict()
    }

    #[test]
    fn both_fields_are_seen_in_any_order_and_case() {
        assert!(conflict(&[
            b"POST / HTTP/1.1\r\nContent-Length: 4\r\nHost: a\r\nTRANSFER-encoding: chunked\r\n\r\n"
        ]));
        assert!(conflict(&[
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\ncontent-length: 4\n\n"
        ]));
    }

    #[test]
    fn one_field_alone_or_a_body_that_speaks_of_it_is_no_conflict() {
        assert!(!conflict(&[b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n"]));
        assert!(!conflict(&[
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nContent-Length: 4\r\n"
        ]));
        assert!(!conflict(&[
            b"POST /content-length: HTTP/1.1\r\nX-Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        ]));
        assert!(!conflict(&[
            b"POST / HTTP/1.1\r\nContent-Lengths: 4\r\nContent-Lengt: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
        ]));
    }

    proptest! {
        #[test]
        fn how_a_head_is_cut_into_pieces_does_not_matter(
            fields in prop::collection::vec(
                prop_oneof![
                    Just("Content-Length: 5"), Just("transfer-encoding: chunked"), Just("Host: a"),
                    Just("Te: trailers"), Just("Content-Type: text/plain"), Just("Cookie: a=b"),
                ],
                0..6,
            ),
            cuts in prop::collection::vec(0usize..200, 0..8),
        ) {
            let mut head = String::from("POST / HTTP/1.1\r\n");
            for field in &fields {
                head.push_str(field);
                head.push_str("\r\n");
            }
            head.push_str("\r\n");
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(head.len())).collect();
            cuts.extend([0, head.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|w| &head.as_bytes()[w[0]..w[1]]).collect();
            let expected = fields.contains(&"Content-Length: 5")
                && fields.contains(&"transfer-encoding: chunked");
            prop_assert_eq!(conflict(&pieces), expected);
        }
    }
}
