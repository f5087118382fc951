//! Every format reads back what was written in it, and nothing makes a parser panic.

use std::net::IpAddr;

use portcullis_model::WallTime;
use portcullis_replay::{LogLine, LoggedSource, parse};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Written {
    second: u64,
    source: IpAddr,
    method: String,
    path: String,
    query: Option<String>,
    status: u16,
    bytes: u64,
    referer: Option<String>,
    agent: Option<String>,
    host: String,
}

fn written() -> impl Strategy<Value = Written> {
    let source = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u16; 8]>().prop_map(IpAddr::from),
    ];
    let text = "[ -~é]{1,40}".prop_filter("not empty", |t| t != "-" && t.trim() == t);
    let visited = (0..4_102_444_800u64, source, "[A-Z]{3,8}", "/[!#->@-\\[\\]-~]{0,40}");
    let rest = (
        prop::option::of("[!#-\\[\\]-~]{0,40}"),
        100..600u16,
        0..1_000_000_000u64,
        prop::option::of(text.clone()),
        prop::option::of(text),
        "[a-z]{1,10}\\.example",
    );
    (visited, rest).prop_map(
        |((second, source, method, path), (query, status, bytes, referer, agent, host))| Written {
            second,
            source,
            method,
            path,
            query,
            status,
            bytes,
            referer,
            agent,
            host,
        },
    )
}

impl Written {
    fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// As Apache (`letters`) or Nginx escapes quoted fields.
    fn combined(&self, letters: bool) -> String {
        let hex = |byte: u8| format!("\\x{byte:02X}");
        let escaped = |text: &str| -> String {
            let mut out = String::new();
            for c in text.chars() {
                match c {
                    '"' if letters => out.push_str("\\\""),
                    '\\' if letters => out.push_str("\\\\"),
                    '"' | '\\' => out += &hex(c as u8),
                    c if c.is_ascii() => out.push(c),
                    c => {
                        let mut bytes = [0; 4];
                        for byte in c.encode_utf8(&mut bytes).bytes() {
                            out += &hex(byte);
                        }
                    }
                }
            }
            out
        };
        let field = |text: &Option<String>| text.as_deref().map_or("-".into(), escaped);
        let at = jiff::Timestamp::from_second(self.second.cast_signed()).expect("in range");
        format!(
            "{}:443 {} - - [{}] \"{} {} HTTP/1.1\" {} {} \"{}\" \"{}\"",
            self.host,
            self.source,
            at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            self.method,
            escaped(&self.target()),
            self.status,
            self.bytes,
            field(&self.referer),
            field(&self.agent),
        )
    }

    fn caddy(&self) -> String {
        let mut headers = serde_json::Map::new();
        for (name, value) in [("Referer", &self.referer), ("User-Agent", &self.agent)] {
            if let Some(value) = value {
                headers.insert(name.into(), serde_json::json!([value]));
            }
        }
        serde_json::json!({
            "level": "info",
            "ts": self.second as f64,
            "msg": "handled request",
            "request": {
                "remote_ip": self.source.to_string(),
                "method": self.method,
                "host": self.host,
                "uri": self.target(),
                "headers": headers,
            },
            "duration": 0.001,
            "size": self.bytes,
            "status": self.status,
        })
        .to_string()
    }

    fn is(&self, line: &LogLine<'_>) {
        assert_eq!(line.at, WallTime(self.second * 1_000));
        assert_eq!(line.source, LoggedSource::Address(self.source));
        assert_eq!(line.method, self.method);
        assert_eq!(line.path, self.path);
        assert_eq!(line.query.as_deref(), self.query.as_deref());
        assert_eq!((line.status, line.bytes), (self.status, self.bytes));
        assert_eq!(line.referer.as_deref(), self.referer.as_deref());
        assert_eq!(line.user_agent.as_deref(), self.agent.as_deref());
        assert_eq!(line.host.as_deref(), Some(self.host.as_str()));
    }
}

proptest! {
    #[test]
    fn apache_and_nginx_read_back_what_was_written(written in written(), letters: bool) {
        let text = written.combined(letters);
        written.is(&parse(text.as_bytes()).expect(&text));
    }

    #[test]
    fn caddy_reads_back_what_was_written(written in written()) {
        let text = written.caddy();
        written.is(&parse(text.as_bytes()).expect(&text));
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_spoilt_line_makes_a_parser_panic(
        written in written(), json: bool, at in any::<prop::sample::Index>(), byte: u8, cut: bool,
    ) {
        let text = if json { written.caddy() } else { written.combined(false) };
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        if let Err(error) = parse(&bytes) {
            prop_assert!(error.to_string().starts_with("expected"));
        }
    }
}
