//! Where each HTTP/1.1 request begins and ends, read strictly and in passing.
//!
//! Two programs that disagree about where a request ends can be made to disagree about what the
//! next one is: request smuggling. The HTTP library is lenient where RFC 9112 lets it be (it takes
//! a bare line feed for a line end, keeps `Transfer-Encoding` beside `Content-Length`, drops a
//! second equal length, skips any number of empty lines). [`Framing`] reads the same bytes before
//! it, accepts only what cannot be read in two ways, and says at which byte the rest is no longer
//! to be believed. Whatever it accepts, every reader of RFC 9112 frames alike; what it does not
//! look at (names, values, the request line's form) the library checks strictly itself.
//!
//! Lines are found by one search for line feeds; of most lines only the first letter and the last
//! are looked at, and bodies are passed over.

/// The longest line that has to be read: `Content-Length`, `Transfer-Encoding`, and the size of a
/// chunk with its extensions. `Transfer-Encoding: chunked` has 26 letters, the longest length that
/// is accepted 34; the rest is room for spaces and for the extensions that nobody uses.
const LONGEST: usize = 64;
/// Digits of the longest `Content-Length`: under 10^18 bytes.
const LENGTH_DIGITS: usize = 18;
/// Digits of the longest chunk's size: under 2^60 bytes.
const CHUNK_DIGITS: usize = 15;
/// Bytes of all trailer fields behind one body. Checksums and timings take a tenth of it.
const TRAILER_BYTES: usize = 8 * 1024;

/// Reads one connection's requests as they arrive in pieces.
#[derive(Clone, Debug)]
pub struct Framing {
    state: State,
    /// The beginning of a line that was cut in two, if it may have to be read.
    start: [u8; LONGEST],
    /// How much of it there is; beyond `LONGEST` it is only counted.
    length: usize,
    /// The last byte so far of the line that was cut in two was a carriage return.
    returned: bool,
    fields: Fields,
}

/// What the head so far says about the body behind it.
#[derive(Clone, Copy, Debug, Default)]
struct Fields {
    length: Option<u64>,
    coding: Option<Coding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Chunked,
    /// Nobody knows where a body ends that is coded so. The head alone is let through, to be
    /// answered with 501 (RFC 9112, section 6.1).
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a request line; whether one empty line has been passed over.
    Before { empty: bool },
    /// Among a head's fields.
    Fields,
    /// In a body with this much to come.
    Body(u64),
    /// Before the size of a chunk.
    Size,
    /// In a chunk with this much to come, its line end among it.
    Chunk(u64),
    /// Among trailer fields of this many bytes so far.
    Trailers(usize),
    /// What came cannot be framed.
    Lost,
}

/// From this byte of the piece on (counted from zero) the request could be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous {
    /// Where.
    pub at: usize,
    /// It is in a body, so that the request's head has been judged already.
    pub in_body: bool,
}

impl Default for Framing {
    fn default() -> Self {
        Self::new()
    }
}

impl Framing {
    /// Before the first request of a connection.
    pub const fn new() -> Self {
        Self {
            state: State::Before { empty: false },
            start: [0; LONGEST],
            length: 0,
            returned: false,
            fields: Fields { length: None, coding: None },
        }
    }

    /// Reads the next bytes.
    ///
    /// # Errors
    ///
    /// From some byte on they could be read in two ways. Once something could not be believed, nothing behind it is.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Ambiguous> {
        let mut at = 0;
        while at < bytes.len() {
            let state = self.state;
            let read = match state {
                State::Body(left) => Ok(self.body(left, &bytes[at..])),
                State::Chunk(left) => self.chunk(left, &bytes[at..]).ok_or(0),
                State::Lost => Err(0),
                _ => self.lines(&bytes[at..]),
            };
            match read {
                Ok(read) => at += read,
                Err(read) => {
                    let in_body =
                        matches!(state, State::Size | State::Chunk(_) | State::Trailers(_));
                    self.state = State::Lost;
                    return Err(Ambiguous { at: at + read, in_body });
                }
            }
        }
        Ok(())
    }

    fn body(&mut self, left: u64, bytes: &[u8]) -> usize {
        let read = left.min(bytes.len() as u64);
        self.state = if read == left { State::BEFORE } else { State::Body(left - read) };
        read as usize
    }

    fn chunk(&mut self, left: u64, bytes: &[u8]) -> Option<usize> {
        if left > 2 {
            let read = (left - 2).min(bytes.len() as u64);
            self.state = State::Chunk(left - read);
            return Some(read as usize);
        }
        let (expected, next) =
            if left == 2 { (b'\r', State::Chunk(1)) } else { (b'\n', State::Size) };
        self.state = next;
        (bytes[0] == expected).then_some(1)
    }

    /// Reads lines for as long as lines are what is next. `Err`: the line that begins there (in
    /// this piece) is not to be believed.
    fn lines(&mut self, bytes: &[u8]) -> Result<usize, usize> {
        let mut at = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[at..end];
            let believed = if self.length == 0 {
                line.strip_suffix(b"\r").and_then(|line| self.line(line, line.len()))
            } else {
                self.cut_line(line)
            };
            believed.ok_or(at)?;
            at = end + 1;
            if !matches!(self.state, State::Before { .. } | State::Fields | State::Trailers(_)) {
                return Ok(at);
            }
        }
        let rest = &bytes[at..];
        if !rest.is_empty() {
            self.keep(rest).ok_or(at)?;
        }
        Ok(bytes.len())
    }

    /// The beginning of a line whose end has not come.
    fn keep(&mut self, piece: &[u8]) -> Option<()> {
        if self.length < LONGEST {
            let room = (LONGEST - self.length).min(piece.len());
            self.start[self.length..self.length + room].copy_from_slice(&piece[..room]);
        }
        if matches!(self.state, State::Before { .. }) && memchr::memchr(b'#', piece).is_some() {
            return None;
        }
        self.length += piece.len();
        self.returned = piece.last() == Some(&b'\r');
        // What may be the first half of the line's end is no part of the line.
        let length = self.length - usize::from(self.returned);
        match self.state {
            State::Size => length <= LONGEST,
            State::Trailers(bytes) => bytes + length <= TRAILER_BYTES,
            // The library bounds a head.
            _ => true,
        }
        .then_some(())
    }

    /// The end of a line whose beginning was kept.
    fn cut_line(&mut self, end: &[u8]) -> Option<()> {
        if !end.is_empty() {
            self.keep(end)?;
        }
        let returned = core::mem::take(&mut self.returned);
        let length = core::mem::take(&mut self.length) - usize::from(returned);
        let start = self.start;
        let line = &start[..length.min(LONGEST)];
        if returned { self.line(line, length) } else { None }
    }

    /// One whole line without its end. Only its first [`LONGEST`] bytes may be given; `length` is
    /// how long it is.
    fn line(&mut self, line: &[u8], length: usize) -> Option<()> {
        match self.state {
            State::Before { empty } => {
                if length == 0 {
                    // One empty line may come from a sloppy sender's last body (RFC 9112, 2.2).
                    self.state = State::Before { empty: true };
                    return (!empty).then_some(());
                }
                self.fields = Fields::default();
                self.state = State::Fields;
                // A fragment is never sent; the library would cut it off without a word.
                memchr::memchr(b'#', line).is_none().then_some(())
            }
            State::Fields => match line.first() {
                None => {
                    self.state = self.fields.next();
                    Some(())
                }
                Some(b'c' | b'C' | b't' | b'T') => self.fields.field(line, length),
                Some(_) => Some(()),
            },
            State::Size => {
                let size = chunk_size(line).filter(|_| length <= LONGEST)?;
                self.state = if size == 0 { State::Trailers(0) } else { State::Chunk(size + 2) };
                Some(())
            }
            State::Trailers(_) if length == 0 => {
                self.state = State::BEFORE;
                Some(())
            }
            State::Trailers(bytes) => {
                let bytes = bytes + length;
                self.state = State::Trailers(bytes);
                (bytes <= TRAILER_BYTES).then_some(())
            }
            State::Body(_) | State::Chunk(_) | State::Lost => None,
        }
    }
}

impl State {
    const BEFORE: Self = Self::Before { empty: false };
}

impl Fields {
    /// A field whose name may be one that frames. Each may come once, and not both.
    fn field(&mut self, line: &[u8], length: usize) -> Option<()> {
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let is_length = name.eq_ignore_ascii_case(b"content-length");
        if !is_length && !name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Some(());
        }
        if length > LONGEST || self.length.is_some() || self.coding.is_some() {
            return None;
        }
        let value = value.get(1..)?.trim_ascii();
        if is_length {
            self.length = Some(content_length(value)?);
        } else if value.eq_ignore_ascii_case(b"chunked") {
            self.coding = Some(Coding::Chunked);
        } else {
            self.coding = Some(Coding::Unknown);
        }
        Some(())
    }

    /// What comes behind the head.
    const fn next(self) -> State {
        match (self.coding, self.length) {
            (Some(Coding::Chunked), _) => State::Size,
            (Some(Coding::Unknown), _) => State::Lost,
            (None, Some(length)) if length > 0 => State::Body(length),
            (None, _) => State::BEFORE,
        }
    }
}

/// Decimal digits alone, without a leading zero that some read as octal.
fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty()
        || value.len() > LENGTH_DIGITS
        || value.len() > 1 && value[0] == b'0'
        || !value.iter().all(u8::is_ascii_digit)
    {
        return None;
    }
    core::str::from_utf8(value).ok()?.parse().ok()
}

/// Hexadecimal digits, and extensions of plain letters that nobody reads.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (size, extensions) = line.split_at(digits);
    let plain = |b: &u8| matches!(b, b'\t' | b' '..=b'~');
    let extended = extensions.first() == Some(&b';') && extensions.iter().all(plain);
    if digits > CHUNK_DIGITS || !extensions.is_empty() && !extended {
        return None;
    }
    u64::from_str_radix(core::str::from_utf8(size).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds the pieces; where in the whole it stopped believing, if anywhere.
    fn read(pieces: &[&[u8]]) -> Result<Framing, usize> {
        let mut framing = Framing::new();
        let mut before = 0;
        for piece in pieces {
            framing.feed(piece).map_err(|ambiguous| before + ambiguous.at)?;
            before += piece.len();
        }
        Ok(framing)
    }

    /// A whole request, or several, with nothing left open.
    fn whole(requests: &str) -> bool {
        read(&[requests.as_bytes()])
            .is_ok_and(|framing| matches!(framing.state, State::Before { .. }))
    }

    fn with(fields_and_body: &str) -> String {
        format!("POST / HTTP/1.1\r\nHost: a\r\n{fields_and_body}")
    }

    #[test]
    fn requests_that_every_reader_frames_alike_pass() {
        for good in [
            "\r\n",
            "Content-Length: 0\r\n\r\n",
            "content-LENGTH:5 \r\n\r\nhello",
            "Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n00005;name=\"v\"\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n",
            "Content-Length: 4\r\n\r\n\n\r\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "X-Content-Length: 4\r\nTe: trailers\r\nContent-Type: a\r\n\r\n",
        ] {
            assert!(whole(&with(good)), "{good:?}");
        }
    }

    #[test]
    fn what_two_readers_could_frame_differently_does_not_pass() {
        for bad in [
            // Two lengths, or one that is none.
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
            "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
            "Content-Length: 1, 1\r\n\r\na",
            "Content-Length: +1\r\n\r\na",
            "Content-Length: 01\r\n\r\na",
            "Content-Length: 0x1\r\n\r\na",
            "Content-Length: \r\n\r\n",
            "Content-Length: 1234567890123456789\r\n\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            // Line ends.
            "X: 1\n\r\n",
            "X: 1\r\n\nGET / HTTP/1.1\r\n\r\n",
            "\nX: 1\r\n\r\n",
            // Chunks.
            "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n;a\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1;\na\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1;a\rb\r\na\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n0\r\nX: 1\n\r\n",
            // Empty lines before a request, beyond the one that is forgiven.
            "Content-Length: 0\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        ] {
            assert!(!whole(&with(bad)), "{bad:?}");
        }
        assert!(!whole("\r\nGET /#a HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(!whole("GET / HTTP/1.1\nHost: a\r\n\r\n"));
    }

    #[test]
    fn behind_a_head_whose_coding_is_unknown_nothing_is_believed() {
        let head = with("Transfer-Encoding: gzip, chunked\r\n\r\n");
        let request = format!("{head}0\r\n\r\n");
        assert_eq!(read(&[request.as_bytes()]).map(|_| ()), Err(head.len()));
    }

    #[test]
    fn nothing_behind_a_line_that_was_not_believed_is_read() {
        let mut framing = Framing::new();
        assert!(framing.feed(b"GET / HTTP/1.1\n").is_err());
        assert_eq!(framing.feed(b"GET"), Err(Ambiguous { at: 0, in_body: false }));
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let extension = |length| "x".repeat(length);
        let chunked = |size: &str, trailer: &str| {
            with(&format!("Transfer-Encoding: chunked\r\n\r\n{size}\r\na\r\n0\r\n{trailer}\r\n"))
        };
        assert!(whole(&chunked(&format!("1;{}", extension(LONGEST - 2)), "")));
        assert!(!whole(&chunked(&format!("1;{}", extension(LONGEST)), "")));
        assert!(whole(&chunked("1", &format!("X: {}\r\n", extension(TRAILER_BYTES - 3)))));
        assert!(!whole(&chunked("1", &format!("X: {}\r\n", extension(TRAILER_BYTES)))));
    }

    #[test]
    fn what_is_just_within_a_bound_is_within_it_byte_by_byte_too() {
        for body in [
            format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(LONGEST - 2)),
            format!("1\r\na\r\n0\r\nX: {}\r\n\r\n", "x".repeat(TRAILER_BYTES - 3)),
        ] {
            let request = with(&format!("Transfer-Encoding: chunked\r\n\r\n{body}"));
            let bytes: Vec<_> = request.as_bytes().chunks(1).collect();
            assert!(whole(&request) && read(&bytes).is_ok());
        }
    }

    fn part() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            Just("GET / HTTP/1.1\r\n"),
            Just("Content-Length: 5\r\n"),
            Just("Content-Length : 5\r\n"),
            Just("transfer-encoding: chunked\r\n"),
            Just("Transfer-Encoding:\tchunked\n"),
            Just("Host: a\r\n"),
            Just("\r\n"),
            Just("\n"),
            Just("5\r\nhello\r\n"),
            Just("0\r\n\r\n"),
            Just("0\r\nX: 1\r\n\r\n"),
            Just("3;a=b\r\nabc\r"),
            Just("hello"),
        ]
    }

    proptest! {
        #[test]
        fn how_requests_are_cut_into_pieces_does_not_matter(
            parts in prop::collection::vec(part(), 0..10),
            cuts in prop::collection::vec(0usize..150, 0..12),
        ) {
            let bytes = parts.concat().into_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let in_pieces = read(&pieces).map(|framing| framing.state);
            let at_once = read(&[&bytes]).map(|framing| framing.state);
            match (at_once, in_pieces) {
                // A line is refused where it begins, or where the piece does that shows it.
                (Err(whole), Err(cut)) => prop_assert!(cut >= whole),
                (whole, cut) => prop_assert_eq!(whole, cut),
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&[&bytes]);
        }
    }
}
