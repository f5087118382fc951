//! Requests before they are sent, and the queue that orders them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::sender::{Kind, Sender};

/// On whose account a request is sent. The gate does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Party {
    /// People of an ordinary day.
    People,
    /// Robots, readers, monitors and jobs of an ordinary day.
    Robots,
    /// What an innocent event brings.
    Event,
    /// An attack.
    Attack,
}

/// How many parties there are.
pub(crate) const PARTIES: usize = 4;

/// What a sender does once a page was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follow {
    Nothing,
    /// A person's browser loads the assets, and the person reads on.
    Visit {
        pages_left: u8,
        /// The browser has the site's common assets.
        cached: bool,
    },
    /// This number of the page's assets is loaded, and nothing else.
    Assets(u8),
}

/// A query: the place of its form in [`QUERIES`], and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Query {
    pub form: u8,
    pub number: u64,
}

/// Forms of queries; `#` is replaced by the number, in base 36.
pub(crate) const QUERIES: [&str; 8] = [
    "",
    "q=#",
    "_=#",
    "utm_source=newsletter&utm_id=#",
    "s=#&page=2",
    "since=#",
    "id=#",
    "letters",
];

impl Query {
    pub(crate) const NONE: Self = Self { form: 0, number: 0 };
    pub(crate) const SEARCH: u8 = 1;
    pub(crate) const BUST: u8 = 2;
    pub(crate) const MAIL: u8 = 3;
    pub(crate) const SINCE: u8 = 5;
    /// The first letters of a word: the number is `word * 16 + letters`.
    pub(crate) const LETTERS: u8 = 7;

    /// Writes the query; `None` without one.
    pub(crate) fn write(self, text: &mut String) -> Option<&str> {
        text.clear();
        if self.form == 0 {
            return None;
        }
        if self.form == Self::LETTERS {
            text.push_str("q=");
            word(self.number / 16, text);
            text.truncate(2 + (self.number % 16) as usize);
            return Some(text);
        }
        let (before, after) = QUERIES[usize::from(self.form)].split_once('#').unwrap_or(("", ""));
        text.push_str(before);
        if self.form == Self::SEARCH {
            word(self.number, text);
        } else {
            base_36(self.number, text);
        }
        text.push_str(after);
        Some(text)
    }
}

fn base_36(mut number: u64, text: &mut String) {
    loop {
        let digit = (number % 36) as u32;
        text.push(char::from_digit(digit, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return;
        }
    }
}

/// A word of eight letters or more for each number.
fn word(number: u64, text: &mut String) {
    let mut rest = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
    for _ in 0..4 {
        text.push(char::from(b"bdfgklmnprst"[(rest % 12) as usize]));
        rest /= 12;
        text.push(char::from(b"aeiou"[(rest % 5) as usize]));
        rest /= 5;
    }
}

/// One request before it is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlannedRequest {
    pub sender: u32,
    /// A place in the site's paths, and the number in it.
    pub path: u16,
    pub number: u32,
    pub query: Query,
    pub kind: Kind,
    pub revalidates: bool,
    pub party: Party,
    /// A place in [`REFERRERS`].
    pub referrer: u8,
    pub follow: Follow,
    /// The second try and later ones of a request that was challenged: the place of its query.
    pub retry: Option<u32>,
}

/// Referring addresses: none, the site itself, others.
pub(crate) const REFERRERS: [Option<&str>; 6] = [
    None,
    Some("https://campaign.example/"),
    Some("https://www.google.com/"),
    Some("https://news.example/politics"),
    Some("https://social.example/"),
    Some("https://mail.example/"),
];

impl PlannedRequest {
    /// A request for a page, with nothing after it.
    pub(crate) const fn page(sender: u32, path: u16, party: Party) -> Self {
        Self {
            sender,
            path,
            number: 0,
            query: Query::NONE,
            kind: Kind::Page,
            revalidates: false,
            party,
            referrer: 0,
            follow: Follow::Nothing,
            retry: None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Queued {
    at: u64,
    order: u64,
    request: PlannedRequest,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// What is planned, in the order of time, and everyone who sends something.
#[derive(Debug, Default)]
pub(crate) struct PlannedTraffic {
    queue: BinaryHeap<Reverse<Queued>>,
    order: u64,
    pub senders: Vec<Sender>,
}

impl PlannedTraffic {
    /// Plans a request for the moment `at`, in milliseconds.
    pub(crate) fn push(&mut self, at: u64, request: PlannedRequest) {
        self.order += 1;
        self.queue.push(Reverse(Queued { at, order: self.order, request }));
    }

    /// When the next request is due.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse(next)| next.at)
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, PlannedRequest)> {
        self.queue.pop().map(|Reverse(next)| (next.at, next.request))
    }

    /// Forgets what is planned.
    pub(crate) fn forget(&mut self) {
        self.queue.clear();
    }

    /// Adds a sender; returns its number.
    pub(crate) fn sender(&mut self, sender: Sender) -> u32 {
        self.senders.push(sender);
        self.senders.len() as u32 - 1
    }
}
