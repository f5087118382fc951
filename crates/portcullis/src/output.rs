//! Standard output that may be a pipe to a program that stops reading, such as `head`.

use std::fmt::Arguments;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;

/// Writes to standard output, for a terminal with lines of its width. A reader that has closed it wants no
/// more, and a terminal that is gone receives nothing: both are no error.
pub fn write(text: Arguments<'_>) {
    let mut stdout = std::io::stdout().lock();
    let width = stdout.is_terminal().then(|| terminal_width(&stdout)).flatten();
    let written = match width {
        Some(width) if width < TEXT_WIDTH => {
            let text = text.to_string();
            // JSON is for programs.
            let fitted = if text.starts_with(['{', '[']) { text } else { fit(&text, width) };
            stdout.write_all(fitted.as_bytes())
        }
        _ => stdout.write_fmt(text),
    };
    let _ = written.and_then(|()| stdout.flush());
}

/// Texts are wrapped at this width where they are made.
const TEXT_WIDTH: usize = 100;
/// A narrower terminal wraps by itself.
const MIN_WIDTH: usize = 40;

fn terminal_width(terminal: impl AsFd) -> Option<usize> {
    let columns = rustix::termios::tcgetwinsize(terminal).ok()?.ws_col;
    (columns > 0).then(|| usize::from(columns).max(MIN_WIDTH))
}

/// Wraps lines that are longer than `width` at their spaces; a continuation is indented like its line.
fn fit(text: &str, width: usize) -> String {
    let mut fitted = String::with_capacity(text.len() + text.len() / 16);
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches('\n');
        let indent = content.len() - content.trim_start().len();
        let mut column = 0;
        for (at, word) in content.trim_start().split(' ').enumerate() {
            let length = word.chars().count();
            if at == 0 {
                fitted.push_str(&content[..indent]);
                column = indent;
            } else if column + 1 + length > width {
                fitted.push('\n');
                fitted.push_str(&content[..indent]);
                column = indent;
            } else {
                fitted.push(' ');
                column += 1;
            }
            fitted.push_str(word);
            column += length;
        }
        fitted.push_str(&line[content.len()..]);
    }
    fitted
}

/// Like `print!`, without a panic on a closed pipe.
macro_rules! out {
    ($($part:tt)*) => { $crate::output::write(format_args!($($part)*)) };
}

/// Like `println!`, without a panic on a closed pipe.
macro_rules! outln {
    ($($part:tt)*) => {
        $crate::output::write(format_args!("{}\n", format_args!($($part)*)))
    };
}

pub(crate) use {out, outln};

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn long_lines_are_wrapped_with_their_indentation_and_short_ones_stay() {
        let text = "short\n  a line that is too long for this width\n\nlast";
        assert_eq!(fit(text, 20), "short\n  a line that is too\n  long for this\n  width\n\nlast");
        assert_eq!(fit(text, 80), text);
        assert_eq!(fit("averyveryverylongword", 10), "averyveryverylongword");
    }
}
