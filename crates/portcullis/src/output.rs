//! Standard output that may be a pipe to a program that stops reading, such as `head`.

use std::fmt::Arguments;
use std::io::Write;

/// Writes to standard output. A reader that has closed it wants no more, and a terminal that is gone
/// receives nothing: both are no error.
pub fn write(text: Arguments<'_>) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_fmt(text).and_then(|()| stdout.flush());
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
