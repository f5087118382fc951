//! Requests read as a connection reads them, from bytes alone: for tests and fuzzing.

use core::mem::MaybeUninit;

use super::decoder::{DecodeStep, Decoder};
use super::head::{self, HeadScanner, RequestFraming};
use super::trailers::trailers;

/// Reads requests one after the other, as they arrive in parts.
#[derive(Debug)]
pub struct RequestParser {
    unread: Vec<u8>,
    scan: HeadScanner,
    body: Decoder,
    /// Heads that were read so far.
    pub heads: usize,
    /// Content of their bodies so far.
    pub content: Vec<u8>,
    lost: bool,
}

/// What comes from here on could be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramingError;

impl Default for RequestParser {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestParser {
    /// Before the first request of a connection.
    pub fn new() -> Self {
        Self {
            unread: Vec::new(),
            scan: HeadScanner::default(),
            body: Decoder::Length(0),
            heads: 0,
            content: Vec::new(),
            lost: false,
        }
    }

    /// Whether it is between two requests, with nothing left open.
    pub fn is_between(&self) -> bool {
        self.unread.is_empty() && self.body.is_over() && !self.lost
    }

    /// Reads the next piece.
    ///
    /// # Errors
    ///
    /// Something could be read in two ways. Nothing behind it is read.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), FramingError> {
        self.unread.extend_from_slice(piece);
        let read = if self.lost { Err(FramingError) } else { self.read() };
        self.lost |= read.is_err();
        read
    }

    fn read(&mut self) -> Result<(), FramingError> {
        loop {
            if !self.body.is_over() {
                match self.body.step(&self.unread, false).map_err(|_| FramingError)? {
                    DecodeStep::More => return Ok(()),
                    DecodeStep::Skip(length) => drop(self.unread.drain(..length)),
                    DecodeStep::End(length) => {
                        trailers(&self.unread[..length]).map_err(|_| FramingError)?;
                        self.unread.drain(..length);
                    }
                    DecodeStep::Data(length) => self.content.extend(self.unread.drain(..length)),
                }
            } else if let Some(span) =
                self.scan.request(&mut self.unread).map_err(|_| FramingError)?
            {
                let mut fields = [MaybeUninit::uninit(); 100];
                let (_, body) = head::request(&self.unread[span.start..span.end], &mut fields)
                    .map_err(|_| FramingError)?;
                self.body = match body {
                    RequestFraming::Length(length) => Decoder::Length(length),
                    RequestFraming::Chunked => Decoder::Size,
                    RequestFraming::Unknown => return Err(FramingError),
                };
                self.unread.drain(..span.end);
                self.scan = HeadScanner::default();
                self.heads += 1;
            } else {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http_1::decoder::TRAILER_BYTES;

    fn read(parts: &[&[u8]]) -> Result<RequestParser, FramingError> {
        let mut reading = RequestParser::new();
        parts.iter().try_for_each(|piece| reading.feed(piece)).map(|()| reading)
    }

    /// A whole request, or several, with nothing left open.
    fn whole(requests: &str) -> bool {
        read(&[requests.as_bytes()]).is_ok_and(|reading| reading.is_between())
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
            "Transfer-Encoding: chunked\r\n\r\n0\r\nX\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n0\r\nX: 1\r\n 2\r\n\r\n",
            // Empty lines before a request, beyond the one that is forgiven.
            "Content-Length: 0\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        ] {
            assert!(!whole(&with(bad)), "{bad:?}");
        }
        assert!(!whole("\r\nGET /#a HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(!whole("GET / HTTP/1.1\nHost: a\r\n\r\n"));
    }

    #[test]
    fn bodies_are_what_their_frames_hold() {
        let bodies = [
            "Content-Length: 5\r\n\r\nhello",
            "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\nX: y\r\n\r\n",
        ];
        for body in bodies {
            let twice = format!("{}{}", with(body), with(body));
            let reading = read(&[twice.as_bytes()]).expect("both");
            assert_eq!((reading.heads, &reading.content[..]), (2, &b"hellohello"[..]), "{body:?}");
        }
    }

    #[test]
    fn behind_a_head_whose_coding_is_unknown_nothing_is_believed() {
        assert!(read(&[with("Transfer-Encoding: gzip, chunked\r\n\r\n").as_bytes()]).is_err());
    }

    #[test]
    fn nothing_behind_a_line_that_was_not_believed_is_read() {
        let mut reading = RequestParser::new();
        assert!(reading.feed(b"GET / HTTP/1.1\n").is_err());
        assert!(reading.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_err());
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let extension = |length| "x".repeat(length);
        let chunked = |size: &str, trailer: &str| {
            with(&format!("Transfer-Encoding: chunked\r\n\r\n{size}\r\na\r\n0\r\n{trailer}\r\n"))
        };
        assert!(whole(&chunked(&format!("1;{}", extension(62)), "")));
        assert!(!whole(&chunked(&format!("1;{}", extension(64)), "")));
        assert!(whole(&chunked("1", &format!("X: {}\r\n", extension(TRAILER_BYTES - 7)))));
        assert!(!whole(&chunked("1", &format!("X: {}\r\n", extension(TRAILER_BYTES)))));
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
        fn how_requests_are_cut_into_parts_does_not_matter(
            parts in prop::collection::vec(part(), 0..10),
            cuts in prop::collection::vec(0usize..150, 0..12),
        ) {
            let bytes = parts.concat().into_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<_> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let facts = |reading: RequestParser| (reading.heads, reading.content, reading.body, reading.unread);
            prop_assert_eq!(read(&parts).map(facts), read(&[&bytes]).map(facts));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&[&bytes]);
        }
    }
}
