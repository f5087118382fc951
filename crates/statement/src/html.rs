//! A statement as one self-contained page.

use askama::Template;
use portcullis_incident::words;

use crate::text::{REHEARSAL, window_text};
use crate::{Claim, Finding, Statement};

/// The page. Nothing in it is fetched from elsewhere, and nothing needs JavaScript.
#[derive(Template)]
#[template(path = "statement.html")]
struct Page<'a> {
    statement: &'a Statement,
    title: String,
    made: String,
    what: String,
    tally: String,
    rehearsal: &'static str,
    claims: Vec<Card<'a>>,
}

/// One claim of the page.
struct Card<'a> {
    claim: &'a Claim,
    finding: Finding,
    figures: Vec<Row>,
}

/// One figure of a claim.
struct Row {
    name: String,
    value: String,
    window: String,
    leaves: String,
}

impl Statement {
    /// As one self-contained HTML page.
    pub fn to_html(&self) -> String {
        let claims = self.claims.iter().map(|claim| Card {
            claim,
            finding: claim.finding,
            figures: claim
                .figures
                .iter()
                .map(|figure| Row {
                    name: words::sentence(&words::plain(&figure.name)),
                    value: figure.text(),
                    window: window_text(figure).unwrap_or_else(|| "\u{2013}".to_owned()),
                    leaves: figure.leaves.to_string(),
                })
                .collect(),
        });
        let page = Page {
            statement: self,
            title: self.title(),
            made: self.made(),
            what: self.what(),
            tally: self.tally(),
            rehearsal: REHEARSAL,
            claims: claims.collect(),
        };
        page.render().expect("writing a page to a string cannot fail")
    }
}
