//! What a replay found.

use portcullis_incident::{BoundedList, TimeWindow, words};
use serde::Serialize;

use crate::busiest_second::BusiestSecond;
use crate::engine::{EngineOutput, ReplayCounts};
use crate::history::{
    ReplayHistory, ReplayedAttack, ReplayedDegradation, ReplayedProcedure, ReplayedSurge,
};
use crate::impact::Impact;
use crate::line_counts::{FileFacts, LineCounts};
use crate::series::BinnedSeries;

/// What a replay found: what the watch would have reported, what the gate would have done, and whom
/// it would have hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// The recordings, in the order in which they were read.
    pub files: Vec<FileFacts>,
    /// Whether the result describes the recordings: no more than 5% of their lines were left
    /// out, and each was read to its end.
    pub reliable: bool,
    /// Lines, read and not.
    pub lines: LineCounts,
    /// From the first line to the last; absent if there was none.
    pub window: Option<TimeWindow>,
    /// Requests.
    pub requests: u64,
    /// Lines about bytes that were no request, which the gate always refuses.
    pub malformed: u64,
    /// Lines about connections without any request.
    pub silent: u64,
    /// Bytes sent to visitors.
    pub bytes: u64,
    /// Distinct sources, about (within a few per cent), of the requests whose source is known.
    pub sources: u64,
    /// Requests of which the log hides the source.
    pub hidden_sources: u64,
    /// The busiest second.
    pub busiest_second: BusiestSecond,
    /// Surges: far more traffic than the baseline.
    pub surges: BoundedList<ReplayedSurge>,
    /// Attacks, wave by wave, with the evidence.
    pub attacks: BoundedList<ReplayedAttack>,
    /// Procedures that would have been engaged.
    pub procedures: BoundedList<ReplayedProcedure>,
    /// When the recorded origin failed.
    pub degradations: BoundedList<ReplayedDegradation>,
    /// What would have become of the requests.
    pub impact: Impact,
    /// Load over time.
    pub series: BinnedSeries,
    /// What a recording cannot show, and what was assumed.
    pub caveats: Vec<String>,
}

impl Findings {
    pub(crate) fn new(
        files: Vec<FileFacts>,
        lines: LineCounts,
        outcomes: Option<EngineOutput>,
    ) -> Self {
        let Some(found) = outcomes else {
            return Self::empty(files, lines);
        };
        let window = TimeWindow::new(found.first, found.last);
        let reliable = is_reliable(&files, &lines);
        let caveats = caveats(&found.counts, &lines, window);
        let ReplayHistory { surges, attacks, procedures, degradations } = found.history;
        Self {
            files,
            reliable,
            lines,
            window: Some(window),
            requests: found.counts.requests,
            malformed: found.counts.malformed,
            silent: found.counts.silent,
            bytes: found.counts.bytes,
            sources: found.sources,
            hidden_sources: found.counts.without_source,
            busiest_second: found.counts.busiest,
            surges,
            attacks,
            procedures,
            degradations,
            impact: found.impact,
            series: found.series,
            caveats,
        }
    }

    fn empty(files: Vec<FileFacts>, lines: LineCounts) -> Self {
        Self {
            files,
            reliable: false,
            lines,
            window: None,
            requests: 0,
            malformed: 0,
            silent: 0,
            bytes: 0,
            sources: 0,
            hidden_sources: 0,
            busiest_second: BusiestSecond::default(),
            surges: BoundedList::default(),
            attacks: BoundedList::default(),
            procedures: BoundedList::default(),
            degradations: BoundedList::default(),
            impact: Impact::default(),
            series: BinnedSeries::default(),
            caveats: Vec::new(),
        }
    }

    /// For programs.
    pub fn json(&self) -> String {
        // Maps have text for keys and nothing else in here can fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn is_reliable(files: &[FileFacts], lines: &LineCounts) -> bool {
    lines.is_reliable() && files.iter().all(|file| file.read_error.is_none())
}

/// What a recording cannot show, as far as it matters to this one.
fn caveats(counts: &ReplayCounts, lines: &LineCounts, window: TimeWindow) -> Vec<String> {
    let mut caveats = Vec::new();
    let requests = counts.requests;
    caveats.push(if counts.with_accept == 0 {
        "The log holds no header fields but user agent and referrer. Assets are known by their \
         extensions alone. The order of header fields is known only as whether a user agent was \
         sent. Where language or accepted types are reported as absent, the log lacks them: a live \
         gate would have found better signatures."
            .to_owned()
    } else {
        "The log does not hold the order of header fields, only which fields were sent: a live gate \
         would have found better signatures."
            .to_owned()
    });
    if counts.without_source > 0 {
        caveats.push(format!(
            "The log hides the source of {} of {} requests. Nothing that counts requests by source was \
             concluded from them: no evidence about single visitors, no limit of a source, no number \
             of visitors.",
            words::count(counts.without_source),
            words::count(requests)
        ));
    }
    caveats.push(
        "Connections without a request, stalled headers and connections that the recorded server \
         refused before it wrote a line are not in an access log. Attacks by them cannot be seen here."
            .to_owned(),
    );
    caveats.push(
        "A recording cannot answer a challenge. Every recorded visitor is taken to have followed \
         the redirect and stored the cookie, attackers too: challenges would have delayed at most \
         these, and would have stopped at least these."
            .to_owned(),
    );
    let weeks = window.millis() / (7 * 86_400_000);
    let twice = if weeks == 0 { ", and no hour of the week was seen twice" } else { "" };
    caveats.push(format!(
        "The baseline had to be learnt from the recording itself: in its first {} no multiple of \
         it could be called a surge{twice}.",
        words::span(counts.warm_up.as_millis() as u64)
    ));
    if counts.with_latency < requests {
        let known = match counts.with_latency {
            0 => "no request".to_owned(),
            n => format!("{} of {} requests", words::count(n), words::count(requests)),
        };
        caveats.push(format!(
            "The time that an answer took is recorded for {known}: a degraded origin shows by \
             answers of 500 and above."
        ));
    }
    if counts.to_the_second > 0 {
        caveats.push(
            "Times are known to the second. The requests of a second were spread evenly over it."
                .to_owned(),
        );
    }
    caveats.push(
        "The recorded responses do not change: the load that the gate would have stopped is still in \
         them."
            .to_owned(),
    );
    if let Some(platform) = &counts.assumed
        && counts.with_host < requests
    {
        caveats.push(format!(
            "{} of {} requests name no host and were counted for {platform}.",
            words::count(requests - counts.with_host),
            words::count(requests)
        ));
    }
    if lines.sorted {
        caveats.push(
            "The lines were sorted by the times that they name. If a clock was set back, the time that \
             it repeated counted twice."
                .to_owned(),
        );
    }
    let not_learnt = counts.silence_not_learnt.as_millis() as u64;
    if not_learnt > 0 {
        caveats.push(format!(
            "Silences of more than four weeks were learnt as four weeks; {} were passed over.",
            words::span(not_learnt)
        ));
    }
    if counts.unfinished > 0 {
        caveats.push(format!(
            "{} sent round by challenges more often than a visitor puts up with, and counted as \
             refused.",
            match counts.unfinished {
                1 => "1 request was".to_owned(),
                n => format!("{} requests were", words::count(n)),
            }
        ));
    }
    caveats
}
