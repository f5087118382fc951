//! Whole files in the formats of servers, proxies and clouds, with what collectors put around
//! their lines: recognised from their first lines, and the same in the result.

use portcullis_replay::{Findings, LineFormat, LineReader};
use proptest::prelude::*;

use crate::writer::{Writer, config, replayed_with};

/// A request of the made-up log.
struct Asked {
    day: String,
    clock: String,
    source: String,
    target: String,
    agent: String,
}

fn requests() -> Vec<Asked> {
    let mut writer = Writer::new(31);
    writer.calm(240);
    let read = |line: &str| {
        let field = |n: usize| line.split('"').nth(n).expect("a field").to_owned();
        let time = line.split(['[', ']']).nth(1).expect("a time");
        Asked {
            day: time[..2].to_owned(),
            clock: time[12..20].to_owned(),
            source: line.split(' ').next().expect("a source").to_owned(),
            target: field(1).split(' ').nth(1).expect("a target").to_owned(),
            agent: field(5),
        }
    };
    writer.log.lines().map(read).collect()
}

type Format = fn(&Asked) -> String;

const HAPROXY: Format = |r| {
    format!(
        "{}:4711 [{}/Nov/2026:{}.000] web app/app1 0/0/0/12/12 200 5120 - - ---- 1/1/0/0/0 0/0 \
         {{www.example.org|{}}} {{}} \"GET {} HTTP/1.1\"",
        r.source, r.day, r.clock, r.agent, r.target
    )
};
const COMBINED: Format = |r| {
    format!(
        "{} - - [{}/Nov/2026:{} +0000] \"GET {} HTTP/1.1\" 200 5120 \"-\" \"{}\"",
        r.source, r.day, r.clock, r.target, r.agent
    )
};

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a text")
}

/// Every format, with what it is recognised as.
fn formats() -> Vec<(&'static str, &'static str, &'static str, Format)> {
    vec![
        ("combined", "combined", "", COMBINED),
        ("vhost", "combined", "", |r| format!("www.example.org:443 {}", COMBINED(r))),
        ("traefik", "combined", "", |r| {
            format!("{} 17 \"web@docker\" \"http://10.0.0.2:80\" 12ms", COMBINED(r))
        }),
        ("forwarded list", "combined", "", |r| {
            COMBINED(r).replacen(&r.source, &format!("{}, 10.0.0.1, 10.0.0.2", r.source), 1)
        }),
        ("nginx main behind a proxy", "combined", "", |r| {
            let line = COMBINED(r).replacen(&r.source, "10.0.0.1", 1);
            format!("{line} \"{}\"", r.source)
        }),
        ("nginx json", "json", "", |r| {
            format!(
                r#"{{"time_iso8601":"2026-11-{}T{}+00:00","remote_addr":"{}","request":{},"status":"200","body_bytes_sent":"5120","http_user_agent":{},"request_time":"0.012"}}"#,
                r.day,
                r.clock,
                r.source,
                json(&format!("GET {} HTTP/2.0", r.target)),
                json(&r.agent)
            )
        }),
        ("traefik json", "json", "", |r| {
            format!(
                r#"{{"ClientAddr":"{}:4711","ClientHost":"{}","DownstreamContentSize":5120,"DownstreamStatus":200,"Duration":12000000,"RequestHost":"www.example.org","RequestMethod":"GET","RequestPath":{},"StartUTC":"2026-11-{}T{}.000000001Z","level":"info","msg":"","request_User-Agent":{},"time":"2026-11-{}T{}Z"}}"#,
                r.source,
                r.source,
                json(&r.target),
                r.day,
                r.clock,
                json(&r.agent),
                r.day,
                r.clock
            )
        }),
        ("ecs", "json", "", |r| {
            format!(
                r#"{{"@timestamp":"2026-11-{}T{}.000Z","source":{{"ip":"{}"}},"url":{{"original":{}}},"http":{{"request":{{"method":"GET"}},"response":{{"status_code":200,"body":{{"bytes":5120}}}}}},"user_agent":{{"original":{}}},"host":{{"name":"web1"}},"event":{{"duration":12000000}}}}"#,
                r.day,
                r.clock,
                r.source,
                json(&r.target),
                json(&r.agent)
            )
        }),
        ("cloudflare", "json", "", |r| {
            format!(
                r#"{{"ClientIP":"{}","ClientRequestHost":"www.example.org","ClientRequestMethod":"GET","ClientRequestURI":{},"ClientRequestUserAgent":{},"EdgeEndTimestamp":"2026-11-{}T{}Z","EdgeResponseBytes":5120,"EdgeResponseStatus":200,"EdgeStartTimestamp":"2026-11-{}T{}Z"}}"#,
                r.source,
                json(&r.target),
                json(&r.agent),
                r.day,
                r.clock,
                r.day,
                r.clock
            )
        }),
        ("haproxy", "haproxy", "a syslog prefix", |r| {
            format!("Nov {} {} lb1 haproxy[14389]: {}", r.day, r.clock, HAPROXY(r))
        }),
        ("alb", "alb", "", |r| {
            format!(
                "https 2026-11-{}T{}.000000Z app/site/50dc 192.0.2.1:1 10.0.0.1:80 0.001 0.010 0.001 \
                 200 200 34 5120 \"GET https://www.example.org:443{} HTTP/2.0\" \"{}\" ECDHE TLSv1.3 \
                 arn:aws:x \"Root=1\"",
                r.day, r.clock, r.target, r.agent
            )
            .replacen("192.0.2.1:1", &format!("{}:4711", r.source), 1)
        }),
        ("iis", "w3c", "", |r| {
            let (path, query) = r.target.split_once('?').unwrap_or((&r.target, "-"));
            format!(
                "2026-11-{} {} 10.0.0.2 GET {path} {query} 443 - {} {} - 200 0 0 12",
                r.day,
                r.clock,
                r.source,
                r.agent.replace(' ', "+")
            )
        }),
        ("envoy", "envoy", "", |r| {
            format!(
                "[2026-11-{}T{}.000Z] \"GET {} HTTP/2\" 200 - 0 5120 12 11 \"{}\" \"{}\" \"id\" \
                 \"www.example.org\" \"10.0.0.2:80\"",
                r.day, r.clock, r.target, r.source, r.agent
            )
        }),
        ("docker", "combined", "a JSON object of a log collector", |r| {
            format!(
                r#"{{"log":{},"stream":"stdout","time":"2026-11-{}T{}.1Z"}}"#,
                json(&format!("{}\n", COMBINED(r))),
                r.day,
                r.clock
            )
        }),
        ("compose", "combined", "a docker compose prefix", |r| format!("web-1  | {}", COMBINED(r))),
        ("kubernetes", "combined", "a Kubernetes prefix", |r| {
            format!("2026-11-{}T{}.123456789Z stdout F {}", r.day, r.clock, COMBINED(r))
        }),
        ("syslog of haproxy in rfc 5424", "haproxy", "a syslog prefix", |r| {
            format!("<134>1 2026-11-{}T{}Z lb1 haproxy 7 - - {}", r.day, r.clock, HAPROXY(r))
        }),
        ("csv", "combined", "quotes of a spreadsheet", |r| {
            format!("\"{}\"", COMBINED(r).replace('"', "\"\""))
        }),
    ]
}

fn found(lines: &[String]) -> Findings {
    replayed_with(config(), (lines.join("\n") + "\n").into_bytes())
}

#[test]
fn every_format_gives_the_same_result() {
    let requests = requests();
    let expected = found(&requests.iter().map(COMBINED).collect::<Vec<_>>());
    for (name, format, wrapper, write) in formats() {
        let found = found(&requests.iter().map(write).collect::<Vec<_>>());
        let file = &found.files[0];
        assert_eq!((file.format.as_str(), file.wrapper.unwrap_or("")), (format, wrapper), "{name}");
        assert_eq!(found.lines.unread, [], "{name}");
        assert_eq!(found.requests, expected.requests, "{name}");
        assert_eq!(found.sources, expected.sources, "{name}");
        assert_eq!(found.busiest_second, expected.busiest_second, "{name}");
        assert_eq!(found.series.bins, expected.series.bins, "{name}");
        assert_eq!(found.hidden_sources, 0, "{name}");
    }
}

#[test]
fn utf_16_is_read_with_and_without_a_byte_order_mark() {
    let lines: Vec<String> = requests().iter().map(COMBINED).collect();
    let expected = found(&lines);
    let text = format!("\u{feff}{}\r\n", lines.join("\r\n"));
    for (skip, bytes) in
        [(0, u16::to_le_bytes as fn(u16) -> [u8; 2]), (0, u16::to_be_bytes), (2, u16::to_le_bytes)]
    {
        let encoded: Vec<u8> = text.encode_utf16().flat_map(bytes).skip(skip).collect();
        let found = replayed_with(config(), encoded);
        assert_eq!((found.requests, found.lines.unparsed), (expected.requests, 0));
    }
    let marked = replayed_with(config(), text.into_bytes());
    assert_eq!((marked.requests, marked.lines.unparsed), (expected.requests, 0));
}

#[test]
fn hidden_sources_are_reported_and_give_no_evidence() {
    let mut writer = Writer::new(32);
    writer.calm(600);
    writer.phase(60, |writer| (0..200).for_each(|_| writer.flood()));
    let hide = |to: fn(&str) -> String| -> String {
        let lines = writer.log.lines().map(|line| line.split_once(' ').expect("a source"));
        lines.map(|(source, rest)| format!("{} {rest}\n", to(source))).collect()
    };
    let dashes = hide(|_| "-".into());
    let zeroed = hide(|source| format!("{}.0", source.rsplit_once('.').expect("octets").0));
    for log in [dashes, zeroed] {
        let found = replayed_with(config(), log.into_bytes());
        assert_eq!((found.hidden_sources, found.sources), (found.requests, 0));
        assert!(
            found.caveats[0].starts_with("The log hides the source of")
                || found.caveats[1].starts_with("The log hides the source of"),
            "{:?}",
            found.caveats
        );
        let by_source = [
            "repeated-requests",
            "excessive-page-rate",
            "rotating-user-agents",
            "pages-without-assets",
        ];
        for evidence in found.attacks.iter().flat_map(|attack| &attack.evidence) {
            assert!(!by_source.contains(&evidence.kind.as_str()), "{}", evidence.summary);
        }
        assert_eq!((found.impact.visitors_refused, found.impact.sources_refused), (0, 0));
        assert!(!found.text().contains("from about"), "{}", found.text());
    }
}

#[test]
fn names_of_hosts_are_sources() {
    let lines: Vec<String> = requests()
        .iter()
        .map(|r| {
            COMBINED(r).replacen(
                &r.source,
                &format!("host-{}.example.net", r.source.replace('.', "-")),
                1,
            )
        })
        .collect();
    let named = found(&lines);
    let expected = found(&requests().iter().map(COMBINED).collect::<Vec<_>>());
    assert_eq!((named.requests, named.hidden_sources), (expected.requests, 0));
    assert!(named.sources.abs_diff(expected.sources) * 20 <= expected.sources, "{}", named.sources);
}

#[test]
fn what_is_not_read_is_reported_by_kind_above_the_result() {
    let mut lines: Vec<String> = requests().iter().map(COMBINED).collect();
    for at in 0..lines.len() / 10 {
        lines.insert(at * 11, "[error] 7#7: *1 open() failed".into());
    }
    let found = found(&lines);
    assert!(!found.reliable);
    let unread = &found.lines.unread[0];
    assert_eq!((unread.lines, unread.first.line), (lines.len() as u64 / 11, 1), "{unread:?}");
    assert_eq!(unread.first.text, "[error] 7#7: *1 open() failed");
    let text = found.text();
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
    assert!(at("UNRELIABLE") < at("What the watch would have reported"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_spoilt_file_makes_a_reader_panic_or_grow(
        which in any::<prop::sample::Index>(),
        spoils in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let asked = Asked {
            day: "23".into(),
            clock: "09:00:00".into(),
            source: "192.0.2.7".into(),
            target: "/search?q=\\\"%20é".into(),
            agent: "Mozilla/5.0 (X11; {Linux})".into(),
        };
        let formats = formats();
        let (.., write) = formats[which.index(formats.len())];
        let mut bytes = format!("{0}\n{0}\n{0}\n", write(&asked)).into_bytes();
        for (at, byte) in spoils {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let head = &bytes[..cut.index(bytes.len())];
        let mut reader = LineReader::recognise(head, None);
        for line in bytes.split(|byte| *byte == b'\n') {
            match reader.read(line) {
                Ok(Some(read)) => {
                    let texts = [Some(read.path), read.query, read.referer, read.user_agent, read.host];
                    let length: usize = texts.into_iter().flatten().map(|text| text.len()).sum();
                    // A byte that is no text becomes a character of three.
                    prop_assert!(length <= line.len() * 3 + 1);
                }
                Ok(None) => prop_assert!(line.trim_ascii().starts_with(b"#")),
                Err(error) => prop_assert!(error.to_string().starts_with("expected")),
            }
        }
    }

    #[test]
    fn no_pattern_makes_the_compiler_or_the_reader_panic(
        pattern in "[$%{}\\[\\]\" a-zA-Z_>0-9,é]{0,60}", line in "[ -~é]{0,80}",
    ) {
        if let Ok(format) = pattern.parse::<LineFormat>() {
            let _ = LineReader::new(format).read(line.as_bytes());
        }
    }
}
