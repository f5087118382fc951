//! What collectors put around a line: syslog, Docker, Kubernetes, spreadsheets.

use memchr::{memchr, memmem};

use super::fields::{found, word};
use super::log_line::ParseError;
use super::timestamp::parse_timestamp;

/// What is around each line of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wrapper {
    /// Nothing.
    #[default]
    Bare,
    /// `Nov 23 09:00:00 web1 nginx[7]: `, RFC 3164 and RFC 5424, with or without `<134>`.
    Syslog,
    /// `{"log":"…\n","stream":"stdout","time":"…"}`, and other JSON with the line in one field.
    JsonField,
    /// `2026-11-23T09:00:00.123456789Z stdout F ` (Kubernetes), or the time alone (Docker).
    Cri,
    /// `web-1  | `: docker compose.
    Compose,
    /// The whole line in quotes, each quote in it doubled.
    Csv,
}

impl Wrapper {
    pub(super) const ALL: [Self; 6] =
        [Self::Bare, Self::Syslog, Self::JsonField, Self::Cri, Self::Compose, Self::Csv];

    /// What it is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "nothing",
            Self::Syslog => "a syslog prefix",
            Self::JsonField => "a JSON object of a log collector",
            Self::Cri => "a Kubernetes prefix",
            Self::Compose => "a docker compose prefix",
            Self::Csv => "quotes of a spreadsheet",
        }
    }

    /// The line itself. Where it has to be unescaped, it is written to `scratch`.
    pub(super) fn unwrap<'a>(
        self,
        line: &'a [u8],
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], ParseError> {
        let inner = match self {
            Self::Bare => Some(line),
            Self::Syslog => syslog(line),
            Self::JsonField => json_field(line, scratch),
            Self::Cri => cri(line),
            Self::Compose => compose(line),
            Self::Csv => csv(line, scratch),
        };
        match inner {
            Some(inner) => Ok(inner.trim_ascii()),
            None => Err(ParseError::Wrapper(self.name(), found(line))),
        }
    }
}

fn syslog(line: &[u8]) -> Option<&[u8]> {
    let line = priority(line);
    if let Some(rest) = line.strip_prefix(b"1 ") {
        return rfc_5424(rest);
    }
    let rest = if is_month(line) {
        // `Nov 23 09:00:00 `: the day has two columns.
        line.get(15).filter(|b| **b == b' ')?;
        line.get(7..15).filter(|clock| clock[2] == b':' && clock[5] == b':')?;
        &line[16..]
    } else {
        let (time, rest) = word(line);
        memchr(b'T', time)?;
        parse_timestamp(time)?;
        rest.trim_ascii_start()
    };
    // Host and tag, or the tag alone.
    let (first, after) = word(rest);
    if is_tag(first) {
        return Some(after);
    }
    let (second, after) = word(after);
    is_tag(second).then_some(after)
}

/// `nginx:`, `haproxy[14389]:`.
fn is_tag(word: &[u8]) -> bool {
    word.len() > 1 && word.ends_with(b":") && word[0].is_ascii_alphabetic()
}

fn priority(line: &[u8]) -> &[u8] {
    let Some(rest) = line.strip_prefix(b"<") else { return line };
    match memchr(b'>', &rest[..rest.len().min(4)]) {
        Some(end) if rest[..end].iter().all(u8::is_ascii_digit) => &rest[end + 1..],
        _ => line,
    }
}

fn is_month(line: &[u8]) -> bool {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    line.get(..3).is_some_and(|name| MONTHS.chunks_exact(3).any(|month| month == name))
        && line.get(3) == Some(&b' ')
}

/// Time, host, program, process, message id, then structured data or `-`.
fn rfc_5424(rest: &[u8]) -> Option<&[u8]> {
    let (time, mut rest) = word(rest);
    if time != b"-" {
        parse_timestamp(time)?;
    }
    for _ in 0..4 {
        (_, rest) = word(rest);
    }
    let mut rest = rest.trim_ascii_start();
    if let Some(after) = rest.strip_prefix(b"-") {
        rest = after;
    } else {
        while rest.first() == Some(&b'[') {
            rest = &rest[element_end(rest)?..];
        }
    }
    let rest = rest.trim_ascii_start();
    Some(rest.strip_prefix(b"\xef\xbb\xbf").unwrap_or(rest))
}

/// The end of `[id name="value"]`; a bracket in a value is escaped.
fn element_end(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b']', b'\\', text.get(at..)?)?;
        if text[at] == b']' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The fields that Docker, Filebeat and journald have the line in.
#[derive(serde::Deserialize)]
struct Collected {
    log: Option<String>,
    message: Option<String>,
    #[serde(rename = "MESSAGE")]
    journal: Option<String>,
}

fn json_field<'a>(line: &[u8], scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    if line.first() != Some(&b'{') {
        return None;
    }
    let collected: Collected = serde_json::from_slice(line).ok()?;
    let inner = collected.log.or(collected.message).or(collected.journal)?;
    *scratch = inner.into_bytes();
    Some(scratch)
}

fn cri(line: &[u8]) -> Option<&[u8]> {
    let (time, rest) = word(line);
    parse_timestamp(time).filter(|_| time.len() >= 20)?;
    let (stream, after) = word(rest);
    let (tag, after) = word(after);
    let by_stream = matches!(stream, b"stdout" | b"stderr") && matches!(tag, b"F" | b"P");
    // `docker logs --timestamps` writes the time alone.
    Some(if by_stream { after } else { rest })
}

/// The longest name of a service that is looked for.
const SERVICE: usize = 80;

fn compose(line: &[u8]) -> Option<&[u8]> {
    let head = &line[..line.len().min(SERVICE)];
    let bar = memchr(b'|', head)?;
    let name = head[..bar].trim_ascii();
    // In colour: `ESC[36mweb-1  |ESC[0m `.
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-_. \x1b[;".contains(b);
    if name.is_empty() || !name.iter().all(allowed) {
        return None;
    }
    let rest = &line[bar + 1..];
    let rest = rest.strip_prefix(b"\x1b[0m").unwrap_or(rest).trim_ascii_start();
    // `--timestamps` puts one more before the line.
    let (time, after) = word(rest);
    let stamped = time.ends_with(b"Z") && time.len() > 20 && parse_timestamp(time).is_some();
    Some(if stamped { after } else { rest })
}

fn csv<'a>(line: &[u8], scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    let inside = line.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    scratch.clear();
    let mut rest = inside;
    while let Some(at) = memchr(b'"', rest) {
        if rest.get(at + 1) != Some(&b'"') {
            return None;
        }
        scratch.extend_from_slice(&rest[..=at]);
        rest = &rest[at + 2..];
    }
    scratch.extend_from_slice(rest);
    // A quoted text that is no log line has no space.
    memmem::find(scratch, b" ").map(|_| scratch.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"192.0.2.7 - - [23/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 5"#;

    fn inner(wrapper: Wrapper, text: &str) -> Option<String> {
        let mut scratch = Vec::new();
        let inner = wrapper.unwrap(text.as_bytes(), &mut scratch).ok()?;
        Some(String::from_utf8_lossy(inner).into_owned())
    }

    #[test]
    fn prefixes_of_syslog_are_taken_off() {
        for prefix in [
            "Nov 23 09:00:00 web1 nginx: ",
            "Nov  3 09:00:00 localhost haproxy[14389]: ",
            "<134>Nov 23 09:00:00 web1 nginx: ",
            "<134>Nov 23 09:00:00 nginx: ",
            "2026-11-23T09:00:00.123456+00:00 web1 nginx[7]: ",
            "<165>1 2026-11-23T09:00:00.003Z web1 nginx 7 - - ",
            r#"<165>1 2026-11-23T09:00:00Z web1 nginx - ID47 [a@1 b="x\]"][c@2] "#,
        ] {
            let text = format!("{prefix}{LINE}");
            assert_eq!(inner(Wrapper::Syslog, &text).as_deref(), Some(LINE), "{prefix}");
        }
        assert_eq!(inner(Wrapper::Syslog, LINE), None);
    }

    #[test]
    fn containers_and_spreadsheets_are_unpacked() {
        let quoted = LINE.replace('"', "\\\"");
        let docker =
            format!(r#"{{"log":"{quoted}\n","stream":"stdout","time":"2026-11-23T09:00:00.1Z"}}"#);
        assert_eq!(inner(Wrapper::JsonField, &docker).as_deref(), Some(LINE));
        let cri = format!("2026-11-23T09:00:00.123456789Z stdout F {LINE}");
        assert_eq!(inner(Wrapper::Cri, &cri).as_deref(), Some(LINE));
        for prefix in ["web-1  | ", "\x1b[36mweb-1  |\x1b[0m ", "web-1 | 2026-11-23T09:00:00.12Z "]
        {
            let text = format!("{prefix}{LINE}");
            assert_eq!(inner(Wrapper::Compose, &text).as_deref(), Some(LINE), "{prefix}");
        }
        let csv = format!("\"{}\"", LINE.replace('"', "\"\""));
        assert_eq!(inner(Wrapper::Csv, &csv).as_deref(), Some(LINE));
        for wrapper in [Wrapper::JsonField, Wrapper::Cri, Wrapper::Compose, Wrapper::Csv] {
            assert_eq!(inner(wrapper, LINE), None, "{wrapper:?}");
        }
    }
}
