//! What people do on a site: pages with their assets, reading, searching, logging in.

use crate::dice::Dice;
use crate::request::{Follow, Party, PlannedRequest, PlannedTraffic, Query};
use crate::sender::Kind;
use crate::site::{SiteModel, VisitMeans};

/// Words that people search for.
const WORDS: f64 = 400.0;

/// The first request of a visit: a popular page, found in one of several ways.
pub(crate) fn landing(
    site: &SiteModel,
    sender: u32,
    known: bool,
    dice: &mut Dice,
) -> PlannedRequest {
    let page = &site.pages[dice.by_weight(&site.page_sums)];
    let mut request = PlannedRequest::page(sender, page.path, Party::People);
    request.referrer = dice.pick(&[0, 0, 0, 2, 2, 3, 4]);
    request.follow = Follow::Visit { pages_left: pages_left(dice), cached: known };
    request
}

/// A reader leaves after each page with a probability of two in five.
pub(crate) fn pages_left(dice: &mut Dice) -> u8 {
    (dice.exponential(1.9) as u64).min(30) as u8
}

/// Plans what follows from a page that was served.
pub(crate) fn follow(
    site: &SiteModel,
    request: &PlannedRequest,
    at: u64,
    plan: &mut PlannedTraffic,
    dice: &mut Dice,
) {
    match request.follow {
        Follow::Nothing => {}
        Follow::Assets(count) => load_some(site, request, at, count, plan, dice),
        Follow::Visit { pages_left, cached } => {
            load_all(site, request, at, cached, plan, dice);
            if pages_left > 0 {
                read_on(site, request, at, pages_left - 1, plan, dice);
            }
        }
    }
}

fn asset(request: &PlannedRequest, path: u16, kind: Kind) -> PlannedRequest {
    PlannedRequest {
        path,
        number: 0,
        query: Query::NONE,
        kind,
        referrer: 1,
        follow: Follow::Nothing,
        retry: None,
        ..*request
    }
}

/// What a browser loads with a page.
fn load_all(
    site: &SiteModel,
    request: &PlannedRequest,
    at: u64,
    cached: bool,
    plan: &mut PlannedTraffic,
    dice: &mut Dice,
) {
    let begun = at + 40 + dice.exponential(150.0) as u64;
    for (path, kind) in &site.common {
        // A browser asks again now and then whether what it has is still current.
        if !cached || dice.chance(0.04) {
            let mut part = asset(request, *path, *kind);
            part.revalidates = cached;
            plan.push(begun + dice.exponential(250.0) as u64, part);
        }
    }
    if let Some(page) = site.pages.iter().find(|page| page.path == request.path) {
        for (path, kind) in &page.assets {
            if !cached || dice.chance(0.6) {
                let mut part = asset(request, *path, *kind);
                part.revalidates = cached && dice.chance(0.15);
                plan.push(begun + dice.exponential(400.0) as u64, part);
            }
        }
    }
    if site.polling > 0 && dice.chance(0.5) {
        poll(site, request, begun, site.polling, plan, dice);
    }
}

/// A page that asks for news for as long as it is open.
pub(crate) fn poll(
    site: &SiteModel,
    request: &PlannedRequest,
    at: u64,
    every: u32,
    plan: &mut PlannedTraffic,
    dice: &mut Dice,
) {
    let open = dice.log_normal(50.0, 1.0).min(1_200.0);
    let times = (open / f64::from(every)) as u64;
    for n in 1..=times {
        let mut news = asset(request, site.live, Kind::Data);
        let due = at + n * u64::from(every) * 1_000;
        news.query = Query { form: Query::SINCE, number: due / 1_000 };
        plan.push(due + dice.below(300), news);
    }
}

/// What an attacker's program loads with a page.
fn load_some(
    site: &SiteModel,
    request: &PlannedRequest,
    at: u64,
    count: u8,
    plan: &mut PlannedTraffic,
    dice: &mut Dice,
) {
    let own = site.pages.iter().find(|page| page.path == request.path);
    let own = own.map_or(&[][..], |page| &page.assets);
    for (path, kind) in site.common.iter().chain(own).take(usize::from(count)) {
        plan.push(at + 50 + dice.below(900), asset(request, *path, *kind));
    }
}

/// The next page, after a while.
fn read_on(
    site: &SiteModel,
    request: &PlannedRequest,
    at: u64,
    pages_left: u8,
    plan: &mut PlannedTraffic,
    dice: &mut Dice,
) {
    let due = at + (dice.log_normal(18.0, 1.0).clamp(1.5, 900.0) * 1_000.0) as u64;
    let mut next = PlannedRequest { referrer: 1, retry: None, query: Query::NONE, ..*request };
    next.kind = Kind::Page;
    next.number = 0;
    next.follow = Follow::Visit { pages_left, cached: true };
    let choice = dice.unit();
    if choice < site.search_share {
        search(site, &mut next, due, plan, dice);
    } else if choice < site.search_share + site.login_share {
        next.path = site.login;
        let form = PlannedRequest { kind: Kind::Form, follow: Follow::Nothing, ..next };
        plan.push(due + 6_000 + dice.below(15_000), form);
    } else {
        next.path = site.pages[dice.by_weight(&site.page_sums)].path;
    }
    plan.push(due, next);
}

/// A search, by letters where the site suggests words.
fn search(
    site: &SiteModel,
    next: &mut PlannedRequest,
    due: u64,
    plan: &mut PlannedTraffic,
    dice: &mut Dice,
) {
    let word = (WORDS * dice.unit().powi(2)) as u64;
    next.path = site.search;
    next.query = Query { form: Query::SEARCH, number: word };
    if site.typeahead {
        let typing = PlannedRequest { follow: Follow::Nothing, ..*next };
        type_letters(site, &typing, word, due.saturating_sub(2_500), plan, dice);
    }
}

/// A request for each letter of a word.
pub(crate) fn type_letters(
    site: &SiteModel,
    request: &PlannedRequest,
    word: u64,
    from: u64,
    plan: &mut PlannedTraffic,
    dice: &mut Dice,
) {
    let mut at = from;
    for letters in 2..=8 {
        let mut typed = asset(request, site.suggest, Kind::Data);
        typed.query = Query { form: Query::LETTERS, number: word * 16 + letters };
        plan.push(at, typed);
        at += 90 + dice.exponential(150.0) as u64;
    }
}

/// Requests per visit, by trial.
pub(crate) fn means(site: &SiteModel, dice: &mut Dice) -> VisitMeans {
    const TRIALS: u32 = 600;
    let mut means = VisitMeans::default();
    for _ in 0..TRIALS {
        let mut plan = PlannedTraffic::default();
        let known = dice.chance(site.returning_share);
        plan.push(0, landing(site, 0, known, dice));
        while let Some((at, request)) = plan.pop() {
            means.all += 1.0;
            means.direct +=
                f64::from(u8::from(matches!(request.kind, Kind::Page | Kind::Form | Kind::Data)));
            means.searches +=
                f64::from(u8::from(request.path == site.search || request.path == site.suggest));
            means.logins += f64::from(u8::from(request.path == site.login));
            follow(site, &request, at, &mut plan, dice);
        }
    }
    let of = |sum: f64| sum / f64::from(TRIALS);
    VisitMeans {
        all: of(means.all),
        direct: of(means.direct),
        searches: of(means.searches),
        logins: of(means.logins),
    }
}
