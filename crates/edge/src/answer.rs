//! An answer on its way to a visitor, whichever protocol it leaves by.

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::body::ResponseBody;

/// Header fields as they stand in an HTTP/1.1 message: `name: value` and a line end, each; names in
/// lower case. Whoever puts something there has seen to it that it is a name and a value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Vec<u8>);

impl Lines {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn put(&mut self, name: &str, value: &[u8]) {
        put_line(&mut self.0, name, value);
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &self.0[..];
        core::iter::from_fn(move || {
            let colon = memchr::memchr(b':', rest)?;
            let (name, value) = rest.split_at(colon);
            let end = memchr::memchr(b'\r', value)?;
            rest = value.get(end + 2..)?;
            Some((name, value.get(2..end)?))
        })
    }

    fn into_map(self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(8);
        for (name, value) in self.iter() {
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_lowercase(name), HeaderValue::from_bytes(value))
            {
                map.append(name, value);
            }
        }
        map
    }
}

/// Writes one field. The value stays on its line, whatever it is.
pub(crate) fn put_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    debug_assert!(memchr::memchr2(b'\r', b'\n', value).is_none());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// An answer of the gate's own or of an origin.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Without what frames the message or is for one hop.
    pub(crate) fields: Lines,
    /// How long its body is said to be; answers to `HEAD` say it too.
    pub(crate) length: Option<u64>,
    /// An origin's has its own `Date`.
    pub(crate) dated: bool,
    /// Nothing can follow it on the same HTTP/1.1 connection.
    pub(crate) last: bool,
    pub(crate) body: ResponseBody,
}

impl Answer {
    /// For HTTP/2 and HTTP/3. An answer to `HEAD` leaves its body here.
    pub(crate) fn into_response(mut self, for_head: bool) -> Response<ResponseBody> {
        if for_head && let Some(whole) = self.body.take_whole().filter(|whole| !whole.is_empty()) {
            self.length = Some(whole.len() as u64);
        }
        let mut headers = self.fields.into_map();
        if let Some(length) = self.length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_put() {
        let mut lines = Lines::default();
        lines.put("a", b"1: 2");
        lines.put("set-cookie", b"");
        lines.put("set-cookie", b"x=y; z");
        assert_eq!(lines.as_bytes(), b"a: 1: 2\r\nset-cookie: \r\nset-cookie: x=y; z\r\n");
        let map = lines.into_map();
        assert_eq!(map["a"], "1: 2");
        assert_eq!(map.get_all("set-cookie").iter().collect::<Vec<_>>(), ["", "x=y; z"]);
    }
}
