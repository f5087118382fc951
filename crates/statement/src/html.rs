//! A statement as one self-contained page.

use askama::Template;
use portcullis_incident::words;

use crate::text::{REHEARSAL, window_text};
use crate::{Claim, Finding, Statement};

/// The page. Nothing in it is fetched from elsewhere, and nothing needs JavaScript.
#[derive(Template)]
#[template(path = "statement.html")]
struct StatementPage<'a> {
    statement: &'a Statement,
    title: String,
    provenance: String,
    scope: String,
    findings: String,
    rehearsal: &'static str,
    claims: Vec<ClaimCard<'a>>,
}

/// One claim of the page.
struct ClaimCard<'a> {
    claim: &'a Claim,
    finding: Finding,
    figures: Vec<FigureRow>,
}

/// One figure of a claim.
struct FigureRow {
    name: String,
    value: String,
    window: String,
    leaves: String,
}

impl Statement {
    /// As one self-contained HTML page.
    pub fn to_html(&self) -> String {
        let claims = self.claims.iter().map(|claim| ClaimCard {
            claim,
            finding: claim.finding,
            figures: claim
                .figures
                .iter()
                .map(|figure| FigureRow {
                    name: words::sentence(&words::plain(&figure.name)),
                    value: figure.text(),
                    window: window_text(figure).unwrap_or_else(|| "\u{2013}".to_owned()),
                    leaves: figure.leaves.to_string(),
                })
                .collect(),
        });
        let page = StatementPage {
            statement: self,
            title: self.title(),
            provenance: self.provenance(),
            scope: self.scope(),
            findings: self.findings(),
            rehearsal: REHEARSAL,
            claims: claims.collect(),
        };
        page.render().expect("writing a page to a string cannot fail")
    }
}
