//! The plan: who sends what, and when.

use std::net::Ipv4Addr;

use serde::Serialize;

use crate::browser::Browser;
use crate::scenario::Tactic;

/// Everything that will be sent in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The seed it was drawn from.
    pub seed: u64,
    /// The scenario's name.
    pub scenario: &'static str,
    /// The people and their feed readers, in order of arrival.
    pub visitors: Vec<Visitor>,
    /// The attackers, in order of their beginning.
    pub attacks: Vec<PlannedAttack>,
}

/// The kind of a visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VisitorKind {
    /// A visitor of an ordinary day.
    Everyday,
    /// A visitor who follows the link in the mail.
    FlashCrowd,
    /// A feed reader.
    FeedReader,
}

/// One person with a browser, or a feed reader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Visitor {
    /// The kind.
    pub kind: VisitorKind,
    /// Where the requests come from. Some visitors share an address, as behind a carrier.
    pub source: Ipv4Addr,
    /// The browser, which decides the headers and their order.
    pub browser: Browser,
    /// Whether cookies are stored and sent back.
    pub keeps_cookies: bool,
    /// Whether style sheet, script and pictures are in the browser's cache already.
    pub has_assets: bool,
    /// Its requests, in chronological order.
    pub steps: Vec<VisitStep>,
}

/// One request of a visitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VisitStep {
    /// When, in milliseconds from the start of the run.
    pub at_ms: u32,
    /// The request.
    pub request: VisitorRequest,
}

/// The content of a visitor's request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VisitorRequest {
    /// A page and, the first time, its assets.
    Page(String),
    /// A form is sent by POST; the answer leads to a page.
    Form {
        /// Where the form is sent to.
        path: String,
        /// Its fields, urlencoded.
        body: String,
    },
    /// The news feed.
    Feed,
}

/// One attacker's requests, for each rung of the ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedAttack {
    /// Which phase of the scenario it belongs to.
    pub phase: usize,
    /// When it begins.
    pub from_ms: u32,
    /// When it ends.
    pub to_ms: u32,
    /// The rungs, each planned for the whole length.
    pub rungs: Vec<PlannedRung>,
}

/// One tactic's requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedRung {
    /// The tactic.
    pub tactic: Tactic,
    /// The bots' addresses.
    pub sources: Vec<Ipv4Addr>,
    /// The requests in order of time; for slow headers the connections.
    pub requests: Vec<AttackRequest>,
}

/// One request of an attacker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AttackRequest {
    /// When, in milliseconds from the start of the run.
    pub at_ms: u32,
    /// Which of the bots sends it.
    pub bot: u16,
    /// The random number that selects words, article and user agent.
    pub random: u32,
}
