//! Sites: their pages, their rates by the hour of the week, and who comes on ordinary days.

use portcullis_model::{
    ActivityConfig, ActivityTimeouts, Config, OriginConfig, PathPattern, RequestPattern, Tier,
    WallTime,
};

use crate::dice::{Dice, zipf_sums};
use crate::sender::{Kind, Population};

/// How many sites there are, for even seeds and as many for odd ones. Campaigns share them, and what
/// was learnt of them.
pub(crate) const SITES: u64 = 32;

/// One page with its own assets.
#[derive(Debug, Clone)]
pub(crate) struct SitePage {
    pub path: u16,
    pub assets: Vec<(u16, Kind)>,
}

/// Requests per visit, on average, by what they are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct VisitMeans {
    pub all: f64,
    pub direct: f64,
    pub searches: f64,
    pub logins: f64,
}

/// A site.
#[derive(Debug, Clone)]
pub(crate) struct SiteModel {
    pub number: u64,
    /// Requests of people per second in an ordinary hour about noon.
    pub rate: f64,
    /// Requests are known as a log knows them: no header but user agent and referrer.
    pub as_logged: bool,
    /// Search and login are activities by themselves.
    pub activities: bool,
    /// The site's assets are on another host.
    pub assets_elsewhere: bool,
    /// The search field asks at every letter.
    pub typeahead: bool,
    /// Pages ask for news every few seconds: the pause in seconds, or zero.
    pub polling: u32,
    pub paths: Vec<String>,
    pub pages: Vec<SitePage>,
    pub page_sums: Vec<f64>,
    pub common: Vec<(u16, Kind)>,
    pub search: u16,
    pub login: u16,
    pub feed: u16,
    pub document: u16,
    pub live: u16,
    pub tile: u16,
    pub episode: u16,
    pub calendar: u16,
    pub probe: u16,
    pub article: u16,
    pub suggest: u16,
    pub api: u16,
    pub search_share: f64,
    pub login_share: f64,
    pub returning_share: f64,
    /// Requests of robots and programs, against those of people.
    pub robot_share: f64,
    /// The site's own job at five past each hour: requests.
    pub job_requests: u64,
    weekend: f64,
    evening: f64,
    /// How uneven the minutes are: the deviation of the logarithm.
    pub unevenness: f64,
    pub population: Population,
    /// When campaigns on it begin.
    pub start: WallTime,
    pub means: VisitMeans,
}

/// Shares of the noon rate by the hour of the day.
const DAY: [f64; 24] = [
    0.20, 0.12, 0.08, 0.07, 0.08, 0.15, 0.35, 0.62, 0.82, 0.92, 0.97, 1.0, 1.0, 0.96, 0.95, 0.95,
    0.96, 1.0, 1.06, 1.12, 1.12, 0.98, 0.68, 0.38,
];

impl SiteModel {
    /// Site `number`; `largest` is the highest rate that sites have.
    pub(crate) fn new(number: u64, largest: f64) -> Self {
        let mut dice = Dice::new(0x5173_0000 + number, 1);
        // The rates are spread evenly over the orders of magnitude, in no order.
        let place = (number % SITES * 19 % SITES) as f64 / (SITES - 1) as f64;
        let rate = 0.02 * (largest / 0.02).powf(place);
        let dice = &mut dice;
        let mut site = Self {
            number,
            rate,
            as_logged: dice.chance(0.45),
            activities: dice.chance(0.6),
            assets_elsewhere: dice.chance(0.12),
            typeahead: dice.chance(0.35),
            polling: if dice.chance(0.15) { dice.pick(&[5, 10, 15, 30]) } else { 0 },
            paths: Vec::new(),
            pages: Vec::new(),
            page_sums: Vec::new(),
            common: Vec::new(),
            search: 0,
            login: 0,
            feed: 0,
            document: 0,
            live: 0,
            tile: 0,
            episode: 0,
            calendar: 0,
            probe: 0,
            article: 0,
            suggest: 0,
            api: 0,
            search_share: dice.between(0.01, 0.12),
            login_share: dice.between(0.005, 0.06),
            returning_share: dice.between(0.1, 0.5),
            robot_share: dice.between(0.08, 0.6),
            job_requests: if dice.chance(0.6) { dice.log_between(8.0, 220.0) as u64 } else { 0 },
            weekend: dice.between(0.5, 1.2),
            evening: dice.between(0.7, 1.6),
            unevenness: dice.between(0.05, 0.35),
            population: Population::new(dice),
            start: start(dice),
            means: VisitMeans::default(),
        };
        site.build_pages(dice);
        site
    }

    fn path(&mut self, text: &str) -> u16 {
        self.paths.push(text.to_owned());
        self.paths.len() as u16 - 1
    }

    fn build_pages(&mut self, dice: &mut Dice) {
        self.search = self.path("/search");
        self.login = self.path("/member/login");
        self.feed = self.path("/feed.xml");
        self.document = self.path("/documents/programme-#.pdf");
        self.live = self.path("/api/live");
        self.tile = self.path("/tiles/12/#.png");
        self.episode = self.path("/podcast/episode-#.mp3");
        self.calendar = self.path("/events/calendar.ics");
        self.probe = self.path("/old-#/setup.php");
        self.article = self.path("/archive/#");
        self.suggest = self.path("/api/suggest");
        self.api = self.path("/api/app/#");
        let kinds = [Kind::Picture, Kind::Picture, Kind::Script, Kind::Style];
        if !self.assets_elsewhere {
            for at in 0..dice.below(8) + 2 {
                let kind = [Kind::Style, Kind::Script, Kind::Picture, Kind::Font][at as usize % 4];
                let path = self.path(&format!("/assets/common-{at}.{}", ending(kind)));
                self.common.push((path, kind));
            }
        }
        let count = 6 + dice.below(60) as usize;
        let most = if self.assets_elsewhere { 0 } else { 1 + dice.below(24) };
        for n in 0..count {
            let text = if n == 0 { "/".to_owned() } else { format!("/topics/{n}") };
            let path = self.path(&text);
            let own = if most == 0 { 0 } else { dice.below(most) };
            let assets = (0..own)
                .map(|at| {
                    let kind = kinds[dice.below(4) as usize];
                    (self.path(&format!("/media/{n}-{at}.{}", ending(kind))), kind)
                })
                .collect();
            self.pages.push(SitePage { path, assets });
        }
        self.page_sums = zipf_sums(count, 1.0);
    }

    /// What the hour of the week makes of the noon rate.
    pub(crate) fn season(&self, wall: WallTime) -> f64 {
        let hour = wall.hour_of_week();
        let part = (wall.millis() / 1_000 % 3_600) as f64 / 3_600.0;
        let at = |hour: usize| {
            let of_day = hour % 24;
            let evening = if (18..23).contains(&of_day) { self.evening } else { 1.0 };
            let weekend = if hour / 24 >= 5 { self.weekend } else { 1.0 };
            DAY[of_day] * evening * weekend
        };
        at(hour) * (1.0 - part) + at((hour + 1) % 168) * part
    }

    /// Visits of people per second.
    pub(crate) fn visit_rate(&self, wall: WallTime) -> f64 {
        self.rate * self.season(wall) / self.means.all.max(1.0)
    }

    /// Requests per second of everyone, on an ordinary day.
    pub(crate) fn usual_rate(&self, wall: WallTime) -> f64 {
        self.rate * (self.season(wall) + self.robot_share * 0.5)
    }

    /// The configuration of the gate in front of it.
    pub(crate) fn config(&self) -> Config {
        let origin = OriginConfig::new("127.0.0.1".into(), 3_000);
        let mut config = Config::for_origin(([127, 0, 0, 1], 80).into(), origin);
        let activity = |name: &str, tier, prefixes: &[&str]| ActivityConfig {
            name: name.into(),
            tier,
            matches: prefixes
                .iter()
                .map(|prefix| RequestPattern {
                    method: None,
                    path: PathPattern::Prefix((*prefix).into()),
                })
                .collect(),
            challenge: true,
            timeouts: ActivityTimeouts::default(),
        };
        if self.activities {
            config.platforms[0].activities = vec![
                activity("login", Tier::Essential, &["/member"]),
                activity("search", Tier::Optional, &["/search", "/api/suggest"]),
                ActivityConfig::everything_else(),
            ];
        }
        config
    }

    /// In a few words.
    pub(crate) fn summary(&self) -> String {
        let mut text = format!("site {}: {}/s", self.number, short(self.rate));
        text.push_str(if self.as_logged { ", as logged" } else { ", all fields" });
        if self.activities {
            text.push_str(", search and login apart");
        }
        if self.assets_elsewhere {
            text.push_str(", assets elsewhere");
        }
        if self.polling > 0 {
            text.push_str(", polling");
        }
        text
    }
}

/// A number with two digits that count.
pub(crate) fn short(number: f64) -> String {
    match number {
        n if n >= 10.0 => format!("{n:.0}"),
        n if n >= 1.0 => format!("{n:.1}"),
        n if n >= 0.1 => format!("{n:.2}"),
        n => format!("{n:.3}"),
    }
}

const fn ending(kind: Kind) -> &'static str {
    match kind {
        Kind::Style => "css",
        Kind::Script => "js",
        Kind::Font => "woff2",
        _ => "jpg",
    }
}

/// Some hour of a week, mostly of the day.
fn start(dice: &mut Dice) -> WallTime {
    // Monday, 2 November 2026.
    const MONDAY: u64 = 1_793_577_600_000;
    let hour = if dice.chance(0.75) { 7 + dice.below(15) } else { dice.below(24) };
    let minute = dice.below(60);
    WallTime(MONDAY + (dice.below(7) * 24 + hour) * 3_600_000 + minute * 60_000)
}
