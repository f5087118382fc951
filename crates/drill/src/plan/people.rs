//! What people will ask for.

use std::net::Ipv4Addr;

use super::draw::Draw;
use super::{Ask, Browser, Step, Visitor, VisitorKind};
use crate::scenario::Scenario;
use crate::site;

/// Visits that began up to this long before the start are under way at the start.
const HEAD_START_MS: u32 = 15_000;

/// Share of visitors behind an address that they share with others: a carrier, an office.
const SHARED_PERCENT: u32 = 25;

/// How many addresses are shared.
const SHARED_ADDRESSES: u32 = 4;

/// How often a feed reader fetches the feed. A real one waits for minutes.
const FEED_EVERY_MS: u32 = 2_500;

#[derive(Clone, Copy)]
enum Next {
    Home,
    News,
    Article,
    About,
    Volunteer,
    Donate,
    Search,
    Leaflet,
}

/// How visitors of an ordinary day arrive and move about.
pub(super) fn everyday(draw: &mut Draw, scenario: &Scenario) -> Vec<Visitor> {
    let window_ms = HEAD_START_MS + scenario.lasts_ms();
    let count = (u64::from(scenario.visitors_per_minute) * u64::from(window_ms) / 60_000) as u32;
    (0..count)
        .map(|index| {
            let arrives_ms = draw.below(window_ms);
            let mut steps = Journey::new(draw, arrives_ms);
            let landing = if steps.draw.percent(60) { Next::Home } else { Next::Article };
            steps.visit(landing);
            for _ in 0..2 + steps.draw.below(5) {
                steps.wander();
            }
            let steps = steps.taken;
            let planned = steps.len();
            let steps: Vec<Step> = steps
                .into_iter()
                .filter(|step| (HEAD_START_MS..window_ms).contains(&step.at_ms))
                .map(|step| Step { at_ms: step.at_ms - HEAD_START_MS, ..step })
                .collect();
            let keeps_cookies = scenario.one_in_keeps_no_cookies == 0
                || draw.below(scenario.one_in_keeps_no_cookies) != 0;
            Visitor {
                kind: VisitorKind::Everyday,
                source: source(draw, 1, index),
                browser: browser(draw),
                keeps_cookies,
                has_assets: arrives_ms < HEAD_START_MS && steps.len() < planned,
                steps,
            }
        })
        .collect()
}

/// People who follow the link in a mail: to the volunteer form, and often sending it.
pub(super) fn crowds(draw: &mut Draw, scenario: &Scenario) -> Vec<Visitor> {
    let mut crowd = Vec::new();
    for (from_ms, to_ms, phase) in scenario.spans() {
        // The last ones come some time before the phase ends.
        let window_ms = (to_ms - from_ms) / 5 * 4;
        for _ in 0..phase.crowd {
            let index = crowd.len() as u32;
            // Half of them at any time, half soon after the mail (the smaller of two draws).
            let mut after_ms = draw.below(window_ms);
            if draw.percent(50) {
                after_ms = after_ms.min(draw.below(window_ms));
            }
            let arrives_ms = from_ms + after_ms;
            let mut journey = Journey::new(draw, arrives_ms);
            journey.page("/volunteer?from=mail".to_owned());
            if journey.draw.percent(50) {
                journey.send_volunteer_form();
            }
            for _ in 0..journey.draw.below(3) {
                journey.wander();
            }
            let mut steps = journey.taken;
            steps.retain(|step| step.at_ms < scenario.lasts_ms());
            crowd.push(Visitor {
                kind: VisitorKind::FlashCrowd,
                source: source(draw, 2, index),
                browser: browser(draw),
                keeps_cookies: true,
                has_assets: false,
                steps,
            });
        }
    }
    crowd
}

/// Programs that fetch the feed again and again.
pub(super) fn feed_readers(draw: &mut Draw, scenario: &Scenario) -> Vec<Visitor> {
    (0..scenario.feed_readers)
        .map(|index| {
            let first_ms = draw.below(FEED_EVERY_MS);
            let steps = (first_ms..scenario.lasts_ms())
                .step_by(FEED_EVERY_MS as usize)
                .map(|at_ms| Step { at_ms, ask: Ask::Feed })
                .collect();
            Visitor {
                kind: VisitorKind::FeedReader,
                source: Ipv4Addr::new(127, 3, 0, (index % 250) as u8 + 1),
                browser: Browser::FeedReader,
                keeps_cookies: false,
                has_assets: true,
                steps,
            }
        })
        .collect()
}

/// An own address in 127.NET.0.0/16, or one of those that are shared.
fn source(draw: &mut Draw, net: u8, index: u32) -> Ipv4Addr {
    if draw.percent(SHARED_PERCENT) {
        Ipv4Addr::new(127, net, 250, draw.below(SHARED_ADDRESSES) as u8 + 1)
    } else {
        Ipv4Addr::new(127, net, (index / 250 % 250) as u8, (index % 250) as u8 + 1)
    }
}

fn browser(draw: &mut Draw) -> Browser {
    draw.weighted(&[
        (26, Browser::ChromeAndroid),
        (24, Browser::SafariIphone),
        (20, Browser::ChromeWindows),
        (8, Browser::EdgeWindows),
        (8, Browser::SafariMac),
        (7, Browser::FirefoxWindows),
        (5, Browser::FirefoxAndroid),
        (2, Browser::Text),
    ])
}

/// A visit being planned.
struct Journey<'a> {
    draw: &'a mut Draw,
    now_ms: u32,
    taken: Vec<Step>,
}

impl<'a> Journey<'a> {
    fn new(draw: &'a mut Draw, arrives_ms: u32) -> Self {
        Journey { draw, now_ms: arrives_ms, taken: Vec::new() }
    }

    /// Asks for something now, then thinks for about three seconds.
    fn ask(&mut self, ask: Ask) {
        self.taken.push(Step { at_ms: self.now_ms, ask });
        self.now_ms += 700 + self.draw.below(2_300) + self.draw.below(2_300);
    }

    fn page(&mut self, path: String) {
        self.ask(Ask::Page(path));
    }

    fn wander(&mut self) {
        let next = self.draw.weighted(&[
            (36, Next::Article),
            (18, Next::Home),
            (16, Next::News),
            (9, Next::About),
            (9, Next::Volunteer),
            (9, Next::Donate),
            (2, Next::Search),
            (1, Next::Leaflet),
        ]);
        self.visit(next);
    }

    fn visit(&mut self, next: Next) {
        match next {
            Next::Home => self.page("/".to_owned()),
            Next::News => self.page("/news".to_owned()),
            Next::About => self.page("/about".to_owned()),
            Next::Article => {
                let article = self.draw.number() as usize;
                self.page(site::article_path(article));
            }
            Next::Search => {
                let word = self.draw.below(site::SEARCH_WORDS.len() as u32) as usize;
                self.page(format!("/search?q={}", site::SEARCH_WORDS[word]));
            }
            Next::Leaflet => {
                let ward = self.draw.below(40) + 1;
                self.page(format!("/leaflet?ward={ward}"));
            }
            Next::Volunteer => {
                self.page("/volunteer".to_owned());
                if self.draw.percent(60) {
                    self.send_volunteer_form();
                }
            }
            Next::Donate => {
                self.page("/donate".to_owned());
                if self.draw.percent(60) {
                    let pounds = self.draw.weighted(&[(5, 5), (4, 10), (2, 25), (1, 50)]);
                    let body = format!("amount={pounds}&name=A+Supporter&gift_aid=yes");
                    self.ask(Ask::Form { path: "/donate".to_owned(), body });
                }
            }
        }
    }

    fn send_volunteer_form(&mut self) {
        let number = self.draw.below(100_000);
        let body = format!(
            "name=Supporter+{number}&email=supporter{number}%40campaign.example&evenings=yes"
        );
        self.ask(Ask::Form { path: "/volunteer".to_owned(), body });
    }
}
