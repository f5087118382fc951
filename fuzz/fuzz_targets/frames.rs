//! The checksummed frames of the ledger's journal and of saved state: any bytes are read without a
//! panic, and what was read is exactly what was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_durable::{Frame, FrameIter, push_frame};

/// Reads all frames of `bytes`, and where the last whole one ends.
fn read(bytes: &[u8]) -> (Vec<Frame<'_>>, usize) {
    let mut frames = FrameIter::new(bytes, 0);
    let found = frames.by_ref().collect();
    (found, frames.offset())
}

fuzz_target!(|bytes: &[u8]| {
    // A file of any content: the frames found in it are written as they were read.
    let (found, end) = read(bytes);
    let mut written = Vec::new();
    for frame in &found {
        push_frame(&mut written, frame.kind, frame.body);
    }
    assert_eq!(written, bytes[..end]);

    // A file of one frame for each line, which is then cut or damaged at a point of the input's
    // choice: the frames before that point remain, and none after it.
    let [at, mask, text @ ..] = bytes else { return };
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let mut file = Vec::new();
    let mut ends = Vec::new();
    for line in &lines {
        push_frame(&mut file, *mask, line);
        ends.push(file.len());
    }
    let at = usize::from(*at) * file.len() / 256;
    let whole = ends.iter().filter(|end| **end <= at).count();
    let expected: Vec<_> = lines[..whole].iter().map(|body| Frame { kind: *mask, body }).collect();
    assert_eq!(read(&file[..at]).0, expected);
    if *mask != 0 {
        file[at] ^= mask;
        assert_eq!(read(&file).0, expected);
    }
});
