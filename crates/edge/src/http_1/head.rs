//! Heads of HTTP/1.1 messages: where they end, and what they contain.
//!
//! Two programs that disagree about where a request ends can be made to disagree about what the
//! next one is: request smuggling. RFC 9112 lets a reader be lenient (a bare line feed may end a
//! line, `Transfer-Encoding` may occur with `Content-Length`, equal lengths may be repeated). Here a
//! request is accepted only if it cannot be read in two ways. The operator trusts their origins:
//! responses are read as leniently as browsers read them, where framing does not depend on it.

use core::mem::MaybeUninit;

use http::Version;
use portcullis_model::Reason;

use portcullis_gate::{Field, Head, RequestTarget, items};

/// Digits of the longest `Content-Length`: under 10^18 bytes.
const LENGTH_DIGITS: usize = 18;

/// Where a head ends, looked for as it arrives. Lower-cases the names of its fields in passing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeadScanner {
    /// Where the line begins that has not ended yet.
    line: usize,
    /// No line feed is before here.
    seen: usize,
    /// Where the first line begins, once there is one.
    start: Option<usize>,
}

/// What could be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AmbiguousFraming;

/// A whole head, from its first line to the empty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadRange {
    /// Where it begins: behind an empty line that is forgiven.
    pub(crate) start: usize,
    /// Where what comes behind it begins.
    pub(crate) end: usize,
}

impl HeadScanner {
    /// Scans for the end of a request's head in `bytes`, which begin where they began before. `None`: it
    /// is not complete yet.
    ///
    /// # Errors
    ///
    /// A line that does not end with carriage return and line feed.
    pub(crate) fn request(
        &mut self,
        bytes: &mut [u8],
    ) -> Result<Option<HeadRange>, AmbiguousFraming> {
        while let Some(end) = self.next_line(bytes) {
            let line = bytes[self.line..end].strip_suffix(b"\r").map(<[u8]>::len);
            let length = line.ok_or(AmbiguousFraming)?;
            if let Some(span) = self.line(bytes, length, end)? {
                return Ok(Some(span));
            }
        }
        Ok(None)
    }

    /// The same of an origin's answer, whose lines may end with a line feed alone.
    ///
    /// # Errors
    ///
    /// Empty lines before it, beyond one.
    pub(crate) fn response(
        &mut self,
        bytes: &mut [u8],
    ) -> Result<Option<HeadRange>, AmbiguousFraming> {
        while let Some(end) = self.next_line(bytes) {
            let line = &bytes[self.line..end];
            let length = line.strip_suffix(b"\r").unwrap_or(line).len();
            if let Some(span) = self.line(bytes, length, end)? {
                return Ok(Some(span));
            }
        }
        Ok(None)
    }

    /// Where the next line feed is.
    fn next_line(&mut self, bytes: &[u8]) -> Option<usize> {
        let found = memchr::memchr(b'\n', &bytes[self.seen..]).map(|at| self.seen + at);
        self.seen = found.map_or(bytes.len(), |at| at + 1);
        found
    }

    /// One whole line of this length, whose line feed is at `end`.
    fn line(
        &mut self,
        bytes: &mut [u8],
        length: usize,
        end: usize,
    ) -> Result<Option<HeadRange>, AmbiguousFraming> {
        let begin = core::mem::replace(&mut self.line, end + 1);
        match self.start {
            // One empty line may come from a sloppy sender's last body (RFC 9112, section 2.2).
            None if length == 0 => {
                if begin > 0 {
                    Err(AmbiguousFraming)
                } else {
                    Ok(None)
                }
            }
            None => {
                self.start = Some(begin);
                Ok(None)
            }
            Some(start) if length == 0 => Ok(Some(HeadRange { start, end: end + 1 })),
            Some(_) => {
                for byte in &mut bytes[begin..begin + length] {
                    let lower = LOWER[usize::from(*byte)];
                    if lower == 0 {
                        break;
                    }
                    *byte = lower;
                }
                Ok(None)
            }
        }
    }
}

/// Letters in lower case; nothing, where a name ends at the latest.
static LOWER: [u8; 256] = {
    let mut lower = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        lower[byte] = (byte as u8).to_ascii_lowercase();
        byte += 1;
    }
    lower[b':' as usize] = 0;
    lower
};

/// What comes behind a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestFraming {
    /// The number of bytes; zero if the head announces none.
    Length(u64),
    /// Chunks (RFC 9112, section 7.1).
    Chunked,
    /// Its end is unknown: a request with another transfer coding. Only its head is read, to be
    /// answered with 501 (RFC 9112, section 6.1).
    Unknown,
}

/// Reads the whole head of a request.
///
/// # Errors
///
/// Why it is refused, unread by anybody else.
pub(crate) fn request<'a>(
    bytes: &'a [u8],
    fields: &'a mut [MaybeUninit<Field<'a>>],
) -> Result<(Head<'a>, RequestFraming), Reason> {
    let mut read = httparse::Request::new(&mut []);
    match read.parse_with_uninit_headers(bytes, fields) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Reason::HeaderTooLarge),
        _ => return Err(Reason::Malformed),
    }
    let (Some(method), Some(target)) = (read.method, read.path) else {
        return Err(Reason::Malformed);
    };
    let fields: &'a [Field<'a>] = read.headers;
    let body = request_body(fields).ok_or(Reason::Malformed)?;
    let target = RequestTarget::parse(method, target).ok_or(Reason::Malformed)?;
    let version = if read.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    Ok((Head { version, method, target, fields }, body))
}

/// What frames a request may say it once, and not in two ways.
fn request_body(fields: &[Field<'_>]) -> Option<RequestFraming> {
    let mut body = None;
    for field in fields {
        let announced = match field.name {
            "content-length" => RequestFraming::Length(content_length(field.value)?),
            "transfer-encoding" if field.value.eq_ignore_ascii_case(b"chunked") => {
                RequestFraming::Chunked
            }
            "transfer-encoding" => {
                // Without chunks at last there is no telling where it ends: 400 (section 6.3).
                let last = items(field.value).last();
                last.filter(|coding| coding.eq_ignore_ascii_case(b"chunked"))?;
                RequestFraming::Unknown
            }
            _ => continue,
        };
        if body.replace(announced).is_some() {
            return None;
        }
    }
    Some(body.unwrap_or(RequestFraming::Length(0)))
}

/// Decimal digits alone, without a leading zero that some read as octal.
fn content_length(value: &[u8]) -> Option<u64> {
    let octal = value.len() > 1 && value[0] == b'0';
    if octal { None } else { number(value) }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > LENGTH_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// The head of an origin's answer.
#[derive(Debug)]
pub(crate) struct ResponseHead<'a> {
    pub(crate) status: u16,
    pub(crate) version: Version,
    pub(crate) fields: &'a [Field<'a>],
}

/// The head contradicts itself or the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidHead;

/// Reads the whole head of an answer.
pub(crate) fn answer<'a>(
    bytes: &'a [u8],
    fields: &'a mut [MaybeUninit<Field<'a>>],
) -> Result<ResponseHead<'a>, InvalidHead> {
    let mut read = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut read, bytes, fields);
    match parsed {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        _ => return Err(InvalidHead),
    }
    let status = read.code.filter(|code| (100..1000).contains(code)).ok_or(InvalidHead)?;
    let version = if read.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    Ok(ResponseHead { status, version, fields: read.headers })
}

/// How the end of a response's body is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseFraming {
    Length(u64),
    Chunked,
    /// It ends with the connection.
    UntilClose,
}

impl ResponseHead<'_> {
    fn all(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter(move |field| field.name == name).map(|field| field.value)
    }

    /// The length that it announces; the same one may occur several times.
    pub(crate) fn length(&self) -> Result<Option<u64>, InvalidHead> {
        let mut length = None;
        for item in self.all("content-length").flat_map(items) {
            let announced = number(item).ok_or(InvalidHead)?;
            if length.replace(announced).is_some_and(|before| before != announced) {
                return Err(InvalidHead);
            }
        }
        Ok(length)
    }

    /// How the body ends (RFC 9112, section 6.3), if the answer can have one. A transfer coding
    /// overrides a length.
    pub(crate) fn body(&self) -> Result<ResponseFraming, InvalidHead> {
        let mut codings = self.all("transfer-encoding");
        if let Some(coding) = codings.next() {
            let chunked = coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
            let known = chunked && self.version == Version::HTTP_11;
            return if known { Ok(ResponseFraming::Chunked) } else { Err(InvalidHead) };
        }
        Ok(self.length()?.map_or(ResponseFraming::UntilClose, ResponseFraming::Length))
    }

    /// Whether it agrees to an upgrade to this protocol, and to no other.
    pub(crate) fn upgrades_to(&self, protocol: &str) -> bool {
        let mut protocols = self.all("upgrade");
        let agreed =
            protocols.next().is_some_and(|name| name.eq_ignore_ascii_case(protocol.as_bytes()));
        agreed && protocols.next().is_none()
    }

    /// Whether the connection can serve another request (RFC 9112, section 9.3).
    pub(crate) fn keeps_alive(&self) -> bool {
        let lists = |token: &[u8]| {
            self.all("connection").flat_map(items).any(|item| item.eq_ignore_ascii_case(token))
        };
        !lists(b"close") && (self.version == Version::HTTP_11 || lists(b"keep-alive"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How the body of a response ends, and whether the connection stays open.
    fn framing(text: &str) -> Result<(ResponseFraming, bool), InvalidHead> {
        let mut bytes = text.as_bytes().to_vec();
        let span =
            HeadScanner::default().response(&mut bytes).expect("lines").expect("a whole head");
        let mut fields = [MaybeUninit::uninit(); 16];
        let head = answer(&bytes[span.start..span.end], &mut fields)?;
        Ok((head.body()?, head.keeps_alive()))
    }

    #[test]
    fn the_body_of_a_response_ends_as_its_head_announces() {
        let with = |fields: &str| framing(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
        assert_eq!(with("Content-Length: 5\r\n"), Ok((ResponseFraming::Length(5), true)));
        assert_eq!(with("Content-Length: 05\r\n"), Ok((ResponseFraming::Length(5), true)));
        assert_eq!(
            with("Content-Length: 5, 5\r\nContent-Length: 5\r\n"),
            Ok((ResponseFraming::Length(5), true))
        );
        assert_eq!(
            with("Transfer-Encoding: Chunked\r\nContent-Length: 5\r\n"),
            Ok((ResponseFraming::Chunked, true))
        );
        assert_eq!(with(""), Ok((ResponseFraming::UntilClose, true)));
        assert_eq!(with("Connection: x, Close\r\n"), Ok((ResponseFraming::UntilClose, false)));
        for bad in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5, 6\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 1234567890123456789\r\n",
            "Transfer-Encoding: gzip\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert_eq!(with(bad), Err(InvalidHead), "{bad}");
        }
    }

    #[test]
    fn an_http_1_0_origin_is_understood_and_closes_unless_it_keeps_alive() {
        let length = |text| framing(text).map(|(_, keeps)| keeps);
        assert_eq!(length("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"), Ok(false));
        assert_eq!(
            length("HTTP/1.0 200 OK\nConnection: Keep-Alive\nContent-Length: 1\n\n"),
            Ok(true)
        );
        assert_eq!(length("HTTP/1.1 204\r\n\r\n"), Ok(true));
        // HTTP/1.0 has no chunks.
        assert!(framing("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn what_is_no_answer_is_unreadable() {
        for bad in [
            "HTTP/1.1 99 X\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        ] {
            assert_eq!(framing(bad), Err(InvalidHead), "{bad:?}");
        }
    }

    #[test]
    fn names_are_read_in_lower_case_and_values_as_they_are() {
        let mut bytes = b"\r\nGET /A HTTP/1.1\r\nHOST: A.org\r\nX-Y:\t B \r\n\r\nrest".to_vec();
        let span = HeadScanner::default().request(&mut bytes).expect("strict").expect("whole");
        assert_eq!(&bytes[span.end..], b"rest");
        let mut fields = [MaybeUninit::uninit(); 4];
        let (head, body) = request(&bytes[span.start..span.end], &mut fields).expect("a request");
        assert_eq!(body, RequestFraming::Length(0));
        assert_eq!(head.target.path, "/A");
        let read: Vec<_> = head.fields.iter().map(|field| (field.name, field.value)).collect();
        assert_eq!(read, [("host", &b"A.org"[..]), ("x-y", &b"B"[..])]);
    }

    #[test]
    fn more_fields_than_the_limit_are_too_many() {
        let mut bytes = b"GET / HTTP/1.1\r\na: 1\r\nb: 2\r\n\r\n".to_vec();
        let span = HeadScanner::default().request(&mut bytes).expect("strict").expect("whole");
        let mut one = [MaybeUninit::uninit(); 1];
        let refused = request(&bytes[span.start..span.end], &mut one).map(|_| ());
        assert_eq!(refused, Err(Reason::HeaderTooLarge));
    }
}
