//! The beginning of a line that could not be read.

use portcullis_incident::words;

/// Characters shown.
const EXCERPT: usize = 80;

/// The beginning of a line, fit to be shown.
pub(crate) fn excerpt(line: &[u8]) -> String {
    let begin = &line[..line.len().min(EXCERPT * 4)];
    let text = words::plain(&String::from_utf8_lossy(begin));
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
