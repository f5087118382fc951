//! HTTP/1.1 messages, read strictly (RFC 9112): what a lenient reader would forgive is an error here.

use std::io::{BufRead, Error, ErrorKind, Read, Result};

/// The start line and the fields of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub start: String,
    pub fields: Vec<(String, String)>,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(usize),
    Chunked,
    Close,
}

/// As much of a body as came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub bytes: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// It came to the end that its framing promised.
    pub whole: bool,
}

impl Head {
    /// `None` where the connection ends instead.
    pub fn read(from: &mut impl BufRead) -> Result<Option<Self>> {
        if from.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let start = line(from)?;
        Ok(Some(Self { start, fields: fields(from)? }))
    }

    /// All values of a field, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a field that must not come twice.
    pub fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} twice: {self:?}");
        all.first().copied()
    }

    fn framing(&self, otherwise: Framing) -> Framing {
        match (self.field("transfer-encoding"), self.field("content-length")) {
            (None, None) => otherwise,
            (Some("chunked"), None) => Framing::Chunked,
            (None, Some(length)) => Framing::Length(length.parse().unwrap()),
            both => panic!("framed in two ways, or in none that is known: {both:?}"),
        }
    }

    pub fn framing_of_request(&self) -> Framing {
        self.framing(Framing::None)
    }

    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn framing_of_answer(&self, method: &str) -> Framing {
        let framing = self.framing(Framing::Close);
        match self.status() {
            100..200 | 204 => {
                // RFC 9110, section 8.6, and RFC 9112, section 6.1: neither belongs here.
                assert_eq!(framing, Framing::Close, "{self:?}");
                Framing::None
            }
            304 => Framing::None,
            _ if method == "HEAD" => Framing::None,
            _ => framing,
        }
    }
}

fn bad(what: &str, line: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("{what}: {line:?}"))
}

fn line(from: &mut impl BufRead) -> Result<String> {
    let mut bytes = Vec::new();
    from.read_until(b'\n', &mut bytes)?;
    if !bytes.ends_with(b"\n") {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let line = String::from_utf8_lossy(&bytes).into_owned();
    match line.strip_suffix("\r\n") {
        Some(text) if !text.contains(['\r', '\0']) => Ok(text.to_owned()),
        _ => Err(bad("a line that does not end with CRLF", &line)),
    }
}

fn fields(from: &mut impl BufRead) -> Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = line(from)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad("no field", &line))?;
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(bad("no name of a field", &line));
        }
        fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
}

impl Content {
    /// Reads to the end, or to where it breaks off. What is not HTTP is an error.
    pub fn read(from: &mut impl BufRead, framing: Framing) -> Result<Self> {
        let mut content = Self::default();
        match content.read_on(from, framing) {
            Ok(whole) => content.whole = whole,
            Err(error) if error.kind() == ErrorKind::InvalidData => return Err(error),
            // A timeout is the test's own limit and no end of anything.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("nothing comes: {:?} {:?}", framing, content.bytes.len());
            }
            Err(_) => {}
        }
        Ok(content)
    }

    fn read_on(&mut self, from: &mut impl BufRead, framing: Framing) -> Result<bool> {
        match framing {
            Framing::None => Ok(true),
            Framing::Length(length) => self.take(from, length),
            Framing::Close => from.read_to_end(&mut self.bytes).map(|_| true),
            Framing::Chunked => loop {
                let line = line(from)?;
                let size = line.split(';').next().unwrap_or_default();
                let size = usize::from_str_radix(size, 16).map_err(|_| bad("no size", &line))?;
                if size == 0 {
                    self.trailers = fields(from)?;
                    return Ok(true);
                }
                if !self.take(from, size)? {
                    return Ok(false);
                }
                let mut end = [0; 2];
                from.read_exact(&mut end)?;
                if end != *b"\r\n" {
                    return Err(bad("a chunk that does not end with CRLF", &format!("{end:?}")));
                }
            },
        }
    }

    /// Bytes before the break are returned.
    fn take(&mut self, from: &mut impl BufRead, length: usize) -> Result<bool> {
        let read = from.take(length as u64).read_to_end(&mut self.bytes)?;
        Ok(read == length)
    }
}

/// A chunked body in chunks of these sizes, which repeat.
pub fn chunks(content: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = content;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, more) = rest.split_at((*size).min(rest.len()));
        bytes.extend(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend(piece);
        bytes.extend(b"\r\n");
        rest = more;
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}
