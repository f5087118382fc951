//! What there is on the demonstration site: known to the origin that serves it, the visitors who
//! read it and the attackers who ask for it.

/// The articles: the end of the path, and the headline.
pub(crate) const ARTICLES: [(&str, &str); 10] = [
    ("bus-services", "Evening buses return to the estates"),
    ("library-hours", "Libraries to open on Sundays again"),
    ("river-clean-up", "Two hundred people clean the river bank"),
    ("school-meals", "What we would do about school meals"),
    ("rents", "A fair deal for tenants"),
    ("market-hall", "The market hall is saved"),
    ("postal-votes", "How to ask for a postal vote"),
    ("hustings", "Come to the hustings on Thursday"),
    ("cycle-paths", "Safer cycling to the station"),
    ("clinic", "Walk-in clinic: the petition so far"),
];

/// Words that people look for.
pub(crate) const SEARCH_WORDS: [&str; 12] = [
    "buses", "housing", "rents", "school", "clinic", "votes", "polling", "station", "library",
    "river", "hustings", "leaflet",
];

/// The path of the article with this number, counted round and round.
pub(crate) fn article_path(number: usize) -> String {
    format!("/news/{}", ARTICLES[number % ARTICLES.len()].0)
}

/// What a page needs before it is displayed.
pub(crate) const ASSETS: [(&str, AssetKind); 4] = [
    ("/assets/site.css", AssetKind::Style),
    ("/assets/site.js", AssetKind::Script),
    ("/assets/logo.svg", AssetKind::Image),
    ("/assets/skyline.svg", AssetKind::Image),
];

/// What an asset is, which decides how a browser asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AssetKind {
    Style,
    Script,
    Image,
}
