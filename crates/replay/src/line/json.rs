//! Caddy's JSON access log.

use core::fmt;
use core::time::Duration;
use std::borrow::Cow;

use portcullis_model::WallTime;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::{LoggedTarget, address, plausible, target, without_port};
use super::log_line::{LogLine, ParseError};
use super::timestamp::{self, TimestampParser};

/// One object a line.
pub(super) fn parse<'a>(
    line: &'a [u8],
    stamps: &mut TimestampParser,
) -> Result<LogLine<'a>, ParseError> {
    let access: AccessEntry<'a> = serde_json::from_slice(line).map_err(|error| {
        // Without the position: there is but one line.
        let text = error.to_string();
        let end = text.find(" at line").unwrap_or(text.len());
        ParseError::Json(text[..end].chars().take(100).collect())
    })?;
    let request = access.request.ok_or(ParseError::Missing("request"))?;
    let at = access.ts.and_then(|ts| ts.read(stamps)).ok_or(ParseError::Missing("ts"))?;
    let source = [request.client_ip, request.remote_ip, request.remote_addr]
        .into_iter()
        .flatten()
        .find_map(|text| address(text.0.as_bytes()))
        .ok_or(ParseError::Missing("request.remote_ip"))?;
    let method = request.method.map(|method| method.0).filter(|method| !method.is_empty());
    let asked = request.uri.and_then(|uri| target(&uri.0));
    // A request that Caddy could not make sense of has no method or no target.
    let (method, asked): (_, LoggedTarget<'a>) = method.zip(asked).unwrap_or_default();
    let headers = request.headers.unwrap_or_default();
    let host = request.host.map(|host| without_port(host.0)).filter(|host| !host.is_empty());
    Ok(LogLine {
        at,
        source,
        method,
        path: asked.path,
        query: asked.query,
        status: access.status.unwrap_or(0),
        bytes: access.size.unwrap_or(0),
        referer: headers.referer,
        user_agent: headers.user_agent,
        accept: headers.accept,
        language: headers.language,
        host: host.or(asked.host),
        latency: access.duration.and_then(|duration| duration.0).and_then(plausible),
        sent_bytes: true,
    })
}

#[derive(serde::Deserialize)]
struct AccessEntry<'a> {
    #[serde(borrow)]
    ts: Option<LoggedTime<'a>>,
    #[serde(borrow)]
    request: Option<LoggedRequest<'a>>,
    status: Option<u16>,
    size: Option<u64>,
    duration: Option<LoggedDuration>,
}

#[derive(serde::Deserialize)]
struct LoggedRequest<'a> {
    #[serde(borrow)]
    client_ip: Option<LogText<'a>>,
    #[serde(borrow)]
    remote_ip: Option<LogText<'a>>,
    /// With the port, in logs of Caddy before 2.5.
    #[serde(borrow)]
    remote_addr: Option<LogText<'a>>,
    #[serde(borrow)]
    method: Option<LogText<'a>>,
    #[serde(borrow)]
    host: Option<LogText<'a>>,
    #[serde(borrow)]
    uri: Option<LogText<'a>>,
    #[serde(borrow)]
    headers: Option<Headers<'a>>,
}

/// Text that is borrowed from the line if it can be, also within an `Option`.
#[derive(Default)]
struct LogText<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for LogText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = LogText<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(LogText(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(LogText(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A time in any of the formats that Caddy's encoders offer.
enum LoggedTime<'a> {
    Number(f64),
    Written(Cow<'a, str>),
}

impl LoggedTime<'_> {
    fn read(&self, stamps: &mut TimestampParser) -> Option<WallTime> {
        match self {
            Self::Number(number) => timestamp::from_number(*number),
            Self::Written(text) => stamps.read(text.as_bytes()),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for LoggedTime<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;
        impl<'de> Visitor<'de> for TimeVisitor {
            type Value = LoggedTime<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time: seconds since 1970, or a text such as 2015-05-17T10:05:03Z")
            }

            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(LoggedTime::Number(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(LoggedTime::Number(number as f64))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(LoggedTime::Number(number as f64))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(LoggedTime::Written(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(LoggedTime::Written(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_any(TimeVisitor)
    }
}

/// Seconds, or a text such as `1.5ms`, which other settings of Caddy's encoder write.
struct LoggedDuration(Option<Duration>);

impl<'de> Deserialize<'de> for LoggedDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DurationVisitor;
        impl Visitor<'_> for DurationVisitor {
            type Value = LoggedDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration: seconds, or a text such as 1.5ms")
            }

            fn visit_f64<E>(self, seconds: f64) -> Result<LoggedDuration, E> {
                Ok(LoggedDuration(Duration::try_from_secs_f64(seconds).ok()))
            }

            fn visit_u64<E>(self, seconds: u64) -> Result<LoggedDuration, E> {
                Ok(LoggedDuration(Duration::try_from_secs_f64(seconds as f64).ok()))
            }

            fn visit_i64<E>(self, _before_it_began: i64) -> Result<LoggedDuration, E> {
                Ok(LoggedDuration(None))
            }

            fn visit_str<E>(self, text: &str) -> Result<LoggedDuration, E> {
                Ok(LoggedDuration(parse_duration(text)))
            }
        }
        deserializer.deserialize_any(DurationVisitor)
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..unit_at].parse().ok()?;
    let seconds = match &text[unit_at..] {
        "s" => number,
        "ms" => number / 1e3,
        "µs" | "us" => number / 1e6,
        "ns" => number / 1e9,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// The header fields that matter here, each with its first value.
#[derive(Default)]
struct Headers<'a> {
    referer: Option<Cow<'a, str>>,
    user_agent: Option<Cow<'a, str>>,
    accept: Option<Cow<'a, str>>,
    language: Option<Cow<'a, str>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Headers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeadersVisitor;
        impl<'de> Visitor<'de> for HeadersVisitor {
            type Value = Headers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("header fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut headers = Headers::default();
                while let Some(LogText(name)) = map.next_key()? {
                    let slot = match name.as_ref() {
                        "Referer" | "referer" => &mut headers.referer,
                        "User-Agent" | "user-agent" => &mut headers.user_agent,
                        "Accept" | "accept" => &mut headers.accept,
                        "Accept-Language" | "accept-language" => &mut headers.language,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    let FirstText(value) = map.next_value()?;
                    *slot = value.filter(|value| !value.is_empty());
                }
                Ok(headers)
            }
        }
        deserializer.deserialize_map(HeadersVisitor)
    }
}

/// A text, or the first of a list of texts.
struct FirstText<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for FirstText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FirstTextVisitor;
        impl<'de> Visitor<'de> for FirstTextVisitor {
            type Value = FirstText<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(FirstText(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(FirstText(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(FirstText(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let first: Option<LogText<'de>> = seq.next_element()?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(FirstText(first.map(|text| text.0)))
            }
        }
        deserializer.deserialize_any(FirstTextVisitor)
    }
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
        assert_eq!(read.source.to_string(), "2001:db8::7");
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
        assert_eq!(line(&text).source.to_string(), "192.0.2.7");
    }

    #[test]
    fn other_messages_of_caddy_are_no_access_log() {
        let error = |text: &str| {
            parse(text.as_bytes(), &mut TimestampParser::default()).expect_err(text).to_string()
        };
        let nothing = LINE.replacen("GET", "", 1);
        assert!(!line(&nothing).is_request() && line(&nothing).path.is_empty());
        let other = r#"{"level":"info","ts":1431857103.25,"msg":"serving initial configuration"}"#;
        assert_eq!(
            error(other),
            "expected `request` in a JSON access log, as Caddy writes it; this line has none"
        );
        assert!(error(&LINE[..200]).starts_with("expected one JSON object a line"));
        assert!(error(&LINE.replacen("1431857103.25", "\"soon\"", 1)).contains("`ts`"));
    }
}
