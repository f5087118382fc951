//! Recorded access logs run through the same eyes.
//!
//! [`Replay`] takes recordings (Nginx, Apache and Caddy access logs, plain or gzip) and hands each
//! line to the same `gate::decide` and the same `posture::Control` as the running gate, with log
//! time for a clock. What the watch would have said, which procedures it would have engaged and
//! whom they would have hit are the [`Findings`], as text, JSON and a picture. [`Minutes`] asks of
//! counts by the minute which of them would have been called a surge.
//!
//! This crate decides nothing itself, sends nothing anywhere, and prints no visitor's address
//! (unless one stands in a line that it could not read, of which it shows the first few). Memory
//! is bounded whatever the length of the recording.

mod affected;
mod engine;
mod findings;
mod jar;
mod known;
mod line;
mod minutes;
mod order;
mod picture;
mod recording;
mod replay;
mod series;
mod story;
mod text;
mod top;

pub use affected::{Affected, ByActivity};
pub use findings::{BusiestSecond, FileFacts, Findings, LineCounts, Unparsed};
pub use line::{LogLine, ParseError, Parser, parse};
pub use minutes::{Minutes, MinutesError, MinutesFindings, Peak, RateSurge};
pub use order::OutOfOrder;
pub use recording::{LINE_BYTES, Line, OpenError, Recording};
pub use replay::Replay;
pub use series::{Bin, Series};
pub use story::{AttackStory, ProcedureStory, StrainStory, SurgeStory};
pub use top::Ranked;
