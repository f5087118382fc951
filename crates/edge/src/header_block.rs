//! Header fields in their HTTP/1.1 form.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Header fields in the form of an HTTP/1.1 message: `name: value` and a line end, each; names in
/// lower case. The caller guarantees that names and values are valid.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeaderBlock(Vec<u8>);

impl HeaderBlock {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn put(&mut self, name: &str, value: &[u8]) {
        put_field(&mut self.0, name, value);
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

    pub(crate) fn into_map(self) -> HeaderMap {
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
pub(crate) fn put_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    debug_assert!(memchr::memchr2(b'\r', b'\n', value).is_none());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_put() {
        let mut block = HeaderBlock::default();
        block.put("a", b"1: 2");
        block.put("set-cookie", b"");
        block.put("set-cookie", b"x=y; z");
        assert_eq!(block.as_bytes(), b"a: 1: 2\r\nset-cookie: \r\nset-cookie: x=y; z\r\n");
        let map = block.into_map();
        assert_eq!(map["a"], "1: 2");
        assert_eq!(map.get_all("set-cookie").iter().collect::<Vec<_>>(), ["", "x=y; z"]);
    }
}
