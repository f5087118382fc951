//! The W3C extended format: IIS (spaces) and `CloudFront` (tabs). A line `#Fields:` names the columns.

use core::time::Duration;
use std::borrow::Cow;

use memchr::memchr;
use portcullis_model::WallTime;

use super::fields::{
    first_forwarded, found, is_method, millis, present_text, seconds, size, source, status, target,
    without_port,
};
use super::log_line::{LogLine, LoggedSource, ParseError};
use super::timestamp::TimestampParser;

/// Columns at most: `CloudFront` has 33.
const MAX_COLUMNS: usize = 128;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Date,
    Time,
    Client,
    Forwarded,
    Method,
    Stem,
    Query,
    Status,
    Bytes,
    Referer,
    UserAgent,
    Host,
    /// The host that the visitor asked for, where another column has the distribution's.
    AskedHost,
    Taken,
    Other,
}

const KINDS: usize = 15;

/// The columns that the last `#Fields:` line named.
#[derive(Clone, Debug, Default)]
pub(super) struct W3cColumns(Vec<Column>);

/// The columns of files whose head was cut off: what `CloudFront` always writes, and what IIS writes by default.
const CLOUDFRONT: &str = "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem \
    sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type \
    x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol \
    ssl-cipher x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields \
    c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len \
    sc-range-start sc-range-end";
const IIS: &str = "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip \
    cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken";

impl W3cColumns {
    /// Takes a line that begins with `#`: a directive or a remark.
    pub(super) fn directive(&mut self, line: &[u8]) {
        let Some(names) = line.strip_prefix(b"#Fields:") else { return };
        *self = Self::named(&String::from_utf8_lossy(names));
    }

    fn named(names: &str) -> Self {
        Self(names.split_ascii_whitespace().take(MAX_COLUMNS).map(column).collect())
    }

    /// Without a `#Fields:` line, the number of columns shows which file was cut.
    fn assume(&mut self, count: usize, tabs: bool) {
        let names = if tabs { CLOUDFRONT } else { IIS };
        let assumed = Self::named(names);
        if assumed.0.len() == count {
            *self = assumed;
        }
    }
}

fn column(name: &str) -> Column {
    match name.to_ascii_lowercase().as_str() {
        "date" => Column::Date,
        "time" => Column::Time,
        "c-ip" => Column::Client,
        "x-forwarded-for" | "cs(x-forwarded-for)" => Column::Forwarded,
        "cs-method" => Column::Method,
        "cs-uri-stem" | "cs-uri" => Column::Stem,
        "cs-uri-query" => Column::Query,
        "sc-status" => Column::Status,
        "sc-bytes" => Column::Bytes,
        "cs(referer)" => Column::Referer,
        "cs(user-agent)" => Column::UserAgent,
        "cs-host" | "cs(host)" => Column::Host,
        "x-host-header" => Column::AskedHost,
        "time-taken" => Column::Taken,
        _ => Column::Other,
    }
}

/// One line that is not a directive.
pub(super) fn parse<'a>(
    line: &'a [u8],
    columns: &mut W3cColumns,
    stamps: &mut TimestampParser,
) -> Result<LogLine<'a>, ParseError> {
    let tabs = memchr(b'\t', line).is_some();
    let separator = if tabs { b'\t' } else { b' ' };
    if columns.0.is_empty() {
        columns.assume(line.split(|b| *b == separator).count(), tabs);
    }
    let expected = columns.0.len();
    if expected == 0 {
        return Err(ParseError::NoFields);
    }
    let mut values: [&'a [u8]; KINDS] = [b""; KINDS];
    let mut count = 0;
    for (at, value) in line.split(|b| *b == separator).enumerate() {
        if let Some(column) = columns.0.get(at) {
            values[*column as usize] = value;
        }
        count = at + 1;
    }
    if count != expected {
        return Err(ParseError::Columns { expected, found: count });
    }
    Row { values, tabs }.read(stamps)
}

struct Row<'a> {
    values: [&'a [u8]; KINDS],
    tabs: bool,
}

impl<'a> Row<'a> {
    fn get(&self, column: Column) -> &'a [u8] {
        self.values[column as usize]
    }

    fn read(&self, stamps: &mut TimestampParser) -> Result<LogLine<'a>, ParseError> {
        let at = self.at(stamps)?;
        let client = self.get(Column::Client);
        let source = if client.is_empty() { Some(LoggedSource::Hidden) } else { source(client) }
            .ok_or_else(|| ParseError::Address(found(client)))?;
        let method = String::from_utf8_lossy(self.get(Column::Method));
        let stem = String::from_utf8_lossy(self.get(Column::Stem));
        if method.is_empty() || stem.is_empty() {
            return Err(ParseError::NoFields);
        }
        let asked = target(&stem).filter(|_| is_method(&method) && method != "-");
        let is_request = asked.is_some();
        let asked = asked.unwrap_or_default();
        let answered = self.get(Column::Status);
        let host = [Column::AskedHost, Column::Host].into_iter();
        let mut host = host.filter_map(|column| present_text(self.get(column)));
        Ok(LogLine {
            at,
            source,
            forwarded: first_forwarded(&self.decoded(Column::Forwarded)),
            method: if is_request { method } else { Cow::Borrowed("") },
            path: asked.path,
            query: asked
                .query
                .or_else(|| present_text(self.get(Column::Query)).filter(|_| is_request)),
            status: status(answered).ok_or_else(|| ParseError::Status(found(answered)))?,
            bytes: size(self.get(Column::Bytes)).unwrap_or(0),
            referer: self.field(Column::Referer),
            user_agent: self.field(Column::UserAgent),
            accept: None,
            language: None,
            host: asked.host.or_else(|| host.next().map(without_port)),
            latency: self.latency(),
            sent_bytes: true,
        })
    }

    /// Date and time are in separate columns.
    fn at(&self, stamps: &mut TimestampParser) -> Result<WallTime, ParseError> {
        let (date, time) = (self.get(Column::Date), self.get(Column::Time));
        let mut text = [b' '; 32];
        let error = || ParseError::Time(found(if date.is_empty() { time } else { date }));
        let length = date.len() + 1 + time.len();
        if date.is_empty() || time.is_empty() || length > text.len() {
            return Err(error());
        }
        text[..date.len()].copy_from_slice(date);
        text[date.len() + 1..length].copy_from_slice(time);
        stamps.read(&text[..length]).ok_or_else(error)
    }

    /// `CloudFront` counts in seconds with decimals, IIS in milliseconds.
    fn latency(&self) -> Option<Duration> {
        let taken = self.get(Column::Taken);
        if memchr(b'.', taken).is_some() { seconds(taken) } else { millis(taken) }
    }

    fn field(&self, column: Column) -> Option<Cow<'a, str>> {
        let value = self.get(column);
        match self.decoded(column) {
            _ if matches!(value, b"" | b"-") => None,
            Cow::Borrowed(bytes) => present_text(bytes),
            Cow::Owned(bytes) => Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())),
        }
    }

    /// IIS writes spaces as `+`, `CloudFront` as `%20` (once `%2520`).
    fn decoded(&self, column: Column) -> Cow<'a, [u8]> {
        let value = self.get(column);
        if !self.tabs {
            return match memchr(b'+', value) {
                None => Cow::Borrowed(value),
                Some(_) => {
                    Cow::Owned(value.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect())
                }
            };
        }
        if memchr(b'%', value).is_none() {
            return Cow::Borrowed(value);
        }
        let once = unescape(value);
        Cow::Owned(if memchr::memmem::find(&once, b"%20").is_some() {
            unescape(&once)
        } else {
            once
        })
    }
}

/// `%HH`; any other `%` stays.
fn unescape(text: &[u8]) -> Vec<u8> {
    let hex = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let pair = after.first().and_then(hex).zip(after.get(1).and_then(hex));
        match pair.filter(|_| *first == b'%') {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(head: &str, text: &'a str) -> Result<LogLine<'a>, ParseError> {
        let mut columns = W3cColumns::default();
        columns.directive(head.as_bytes());
        parse(text.as_bytes(), &mut columns, &mut TimestampParser::default())
    }

    const SOURCE: LoggedSource =
        LoggedSource::Address(core::net::IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 7)));

    #[test]
    fn iis_is_read_with_and_without_its_head() {
        let text = "2026-11-23 09:00:00 10.0.0.2 GET /news p=2 443 - 192.0.2.7 \
                    Mozilla/5.0+(X11;+Linux) https://example.org/ 200 0 0 125";
        for head in [format!("#Fields: {IIS}").as_str(), ""] {
            let line = read(head, text).expect(text);
            assert_eq!(line.at.to_string(), "2026-11-23T09:00:00.000Z");
            assert_eq!((line.source, line.status), (SOURCE, 200));
            assert_eq!((line.path.as_ref(), line.query.as_deref()), ("/news", Some("p=2")));
            assert_eq!(line.user_agent.as_deref(), Some("Mozilla/5.0 (X11; Linux)"));
            assert_eq!(line.latency, Some(Duration::from_millis(125)));
        }
        let error = read("#Fields: date time c-ip", text).expect_err("other columns");
        assert_eq!(error, ParseError::Columns { expected: 3, found: 15 });
    }

    #[test]
    fn cloudfront_is_read() {
        let text = "2026-11-23\t09:00:00\tLHR3-C1\t2390\t192.0.2.7\tGET\td111.cloudfront.net\t\
                    /news\t200\t-\tMozilla/5.0%20(X11;%2520Linux)\tp=2\t-\tHit\tid==\t\
                    www.example.org\thttps\t23\t0.125\t198.51.100.4\tTLSv1.3\tX\tHit\tHTTP/2.0\t-\t\
                    -\t11040\t0.001\tHit\ttext/html\t78\t-\t-";
        let line = read(&format!("#Fields: {CLOUDFRONT}"), text).expect(text);
        assert_eq!((line.source, line.status, line.bytes), (SOURCE, 200, 2_390));
        assert_eq!(line.forwarded, Some([198, 51, 100, 4].into()));
        assert_eq!(line.host.as_deref(), Some("www.example.org"));
        assert_eq!(line.user_agent.as_deref(), Some("Mozilla/5.0 (X11; Linux)"));
        assert_eq!(line.latency, Some(Duration::from_millis(125)));
        assert_eq!(line.query.as_deref(), Some("p=2"));
        assert_eq!(line.referer, None);
    }

    #[test]
    fn without_known_columns_nothing_is_guessed() {
        assert_eq!(read("", "2026-11-23 09:00:00 192.0.2.7"), Err(ParseError::NoFields));
        assert_eq!(read("#Fields: date time", "2026-11-23 09:00:00"), Err(ParseError::NoFields));
    }
}
