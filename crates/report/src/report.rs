//! What a report holds.

use portcullis_incident::{Figure, TimelineEntry};
use portcullis_model::WallTime;
use serde::Serialize;

/// What only the person at the desk knows. Whatever is absent is marked in the report as a blank
/// to fill in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorInput {
    /// Who reports.
    pub name: Option<String>,
    /// Their role.
    pub role: Option<String>,
    /// Their telephone number, at any hour.
    pub phone: Option<String>,
    /// An e-mail address on a system that the incident cannot have touched.
    pub email: Option<String>,
    /// The organisation's own e-mail address, which may be touched.
    pub organisation_email: Option<String>,
    /// The organisation's name.
    pub organisation: Option<String>,
    /// What it does, how large it is, where it is.
    pub sector: Option<String>,
    /// The impact in the organisation's own words: on what people wanted to do that day.
    pub impact: Option<String>,
    /// What people, or others on their behalf, investigated and did.
    pub actions: Vec<String>,
    /// Recipients that were notified, besides those with a receipt in the ledger.
    pub informed: Vec<String>,
    /// What is planned next.
    pub next_steps: Vec<String>,
}

/// When and with what a report is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The report's date.
    pub generated_at: WallTime,
    /// Portcullis' version.
    pub version: String,
}

/// A claim of a statement with its finding, as plain words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClaimLine {
    /// The requested wording.
    pub typical_wording: String,
    /// `supported`, `contradicted`, `not shown` or `not measurable`.
    pub finding: String,
    /// What can be said.
    pub sentence: String,
}

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The version of this format: [`Report::FORMAT`].
    pub format: u32,
    /// True for a drill or a replay: nothing of this is about a real attack.
    pub rehearsal: bool,
    /// The incident.
    pub incident: String,
    /// The report's date.
    pub generated_at: WallTime,
    /// Portcullis' version.
    pub version: String,
    /// The nine questions, answered as far as the ledger can.
    pub sections: Vec<Section>,
    /// Facts that matter for a category. The category itself is assigned by the NCSC or by law
    /// enforcement alone.
    pub categorisation: Vec<String>,
    /// What happened, in order.
    pub timeline: Vec<TimelineEntry>,
    /// Moments beyond those listed.
    pub more_moments: u64,
    /// The figures with their windows, leaves and whether they are lower bounds.
    pub figures: Vec<Figure>,
    /// What was not recorded, in sentences.
    pub coverage: Vec<String>,
    /// What a statement to the public would say, if one was made.
    pub claims: Vec<ClaimLine>,
    /// Load over time as SVG pictures.
    #[serde(skip)]
    pub charts: Vec<String>,
}

/// One question with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Its number, from 1.
    pub number: u32,
    /// The question.
    pub question: &'static str,
    /// The answer.
    pub blocks: Vec<ReportBlock>,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportBlock {
    /// A paragraph.
    Paragraph(String),
    /// A list.
    Items(Vec<String>),
    /// A table.
    Table(ReportTable),
    /// Something that only a person knows: what is to be filled in.
    Blank(String),
}

/// A small table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportTable {
    /// What it shows.
    pub caption: String,
    /// The columns' names.
    pub head: Vec<String>,
    /// The rows.
    pub rows: Vec<TableRow>,
}

/// One row of a [`ReportTable`]: the first cell names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableRow(pub Vec<String>);

impl Report {
    /// The version of the JSON format.
    pub const FORMAT: u32 = 1;

    /// As JSON, for programs. Pictures are left out.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        json.expect("a report has only string keys, so it always serialises") + "\n"
    }
}
