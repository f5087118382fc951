//! Logs made up for tests: people, crowds and attackers, from a seed.

use std::net::SocketAddr;
use std::sync::Arc;

use portcullis_gate::Secret;
use portcullis_model::{
    ActivityConfig, Config, OriginConfig, PathPattern, RequestPattern, Tier, WallTime,
};
use portcullis_replay::{Findings, LogInput, Recording, Replay};

/// Monday, 23 November 2026, 09:00 UTC.
pub const MORNING: u64 = 1_795_424_400;

pub fn config() -> Config {
    let listen = SocketAddr::from(([127, 0, 0, 1], 8_080));
    let mut config = Config::for_origin(listen, OriginConfig::new("127.0.0.1".into(), 3_000));
    let search = ActivityConfig {
        name: "search".into(),
        tier: Tier::Optional,
        matches: vec![RequestPattern { method: None, path: PathPattern::Exact("/search".into()) }],
        challenge: true,
        timeouts: portcullis_model::ActivityTimeouts::default(),
    };
    config.platforms[0].activities.insert(0, search);
    config
}

pub fn replayed(log: &str) -> Findings {
    replayed_with(config(), log.as_bytes().to_vec())
}

pub fn replayed_with(config: Config, bytes: Vec<u8>) -> Findings {
    let log = input("access.log", bytes);
    replay(config).run(vec![log], &mut |_| {}).expect("one log")
}

pub fn replay(config: Config) -> Replay {
    Replay::new(Arc::new(config), Secret::new(&[5; 32]))
}

pub fn input(name: &str, bytes: Vec<u8>) -> LogInput {
    let recording = Recording::from_reader(name, std::io::Cursor::new(bytes)).expect("opens");
    LogInput::recording(recording, None)
}

/// Writes a log in the combined format.
pub struct Writer {
    seed: u64,
    /// The second that is being written, since 1970.
    pub second: u64,
    /// The second's lines, to be shuffled.
    lines: Vec<String>,
    pub log: String,
}

impl Writer {
    pub fn new(seed: u64) -> Self {
        Self { seed, second: MORNING, lines: Vec::new(), log: String::new() }
    }

    pub fn draw(&mut self, below: u64) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }

    pub fn request(&mut self, source: &str, target: &str, status: u16, referer: &str, agent: &str) {
        let at = WallTime(self.second * 1_000).to_string();
        let (day, clock) = (&at[8..10], &at[11..19]);
        self.lines.push(format!(
            "{source} - - [{day}/Nov/2026:{clock} +0000] \"GET {target} HTTP/1.1\" {status} 5120 \
             \"{referer}\" \"{agent}\"\n"
        ));
    }

    /// A person opens a page with its parts, somewhere in `network`.
    pub fn page_view(&mut self, network: u8) {
        let source =
            format!("{network}.{}.{}.{}", self.draw(256), self.draw(256), self.draw(254) + 1);
        let agent = format!("Mozilla/5.0 (browser {})", self.draw(12));
        let page = ["/", "/news", "/news/1", "/volunteer", "/donate"][self.draw(5) as usize];
        self.request(&source, page, 200, "-", &agent);
        for part in ["/style.css", "/logo.svg", "/app.js", "/photo.jpg"] {
            self.request(&source, part, 200, "https://campaign.example/", &agent);
        }
    }

    /// One machine of a botnet asks the search again and again.
    pub fn flood(&mut self) {
        let source = format!("66.6.0.{}", self.draw(40) + 1);
        let target = format!("/search?q={}", self.draw(1_000_000));
        self.request(&source, &target, 200, "-", "fetcher/1.0");
    }

    /// One of very many machines asks for one page, once, by the name of a usual browser.
    pub fn spread_flood(&mut self) {
        let source = format!("66.{}.{}.{}", self.draw(8), self.draw(256), self.draw(254) + 1);
        let agent = format!("Mozilla/5.0 (browser {})", self.draw(12));
        self.request(&source, "/news", 200, "-", &agent);
    }

    /// Ends the second.
    pub fn turn(&mut self) {
        for at in (1..self.lines.len()).rev() {
            let other = self.draw(at as u64 + 1) as usize;
            self.lines.swap(at, other);
        }
        for line in self.lines.drain(..) {
            self.log.push_str(&line);
        }
        self.second += 1;
    }

    /// `seconds` of ordinary visitors: two page views a second and now and then a search.
    pub fn calm(&mut self, seconds: u64) {
        self.phase(seconds, |_| {});
    }

    /// `seconds` of ordinary visitors and whatever `more` adds.
    pub fn phase(&mut self, seconds: u64, mut more: impl FnMut(&mut Self)) {
        for _ in 0..seconds {
            self.page_view(10);
            self.page_view(10);
            if self.draw(3) == 0 {
                let (source, word) = (format!("10.9.{}.7", self.draw(256)), self.draw(500));
                let agent = format!("Mozilla/5.0 (browser {})", self.draw(12));
                self.request(&source, &format!("/search?q={word}"), 200, "-", &agent);
            }
            more(self);
            self.turn();
        }
    }
}
