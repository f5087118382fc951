//! The pages and assets of the demonstration site.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use super::cost::PageCost;
use crate::site;

/// A page that a worker makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    Home,
    News,
    Article(usize),
    About,
    Volunteer,
    Donate,
    ThankYou,
    Search(String),
    Leaflet(String),
    Feed,
    Robots,
    FormReceived,
    NotFound,
    MethodNotAllowed,
}

/// A file that is served without a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asset {
    Style,
    Script,
    Logo,
    Skyline,
}

/// Where a request leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Asset(Asset),
    Page(Page),
}

pub(super) const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
pub(super) const REQUEST_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Finds what a request asks for.
pub(super) fn route(method: &str, target: &str) -> Route {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let page = match (method, path) {
        ("POST", "/volunteer" | "/donate") => Page::FormReceived,
        ("GET" | "HEAD", "/assets/site.css") => return Route::Asset(Asset::Style),
        ("GET" | "HEAD", "/assets/site.js") => return Route::Asset(Asset::Script),
        ("GET" | "HEAD", "/assets/logo.svg") => return Route::Asset(Asset::Logo),
        ("GET" | "HEAD", "/assets/skyline.svg") => return Route::Asset(Asset::Skyline),
        ("GET" | "HEAD", "/") => Page::Home,
        ("GET" | "HEAD", "/news") => Page::News,
        ("GET" | "HEAD", "/about") => Page::About,
        ("GET" | "HEAD", "/volunteer") => Page::Volunteer,
        ("GET" | "HEAD", "/donate") => Page::Donate,
        ("GET" | "HEAD", "/thank-you") => Page::ThankYou,
        ("GET" | "HEAD", "/search") => Page::Search(parameter(query, "q")),
        ("GET" | "HEAD", "/leaflet") => Page::Leaflet(parameter(query, "ward")),
        ("GET" | "HEAD", "/feed.xml") => Page::Feed,
        ("GET" | "HEAD", "/robots.txt") => Page::Robots,
        ("GET" | "HEAD", _) => path
            .strip_prefix("/news/")
            .and_then(|slug| site::ARTICLES.iter().position(|article| article.0 == slug))
            .map_or(Page::NotFound, Page::Article),
        _ => Page::MethodNotAllowed,
    };
    Route::Page(page)
}

impl Page {
    /// What it costs to make.
    pub(super) fn cost(&self) -> PageCost {
        let cost = |cpu_micros, database_millis| PageCost {
            cpu_time: Duration::from_micros(cpu_micros),
            database_wait: Duration::from_millis(database_millis),
        };
        match self {
            Page::Search(_) | Page::Leaflet(_) => cost(1_000, 50),
            Page::Feed | Page::Robots | Page::NotFound | Page::MethodNotAllowed => cost(200, 4),
            Page::Home
            | Page::News
            | Page::Article(_)
            | Page::About
            | Page::Volunteer
            | Page::Donate
            | Page::ThankYou
            | Page::FormReceived => cost(400, 12),
        }
    }
}

impl Asset {
    pub(super) fn response(self) -> Vec<u8> {
        static SKYLINE: OnceLock<String> = OnceLock::new();
        let (kind, body) = match self {
            Asset::Style => ("text/css; charset=utf-8", STYLE),
            Asset::Script => ("text/javascript; charset=utf-8", SCRIPT),
            Asset::Logo => ("image/svg+xml", LOGO),
            Asset::Skyline => ("image/svg+xml", SKYLINE.get_or_init(skyline).as_str()),
        };
        response("200 OK", kind, "public, max-age=3600", body.as_bytes())
    }
}

/// A whole response. `HEAD` is answered as `GET` would be by no client of the drill, so bodies are
/// always written.
pub(super) fn response(status: &str, kind: &str, cache: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "HTTP/1.1 {status}\r\nServer: campaign-site\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\nCache-Control: {cache}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(body);
    out
}

/// What is answered when the queue is full.
pub(super) fn too_busy() -> Vec<u8> {
    html(
        "503 Service Unavailable",
        "Too busy",
        "<p>Too many people want to see this page just now. Please try again in a minute.</p>",
    )
}

/// Makes a page.
pub(super) fn render(page: &Page) -> Vec<u8> {
    match page {
        Page::Home => html("200 OK", "Example Campaign", &home()),
        Page::News => html("200 OK", "News", &news()),
        Page::Article(number) => {
            let (_, headline) = site::ARTICLES[number % site::ARTICLES.len()];
            html("200 OK", headline, &article(headline))
        }
        Page::About => html("200 OK", "About us", &paragraphs(6)),
        Page::Volunteer => html("200 OK", "Volunteer", VOLUNTEER_FORM),
        Page::Donate => html("200 OK", "Donate", DONATE_FORM),
        Page::ThankYou => html(
            "200 OK",
            "Thank you",
            "<p>Thank you. We have what you sent, and one of us will write to you.</p>",
        ),
        Page::Search(words) => html("200 OK", "Search", &search(words)),
        Page::Leaflet(ward) => html("200 OK", "Your leaflet", &leaflet(ward)),
        Page::Feed => response(
            "200 OK",
            "application/rss+xml; charset=utf-8",
            "public, max-age=60",
            feed().as_bytes(),
        ),
        Page::Robots => {
            response("200 OK", "text/plain", "public, max-age=3600", b"User-agent: *\nAllow: /\n")
        }
        Page::FormReceived => b"HTTP/1.1 303 See Other\r\nServer: campaign-site\r\n\
            Location: /thank-you\r\nContent-Length: 0\r\nCache-Control: no-store\r\n\r\n"
            .to_vec(),
        Page::NotFound => html(
            "404 Not Found",
            "Not found",
            "<p>There is no such page here. <a href=\"/\">Back to the front page</a></p>",
        ),
        Page::MethodNotAllowed => {
            html("405 Method Not Allowed", "Not possible", "<p>This page can only be read.</p>")
        }
    }
}

fn html(status: &str, title: &str, main: &str) -> Vec<u8> {
    let title = escape(title);
    let page = format!(
        "<!doctype html>\n<html lang=\"en-GB\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} · Example Campaign</title>\n\
         <link rel=\"stylesheet\" href=\"/assets/site.css\">\n\
         <link rel=\"alternate\" type=\"application/rss+xml\" title=\"News\" href=\"/feed.xml\">\n\
         <script src=\"/assets/site.js\" defer></script>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the content</a>\n\
         <header><a href=\"/\"><img src=\"/assets/logo.svg\" alt=\"Example Campaign, front page\" \
         width=\"160\" height=\"48\"></a>\n<nav aria-label=\"Main\"><ul>\
         <li><a href=\"/news\">News</a></li><li><a href=\"/volunteer\">Volunteer</a></li>\
         <li><a href=\"/donate\">Donate</a></li><li><a href=\"/leaflet?ward=1\">Your leaflet</a></li>\
         <li><a href=\"/about\">About us</a></li></ul></nav>\n\
         <form action=\"/search\" role=\"search\"><label for=\"q\">Search</label>\
         <input id=\"q\" name=\"q\" type=\"search\"><button>Search</button></form></header>\n\
         <img class=\"skyline\" src=\"/assets/skyline.svg\" alt=\"\">\n\
         <main id=\"main\">\n<h1>{title}</h1>\n{main}\n</main>\n\
         <footer><p>A demonstration site. No candidate, no party, no election.</p></footer>\n\
         </body>\n</html>\n"
    );
    response(status, "text/html; charset=utf-8", "no-cache", page.as_bytes())
}

fn home() -> String {
    let mut main = String::from(
        "<p>We are neighbours who want better buses, fair rents and libraries that are open when \
         people can go. Polling day is Thursday.</p>\n\
         <p><a href=\"/volunteer\">Give an evening</a> or <a href=\"/donate\">give what you can</a>.</p>\n\
         <h2>Latest news</h2>\n",
    );
    main.push_str(&news());
    main.push_str("<h2>What we stand for</h2>\n");
    main.push_str(&paragraphs(5));
    main
}

fn news() -> String {
    let mut list = String::from("<ul class=\"news\">\n");
    for (slug, headline) in site::ARTICLES {
        append(&mut list, format_args!("<li><a href=\"/news/{slug}\">{headline}</a></li>\n"));
    }
    list.push_str("</ul>\n");
    list
}

fn article(headline: &str) -> String {
    format!(
        "<p><strong>{headline}.</strong> This is what was agreed, and what happens next.</p>\n{}\
         <p><a href=\"/news\">More news</a></p>",
        paragraphs(7)
    )
}

fn search(words: &str) -> String {
    let words: String = words.chars().take(80).collect();
    let mut main = format!("<p>Results for “{}”:</p>\n<ol>\n", escape(&words));
    let wanted = words.to_lowercase();
    let fits = |headline: &str| {
        wanted.split_whitespace().any(|word| headline.to_lowercase().contains(word))
    };
    let mut found = 0;
    for (slug, headline) in site::ARTICLES.iter().filter(|(_, headline)| fits(headline)) {
        append(&mut main, format_args!("<li><a href=\"/news/{slug}\">{headline}</a></li>\n"));
        found += 1;
    }
    append(&mut main, format_args!("</ol>\n<p>{found} found.</p>"));
    main
}

/// The longest page: a leaflet of many paragraphs, made for one ward.
fn leaflet(ward: &str) -> String {
    let ward: String = ward.chars().filter(char::is_ascii_digit).take(4).collect();
    let mut main = format!("<p>For the people of ward {ward}, to print and fold.</p>\n");
    for (_, headline) in site::ARTICLES {
        append(&mut main, format_args!("<h2>{headline}</h2>\n{}", paragraphs(6)));
    }
    main
}

fn feed() -> String {
    let mut feed = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<rss version=\"2.0\"><channel>\n\
         <title>Example Campaign</title><link>http://localhost/</link>\
         <description>News from the campaign</description>\n",
    );
    for (slug, headline) in site::ARTICLES {
        append(
            &mut feed,
            format_args!(
                "<item><title>{headline}</title><link>http://localhost/news/{slug}</link></item>\n"
            ),
        );
    }
    feed.push_str("</channel></rss>\n");
    feed
}

fn paragraphs(count: usize) -> String {
    const SENTENCES: [&str; 6] = [
        "The last bus home leaves before the late shift ends, and that was a choice of the council.",
        "We asked four hundred households, and most of them said the same three things.",
        "The council's own figures are on its website; we have linked to them, page by page.",
        "A broken street light should be repaired without a call to a councillor.",
        "Come along on Thursday evening, bring a neighbour, and say what we have missed.",
        "What we promise is short, has a date next to it, and can be checked.",
    ];
    let mut text = String::new();
    for number in 0..count {
        text.push_str("<p>");
        for sentence in 0..4 {
            text.push_str(SENTENCES[(number * 5 + sentence * (number % 2 + 1)) % SENTENCES.len()]);
            text.push(' ');
        }
        text.push_str("</p>\n");
    }
    text
}

/// A query's parameter, decoded just as far as a search box needs.
fn parameter(query: &str, name: &str) -> String {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.chars().take(200).collect::<String>().replace('+', " "))
        .unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

const VOLUNTEER_FORM: &str = "<p>Canvassing, phones, leaflets, tea: there is something for everyone.</p>\n\
<form method=\"post\" action=\"/volunteer\">\n\
<p><label for=\"name\">Name</label> <input id=\"name\" name=\"name\" autocomplete=\"name\" required></p>\n\
<p><label for=\"email\">Email</label> <input id=\"email\" name=\"email\" type=\"email\" autocomplete=\"email\" required></p>\n\
<fieldset><legend>When can you help?</legend>\n\
<label><input type=\"checkbox\" name=\"evenings\" value=\"yes\"> Evenings</label>\n\
<label><input type=\"checkbox\" name=\"weekend\" value=\"yes\"> At the weekend</label></fieldset>\n\
<p><button>Count me in</button></p>\n</form>";

const DONATE_FORM: &str = "<p>Most of what we spend comes in fives and tens.</p>\n\
<form method=\"post\" action=\"/donate\">\n\
<p><label for=\"amount\">Amount in pounds</label> <input id=\"amount\" name=\"amount\" inputmode=\"numeric\" required></p>\n\
<p><label for=\"name\">Name</label> <input id=\"name\" name=\"name\" autocomplete=\"name\" required></p>\n\
<p><label><input type=\"checkbox\" name=\"gift_aid\" value=\"yes\"> I am a permissible donor</label></p>\n\
<p><button>Donate</button></p>\n</form>";

const LOGO: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 160 48\" role=\"img\" \
aria-label=\"Example Campaign\"><rect width=\"160\" height=\"48\" rx=\"6\" fill=\"#14532d\"/>\
<circle cx=\"26\" cy=\"24\" r=\"13\" fill=\"#facc15\"/><path d=\"M19 25l5 5 10-12\" fill=\"none\" \
stroke=\"#14532d\" stroke-width=\"4\"/><text x=\"48\" y=\"30\" font-family=\"sans-serif\" \
font-size=\"16\" fill=\"#fff\">Example</text></svg>\n";

const SCRIPT: &str = "// The site works without this file. It remembers the text size that was chosen.\n\
(function () {\n  'use strict';\n  var size = localStorage.getItem('text-size');\n\
  if (size) { document.documentElement.style.fontSize = size; }\n\
  document.addEventListener('click', function (event) {\n\
    var chosen = event.target.getAttribute('data-text-size');\n\
    if (chosen) {\n      localStorage.setItem('text-size', chosen);\n\
      document.documentElement.style.fontSize = chosen;\n    }\n  });\n}());\n";

const STYLE: &str = include_str!("site.css");

/// A generated picture of a street, about 15 kB.
fn skyline() -> String {
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 960 120\" role=\"presentation\">\n",
    );
    for building in 0..48_u32 {
        let height = 30 + building * 37 % 60;
        let left = building * 20;
        append(
            &mut svg,
            format_args!(
                "<rect x=\"{left}\" y=\"{}\" width=\"19\" height=\"{height}\" fill=\"#{:02x}5a3c\"/>",
                120 - height,
                40 + building * 11 % 80,
            ),
        );
        for window in 0..height / 14 {
            append(
                &mut svg,
                format_args!(
                    "<rect x=\"{}\" y=\"{}\" width=\"5\" height=\"7\" fill=\"#fde68a\"/>",
                    left + 4 + window % 2 * 7,
                    120 - height + 5 + window * 12,
                ),
            );
        }
        svg.push('\n');
    }
    svg.push_str("</svg>\n");
    svg
}
