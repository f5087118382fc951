//! A request's head, the same for every protocol.

use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Version};

use crate::request::Fields;

/// One field: its name in lower case, and its value without white space around it.
pub type Field<'a> = httparse::Header<'a>;

/// The head of a request, borrowed from the buffer that it was read into.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The version of HTTP.
    pub version: Version,
    /// The method.
    pub method: &'a str,
    /// The target.
    pub target: RequestTarget<'a>,
    /// The fields, in the order in which they arrived.
    pub fields: &'a [Field<'a>],
}

/// The target of a request (RFC 9112, section 3.2; RFC 9113, section 8.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTarget<'a> {
    /// `http` or `https`, if it is in absolute form.
    pub scheme: Option<&'a str>,
    /// The host, possibly with a port, if it is in absolute form.
    pub authority: Option<&'a str>,
    /// Begins with a slash, or is `*`, or (of `CONNECT`) empty.
    pub path: &'a str,
    /// Without its question mark.
    pub query: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// A request by HTTP/2 or HTTP/3; `fields` are those of `parts`.
    pub fn from_parts(parts: &'a Parts, fields: &'a [Field<'a>]) -> Self {
        let uri = &parts.uri;
        Self {
            version: parts.version,
            method: parts.method.as_str(),
            target: RequestTarget {
                scheme: uri.scheme_str(),
                authority: uri.authority().map(Authority::as_str),
                path: uri.path(),
                query: uri.query(),
            },
            fields,
        }
    }

    /// The values of a field, line by line. `name` is in lower case.
    pub fn all(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.fields.iter().filter(move |field| field.name == name).map(|field| field.value)
    }

    /// The first value of a field.
    pub fn first(&self, name: &'static str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The value of a field that occurs exactly once.
    pub fn single(&self, name: &'static str) -> Option<&'a [u8]> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }

    /// Whether a field that is a list names `token`.
    pub fn lists(&self, name: &'static str, token: &str) -> bool {
        self.all(name)
            .any(|line| items(line).any(|item| item.eq_ignore_ascii_case(token.as_bytes())))
    }
}

impl Fields for Head<'_> {
    fn each(&self, field_of: &mut dyn FnMut(&str, &[u8])) {
        for field in self.fields {
            field_of(field.name, field.value);
        }
    }
}

/// The fields of a request by HTTP/2 or HTTP/3, whose names are in lower case already.
pub fn fields_of(headers: &HeaderMap) -> Vec<Field<'_>> {
    let mut fields = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        fields.push(Field { name: name.as_str(), value: value.as_bytes() });
    }
    fields
}

/// The items of one line of a list.
pub fn items(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

impl<'a> RequestTarget<'a> {
    /// Reads the target of an HTTP/1.1 request. `None` if it is in no valid form, or contains
    /// characters that must be percent-encoded (or the `#` of a fragment, which is never sent).
    pub fn parse(method: &str, text: &'a str) -> Option<Self> {
        if text.starts_with('/') {
            return Self::with_path(None, None, text);
        }
        if text == "*" {
            return Some(Self { scheme: None, authority: None, path: "*", query: None });
        }
        if method == "CONNECT" {
            text.parse::<Authority>().ok()?;
            return Some(Self { scheme: None, authority: Some(text), path: "", query: None });
        }
        let (scheme, rest) = text.split_once("://").filter(|(scheme, _)| !scheme.is_empty())?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        authority.parse::<Authority>().ok()?;
        Self::with_path(Some(scheme), Some(authority), rest)
    }

    fn with_path(
        scheme: Option<&'a str>,
        authority: Option<&'a str>,
        text: &'a str,
    ) -> Option<Self> {
        let (path, query) = match memchr::memchr(b'?', text.as_bytes()) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let fit = path.bytes().all(|byte| LETTERS[usize::from(byte)] & IN_PATH != 0)
            && query.is_none_or(|query| {
                query.bytes().all(|byte| LETTERS[usize::from(byte)] & IN_QUERY != 0)
            });
        let path = if path.is_empty() { "/" } else { path };
        fit.then_some(Self { scheme, authority, path, query })
    }

    /// The length of path and query in bytes, as they are sent.
    pub fn length(&self) -> usize {
        self.path.len() + self.query.map_or(0, |query| query.len() + 1)
    }
}

const IN_PATH: u8 = 1;
const IN_QUERY: u8 = 2;

/// The bytes that a target may contain: all that print but `#`, and `?` where the path ends. Clients
/// that do not escape send quotes, angle brackets and letters beyond ASCII, and no reader takes them
/// for anything else (text that is no UTF-8 does not come here).
static LETTERS: [u8; 256] = {
    let mut letters = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        letters[byte] = match byte as u8 {
            b'!' | b'"' | b'$'..=b'>' | b'@'..=b'~' | 0x80.. => IN_PATH | IN_QUERY,
            // A path ends at it.
            b'?' => IN_QUERY,
            _ => 0,
        };
        byte += 1;
    }
    letters
};

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<RequestTarget<'_>> {
        RequestTarget::parse("GET", text)
    }

    #[test]
    fn targets_come_in_four_forms() {
        let path = |path, query| Some(RequestTarget { scheme: None, authority: None, path, query });
        assert_eq!(parsed("/"), path("/", None));
        assert_eq!(parsed("/a/b?c=d?e"), path("/a/b", Some("c=d?e")));
        assert_eq!(parsed("/?"), path("/", Some("")));
        assert_eq!(parsed("*"), path("*", None));
        let absolute = |path, query| {
            let (scheme, authority) = (Some("http"), Some("a.org:80"));
            Some(RequestTarget { scheme, authority, path, query })
        };
        assert_eq!(parsed("http://a.org:80/x?y"), absolute("/x", Some("y")));
        assert_eq!(parsed("http://a.org:80"), absolute("/", None));
        assert_eq!(parsed("http://a.org:80?y"), absolute("/", Some("y")));
        let tunnel = RequestTarget::parse("CONNECT", "a.org:443").expect("a target");
        assert_eq!((tunnel.authority, tunnel.path), (Some("a.org:443"), ""));
    }

    #[test]
    fn what_belongs_encoded_is_no_target() {
        for bad in ["", "a", "a/b", "/a#b", "/a?b#c", "/a b", "/a\\\u{7f}", "http:/a", "://a/"] {
            assert_eq!(parsed(bad), None, "{bad:?}");
        }
        for good in ["/%23", "/{a}", "/\"a\"<b>`", "/ä?ö", "/a|b;c", "/a?b=[1]{}^`<\">"] {
            assert!(parsed(good).is_some(), "{good:?}");
        }
    }

    /// The `http` crate's type for targets, which HTTP/2 requests are read into, reads no more, and
    /// refuses a few that HTTP/1.1 may have.
    #[test]
    fn every_letter_is_judged_as_for_http_2_but_for_a_few() {
        for byte in 0..=127_u8 {
            let letter = char::from(byte);
            for text in [format!("/a{letter}b"), format!("/?a{letter}b")] {
                let theirs = text.parse::<http::uri::PathAndQuery>();
                let theirs = theirs.is_ok() && letter != '#';
                let more = matches!(letter, '<' | '>' | '"' | '`');
                assert_eq!(parsed(&text).is_some(), theirs || more, "{text:?}");
            }
        }
    }
}
