//! A report as one self-contained page.

use askama::Template;
use portcullis_incident::words;

use crate::figures::window;
use crate::report::{Report, ReportBlock};
use crate::text::REHEARSAL;

/// The page. Nothing in it is fetched from elsewhere, and nothing needs JavaScript.
#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage<'a> {
    report: &'a Report,
    provenance: String,
    rehearsal: &'static str,
    moments: Vec<PageRow>,
    figures: Vec<PageRow>,
}

/// One row of the timeline or of the table of figures.
struct PageRow {
    first: String,
    second: String,
    third: String,
    fourth: String,
}

impl Report {
    /// As one self-contained HTML page.
    pub fn to_html(&self) -> String {
        let page = ReportPage {
            report: self,
            provenance: self.provenance(),
            rehearsal: REHEARSAL,
            moments: self
                .timeline
                .iter()
                .map(|moment| PageRow {
                    first: words::day(moment.at),
                    second: moment.at.clock(),
                    third: words::plain(&moment.summary),
                    fourth: moment.leaf.to_string(),
                })
                .collect(),
            figures: self
                .figures
                .iter()
                .map(|figure| PageRow {
                    first: words::sentence(&words::plain(&figure.name)),
                    second: figure.text(),
                    third: window(figure),
                    fourth: figure.leaves.to_string(),
                })
                .collect(),
        };
        page.render().expect("writing a page to a string cannot fail")
    }
}
