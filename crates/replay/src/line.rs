//! One line of an access log.

mod combined;
mod fields;
mod json;
mod log_line;
mod quoted;
mod timestamp;

pub use log_line::{LINE_BYTES, LogLine, ParseError};
pub(crate) use timestamp::{TimestampParser, parse_timestamp};

/// Reads lines, and remembers the last timestamp: most lines of a busy log share theirs with the
/// line before.
#[derive(Debug, Default)]
pub struct Parser {
    timestamps: TimestampParser,
}

impl Parser {
    /// Reads one line, without its line break. The format is recognised from the line itself: JSON if it
    /// begins with `{`, otherwise common or combined.
    pub fn parse<'a>(&mut self, line: &'a [u8]) -> Result<LogLine<'a>, ParseError> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
        if line.first() == Some(&b'{') {
            json::parse(line, &mut self.timestamps)
        } else {
            combined::parse(line, &mut self.timestamps)
        }
    }
}

/// Reads one line, without its line break; see [`Parser`] for many.
pub fn parse(line: &[u8]) -> Result<LogLine<'_>, ParseError> {
    Parser::default().parse(line)
}
