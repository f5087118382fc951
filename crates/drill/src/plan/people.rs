//! Plans the visitors' requests.

use std::net::Ipv4Addr;

use super::rng::SeededRng;
use super::schedule::{VisitStep, Visitor, VisitorKind, VisitorRequest};
use crate::browser::Browser;
use crate::scenario::Scenario;
use crate::site;

/// Visits that began up to this long before the start are in progress at the start.
const HEAD_START_MS: u32 = 15_000;

/// Share of visitors behind an address that they share with others: a carrier, an office.
const SHARED_PERCENT: u32 = 25;

/// How many addresses are shared.
const SHARED_ADDRESSES: u32 = 4;

/// How often a feed reader fetches the feed. A real one waits for minutes.
const FEED_EVERY_MS: u32 = 2_500;

#[derive(Clone, Copy)]
enum Destination {
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
pub(super) fn everyday_visitors(rng: &mut SeededRng, scenario: &Scenario) -> Vec<Visitor> {
    let window_ms = HEAD_START_MS + scenario.lasts_ms();
    let count = (u64::from(scenario.visitors_per_minute) * u64::from(window_ms) / 60_000) as u32;
    (0..count)
        .map(|index| {
            let arrives_ms = rng.below(window_ms);
            let mut steps = VisitBuilder::new(rng, arrives_ms);
            let landing =
                if steps.rng.chance_percent(60) { Destination::Home } else { Destination::Article };
            steps.go_to(landing);
            for _ in 0..2 + steps.rng.below(5) {
                steps.follow_random_link();
            }
            let steps = steps.steps;
            let planned = steps.len();
            let steps: Vec<VisitStep> = steps
                .into_iter()
                .filter(|step| (HEAD_START_MS..window_ms).contains(&step.at_ms))
                .map(|step| VisitStep { at_ms: step.at_ms - HEAD_START_MS, ..step })
                .collect();
            let keeps_cookies =
                scenario.cookieless_one_in == 0 || rng.below(scenario.cookieless_one_in) != 0;
            Visitor {
                kind: VisitorKind::Everyday,
                source: visitor_address(rng, 1, index),
                browser: browser(rng),
                keeps_cookies,
                has_assets: arrives_ms < HEAD_START_MS && steps.len() < planned,
                steps,
            }
        })
        .collect()
}

/// People who follow the link in a mail: to the volunteer form, and often sending it.
pub(super) fn crowd_visitors(rng: &mut SeededRng, scenario: &Scenario) -> Vec<Visitor> {
    let mut crowd = Vec::new();
    for (from_ms, to_ms, phase) in scenario.spans() {
        // The last ones come some time before the phase ends.
        let window_ms = (to_ms - from_ms) / 5 * 4;
        for _ in 0..phase.crowd {
            let index = crowd.len() as u32;
            // Half of them at any time, half soon after the mail (the smaller of two draws).
            let mut after_ms = rng.below(window_ms);
            if rng.chance_percent(50) {
                after_ms = after_ms.min(rng.below(window_ms));
            }
            let arrives_ms = from_ms + after_ms;
            let mut visit = VisitBuilder::new(rng, arrives_ms);
            visit.page("/volunteer?from=mail".to_owned());
            if visit.rng.chance_percent(50) {
                visit.send_volunteer_form();
            }
            for _ in 0..visit.rng.below(3) {
                visit.follow_random_link();
            }
            let mut steps = visit.steps;
            steps.retain(|step| step.at_ms < scenario.lasts_ms());
            crowd.push(Visitor {
                kind: VisitorKind::FlashCrowd,
                source: visitor_address(rng, 2, index),
                browser: browser(rng),
                keeps_cookies: true,
                has_assets: false,
                steps,
            });
        }
    }
    crowd
}

/// Programs that fetch the feed again and again.
pub(super) fn feed_readers(rng: &mut SeededRng, scenario: &Scenario) -> Vec<Visitor> {
    (0..scenario.feed_readers)
        .map(|index| {
            let first_ms = rng.below(FEED_EVERY_MS);
            let steps = (first_ms..scenario.lasts_ms())
                .step_by(FEED_EVERY_MS as usize)
                .map(|at_ms| VisitStep { at_ms, request: VisitorRequest::Feed })
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
fn visitor_address(rng: &mut SeededRng, net: u8, index: u32) -> Ipv4Addr {
    if rng.chance_percent(SHARED_PERCENT) {
        Ipv4Addr::new(127, net, 250, rng.below(SHARED_ADDRESSES) as u8 + 1)
    } else {
        Ipv4Addr::new(127, net, (index / 250 % 250) as u8, (index % 250) as u8 + 1)
    }
}

fn browser(rng: &mut SeededRng) -> Browser {
    rng.pick_weighted(&[
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
struct VisitBuilder<'a> {
    rng: &'a mut SeededRng,
    now_ms: u32,
    steps: Vec<VisitStep>,
}

impl<'a> VisitBuilder<'a> {
    fn new(rng: &'a mut SeededRng, arrives_ms: u32) -> Self {
        VisitBuilder { rng, now_ms: arrives_ms, steps: Vec::new() }
    }

    /// Asks for something now, then thinks for about three seconds.
    fn request(&mut self, request: VisitorRequest) {
        self.steps.push(VisitStep { at_ms: self.now_ms, request });
        self.now_ms += 700 + self.rng.below(2_300) + self.rng.below(2_300);
    }

    fn page(&mut self, path: String) {
        self.request(VisitorRequest::Page(path));
    }

    fn follow_random_link(&mut self) {
        let destination = self.rng.pick_weighted(&[
            (36, Destination::Article),
            (18, Destination::Home),
            (16, Destination::News),
            (9, Destination::About),
            (9, Destination::Volunteer),
            (9, Destination::Donate),
            (2, Destination::Search),
            (1, Destination::Leaflet),
        ]);
        self.go_to(destination);
    }

    fn go_to(&mut self, destination: Destination) {
        match destination {
            Destination::Home => self.page("/".to_owned()),
            Destination::News => self.page("/news".to_owned()),
            Destination::About => self.page("/about".to_owned()),
            Destination::Article => {
                let article = self.rng.next_u32() as usize;
                self.page(site::article_path(article));
            }
            Destination::Search => {
                let word = self.rng.below(site::SEARCH_WORDS.len() as u32) as usize;
                self.page(format!("/search?q={}", site::SEARCH_WORDS[word]));
            }
            Destination::Leaflet => {
                let ward = self.rng.below(40) + 1;
                self.page(format!("/leaflet?ward={ward}"));
            }
            Destination::Volunteer => {
                self.page("/volunteer".to_owned());
                if self.rng.chance_percent(60) {
                    self.send_volunteer_form();
                }
            }
            Destination::Donate => {
                self.page("/donate".to_owned());
                if self.rng.chance_percent(60) {
                    let pounds = self.rng.pick_weighted(&[(5, 5), (4, 10), (2, 25), (1, 50)]);
                    let body = format!("amount={pounds}&name=A+Supporter&gift_aid=yes");
                    self.request(VisitorRequest::Form { path: "/donate".to_owned(), body });
                }
            }
        }
    }

    fn send_volunteer_form(&mut self) {
        let number = self.rng.below(100_000);
        let body = format!(
            "name=Supporter+{number}&email=supporter{number}%40campaign.example&evenings=yes"
        );
        self.request(VisitorRequest::Form { path: "/volunteer".to_owned(), body });
    }
}
