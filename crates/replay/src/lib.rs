//! Recorded access logs, run through the same gate, watch and posture.
//!
//! [`Replay`] takes recordings (access logs of common servers, proxies and clouds, plain or gzip)
//! and hands each line to the same `gate::decide` and the same `posture::Control` as the running
//! gate, with log time for a clock. What the watch would have reported, which procedures it would
//! have engaged and whom they would have hit are the [`Findings`], as text, JSON and a picture.
//! [`MinuteCounts`] asks of counts by the minute which of them would have been called a surge.
//!
//! This crate decides nothing itself, sends nothing anywhere, and prints no visitor's address
//! (unless one is in a line that it could not read, of which it shows one of each kind). Memory
//! is bounded whatever the length of the recording.

// module order: busiest_second cookie_jar history known_visitors line series space_saving utf_16
// module order: impact log_second recording text_page
// module order: excerpt log_input overlap reorder sort
// module order: pipeline
// module order: engine line_counts
// module order: findings open_log
// module order: merge plot text
// module order: minutes replay
// module order: html

mod busiest_second;
mod cookie_jar;
mod engine;
mod excerpt;
mod findings;
mod history;
mod html;
mod impact;
mod known_visitors;
mod line;
mod line_counts;
mod log_input;
mod log_second;
mod merge;
mod minutes;
mod open_log;
mod overlap;
mod pipeline;
mod plot;
mod recording;
mod reorder;
mod replay;
mod series;
mod sort;
mod space_saving;
mod text;
mod text_page;
mod utf_16;

pub use busiest_second::BusiestSecond;
pub use findings::Findings;
pub use history::{ReplayedAttack, ReplayedDegradation, ReplayedProcedure, ReplayedSurge};
pub use impact::{ActivityImpact, Impact};
pub use line::{
    LINE_BYTES, LineFormat, LineReader, LogLine, LogPattern, LoggedSource, ParseError,
    PatternError, SourceUse, parse,
};
pub use line_counts::{FileFacts, LineCounts, Unparsed, UnreadKind};
pub use log_input::{LogInput, SameLog};
pub use minutes::{BusiestMinute, MinuteCounts, MinutesError, MinutesFindings, RateSurge};
pub use open_log::ReplayError;
pub use recording::{OpenError, RecordedLine, Recording};
pub use replay::Replay;
pub use series::{Bin, BinnedSeries};
pub use space_saving::Ranked;
