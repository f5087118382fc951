//! Quoted fields, with the escapes that Nginx and Apache write.

use std::borrow::Cow;

/// A field in quotes: what is between them and what follows. `None` if `text` does not begin with
/// a quote.
///
/// A quote inside the field that was not escaped (old servers did not) is taken as part of it if
/// no space follows. A field that never ends (a line cut off) is the rest of the line.
pub(super) fn take(text: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let body = text.strip_prefix(b"\"")?;
    let mut escaped = false;
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &body[at..]) {
        at += found;
        if body[at] == b'\\' {
            escaped = true;
            at = (at + 2).min(body.len());
        } else if matches!(body.get(at + 1), None | Some(b' ' | b'\t')) {
            return Some((clear(&body[..at], escaped), &body[at + 1..]));
        } else {
            at += 1;
        }
    }
    Some((clear(body, escaped), &[]))
}

/// What was between quotes, without its escapes.
pub(super) fn unquote(body: &[u8]) -> Cow<'_, str> {
    clear(body, memchr::memchr(b'\\', body).is_some())
}

/// Bytes as text; what is none of UTF-8 becomes a replacement character. Nearly all text is ASCII,
/// which the plain check passes several times as fast as the one that looks for what to replace.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    match core::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

fn clear(body: &[u8], escaped: bool) -> Cow<'_, str> {
    if !escaped {
        return text(body);
    }
    Cow::Owned(String::from_utf8_lossy(&unescape(body)).into_owned())
}

/// `\"`, `\\`, `\xHH` (both) and the letters that C knows (Apache); any other backslash stays.
fn unescape(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let (byte, length) = match rest {
            [_, b'x', high, low, ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, 4),
                _ => (b'\\', 1),
            },
            [_, b'n', ..] => (b'\n', 2),
            [_, b't', ..] => (b'\t', 2),
            [_, b'r', ..] => (b'\r', 2),
            [_, b'b', ..] => (8, 2),
            [_, b'v', ..] => (11, 2),
            [_, b'f', ..] => (12, 2),
            [_, quoted @ (b'"' | b'\\'), ..] => (*quoted, 2),
            _ => (b'\\', 1),
        };
        out.push(byte);
        rest = &rest[length..];
    }
    out.extend_from_slice(rest);
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> (String, String) {
        let (body, rest) = take(text.as_bytes()).expect("a quote");
        (body.into_owned(), String::from_utf8_lossy(rest).into_owned())
    }

    #[test]
    fn escapes_of_both_servers_are_undone() {
        assert_eq!(taken(r#""a\"b" 1"#), (r#"a"b"#.into(), " 1".into()));
        assert_eq!(taken(r#""a\x22b\x5Cc" 1"#), (r#"a"b\c"#.into(), " 1".into()));
        assert_eq!(taken(r#""a\\" 1"#), (r"a\".into(), " 1".into()));
        assert_eq!(taken(r#""tab\there""#), ("tab\there".into(), String::new()));
        assert_eq!(taken(r#""\xC3\xA9" "#), ("é".into(), " ".into()));
        assert_eq!(taken(r#""C:\Windows" "#), (r"C:\Windows".into(), " ".into()));
    }

    #[test]
    fn a_quote_that_was_not_escaped_does_not_end_the_field() {
        assert_eq!(
            taken(r#""GET /"x HTTP/1.0" 200"#),
            (r#"GET /"x HTTP/1.0"#.into(), " 200".into())
        );
    }

    #[test]
    fn a_field_cut_off_is_the_rest_of_the_line() {
        assert_eq!(taken(r#""Mozilla/5.0 (compa"#), ("Mozilla/5.0 (compa".into(), String::new()));
        assert_eq!(taken(r#""cut\"#), (r"cut\".into(), String::new()));
    }
}
