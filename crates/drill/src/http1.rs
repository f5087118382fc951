//! HTTP/1.1 as bytes on a connection, for both ends of the drill.
//!
//! Written out here rather than left to a library because a drill needs control of every byte: a
//! visitor's headers must come in its browser's own order, an attacker sends one byte a second, and
//! the origin must know the moment at which the first byte of a header arrives. Parsing is
//! `httparse`'s. Heads, bodies and chunk lines are limited; what goes beyond is an error.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest head that is read, in bytes.
const HEAD_MAX: usize = 32 * 1024;

/// The most header fields that are read.
const FIELDS_MAX: usize = 96;

/// The longest chunk-size line, in bytes.
const CHUNK_LINE_MAX: usize = 1_024;

/// The longest body that is read, in bytes.
const BODY_MAX: u64 = 16 * 1024 * 1024;

/// A connection with what has been read from it and not yet been used.
pub(crate) struct Http1Stream<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
    consumed: usize,
}

/// A request's head. Its body, if any, has been read and dropped.
#[derive(Debug)]
pub(crate) struct ParsedRequest {
    pub method: String,
    pub target: String,
    pub keep_alive: bool,
}

/// What of a response a drill needs. Its body has been read and dropped.
#[derive(Debug, Default)]
pub(crate) struct ParsedResponse {
    pub status: u16,
    pub location: Option<String>,
    pub refresh: Option<String>,
    pub set_cookies: Vec<String>,
    pub keep_alive: bool,
}

/// What can go wrong on a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Http1Error {
    /// The other end closed, or the kernel reports an error.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The other end does not send HTTP/1.1, or exceeds a limit.
    #[error("not understood: {0}")]
    Malformed(&'static str),
}

/// How long the body after a head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageLength {
    Exactly(u64),
    Chunked,
    UntilClose,
}

impl Http1Stream {
    /// Waits until there is something to read, or the other end has closed, without reading it.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        if self.consumed == self.buffer.len() {
            // A peek and not mere readiness, which may be announced when there is nothing yet.
            self.stream.peek(&mut [0]).await?;
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http1Stream<S> {
    pub(crate) fn new(stream: S) -> Self {
        Http1Stream { stream, buffer: Vec::new(), consumed: 0 }
    }

    /// Writes all of it.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads a request to the end of its body; `None` if the other end closed before its first
    /// byte.
    pub(crate) async fn read_request(&mut self) -> Result<Option<ParsedRequest>, Http1Error> {
        let (request, length, expects) = loop {
            let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
            let mut head = httparse::Request::new(&mut fields);
            match head.parse(&self.buffer[self.consumed..]) {
                Ok(httparse::Status::Complete(head_length)) => {
                    let request = ParsedRequest {
                        method: head.method.unwrap_or_default().to_owned(),
                        target: head.path.unwrap_or_default().to_owned(),
                        keep_alive: keep_alive(head.version, head.headers),
                    };
                    let length = body_length(head.headers)?.unwrap_or(MessageLength::Exactly(0));
                    let expects = field(head.headers, "expect").is_some();
                    self.consumed += head_length;
                    break (request, length, expects);
                }
                Ok(httparse::Status::Partial) => {}
                Err(_) => return Err(Http1Error::Malformed("the request's head")),
            }
            if !self.read_more_head().await? {
                return Ok(None);
            }
        };
        if expects {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        self.skip_body(length).await?;
        Ok(Some(request))
    }

    /// Reads a response to the end of its body, past any interim ones. `None` if the other end
    /// closed before its first byte.
    pub(crate) async fn read_response(&mut self) -> Result<Option<ParsedResponse>, Http1Error> {
        let (mut response, length) = loop {
            let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
            let mut head = httparse::Response::new(&mut fields);
            match head.parse(&self.buffer[self.consumed..]) {
                Ok(httparse::Status::Complete(head_length)) => {
                    let status = head.code.unwrap_or_default();
                    self.consumed += head_length;
                    match status {
                        100..=199 => continue,
                        204 | 304 => {
                            break (response_from_head(status, &head), MessageLength::Exactly(0));
                        }
                        _ => {
                            let length =
                                body_length(head.headers)?.unwrap_or(MessageLength::UntilClose);
                            break (response_from_head(status, &head), length);
                        }
                    }
                }
                Ok(httparse::Status::Partial) => {}
                Err(_) => return Err(Http1Error::Malformed("the response's head")),
            }
            if !self.read_more_head().await? {
                return Ok(None);
            }
        };
        response.keep_alive &= length != MessageLength::UntilClose;
        self.skip_body(length).await?;
        Ok(Some(response))
    }

    /// Reads on within a head; false if the other end closed before its first byte.
    async fn read_more_head(&mut self) -> Result<bool, Http1Error> {
        if self.buffer.len() - self.consumed > HEAD_MAX {
            return Err(Http1Error::Malformed("a head beyond the limit"));
        }
        if self.read_more().await? {
            return Ok(true);
        }
        if self.consumed == self.buffer.len() {
            return Ok(false);
        }
        Err(Http1Error::Io(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Reads once; false at the end of the stream.
    async fn read_more(&mut self) -> io::Result<bool> {
        if self.consumed == self.buffer.len() {
            self.buffer.clear();
            self.consumed = 0;
        } else if self.consumed > HEAD_MAX {
            self.buffer.drain(..self.consumed);
            self.consumed = 0;
        }
        self.buffer.reserve(8 * 1024);
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }

    async fn skip_body(&mut self, length: MessageLength) -> Result<(), Http1Error> {
        match length {
            MessageLength::Exactly(bytes) => self.skip(bytes).await,
            MessageLength::UntilClose => {
                let mut read = 0;
                loop {
                    read += (self.buffer.len() - self.consumed) as u64;
                    self.consumed = self.buffer.len();
                    if read > BODY_MAX {
                        return Err(Http1Error::Malformed("a body beyond the limit"));
                    }
                    if !self.read_more().await? {
                        return Ok(());
                    }
                }
            }
            MessageLength::Chunked => self.skip_chunks().await,
        }
    }

    async fn skip(&mut self, mut bytes: u64) -> Result<(), Http1Error> {
        if bytes > BODY_MAX {
            return Err(Http1Error::Malformed("a body beyond the limit"));
        }
        loop {
            let here = ((self.buffer.len() - self.consumed) as u64).min(bytes);
            self.consumed += here as usize;
            bytes -= here;
            if bytes == 0 {
                return Ok(());
            }
            if !self.read_more().await? {
                return Err(Http1Error::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    async fn skip_chunks(&mut self) -> Result<(), Http1Error> {
        let mut total: u64 = 0;
        loop {
            let size = loop {
                match httparse::parse_chunk_size(&self.buffer[self.consumed..]) {
                    Ok(httparse::Status::Complete((line, size))) => {
                        self.consumed += line;
                        break size;
                    }
                    Ok(httparse::Status::Partial)
                        if self.buffer.len() - self.consumed <= CHUNK_LINE_MAX => {}
                    _ => return Err(Http1Error::Malformed("a chunk's size")),
                }
                if !self.read_more().await? {
                    return Err(Http1Error::Io(io::ErrorKind::UnexpectedEof.into()));
                }
            };
            if size == 0 {
                return self.skip_trailers().await;
            }
            total = total.saturating_add(size);
            if total > BODY_MAX {
                return Err(Http1Error::Malformed("a body beyond the limit"));
            }
            self.skip(size + 2).await?;
        }
    }

    /// Trailers look like the fields of a head; they end with an empty line.
    async fn skip_trailers(&mut self) -> Result<(), Http1Error> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
            match httparse::parse_headers(&self.buffer[self.consumed..], &mut fields) {
                Ok(httparse::Status::Complete((length, _))) => {
                    self.consumed += length;
                    return Ok(());
                }
                Ok(httparse::Status::Partial) => {}
                Err(_) => return Err(Http1Error::Malformed("trailers")),
            }
            if !self.read_more_head().await? {
                return Err(Http1Error::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

fn response_from_head(status: u16, head: &httparse::Response<'_, '_>) -> ParsedResponse {
    let text = |name| field(head.headers, name).map(|value| value.chars().take(2_048).collect());
    ParsedResponse {
        status,
        location: text("location"),
        refresh: text("refresh"),
        set_cookies: head
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case("set-cookie"))
            .filter_map(|header| std::str::from_utf8(header.value).ok())
            .map(str::to_owned)
            .collect(),
        keep_alive: keep_alive(head.version, head.headers),
    }
}

fn field<'h>(fields: &'h [httparse::Header<'_>], name: &str) -> Option<&'h str> {
    let found = fields.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok().map(str::trim)
}

fn keep_alive(version: Option<u8>, fields: &[httparse::Header<'_>]) -> bool {
    let has_option = |what: &str| {
        field(fields, "connection").is_some_and(|value| {
            value.split(',').any(|option| option.trim().eq_ignore_ascii_case(what))
        })
    };
    if version == Some(1) { !has_option("close") } else { has_option("keep-alive") }
}

/// The length that the fields state, if they do (RFC 9112, section 6).
fn body_length(fields: &[httparse::Header<'_>]) -> Result<Option<MessageLength>, Http1Error> {
    if let Some(coding) = field(fields, "transfer-encoding") {
        return if coding.eq_ignore_ascii_case("chunked") {
            Ok(Some(MessageLength::Chunked))
        } else {
            Err(Http1Error::Malformed("a transfer coding other than chunked"))
        };
    }
    field(fields, "content-length")
        .map(|value| {
            value
                .parse()
                .map(MessageLength::Exactly)
                .map_err(|_| Http1Error::Malformed("a content length that is no number"))
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// Both ends of a connection; one sends the bytes in chunks and closes.
    async fn receiving(chunks: &'static [&'static [u8]]) -> Http1Stream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            for piece in chunks {
                stream.write_all(piece).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        });
        Http1Stream::new(listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn responses_follow_one_another_whatever_their_framing() {
        let mut wire = receiving(&[
            b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Le",
            b"ngth: 5\r\nRefresh: 1; url=/x\r\n\r\nhel",
            b"loHTTP/1.1 403 Forbidden\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhe",
            b"llo\r\n0\r\nDigest: x\r\n\r\nHTTP/1.1 307 Away\r\nlocation: /y\r\nset-cookie: a=1",
            b"\r\nset-cookie: b=2\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        ])
        .await;
        let first = wire.read_response().await.unwrap().unwrap();
        assert_eq!((first.status, first.refresh.as_deref()), (200, Some("1; url=/x")));
        assert!(first.keep_alive);
        assert_eq!(wire.read_response().await.unwrap().unwrap().status, 403);
        let third = wire.read_response().await.unwrap().unwrap();
        assert_eq!(third.location.as_deref(), Some("/y"));
        assert_eq!(third.set_cookies, ["a=1", "b=2"]);
        assert!(!third.keep_alive);
        assert!(wire.read_response().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_request_is_read_to_the_end_of_its_body() {
        let mut wire = receiving(&[
            b"POST /donate HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\namount=5GET / HT",
            b"TP/1.0\r\n\r\n",
        ])
        .await;
        let post = wire.read_request().await.unwrap().unwrap();
        assert_eq!((post.method.as_str(), post.target.as_str()), ("POST", "/donate"));
        assert!(post.keep_alive);
        assert!(!wire.read_request().await.unwrap().unwrap().keep_alive);
        assert!(wire.read_request().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_not_http_or_ends_early_is_an_error() {
        for parts in [
            &[b"\x16\x03\x01\x02\x00" as &[u8]] as &[&[u8]],
            &[b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort"],
            &[b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n"],
            &[b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"],
            &[b"HTTP/1.1 200"],
        ] {
            let chunks: &'static [&'static [u8]] = Box::leak(parts.to_vec().into_boxed_slice());
            assert!(receiving(chunks).await.read_response().await.is_err());
        }
    }
}
