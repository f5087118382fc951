//! Who sends requests, and the header fields that their programs send.

use portcullis_gate::Fields;

use crate::dice::{Dice, zipf_sums};

/// How a program builds its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Chromium,
    Firefox,
    Safari,
    /// A library that scripts use.
    Library,
    /// A robot that names itself.
    Robot,
}

/// A user agent and its way of building requests.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub name: String,
    pub style: Style,
}

/// What a sender makes of a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChallengeReplies {
    /// A browser: follows redirects, stores cookies, waits.
    Browser,
    /// Follows redirects, and stores cookies for a session, but shows no page.
    Redirects,
    /// Takes the first response for the last.
    Nothing,
}

/// One visitor: an address with one program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender {
    pub source: u32,
    pub agent: u16,
    pub language: u8,
    pub answers: ChallengeReplies,
}

/// Agents of people: places `0..PEOPLE` of [`agents`].
pub(crate) const PEOPLE: usize = 64;
/// Named robots, by their place in [`agents`].
pub(crate) const ROBOTS: core::ops::Range<u16> = 64..72;
/// Feed readers, podcast and calendar programs.
pub(crate) const READERS: core::ops::Range<u16> = 72..80;
/// The program of the site's own jobs.
pub(crate) const JOB: u16 = 80;
/// A monitor.
pub(crate) const MONITOR: u16 = 81;
/// The party's own app.
pub(crate) const APP: u16 = 82;
/// Libraries that attackers use.
pub(crate) const LIBRARIES: core::ops::Range<u16> = 83..88;
/// An agent that is rare or new everywhere.
pub(crate) const UNKNOWN: core::ops::Range<u16> = 88..92;
/// Popular user agents that a library sends: the name is forged, the order of fields is not.
pub(crate) const FORGED: core::ops::Range<u16> = 92..108;
/// Scanners of links in mails, which name a popular browser.
pub(crate) const LINK_SCANNERS: core::ops::Range<u16> = 108..112;
/// The party's own app before its update.
pub(crate) const APP_BEFORE: u16 = 112;

/// Languages that browsers send.
pub(crate) const LANGUAGES: [&str; 6] = [
    "de-DE,de;q=0.9,en;q=0.8",
    "de",
    "en-GB,en;q=0.9",
    "fr-FR,fr;q=0.9",
    "de-AT,de",
    "tr,de;q=0.7",
];

/// Every agent of the simulation.
pub(crate) fn agents() -> Vec<Agent> {
    let mut all: Vec<Agent> = (0..PEOPLE).map(person_agent).collect();
    let mut add = |names: &[&str], style| {
        all.extend(names.iter().map(|name| Agent { name: (*name).to_owned(), style }));
    };
    add(
        &[
            "Mozilla/5.0 (compatible; Searchbot/2.1; +https://search.example/bot)",
            "Mozilla/5.0 (compatible; otherbot/2.0; +https://other.example/bot)",
            "Mozilla/5.0 (compatible; LinkIndex/7.0)",
            "PreviewBot/1.0",
            "Mozilla/5.0 (compatible; ModelBot/1.2)",
            "SeoAudit/3",
            "ArchiveBot/2",
            "NewsCrawler/1.1",
        ],
        Style::Robot,
    );
    add(
        &[
            "Feedfetcher/1.0",
            "NewsReader/4.2 (12 subscribers)",
            "TinyFeeds/3.1",
            "PodApp/8.1",
            "CastPlayer/2024.1",
            "CalendarAgent/1120",
            "DAVdroid/4.3",
            "FeedDesk/1",
        ],
        Style::Library,
    );
    add(&["Wget/1.21.3", "UptimeCheck/2.0", "PartyApp/3.4.1 (Android 15)"], Style::Library);
    add(
        &[
            "python-requests/2.32.3",
            "Go-http-client/1.1",
            "curl/8.9.1",
            "okhttp/4.12.0",
            "axios/1.7.4",
        ],
        Style::Library,
    );
    add(
        &["Mozilla/4.0 (compatible; MSIE 7.0)", "stress/0.9", "", "Java/1.8.0_292"],
        Style::Library,
    );
    let popular: Vec<String> = (0..20).map(|at| person_agent(at).name).collect();
    let popular: Vec<&str> = popular.iter().map(String::as_str).collect();
    add(&popular[..16], Style::Library);
    add(&popular[..4], Style::Library);
    add(&["PartyApp/3.3.0 (Android 15)"], Style::Library);
    all
}

/// The n-th most popular browser.
fn person_agent(n: usize) -> Agent {
    let version = 126 - n / 6;
    let (style, name) = match n % 5 {
        0 => (
            Style::Chromium,
            format!(
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/{version}.0.0.{} Safari/537.36",
                n / 20
            ),
        ),
        1 => (
            Style::Chromium,
            format!(
                "Mozilla/5.0 (Linux; Android 1{}; K) Chrome/{version}.0.0.0 Mobile Safari/537.36",
                n % 6
            ),
        ),
        2 => (
            Style::Safari,
            format!(
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{} like Mac OS X) Version/17 Safari/604.1",
                n / 5
            ),
        ),
        3 => (
            Style::Firefox,
            format!(
                "Mozilla/5.0 (X11; Linux x86_64; rv:{version}.0) Gecko/20100101 Firefox/{version}.{n}"
            ),
        ),
        _ => (
            Style::Safari,
            format!(
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/16.{} Safari/605.1",
                n / 5
            ),
        ),
    };
    Agent { name, style }
}

/// Draws new senders.
#[derive(Debug, Clone)]
pub(crate) struct Population {
    agent_sums: Vec<f64>,
    /// Addresses that many people share.
    shared: Vec<u32>,
    shared_share: f64,
}

impl Population {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let count = 8 + dice.below(120) as usize;
        Self {
            agent_sums: zipf_sums(PEOPLE, 1.1),
            shared: (0..count).map(|_| public_address(dice)).collect(),
            shared_share: dice.between(0.05, 0.45),
        }
    }

    /// A person whom the site has not seen.
    pub(crate) fn person(&self, dice: &mut Dice) -> Sender {
        let shared = dice.chance(self.shared_share);
        let source = if shared { dice.pick(&self.shared) } else { public_address(dice) };
        self.person_at(source, dice)
    }

    /// A person with this address.
    pub(crate) fn person_at(&self, source: u32, dice: &mut Dice) -> Sender {
        Sender {
            source,
            agent: dice.by_weight(&self.agent_sums) as u16,
            language: [0, 0, 0, 1, 2, 3, 4, 5][dice.below(8) as usize],
            // One in a hundred has cookies switched off and a program that follows no redirect.
            answers: if dice.chance(0.99) {
                ChallengeReplies::Browser
            } else {
                ChallengeReplies::Nothing
            },
        }
    }
}

/// An address somewhere.
pub(crate) fn public_address(dice: &mut Dice) -> u32 {
    // 11.0.0.0 to 126.255.255.255.
    (11 << 24) + dice.below(116 << 24) as u32
}

/// What is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Page,
    Style,
    Script,
    Picture,
    Font,
    /// What a script asks for.
    Data,
    /// A form that is sent.
    Form,
    /// A part of a file.
    Part,
    /// A feed, a calendar, an episode, a document.
    File,
}

impl Kind {
    pub(crate) const fn method(self) -> &'static str {
        if matches!(self, Self::Form) { "POST" } else { "GET" }
    }

    const fn accept(self, style: Style) -> &'static str {
        match style {
            Style::Library => return "*/*",
            Style::Robot => return "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
            Style::Chromium | Style::Firefox | Style::Safari => {}
        }
        match self {
            Self::Page | Self::Form | Self::File => {
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
            }
            Self::Style => "text/css,*/*;q=0.1",
            Self::Picture => "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8",
            Self::Script | Self::Font | Self::Part => "*/*",
            Self::Data => "application/json, text/plain, */*",
        }
    }
}

/// The header fields of one request.
pub(crate) struct SentFields<'a> {
    pub agent: &'a Agent,
    pub language: &'a str,
    pub kind: Kind,
    pub revalidates: bool,
    pub referrer: Option<&'a str>,
    pub cookie: Option<&'a str>,
    /// Only what the common log format records.
    pub as_logged: bool,
}

impl Fields for SentFields<'_> {
    fn each(&self, visit: &mut dyn FnMut(&str, &[u8])) {
        let mut text = |name: &str, value: &str| visit(name, value.as_bytes());
        if self.as_logged {
            text("user-agent", &self.agent.name);
        } else {
            self.all(&mut text);
        }
        // A log shows them by the status of the response: 206, 304.
        if self.kind == Kind::Part {
            text("range", "bytes=65536-131071");
        }
        if self.revalidates {
            text("if-none-match", "\"5f3a\"");
        }
        if let Some(referrer) = self.referrer {
            text("referer", referrer);
        }
        if let Some(cookie) = self.cookie {
            text("cookie", cookie);
        }
    }
}

impl SentFields<'_> {
    fn all(&self, text: &mut dyn FnMut(&str, &str)) {
        let page = matches!(self.kind, Kind::Page | Kind::Form);
        let accept = self.kind.accept(self.agent.style);
        let agent = &self.agent.name;
        let fetch = if page { "navigate" } else { "no-cors" };
        match self.agent.style {
            Style::Chromium => {
                for name in ["sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform"] {
                    text(name, "\"x\"");
                }
                if page {
                    text("upgrade-insecure-requests", "1");
                }
                text("user-agent", agent);
                text("accept", accept);
                text("sec-fetch-site", "same-origin");
                text("sec-fetch-mode", fetch);
                text("sec-fetch-dest", "document");
                text("accept-encoding", "gzip, deflate, br, zstd");
                text("accept-language", self.language);
            }
            Style::Firefox => {
                text("user-agent", agent);
                text("accept", accept);
                text("accept-language", self.language);
                text("accept-encoding", "gzip, deflate, br, zstd");
                if page {
                    text("upgrade-insecure-requests", "1");
                }
                text("sec-fetch-dest", "document");
                text("sec-fetch-mode", fetch);
            }
            Style::Safari => {
                text("sec-fetch-dest", "document");
                text("user-agent", agent);
                text("accept", accept);
                text("sec-fetch-site", "same-origin");
                text("sec-fetch-mode", fetch);
                text("accept-language", self.language);
                text("accept-encoding", "gzip, deflate, br");
            }
            Style::Library => {
                text("user-agent", agent);
                text("accept-encoding", "gzip, deflate");
                text("accept", accept);
            }
            Style::Robot => {
                text("accept", accept);
                text("user-agent", agent);
                text("accept-encoding", "gzip, br");
                text("from", "bot@search.example");
            }
        }
    }
}
