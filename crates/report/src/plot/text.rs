//! Text in a picture: escaping, and widths good enough to break lines by.

/// Text as XML character data: markup escaped, characters that XML forbids replaced.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The width of a line in picture units, estimated from an average letter: no font is measured.
pub(super) fn width_of(text: &str, font_size: f64) -> f64 {
    text.chars().count() as f64 * font_size * 0.54
}

/// The text, ended by an ellipsis if it would be wider than `width`.
pub(super) fn shorten(text: &str, width: f64, font_size: f64) -> String {
    if width_of(text, font_size) <= width {
        return text.to_owned();
    }
    let fits = (width / (font_size * 0.54)).floor().max(1.0) as usize;
    let mut short: String = text.chars().take(fits.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// The text broken at spaces into at most `lines_max` lines of `width`; what does not fit is cut.
pub(super) fn wrap(text: &str, width: f64, font_size: f64, lines_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        // The last line takes everything that is left, to be cut with an ellipsis.
        let last_line = lines.len() >= lines_max;
        match lines.last_mut() {
            Some(line)
                if last_line || width_of(line, font_size) + width_of(word, font_size) <= width =>
            {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.into_iter().map(|line| shorten(&line, width, font_size)).collect()
}
