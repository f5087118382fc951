//! Lines by a pattern: `log_format` of nginx, `LogFormat` of Apache.

use core::time::Duration;
use std::borrow::Cow;

use memchr::memmem;
use portcullis_model::WallTime;

use super::fields::{
    LoggedTarget, first_forwarded, found, millis, number, plausible, present, request_line,
    seconds, size, source, status, target, without_port,
};
use super::log_line::{LogLine, LoggedSource, ParseError};
use super::quoted;
use super::timestamp::{self, TimestampParser};

/// Parts at most.
const MAX_PARTS: usize = 128;

/// What a variable holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PatternField {
    Client,
    Forwarded,
    Time,
    /// Apache's `%t`: a time with its brackets.
    BracketedTime,
    EpochMillis,
    EpochMicros,
    RequestLine,
    Method,
    Target,
    Path,
    Query,
    Status,
    Bytes,
    Referer,
    UserAgent,
    Accept,
    Language,
    Host,
    Seconds,
    Millis,
    Micros,
    Other,
}

const FIELDS: usize = 22;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Field(PatternField, String),
}

/// A pattern of log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPattern(Vec<Part>);

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It lacks what every access log must have.
    #[error("the pattern has no {0}: add {1}")]
    Lacks(&'static str, &'static str),
    /// Nothing divides two variables.
    #[error("nothing is between `{0}` and `{1}`: where one ends cannot be seen")]
    Undivided(String, String),
    /// A time in a notation that is not read.
    #[error(
        "`{0}` is a time in a notation that is not read: use %t, %{{sec}}t, %{{msec}}t or %{{usec}}t"
    )]
    Time(String),
    /// A directive that never ends, or too many.
    #[error("`{0}` is cut off, or the pattern has over {MAX_PARTS} parts")]
    Cut(String),
}

impl LogPattern {
    /// Compiles a pattern: nginx if it contains a `$`, otherwise Apache.
    pub(super) fn compile(text: &str) -> Result<Self, PatternError> {
        let mut parts = if text.contains('$') { nginx(text)? } else { apache(text)? };
        if parts.len() > MAX_PARTS {
            return Err(PatternError::Cut(text.chars().take(20).collect()));
        }
        // A time that has its brackets as literals is a time like any other.
        for part in &mut parts {
            if let Part::Field(field, _) = part
                && *field == PatternField::BracketedTime
            {
                *field = PatternField::Time;
            }
        }
        for pair in parts.windows(2) {
            if let [Part::Field(_, one), Part::Field(_, next)] = pair {
                return Err(PatternError::Undivided(one.clone(), next.clone()));
            }
        }
        let pattern = Self(parts);
        let times = [PatternField::Time, PatternField::EpochMillis, PatternField::EpochMicros];
        if !times.into_iter().any(|field| pattern.has(field)) {
            return Err(PatternError::Lacks("time", "$time_local or %t"));
        }
        let target =
            [PatternField::Target, PatternField::Path].into_iter().any(|field| pattern.has(field));
        if !(pattern.has(PatternField::RequestLine) || target && pattern.has(PatternField::Method))
        {
            return Err(PatternError::Lacks("request", "$request or %r"));
        }
        Ok(pattern)
    }

    fn has(&self, field: PatternField) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Field(known, _) if *known == field))
    }

    /// Reads one line.
    pub(super) fn parse<'a>(
        &self,
        line: &'a [u8],
        stamps: &mut TimestampParser,
    ) -> Result<LogLine<'a>, ParseError> {
        let mut values = Values([const { None }; FIELDS]);
        let mut rest = line;
        let mut parts = self.0.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Literal(text) => {
                    // Blanks at the ends of a line are cut.
                    let last = parts.peek().is_none() && rest.is_empty();
                    rest = match rest.strip_prefix(text.as_slice()) {
                        Some(rest) => rest,
                        None if last && text.trim_ascii().is_empty() => rest,
                        None => return Err(unlike(&String::from_utf8_lossy(text), rest)),
                    };
                }
                Part::Field(field, name) => {
                    let (value, after) = match parts.peek() {
                        Some(Part::Literal(end)) => {
                            take(rest, end).ok_or_else(|| unlike(name, rest))?
                        }
                        _ => (rest, &b""[..]),
                    };
                    if values.0[*field as usize].is_none() {
                        values.0[*field as usize] = Some(value);
                    }
                    rest = after;
                }
            }
        }
        values.read(stamps)
    }
}

fn unlike(name: &str, rest: &[u8]) -> ParseError {
    ParseError::Pattern(format!("`{name}`"), found(rest))
}

/// A value and what follows it, beginning with `end`. Within quotes, an escaped quote ends nothing.
fn take<'a>(rest: &'a [u8], end: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    loop {
        let at = from + memmem::find(&rest[from..], end)?;
        let escaped = rest[..at].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1;
        if end.first() == Some(&b'"') && escaped {
            from = at + 1;
            continue;
        }
        return Some(rest.split_at(at));
    }
}

/// The values of one line.
struct Values<'a>([Option<&'a [u8]>; FIELDS]);

impl<'a> Values<'a> {
    fn get(&self, field: PatternField) -> Option<&'a [u8]> {
        self.0[field as usize].map(<[u8]>::trim_ascii)
    }

    fn text(&self, field: PatternField) -> Option<Cow<'a, str>> {
        present(quoted::unquote(self.get(field)?))
    }

    fn read(&self, stamps: &mut TimestampParser) -> Result<LogLine<'a>, ParseError> {
        let at = self.at(stamps)?;
        let forwarded = self.get(PatternField::Forwarded).and_then(first_forwarded);
        let source = match self.get(PatternField::Client) {
            Some(text) => source(text).ok_or_else(|| ParseError::Address(found(text)))?,
            None => forwarded.map_or(LoggedSource::Hidden, LoggedSource::Address),
        };
        let (method, asked, sent_bytes) = self.request();
        let answered = self.get(PatternField::Status).unwrap_or(b"-");
        Ok(LogLine {
            at,
            source,
            forwarded,
            method,
            path: asked.path,
            query: asked.query,
            status: status(answered).ok_or_else(|| ParseError::Status(found(answered)))?,
            bytes: self.get(PatternField::Bytes).and_then(size).unwrap_or(0),
            referer: self.text(PatternField::Referer),
            user_agent: self.text(PatternField::UserAgent),
            accept: self.text(PatternField::Accept),
            language: self.text(PatternField::Language),
            host: asked.host.or_else(|| self.text(PatternField::Host).map(without_port)),
            latency: self.latency().and_then(plausible),
            sent_bytes,
        })
    }

    fn at(&self, stamps: &mut TimestampParser) -> Result<WallTime, ParseError> {
        if let Some(text) = self.get(PatternField::Time) {
            let inside = text.strip_prefix(b"[").and_then(|t| t.strip_suffix(b"]")).unwrap_or(text);
            let number = || core::str::from_utf8(inside).ok()?.parse().ok();
            let at = stamps.read(inside).or_else(|| number().and_then(timestamp::from_number));
            return at.ok_or_else(|| ParseError::Time(found(text)));
        }
        let (text, per_milli) = match self.get(PatternField::EpochMillis) {
            Some(text) => (text, 1),
            None => (self.get(PatternField::EpochMicros).unwrap_or_default(), 1_000),
        };
        number(text)
            .map(|number| WallTime(number / per_milli))
            .ok_or_else(|| ParseError::Time(found(text)))
    }

    fn request(&self) -> (Cow<'a, str>, LoggedTarget<'a>, bool) {
        if let Some(line) = self.get(PatternField::RequestLine) {
            let line = quoted::unquote(line);
            let sent_bytes = !matches!(line.as_ref(), "" | "-");
            let (method, asked) = request_line(&line).unwrap_or_default();
            return (method, asked, sent_bytes);
        }
        let asked = self.text(PatternField::Target).or_else(|| self.text(PatternField::Path));
        let asked = asked.and_then(|text| target(&text));
        let Some((method, mut asked)) = self.text(PatternField::Method).zip(asked) else {
            return (Cow::Borrowed(""), LoggedTarget::default(), true);
        };
        if asked.query.is_none() {
            // Apache's `%q` brings its question mark.
            let query = self.get(PatternField::Query).map(|q| q.strip_prefix(b"?").unwrap_or(q));
            asked.query = query.and_then(|query| present(quoted::unquote(query)));
        }
        (method, asked, true)
    }

    fn latency(&self) -> Option<Duration> {
        if let Some(text) = self.get(PatternField::Seconds) {
            return seconds(text);
        }
        if let Some(text) = self.get(PatternField::Millis) {
            return millis(text);
        }
        number(self.get(PatternField::Micros)?).map(Duration::from_micros)
    }
}

fn nginx(text: &str) -> Result<Vec<Part>, PatternError> {
    let mut parts = Parts::default();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        parts.literal(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, tail) = if let Some(inside) = after.strip_prefix('{') {
            let end = inside.find('}').ok_or_else(|| PatternError::Cut(rest[at..].to_owned()))?;
            (&inside[..end], &inside[end + 1..])
        } else {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            after.split_at(end.unwrap_or(after.len()))
        };
        parts.0.push(Part::Field(nginx_field(name), format!("${name}")));
        rest = tail;
    }
    parts.literal(rest);
    Ok(parts.0)
}

fn nginx_field(name: &str) -> PatternField {
    match name {
        "remote_addr" => PatternField::Client,
        "http_x_forwarded_for" | "proxy_add_x_forwarded_for" => PatternField::Forwarded,
        "time_local" | "time_iso8601" | "msec" => PatternField::Time,
        "request" => PatternField::RequestLine,
        "request_method" => PatternField::Method,
        "request_uri" => PatternField::Target,
        "uri" | "document_uri" => PatternField::Path,
        "args" | "query_string" => PatternField::Query,
        "status" => PatternField::Status,
        "body_bytes_sent" | "bytes_sent" => PatternField::Bytes,
        "request_time" => PatternField::Seconds,
        "http_referer" => PatternField::Referer,
        "http_user_agent" => PatternField::UserAgent,
        "http_accept" => PatternField::Accept,
        "http_accept_language" => PatternField::Language,
        "host" | "http_host" | "server_name" => PatternField::Host,
        _ => PatternField::Other,
    }
}

fn apache(text: &str) -> Result<Vec<Part>, PatternError> {
    let mut parts = Parts::default();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        parts.literal(&rest[..at]);
        let whole = &rest[at..];
        let cut = || PatternError::Cut(whole.chars().take(20).collect());
        let mut after = &whole[1..];
        if let Some(tail) = after.strip_prefix('%') {
            parts.literal("%");
            rest = tail;
            continue;
        }
        // Conditions, and which of internally redirected requests.
        after = after.trim_start_matches(|c: char| c.is_ascii_digit() || "!,<>".contains(c));
        let mut argument = "";
        if let Some(inside) = after.strip_prefix('{') {
            let end = inside.find('}').ok_or_else(cut)?;
            (argument, after) = (&inside[..end], &inside[end + 1..]);
        }
        after = after.trim_start_matches(['<', '>']);
        let letter = after.chars().next().ok_or_else(cut)?;
        let tail = &after[letter.len_utf8()..];
        let name = &whole[..whole.len() - tail.len()];
        parts.0.push(Part::Field(apache_field(letter, argument, name)?, name.to_owned()));
        rest = tail;
    }
    parts.literal(rest);
    Ok(parts.0)
}

fn apache_field(letter: char, argument: &str, name: &str) -> Result<PatternField, PatternError> {
    let header = argument.to_ascii_lowercase();
    Ok(match (letter, header.as_str()) {
        ('h' | 'a', _) => PatternField::Client,
        ('t', "") => PatternField::BracketedTime,
        ('t', "sec" | "begin:sec" | "end:sec") => PatternField::Time,
        ('t', "msec" | "begin:msec" | "end:msec") => PatternField::EpochMillis,
        ('t', "usec" | "begin:usec" | "end:usec") => PatternField::EpochMicros,
        // Parts of a second, next to a time that is read.
        ('t', "msec_frac" | "usec_frac") => PatternField::Other,
        ('t', _) => return Err(PatternError::Time(name.to_owned())),
        ('r', _) => PatternField::RequestLine,
        ('m', _) => PatternField::Method,
        ('U', _) => PatternField::Path,
        ('q', _) => PatternField::Query,
        ('s', _) => PatternField::Status,
        ('b' | 'B' | 'O', _) => PatternField::Bytes,
        ('D', _) | ('T', "us") => PatternField::Micros,
        ('T', "ms") => PatternField::Millis,
        ('T', _) => PatternField::Seconds,
        ('i', "referer") => PatternField::Referer,
        ('i', "user-agent") => PatternField::UserAgent,
        ('i', "x-forwarded-for") => PatternField::Forwarded,
        ('i', "accept") => PatternField::Accept,
        ('i', "accept-language") => PatternField::Language,
        ('i', "host") | ('v' | 'V', _) => PatternField::Host,
        _ => PatternField::Other,
    })
}

/// Parts, with literals joined.
#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    /// Quotes and tabs are escaped where the pattern was copied from a configuration.
    fn literal(&mut self, text: &str) {
        let text = text.replace("\\\"", "\"").replace("\\t", "\t");
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Literal(before)) => before.extend_from_slice(text.as_bytes()),
            _ => self.0.push(Part::Literal(text.into_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(pattern: &str, line: &'a str) -> LogLine<'a> {
        let pattern = LogPattern::compile(pattern).expect(pattern);
        pattern.parse(line.as_bytes(), &mut TimestampParser::default()).expect(line)
    }

    #[test]
    fn patterns_of_nginx_are_read() {
        let read = read(
            r#"$server_name $remote_addr [$time_local] "$request" $status $bytes_sent "$http_referer" "$http_user_agent" rt=$request_time xff="$http_x_forwarded_for""#,
            r#"www.example.org 10.0.0.9 [23/Nov/2026:09:00:00 +0000] "GET /news?p=\"2\" HTTP/1.1" 200 512 "-" "a \"b\"" rt=0.125 xff="192.0.2.7, 10.0.0.1""#,
        );
        assert_eq!(read.at.to_string(), "2026-11-23T09:00:00.000Z");
        assert_eq!(read.forwarded, Some([192, 0, 2, 7].into()));
        assert_eq!((read.path.as_ref(), read.query.as_deref()), ("/news", Some("p=\"2\"")));
        assert_eq!((read.status, read.bytes), (200, 512));
        assert_eq!(read.user_agent.as_deref(), Some("a \"b\""));
        assert_eq!(read.latency, Some(Duration::from_millis(125)));
        assert_eq!(read.host.as_deref(), Some("www.example.org"));
    }

    #[test]
    fn patterns_of_apache_are_read() {
        let read = read(
            r#"%v:%p %{X-Forwarded-For}i|%h %l %u %t \"%m %U%% %q\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\" %{ms}T"#,
            r#"www.example.org:443 192.0.2.7|10.0.0.9 - - [23/Nov/2026:09:00:00 +0000] "GET /news% ?p=2" 200 512 "https://example.org/" "Mozilla/5.0" 125"#,
        );
        assert_eq!(read.forwarded, Some([192, 0, 2, 7].into()));
        assert_eq!((read.path.as_ref(), read.query.as_deref()), ("/news", Some("p=2")));
        assert_eq!(read.referer.as_deref(), Some("https://example.org/"));
        assert_eq!(read.latency, Some(Duration::from_millis(125)));
        let millis = self::read("%{msec}t %a %r", "1795424400123 192.0.2.7 GET /x HTTP/1.1");
        assert_eq!((millis.at.millis(), millis.path.as_ref()), (1_795_424_400_123, "/x"));
    }

    #[test]
    fn a_pattern_that_cannot_work_is_refused_with_the_remedy() {
        let error = |text| LogPattern::compile(text).expect_err(text).to_string();
        assert!(error("$remote_addr $request").contains("$time_local or %t"));
        assert!(error("%h %t").contains("add $request or %r"));
        assert!(error("%h%t %r").contains("between `%h` and `%t`"));
        assert!(error("%{%H:%M}t %r").contains("notation"));
        assert!(error("%h %t %r %{Referer").contains("cut off"));
    }

    #[test]
    fn a_line_that_does_not_fit_names_the_variable() {
        let pattern = LogPattern::compile("%h %t \"%r\" %>s").expect("compiles");
        let error = pattern.parse(b"192.0.2.7 [23/Nov", &mut TimestampParser::default());
        let text = error.expect_err("cut").to_string();
        assert_eq!(text, "expected `%t`, as the pattern of --format has it; found `[23/Nov`");
    }
}
