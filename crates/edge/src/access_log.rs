//! The access log: one line for each request, written by a thread that no worker waits for.

use core::cell::{Cell, RefCell};
use core::fmt::Write as _;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::rc::Rc;
use std::sync::mpsc::SyncSender;

use http::{StatusCode, Version};
use portcullis_gate::{Head, Secret};
use portcullis_model::{
    AccessLogAddress, AccessLogFormat, AccessLogSettings, Reason, SourceKey, Time, WallTime,
};

/// Bytes of a field that are written.
const MAX_FIELD: usize = 2_048;

/// Where a worker's lines go. If the channel is full, lines are lost and counted.
#[derive(Debug)]
pub struct AccessLogSink {
    /// What is written.
    pub settings: AccessLogSettings,
    /// To the thread that writes the file.
    pub lines: SyncSender<String>,
    /// How many workers share the lines of a second.
    pub workers: u16,
}

/// The access log of one worker.
pub(crate) struct AccessLog {
    sink: AccessLogSink,
    /// The second that is counted in, and how many lines were written in it.
    second: Cell<(Time, u64)>,
    left_out: Cell<u64>,
    secret: RefCell<Option<Secret>>,
}

/// One request, until its answer has been handed over.
pub(crate) struct AccessRecord {
    log: Rc<AccessLog>,
    at: WallTime,
    started: Time,
    client: String,
    method: String,
    target: String,
    host: String,
    version: &'static str,
    referrer: Option<String>,
    user_agent: Option<String>,
    reason: Reason,
    status: Cell<u16>,
    bytes: Cell<u64>,
}

impl AccessLog {
    pub(crate) fn new(sink: AccessLogSink) -> Self {
        Self {
            sink,
            second: Cell::new((Time(0), 0)),
            left_out: Cell::new(0),
            secret: RefCell::new(None),
        }
    }

    /// Begins the line of a request; `None` if it is left out.
    pub(crate) fn begin(
        self: &Rc<Self>,
        now: (Time, WallTime),
        address: IpAddr,
        head: &Head<'_>,
        reason: Reason,
        secret: &Secret,
    ) -> Option<Box<AccessRecord>> {
        if !self.admit(now.0, now.1) {
            return None;
        }
        let field = |name| head.first(name).map(readable);
        let target = match head.target.query {
            Some(query) => format!("{}?{query}", head.target.path),
            None => head.target.path.to_owned(),
        };
        Some(Box::new(AccessRecord {
            log: self.clone(),
            at: now.1,
            started: now.0,
            client: self.client(address, secret),
            method: readable(head.method.as_bytes()),
            target: readable(target.as_bytes()),
            host: field("host").unwrap_or_default(),
            version: version_name(head.version),
            referrer: field("referer"),
            user_agent: field("user-agent"),
            reason,
            status: Cell::new(0),
            bytes: Cell::new(0),
        }))
    }

    /// Whether a line may be written in this second.
    fn admit(&self, now: Time, wall: WallTime) -> bool {
        let (since, count) = self.second.get();
        let limit = u64::from(self.sink.settings.max_lines_per_second)
            .div_ceil(u64::from(self.sink.workers.max(1)));
        if now.since(since) >= Duration::from_secs(1) {
            let left_out = self.left_out.take();
            if left_out > 0 {
                self.send(left_out_line(self.sink.settings.format, wall, left_out));
            }
            self.second.set((now, 1));
            return true;
        }
        if count >= limit {
            self.left_out.set(self.left_out.get() + 1);
            return false;
        }
        self.second.set((since, count + 1));
        true
    }

    fn send(&self, line: String) {
        if self.sink.lines.try_send(line).is_err() {
            self.left_out.set(self.left_out.get() + 1);
        }
    }

    fn client(&self, address: IpAddr, secret: &Secret) -> String {
        match self.sink.settings.address {
            AccessLogAddress::Full => address.to_string(),
            AccessLogAddress::Truncated => truncated(address).to_string(),
            AccessLogAddress::Pseudonym => {
                // The first secret of the process names visitors until it ends.
                let mut first = self.secret.borrow_mut();
                let first = first.get_or_insert_with(|| secret.clone());
                format!("{:016x}", first.pseudonym(SourceKey::of(address)))
            }
            AccessLogAddress::None => "-".to_owned(),
        }
    }
}

impl AccessRecord {
    pub(crate) fn set_status(&self, status: StatusCode) {
        self.status.set(status.as_u16());
    }

    pub(crate) fn add_bytes(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes as u64);
    }

    /// Writes the line: the answer has been handed over, or the visitor is gone.
    pub(crate) fn finish(&self, now: Time) {
        let took = now.since(self.started);
        let line = match self.log.sink.settings.format {
            AccessLogFormat::Combined => self.combined(),
            AccessLogFormat::Json => self.json(took),
        };
        self.log.send(line);
    }

    /// 499 means a visitor who left before an answer began, as in nginx.
    fn status(&self) -> u16 {
        match self.status.get() {
            0 => 499,
            status => status,
        }
    }

    fn combined(&self) -> String {
        let quoted = |text: &Option<String>| escape(text.as_deref().unwrap_or("-"));
        format!(
            "{} - - [{}] \"{} {} {}\" {} {} \"{}\" \"{}\" {}\n",
            self.client,
            common_time(self.at),
            escape(&self.method),
            escape(&self.target),
            self.version,
            self.status(),
            self.bytes.get(),
            quoted(&self.referrer),
            quoted(&self.user_agent),
            self.reason.as_str(),
        )
    }

    fn json(&self, took: Duration) -> String {
        let mut line = format!("{{\"at\":\"{}\"", self.at);
        let mut text = |name: &str, value: &str| {
            let _ = write!(line, ",\"{name}\":\"{}\"", escape_json(value));
        };
        text("client", &self.client);
        text("host", &self.host);
        text("method", &self.method);
        text("target", &self.target);
        text("version", self.version);
        if let Some(referrer) = &self.referrer {
            text("referrer", referrer);
        }
        if let Some(user_agent) = &self.user_agent {
            text("user_agent", user_agent);
        }
        text("reason", self.reason.as_str());
        let (status, bytes, took) = (self.status(), self.bytes.get(), took.as_millis());
        let _ = writeln!(line, ",\"status\":{status},\"bytes\":{bytes},\"duration_ms\":{took}}}");
        line
    }
}

/// The line that says how many were left out.
fn left_out_line(format: AccessLogFormat, at: WallTime, count: u64) -> String {
    match format {
        AccessLogFormat::Combined => format!(
            "- - - [{}] \"-\" 000 0 \"-\" \"portcullis: {count} requests were left out\" left-out\n",
            common_time(at)
        ),
        AccessLogFormat::Json => {
            format!("{{\"at\":\"{at}\",\"reason\":\"left-out\",\"left_out\":{count}}}\n")
        }
    }
}

const fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// A /24, or a /48 of IPv6, as its first address.
fn truncated(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
        }
    }
}

/// A field of a request as text of limited length.
fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_FIELD)]).into_owned()
}

/// For the combined format: no quotation mark, no backslash and no control character can end a field or
/// a line (nginx `escape=default`).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | ..0x20 | 0x7f.. => {
                let _ = write!(escaped, "\\x{byte:02X}");
            }
            _ => escaped.push(char::from(byte)),
        }
    }
    escaped
}

/// For a JSON string (RFC 8259, section 7).
fn escape_json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                escaped.push('\\');
                escaped.push(character);
            }
            '\0'..='\x1f' => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// `23/Nov/2026:10:00:00 +0000`.
fn common_time(at: WallTime) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // `2026-11-23T10:00:00.000Z`
    let text = at.to_string();
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or("00");
    let month = part(5, 7).parse::<usize>().ok().and_then(|month| month.checked_sub(1));
    let month = month.and_then(|month| MONTHS.get(month)).unwrap_or(&"Jan");
    format!("{}/{month}/{}:{} +0000", part(8, 10), part(0, 4), part(11, 19))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_cannot_end_its_line_or_its_quotes() {
        assert_eq!(escape("a\"b\\c\n\u{e9}"), "a\\x22b\\x5Cc\\x0A\\xC3\\xA9");
        assert_eq!(escape_json("a\"b\\c\n\u{e9}"), "a\\\"b\\\\c\\u000a\u{e9}");
    }

    #[test]
    fn times_and_addresses_have_their_usual_forms() {
        assert_eq!(common_time(WallTime(1_700_000_000_000)), "14/Nov/2023:22:13:20 +0000");
        let short = |text: &str| truncated(text.parse().unwrap()).to_string();
        assert_eq!(short("203.0.113.77"), "203.0.113.0");
        assert_eq!(short("2001:db8:1:2:3::4"), "2001:db8:1::");
    }

    #[test]
    fn beyond_the_limit_lines_are_left_out_and_their_number_is_written() {
        let (lines, written) = std::sync::mpsc::sync_channel(16);
        let settings = AccessLogSettings {
            file: "access.log".into(),
            format: AccessLogFormat::Json,
            address: AccessLogAddress::None,
            max_lines_per_second: 3,
        };
        let log = AccessLog::new(AccessLogSink { settings, lines, workers: 1 });
        let admitted =
            (0..10).filter(|_| log.admit(Time::from_secs(10), WallTime(1_700_000_000_000))).count();
        assert_eq!(admitted, 3);
        assert!(log.admit(Time::from_secs(11), WallTime(1_700_000_001_000)));
        assert!(written.try_recv().unwrap().contains("\"left_out\":7"));
    }
}
