//! JSON access logs: Caddy, Traefik, ECS, Cloudflare, Envoy, and what people build of nginx
//! variables. The names of the fields show which it is ([`super::json_keys`]).

use core::fmt;
use core::time::Duration;
use std::borrow::Cow;

use portcullis_model::WallTime;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::fields::{
    LoggedTarget, first_forwarded, part, plausible, present, request_line, source, target,
    without_port,
};
use super::json_keys::{JsonParent, JsonSlot, SLOTS, meaning};
use super::log_line::{LogLine, LoggedSource, ParseError};
use super::timestamp::{self, TimestampParser};

/// One object a line.
pub(super) fn parse<'a>(
    line: &'a [u8],
    stamps: &mut TimestampParser,
) -> Result<LogLine<'a>, ParseError> {
    let entry: JsonEntry<'a> = serde_json::from_slice(line).map_err(|error| {
        // Without the position: there is but one line.
        let text = error.to_string();
        let end = text.find(" at line").unwrap_or(text.len());
        ParseError::Json(text[..end].chars().take(100).collect())
    })?;
    entry.read(stamps)
}

/// One line, by meaning.
#[derive(Default)]
struct JsonEntry<'a> {
    values: [Option<JsonValue<'a>>; SLOTS],
    /// It has an object `request`, as Caddy's have, be it empty.
    has_request: bool,
    /// Its duration is in whole milliseconds (Envoy).
    envoy: bool,
}

/// A value that was not an object.
enum JsonValue<'a> {
    Text(Cow<'a, str>),
    Number(f64),
}

impl<'a> JsonEntry<'a> {
    fn read(mut self, stamps: &mut TimestampParser) -> Result<LogLine<'a>, ParseError> {
        let asked = [JsonSlot::RequestLine, JsonSlot::Method, JsonSlot::Target, JsonSlot::Path];
        let asked = asked.iter().any(|slot| self.values[*slot as usize].is_some());
        if !asked && !self.has_request {
            return Err(ParseError::Missing("a request (`request`, `request_uri`, `url.path`, …)"));
        }
        let at = [JsonSlot::Time, JsonSlot::TimeOther]
            .into_iter()
            .find_map(|slot| self.time(slot, stamps))
            .ok_or(ParseError::Missing("a time (`ts`, `time`, `@timestamp`, …)"))?;
        let forwarded =
            self.text(JsonSlot::Forwarded).and_then(|list| first_forwarded(list.as_bytes()));
        let source = self.source()?;
        let (method, asked, sent_bytes) = self.request();
        let latency = self.latency();
        let host =
            [JsonSlot::Host, JsonSlot::HostOther].into_iter().find_map(|slot| self.text(slot));
        let host = asked.host.or_else(|| host.map(without_port)).filter(|host| host != "_");
        Ok(LogLine {
            at,
            source,
            forwarded,
            method,
            path: asked.path,
            query: asked.query,
            status: self.whole(JsonSlot::Status).and_then(|n| u16::try_from(n).ok()).unwrap_or(0),
            bytes: self.whole(JsonSlot::Bytes).unwrap_or(0),
            referer: self.text(JsonSlot::Referer),
            user_agent: self.text(JsonSlot::UserAgent),
            accept: self.text(JsonSlot::Accept),
            language: self.text(JsonSlot::Language),
            host,
            latency: latency.and_then(plausible),
            sent_bytes,
        })
    }

    fn text(&mut self, slot: JsonSlot) -> Option<Cow<'a, str>> {
        match self.values[slot as usize].take()? {
            JsonValue::Text(text) => present(text),
            JsonValue::Number(_) => None,
        }
    }

    fn number(&self, slot: JsonSlot) -> Option<f64> {
        match self.values[slot as usize].as_ref()? {
            JsonValue::Text(text) => text.parse().ok().filter(|n: &f64| n.is_finite()),
            JsonValue::Number(number) => Some(*number),
        }
    }

    fn whole(&self, slot: JsonSlot) -> Option<u64> {
        self.number(slot).filter(|n| *n >= 0.0).map(|n| n as u64)
    }

    fn time(&self, slot: JsonSlot, stamps: &mut TimestampParser) -> Option<WallTime> {
        match self.values[slot as usize].as_ref()? {
            JsonValue::Number(number) => timestamp::from_number(*number),
            JsonValue::Text(text) => match stamps.read(text.as_bytes()) {
                Some(at) => Some(at),
                None => text.parse().ok().and_then(timestamp::from_number),
            },
        }
    }

    /// Without any field for it, the log hides its sources.
    fn source(&mut self) -> Result<LoggedSource, ParseError> {
        let mut hidden = LoggedSource::Hidden;
        for slot in [JsonSlot::Client, JsonSlot::Remote] {
            let Some(text) = self.text(slot) else { continue };
            match source(text.as_bytes()) {
                Some(LoggedSource::Hidden) => {}
                Some(LoggedSource::Name(name)) => hidden = LoggedSource::Name(name),
                Some(source) => return Ok(source),
                None => return Err(ParseError::Address(super::fields::found(text.as_bytes()))),
            }
        }
        Ok(hidden)
    }

    /// Method and target, and whether anything was sent. A request that the server could not make sense of has
    /// no method or no target.
    fn request(&mut self) -> (Cow<'a, str>, LoggedTarget<'a>, bool) {
        if let Some(text) = self.text(JsonSlot::RequestLine) {
            if let Some((method, target)) = request_line(&text) {
                return (method, target, true);
            }
            if self.values[JsonSlot::Method as usize].is_none() {
                return (Cow::Borrowed(""), LoggedTarget::default(), true);
            }
        }
        let method = self.text(JsonSlot::Method);
        let query = self.text(JsonSlot::Query);
        let asked = self.text(JsonSlot::Target).or_else(|| self.text(JsonSlot::Path));
        let asked = asked.and_then(|text| target(&text));
        let Some((method, mut asked)) = method.zip(asked) else {
            return (Cow::Borrowed(""), LoggedTarget::default(), true);
        };
        if asked.query.is_none() {
            asked.query = query.map(|query| match query.starts_with('?') {
                true => part(&query, 1..query.len()),
                false => query,
            });
        }
        (method, asked, true)
    }

    fn latency(&self) -> Option<Duration> {
        if let Some(nanos) = self.number(JsonSlot::Nanos) {
            return Some(Duration::from_nanos(nanos.max(0.0) as u64));
        }
        let seconds = if let Some(millis) = self.number(JsonSlot::Millis) {
            millis / 1e3
        } else if let Some(number) = self.number(JsonSlot::Seconds) {
            if self.envoy { number / 1e3 } else { number }
        } else {
            return match self.values[JsonSlot::Seconds as usize].as_ref()? {
                JsonValue::Text(text) => parse_duration(text),
                JsonValue::Number(_) => None,
            };
        };
        Duration::try_from_secs_f64(seconds).ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonEntry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut entry = JsonEntry::default();
        ObjectSeed { parent: Some(JsonParent::Root), slot: None, entry: &mut entry }
            .deserialize(deserializer)?;
        Ok(entry)
    }
}

/// Reads a value into its slot, and an object name by name.
struct ObjectSeed<'e, 'a> {
    slot: Option<JsonSlot>,
    parent: Option<JsonParent>,
    entry: &'e mut JsonEntry<'a>,
}

impl<'a> ObjectSeed<'_, 'a> {
    /// The first value of a meaning stays.
    fn put(self, value: JsonValue<'a>) {
        if let Some(slot) = self.slot {
            let place = &mut self.entry.values[slot as usize];
            if place.is_none() {
                *place = Some(value);
            }
        }
    }
}

impl<'de: 'a, 'a> DeserializeSeed<'de> for ObjectSeed<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.parent == Some(JsonParent::Root) {
            deserializer.deserialize_map(self)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de: 'a, 'a> Visitor<'de> for ObjectSeed<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.put(JsonValue::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.put(JsonValue::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.put(JsonValue::Number(number));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.put(JsonValue::Number(number as f64));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.put(JsonValue::Number(number as f64));
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    /// Of several values (header fields), the first counts.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { slot, entry, .. } = self;
        seq.next_element_seed(ObjectSeed { slot, parent: None, entry })?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { parent, entry, .. } = self;
        entry.has_request |= parent == Some(JsonParent::Request);
        while let Some(KeyText(key)) = map.next_key()? {
            match parent.map_or((None, None), |parent| meaning(parent, &key)) {
                (None, None) => drop(map.next_value::<IgnoredAny>()?),
                (slot, parent) => {
                    entry.envoy |= key == "response_code";
                    map.next_value_seed(ObjectSeed { slot, parent, entry })?;
                }
            }
        }
        Ok(())
    }
}

/// A name, borrowed from the line if nothing in it is escaped.
struct KeyText<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for KeyText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = KeyText<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(KeyText(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(KeyText(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// `1.5ms`, which some settings of Caddy's encoder write.
fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..unit_at].parse().ok()?;
    let seconds = match text[unit_at..].trim_start() {
        "s" => number,
        "ms" => number / 1e3,
        "µs" | "us" => number / 1e6,
        "ns" => number / 1e9,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"level":"info","ts":1431857103.25,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"10.0.0.9","remote_port":"41342","client_ip":"2001:db8::7","proto":"HTTP/2.0","method":"GET","host":"www.example.org:443","uri":"/donate?amount=5","headers":{"User-Agent":["Mozilla/5.0"],"Accept":["text/html","*/*"],"Accept-Language":["en-GB"],"Referer":["https://example.org/\u00e9"],"Cookie":["REDACTED"]},"tls":{"resumed":false}},"bytes_read":0,"user_id":"","duration":0.0125,"size":10900,"status":200,"resp_headers":{"Server":["Caddy"]}}"#;

    fn line(text: &str) -> LogLine<'_> {
        parse(text.as_bytes(), &mut TimestampParser::default()).expect(text)
    }

    #[test]
    fn a_line_of_caddy_is_read() {
        let read = line(LINE);
        assert_eq!(read.at, WallTime(1_431_857_103_250));
        assert_eq!(read.source, LoggedSource::Address([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7].into()));
        assert_eq!((read.method.as_ref(), read.path.as_ref()), ("GET", "/donate"));
        assert!(matches!(read.path, Cow::Borrowed(_)));
        assert_eq!(read.query.as_deref(), Some("amount=5"));
        assert_eq!(read.host.as_deref(), Some("www.example.org"));
        assert_eq!(read.user_agent.as_deref(), Some("Mozilla/5.0"));
        assert_eq!(read.accept.as_deref(), Some("text/html"));
        assert_eq!(read.language.as_deref(), Some("en-GB"));
        assert_eq!(read.referer.as_deref(), Some("https://example.org/é"));
        assert_eq!((read.status, read.bytes), (200, 10_900));
        assert_eq!(read.latency, Some(Duration::from_micros(12_500)));
    }

    #[test]
    fn other_settings_of_the_encoder_are_read() {
        let at = |ts: &str| line(&LINE.replacen("1431857103.25", ts, 1)).at;
        for ts in [
            "1431857103250",
            r#""2015-05-17T10:05:03.250Z""#,
            r#""2015-05-17T12:05:03.250+0200""#,
            r#""2015/05/17 10:05:03.250""#,
        ] {
            assert_eq!(at(ts), WallTime(1_431_857_103_250), "{ts}");
        }
        assert_eq!(at(r#""17/May/2015:10:05:03 +0000""#), WallTime(1_431_857_103_000));
        let text = LINE.replacen("0.0125", r#""12.5ms""#, 1);
        assert_eq!(line(&text).latency, Some(Duration::from_micros(12_500)));
        let text = LINE.replacen(
            r#""remote_ip":"10.0.0.9","remote_port":"41342","client_ip":"2001:db8::7""#,
            r#""remote_addr":"192.0.2.7:41342""#,
            1,
        );
        assert_eq!(line(&text).source, LoggedSource::Address([192, 0, 2, 7].into()));
    }

    #[test]
    fn other_messages_of_caddy_are_no_access_log() {
        let error = |text: &str| {
            parse(text.as_bytes(), &mut TimestampParser::default()).expect_err(text).to_string()
        };
        let nothing = LINE.replacen("GET", "", 1);
        assert!(!line(&nothing).is_request() && line(&nothing).path.is_empty());
        let other = r#"{"level":"info","ts":1431857103.25,"msg":"serving initial configuration"}"#;
        assert!(error(other).starts_with("expected a request"), "{}", error(other));
        assert!(error(&LINE[..200]).starts_with("expected one JSON object a line"));
        assert!(error(&LINE.replacen("1431857103.25", "\"soon\"", 1)).contains("a time (`ts`"));
    }
}
