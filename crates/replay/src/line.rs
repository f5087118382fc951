//! One line of an access log.

// module order: json_keys log_line quoted timestamp
// module order: fields
// module order: combined elb envoy haproxy json pattern w3c wrapper
// module order: format
// module order: reader

mod combined;
mod elb;
mod envoy;
mod fields;
mod format;
mod haproxy;
mod json;
mod json_keys;
mod log_line;
mod pattern;
mod quoted;
mod reader;
mod timestamp;
mod w3c;
mod wrapper;

use format::FormatState;
pub use format::LineFormat;
pub(crate) use log_line::placeholder_source;
pub use log_line::{LINE_BYTES, LogLine, LoggedSource, ParseError};
pub use pattern::{LogPattern, PatternError};
pub use reader::{LineReader, SourceUse};
pub(crate) use timestamp::parse_timestamp;

/// Reads one line, without its line break, in whichever known format it is. A file is read by a
/// [`LineReader`], which also knows what is around its lines.
pub fn parse(line: &[u8]) -> Result<LogLine<'_>, ParseError> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
    let mut state = FormatState::default();
    let likely = if line.first() == Some(&b'{') { LineFormat::Json } else { LineFormat::Combined };
    let likely = likely.parse(line, &mut state);
    let mut others = LineFormat::KNOWN.iter();
    match likely {
        Ok(Some(read)) => Ok(read),
        Ok(None) => Err(ParseError::NoFields),
        Err(error) => {
            others.find_map(|format| format.parse(line, &mut state).ok().flatten()).ok_or(error)
        }
    }
}
