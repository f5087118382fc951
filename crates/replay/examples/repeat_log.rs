//! Writes a long log by repeating a real one in the combined format with shifted times, for
//! measurements.
//!
//! `repeat_log FILE LINES --shift SECONDS > long.log`: each repetition is shifted by SECONDS
//! against the one before. With `--over SECONDS` the lines are spread evenly over this number of
//! seconds instead.

use std::io::Write;
use std::path::Path;

use portcullis_model::WallTime;
use portcullis_replay::{RecordedLine, Recording, parse};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, lines, way, seconds] = arguments.as_slice() else {
        return Err("usage: repeat_log FILE LINES --shift|--over SECONDS".into());
    };
    let (lines, seconds): (usize, u64) = (lines.parse()?, seconds.parse()?);
    let shifted = way == "--shift";
    let mut parts = Vec::new();
    Recording::open(Path::new(file))?.for_each(&mut |line| {
        let RecordedLine::Whole(line) = line else { return };
        let open = line.iter().position(|b| *b == b'[');
        let close = line.iter().position(|b| *b == b']');
        if let (Ok(parsed), Some(open), Some(close)) = (parse(line), open, close) {
            parts.push((line[..=open].to_vec(), parsed.at, line[close..].to_vec()));
        }
    })?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for n in 0..lines {
        let (head, at, tail) = &parts[n % parts.len()];
        let at = if shifted {
            at.seconds() + (n / parts.len()) as u64 * seconds
        } else {
            parts[0].1.seconds() + n as u64 * seconds / lines as u64
        };
        out.write_all(head)?;
        write_common(&mut out, WallTime(at * 1_000))?;
        out.write_all(tail)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

fn write_common(out: &mut impl Write, at: WallTime) -> std::io::Result<()> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = at.to_string();
    let month: usize = text[5..7].parse().unwrap_or(1);
    let (year, day, clock) = (&text[..4], &text[8..10], &text[11..19]);
    write!(out, "{day}/{}/{year}:{clock} +0000", MONTHS[month - 1])
}
