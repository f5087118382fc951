//! AWS load balancers: the Application Load Balancer, and the Classic one before it.

use core::time::Duration;

use super::fields::{
    decimal_seconds, found, is_method, plausible, present, request_line, size, source, status, word,
};
use super::log_line::{LogLine, ParseError};
use super::quoted;
use super::timestamp::TimestampParser;

/// `[type ]time balancer client:port target:port times×3 status status received sent "request"
/// "user agent" …`.
pub(super) fn parse<'a>(
    line: &'a [u8],
    stamps: &mut TimestampParser,
) -> Result<LogLine<'a>, ParseError> {
    let (mut first, mut rest) = word(line);
    if matches!(first, b"http" | b"https" | b"h2" | b"grpcs" | b"ws" | b"wss") {
        (first, rest) = word(rest);
    }
    let at = stamps.read(first).ok_or_else(|| ParseError::Time(found(line)))?;
    let (_balancer, rest) = word(rest);
    let (client, rest) = word(rest);
    let source = source(client).ok_or_else(|| ParseError::Address(found(client)))?;
    let (_target, mut rest) = word(rest);
    let mut latency = Some(Duration::ZERO);
    for _ in 0..3 {
        let (time, after) = word(rest);
        // `-1`: the target did not answer.
        latency = latency.zip(decimal_seconds(time)).map(|(sum, time)| sum + time);
        rest = after;
    }
    let (answered, after) = word(rest);
    let (_by_target, after) = word(after);
    let (_received, after) = word(after);
    let (bytes, after) = word(after);
    let (Some(status), Some(bytes)) = (status(answered), size(bytes)) else {
        return Err(ParseError::Status(found(rest)));
    };
    let after = after.trim_ascii_start();
    let (request, after) = quoted::take(after).ok_or_else(|| ParseError::Request(found(after)))?;
    let user_agent = quoted::take(after.trim_ascii_start()).and_then(|(agent, _)| present(agent));
    // `- http://example.org:80- -` where no request could be read.
    let (method, asked) =
        request_line(&request).filter(|(m, _)| is_method(m) && m != "-").unwrap_or_default();
    Ok(LogLine {
        at,
        source,
        forwarded: None,
        method,
        path: asked.path,
        query: asked.query,
        status,
        bytes,
        referer: None,
        user_agent,
        accept: None,
        language: None,
        host: asked.host,
        latency: latency.and_then(plausible),
        sent_bytes: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::LoggedSource;

    fn line(text: &str) -> LogLine<'_> {
        parse(text.as_bytes(), &mut TimestampParser::default()).expect(text)
    }

    const ALB: &str = r#"h2 2026-11-23T09:00:00.186641Z app/site/50dc6c495c0c9188 192.0.2.7:2817 10.0.0.1:80 0.001 0.040 0.000 200 200 34 366 "GET https://www.example.org:443/news?p=2 HTTP/2.0" "Mozilla/5.0 (X11)" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:x "Root=1-5" "www.example.org" "-" 0 2026-11-23T08:59:59.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-""#;

    #[test]
    fn both_balancers_are_read() {
        for text in [ALB, ALB.strip_prefix("h2 ").expect("its type")] {
            let read = line(text);
            assert_eq!(read.at.to_string(), "2026-11-23T09:00:00.186Z");
            assert_eq!(read.source, LoggedSource::Address([192, 0, 2, 7].into()));
            assert_eq!((read.path.as_ref(), read.query.as_deref()), ("/news", Some("p=2")));
            assert_eq!(read.host.as_deref(), Some("www.example.org"));
            assert_eq!((read.status, read.bytes), (200, 366));
            assert_eq!(read.latency, Some(Duration::from_millis(41)));
            assert_eq!(read.user_agent.as_deref(), Some("Mozilla/5.0 (X11)"));
        }
    }

    #[test]
    fn what_no_target_answered_is_read() {
        let text =
            ALB.replacen("10.0.0.1:80 0.001 0.040 0.000 200 200", "- -1 -1 -1 503 -", 1).replacen(
                "GET https://www.example.org:443/news?p=2 HTTP/2.0",
                "- http://www.example.org:80- -",
                1,
            );
        assert_eq!((line(&text).status, line(&text).latency), (503, None));
        assert!(!line(&text).is_request());
    }
}
