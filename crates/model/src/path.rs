//! The form of a path by which activities, features and signatures are decided.
//!
//! Two programs may read one path as two: one of them resolves `..`, or decodes an escape, and the
//! other does not. A gate that reads a path differently from its origin judges one page and lets
//! another through. So a path that has two readings is refused, and one that is only spelled in two
//! ways has one form (RFC 3986, section 6.2.2; WHATWG URL, path state).

use std::borrow::Cow;

/// Which paths with two readings an origin is known to read in one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    /// `%2F` is part of a segment, and separates none.
    pub allow_encoded_slashes: bool,
    /// What follows a `;` in a segment is part of its name, and is not cut off.
    pub allow_parameters: bool,
    /// Escapes need not be UTF-8.
    pub allow_non_utf8: bool,
}

impl PathRules {
    /// Rules that allow all that can be allowed.
    pub const ANY: Self =
        Self { allow_encoded_slashes: true, allow_parameters: true, allow_non_utf8: true };
}

/// Why a path has two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathProblem {
    /// A segment is `.` or `..`: plain, encoded any number of times, or before a `;`.
    DotSegment,
    /// A backslash, plain or encoded, which some programs read as a slash.
    Backslash,
    /// An encoded slash.
    EncodedSlash,
    /// A control character, plain or encoded.
    ControlCharacter,
    /// A `%` without two hexadecimal digits.
    BrokenEscape,
    /// Escapes that are not UTF-8.
    NotUtf8,
}

impl PathProblem {
    /// In words, to follow "the path has".
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DotSegment => "a segment `.` or `..`",
            Self::Backslash => "a backslash",
            Self::EncodedSlash => "an encoded slash (%2F)",
            Self::ControlCharacter => "a control character",
            Self::BrokenEscape => "a `%` without two hexadecimal digits",
            Self::NotUtf8 => "escapes that are not UTF-8",
        }
    }
}

/// A path in its one form: escapes of unreserved characters decoded, other escapes in upper case,
/// characters that must be escaped escaped, empty segments left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathForm<'a> {
    text: Cow<'a, str>,
    without_parameters: Option<String>,
}

impl<'a> PathForm<'a> {
    /// The form of a path as it was sent, without query.
    ///
    /// # Errors
    ///
    /// Why the path has two readings.
    pub fn of(raw: &'a str, rules: PathRules) -> Result<Self, PathProblem> {
        if is_plain(raw.as_bytes()) {
            return Ok(Self { text: Cow::Borrowed(raw), without_parameters: None });
        }
        let parameters = !rules.allow_parameters && raw.contains(';');
        let mut text = String::with_capacity(raw.len() + 8);
        let mut bare = String::with_capacity(if parameters { raw.len() } else { 0 });
        for (at, segment) in raw.split('/').enumerate() {
            check_segment(segment.as_bytes(), rules)?;
            push_segment(&mut text, at, segment);
            if parameters {
                let name = segment.split_once(';').map_or(segment, |(name, _)| name);
                push_segment(&mut bare, at, name);
            }
        }
        end_segments(&mut text, raw.ends_with('/'));
        // Of `/a/;` nothing is left behind the slash.
        let last = raw.rsplit('/').next().unwrap_or_default();
        end_segments(&mut bare, last.is_empty() || last.starts_with(';'));
        Ok(Self { text: Cow::Owned(text), without_parameters: parameters.then_some(bare) })
    }

    /// The form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The form as origins read it that cut off what follows a `;` in a segment; `None` if that is
    /// the same.
    pub fn without_parameters(&self) -> Option<&str> {
        self.without_parameters.as_deref()
    }
}

/// Whether a path is in its form already, for all that the bytes alone can tell.
fn is_plain(path: &[u8]) -> bool {
    let mut after_slash = false;
    for byte in path {
        match CLASSES[usize::from(*byte)] {
            Class::Plain => after_slash = false,
            Class::Slash if !after_slash => after_slash = true,
            Class::Dot if !after_slash => {}
            _ => return false,
        }
    }
    true
}

/// What a byte of a path may mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Itself, everywhere.
    Plain,
    /// A separator; after another one, of an empty segment.
    Slash,
    /// Itself, but at the beginning of a segment perhaps a dot segment.
    Dot,
    /// Something to look at.
    Special,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Special; 256];
    let mut byte = 0;
    while byte < 256 {
        if is_path_char(byte as u8) {
            classes[byte] = Class::Plain;
        }
        byte += 1;
    }
    classes[b'/' as usize] = Class::Slash;
    classes[b'.' as usize] = Class::Dot;
    classes[b';' as usize] = Class::Special;
    classes
};

/// `pchar` without escapes (RFC 3986, section 3.3).
const fn is_path_char(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
        )
}

/// RFC 3986, section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

/// The byte that an escape at the beginning of `text` encodes.
fn escape(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    match text {
        [b'%', high, low, ..] => Some(digit(*high)? * 16 + digit(*low)?),
        _ => None,
    }
}

fn check_segment(segment: &[u8], rules: PathRules) -> Result<(), PathProblem> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment;
    while let Some((&first, after)) = rest.split_first() {
        let byte = if first == b'%' {
            let byte = escape(rest).ok_or(PathProblem::BrokenEscape)?;
            rest = &rest[3..];
            if byte == b'/' && !rules.allow_encoded_slashes {
                return Err(PathProblem::EncodedSlash);
            }
            byte
        } else {
            rest = after;
            first
        };
        if byte == b'\\' {
            return Err(PathProblem::Backslash);
        }
        if is_control(byte) {
            return Err(PathProblem::ControlCharacter);
        }
        decoded.push(byte);
    }
    if !rules.allow_non_utf8 && core::str::from_utf8(&decoded).is_err() {
        return Err(PathProblem::NotUtf8);
    }
    if has_dot_segment(segment) { Err(PathProblem::DotSegment) } else { Ok(()) }
}

/// Whether a segment, decoded until there is nothing left to decode, is or contains a dot segment.
fn has_dot_segment(segment: &[u8]) -> bool {
    let mut decoded: Vec<u8> = Vec::with_capacity(segment.len());
    for byte in segment {
        decoded.push(*byte);
        // What was decoded may be the end of another escape.
        while let Some(start) = decoded.len().checked_sub(3)
            && let Some(byte) = escape(&decoded[start..])
        {
            decoded.truncate(start);
            decoded.push(byte);
        }
    }
    decoded.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| {
        let name = part.split(|byte| *byte == b';').next().unwrap_or_default();
        matches!(name, b"." | b"..")
    })
}

/// Adds a segment in its form; `at` is its place, and before the first slash there is nothing.
fn push_segment(form: &mut String, at: usize, segment: &str) {
    if segment.is_empty() {
        return;
    }
    if at > 0 {
        form.push('/');
    }
    let mut rest = segment.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if let Some(byte) = escape(rest) {
            rest = &rest[3..];
            push_byte(form, byte, is_unreserved(byte));
        } else {
            rest = after;
            push_byte(form, first, is_path_char(first));
        }
    }
}

/// Ends a form after its last segment.
fn end_segments(form: &mut String, slash: bool) {
    if slash && !form.ends_with('/') {
        form.push('/');
    }
}

fn push_byte(form: &mut String, byte: u8, plain: bool) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    if plain {
        form.push(char::from(byte));
    } else {
        form.push('%');
        form.push(DIGITS[usize::from(byte >> 4)]);
        form.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(raw: &str) -> Result<String, PathProblem> {
        PathForm::of(raw, PathRules::default()).map(|form| form.as_str().to_owned())
    }

    #[test]
    fn one_page_has_one_form_however_it_is_spelled() {
        for (raw, expected) in [
            ("/", "/"),
            ("//", "/"),
            ("/search", "/search"),
            ("//search", "/search"),
            ("/a///b//", "/a/b/"),
            ("/%73earch", "/search"),
            ("/%7euser/%2D", "/~user/-"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/café", "/caf%C3%A9"),
            ("/a%2bb+c", "/a%2Bb+c"),
            ("/a%20b", "/a%20b"),
            ("/<a>\"`{}^|", "/%3Ca%3E%22%60%7B%7D%5E%7C"),
            ("/.well-known/a.b", "/.well-known/a.b"),
            ("/...", "/..."),
            ("/a..b/..c", "/a..b/..c"),
            ("/a;b", "/a;b"),
            ("/100%25", "/100%25"),
        ] {
            assert_eq!(form(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn a_path_with_two_readings_is_refused() {
        use PathProblem::{
            Backslash, BrokenEscape, ControlCharacter, DotSegment, EncodedSlash, NotUtf8,
        };
        for (raw, problem) in [
            ("/hooks/../search", DotSegment),
            ("/hooks/%2e%2e/search", DotSegment),
            ("/hooks/.%2E/search", DotSegment),
            ("/hooks/%252e%252e/search", DotSegment),
            ("/hooks/%25252e%25252E/search", DotSegment),
            ("/hooks/..;/search", DotSegment),
            ("/hooks/..;a=b/search", DotSegment),
            ("/hooks/..%3b/search", DotSegment),
            ("/hooks/..%252fsearch", DotSegment),
            ("/hooks/x%255c..%255csearch", DotSegment),
            ("/.", DotSegment),
            ("/..", DotSegment),
            ("/a/./b", DotSegment),
            ("/a/%2e", DotSegment),
            ("/hooks\\..\\search", Backslash),
            ("/a%5cb", Backslash),
            ("/a%2fb", EncodedSlash),
            ("/hooks%2F..%2Fsearch", EncodedSlash),
            ("/a%00", ControlCharacter),
            ("/a%0d%0ab", ControlCharacter),
            ("/a%7f", ControlCharacter),
            ("/a%", BrokenEscape),
            ("/a%2", BrokenEscape),
            ("/a%zz", BrokenEscape),
            ("/%c0%ae%c0%ae/", NotUtf8),
            ("/caf%e9", NotUtf8),
        ] {
            assert_eq!(form(raw), Err(problem), "{raw}");
        }
    }

    #[test]
    fn rules_allow_what_an_origin_reads_in_one_way() {
        let all =
            PathRules { allow_encoded_slashes: true, allow_parameters: true, allow_non_utf8: true };
        let form = |raw| PathForm::of(raw, all).map(|form| form.as_str().to_owned());
        assert_eq!(form("/a%2fb").as_deref(), Ok("/a%2Fb"));
        assert_eq!(form("/caf%e9").as_deref(), Ok("/caf%E9"));
        assert_eq!(form("/a%2f..%2fb"), Err(PathProblem::DotSegment));
        assert_eq!(form("/a/..;/b"), Err(PathProblem::DotSegment));
        let kept = PathForm::of("/a;b", all).unwrap();
        assert_eq!(kept.without_parameters(), None);
    }

    #[test]
    fn the_other_reading_of_parameters_is_known() {
        for (raw, bare) in [
            ("/search;x", "/search"),
            ("/a;b/c;d=e/f", "/a/c/f"),
            ("/;x/search", "/search"),
            ("/search;/", "/search/"),
            ("/;", "/"),
            ("/a;/;", "/a/"),
            ("/a/;b/;c", "/a/"),
        ] {
            let form = PathForm::of(raw, PathRules::default()).unwrap();
            assert_eq!(form.without_parameters(), Some(bare), "{raw}");
        }
        assert_eq!(
            PathForm::of("/a%3Bb", PathRules::default()).unwrap().without_parameters(),
            None
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_form_is_its_own_form(raw in "/([a-c./;%~25eEfF\\\\é<]|%2[eEfF5]|%[46][1a]){0,12}") {
            if let Ok(once) = form(&raw) {
                prop_assert_eq!(form(&once), Ok(once.clone()));
                prop_assert!(once.starts_with('/') && !once.contains("//"));
                prop_assert!(once.split('/').all(|segment| !matches!(segment, "." | "..")));
            }
        }

        #[test]
        fn no_path_makes_it_panic(raw in ".{0,40}") {
            let _ = form(&raw);
        }
    }
}
