//! The journal: the one file that a batch must reach before it is acknowledged.
//!
//! It begins with a line that states the index of its first entry. Frames follow: an `E` frame for
//! each entry, and after the entries of each batch a `C` frame with the signed checkpoint that
//! covers them. A batch counts if and only if its `C` frame is whole and its signature good.
//!
//! ```text
//! portcullis-journal 1 512\n
//! frame = kind ("E" or "C", 1 byte) | size of the body (2 bytes, most significant first)
//!       | body | first 8 bytes of SHA-256(kind | size | body)
//! ```

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::hash::Hash;
use crate::note::Verifier;
use crate::tile::TILE_WIDTH;

pub(crate) const JOURNAL_FILE: &str = "journal";

/// The most bytes of a journal that are read: several times what the writer keeps in memory
/// ([`crate::ledger::MAX_WAITING_BYTES`]).
pub(crate) const MAX_JOURNAL_BYTES: u64 = 256 * 1024 * 1024;

const HEADER: &str = "portcullis-journal 1 ";

const CHECK_BYTES: usize = 8;

/// The most bytes of a checkpoint in the journal: it has the log's own signature only.
const MAX_NOTE_BYTES: usize = 4096;

/// The first line of a journal whose first entry has the index `base`.
pub(crate) fn header(base: u64) -> Vec<u8> {
    format!("{HEADER}{base}\n").into_bytes()
}

/// Adds the frame of an entry.
pub(crate) fn push_entry(bytes: &mut Vec<u8>, entry: &[u8]) {
    push_frame(bytes, b'E', entry);
}

/// Adds the frame of the checkpoint that completes a batch.
pub(crate) fn push_checkpoint(bytes: &mut Vec<u8>, checkpoint: &Checkpoint) {
    push_frame(bytes, b'C', checkpoint.note().as_bytes());
}

fn push_frame(bytes: &mut Vec<u8>, kind: u8, body: &[u8]) {
    let start = bytes.len();
    bytes.push(kind);
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    let check = check(&bytes[start..]);
    bytes.extend(check);
}

fn check(frame: &[u8]) -> [u8; CHECK_BYTES] {
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&Hash::of_bytes(frame).0[..CHECK_BYTES]);
    check
}

/// A journal read back: only what was completed by a good checkpoint.
#[derive(Debug)]
pub(crate) struct Journal<'a> {
    /// The index of its first entry, a multiple of 256: everything before is in full tiles.
    pub(crate) base: u64,
    /// The entries from `base` on.
    pub(crate) entries: Vec<&'a [u8]>,
    /// The checkpoints in it, sizes never decreasing; the last one covers all entries. There is at
    /// least one.
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// What follows the last good checkpoint.
    pub(crate) tail: Option<Tail>,
}

/// The end of a journal that no good checkpoint completes: a batch whose writing was cut short.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tail {
    /// Where in the file it begins.
    pub(crate) offset: usize,
    /// Its size.
    pub(crate) bytes: usize,
    /// How many whole entries it holds.
    pub(crate) entries: usize,
    /// The entry at which it breaks off, if it breaks off at one.
    pub(crate) entry: Option<u64>,
    /// How it breaks off.
    pub(crate) what: String,
}

impl<'a> Journal<'a> {
    /// Reads a journal. An unfinished end is reported in `tail`; damage anywhere before the last
    /// checkpoint that this key signed is an error.
    ///
    /// The checkpoints' roots are not checked: that takes the tree before `base`.
    pub(crate) fn read(bytes: &'a [u8], verifier: &Verifier) -> Result<Self, Error> {
        let line = bytes.iter().position(|byte| *byte == b'\n');
        let (line, start) = line.map_or((bytes, bytes.len()), |end| (&bytes[..end], end + 1));
        let base = str::from_utf8(line)
            .ok()
            .and_then(|line| crate::checkpoint::decimal(line.strip_prefix(HEADER)?))
            .filter(|base| base.is_multiple_of(TILE_WIDTH))
            .ok_or_else(|| {
                Error::damaged(JOURNAL_FILE, "its first line is not that of a journal")
            })?;

        let mut journal = Self { base, entries: Vec::new(), checkpoints: Vec::new(), tail: None };
        let mut frames = Frames { bytes, at: start };
        let (mut batch, mut complete) = (Vec::new(), start);
        // What stopped the reading, if something did: a frame of this entry that is not right.
        let mut fault = None;
        while frames.at < bytes.len() {
            let entry = base + (journal.entries.len() + batch.len()) as u64;
            match frames.next() {
                Some((b'E', body)) => batch.push(body),
                Some((b'C', body)) => match checkpoint_at(body, entry, verifier) {
                    Ok(checkpoint) => {
                        journal.entries.append(&mut batch);
                        journal.checkpoints.push(checkpoint);
                        complete = frames.at;
                    }
                    Err(what) => {
                        fault = Some((None, what));
                        break;
                    }
                },
                Some(_) | None => {
                    let entry = (bytes[frames.at] == b'E').then_some(entry);
                    fault = Some((entry, "the frame there is broken".to_owned()));
                    break;
                }
            }
        }
        let size = journal.size();
        let (entry, what) =
            fault.unwrap_or((None, "no checkpoint completes its last entries".into()));
        let damaged = |why: &str| Error::Damaged {
            file: JOURNAL_FILE.to_owned(),
            entry,
            what: format!("{what}{why}"),
        };
        if journal.checkpoints.is_empty() {
            return Err(damaged(", and no good checkpoint stands before it"));
        }
        // A torn end has nothing after it. If a later checkpoint of ours does follow, this is
        // damage.
        if complete < bytes.len() {
            if later_checkpoint(&bytes[complete + 1..], size, verifier) {
                return Err(damaged(", although a later checkpoint follows it"));
            }
            let bytes = bytes.len() - complete;
            let entries = batch.len();
            journal.tail = Some(Tail { offset: complete, bytes, entries, entry, what });
        }
        Ok(journal)
    }

    /// The number of entries in the log as far as this journal tells.
    pub(crate) fn size(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    /// The checkpoint that completes the last batch.
    pub(crate) fn last(&self) -> Option<&Checkpoint> {
        self.checkpoints.last()
    }
}

struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    /// The next frame's kind and body, or `None` if it is cut short or its check does not fit.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let frame = &self.bytes[self.at..];
        let [kind, high, low] = *frame.first_chunk::<3>()?;
        let end = 3 + usize::from(u16::from_be_bytes([high, low]));
        let stated = frame.get(end..end + CHECK_BYTES)?;
        if stated != check(&frame[..end]) {
            return None;
        }
        self.at += end + CHECK_BYTES;
        Some((kind, &frame[3..end]))
    }
}

/// The checkpoint in a `C` frame, which must cover exactly the entries before it.
fn checkpoint_at(body: &[u8], size: u64, verifier: &Verifier) -> Result<Checkpoint, String> {
    let note = str::from_utf8(body).map_err(|_| "a checkpoint in it is not text".to_owned())?;
    let checkpoint = Checkpoint::verify(note, verifier)
        .map_err(|error| format!("a checkpoint in it cannot be used: {error}"))?;
    if checkpoint.size() != size {
        let covers = checkpoint.size();
        return Err(format!("a checkpoint for {covers} entries stands after entry {size}"));
    }
    Ok(checkpoint)
}

/// Whether a checkpoint signed by this key for more than `size` entries stands anywhere in the
/// bytes.
fn later_checkpoint(bytes: &[u8], size: u64, verifier: &Verifier) -> bool {
    // "C", two bytes of size, and the note, whose first line is the log's name.
    let origin = format!("{}\n", verifier.name());
    let mut candidates = bytes
        .windows(3 + origin.len())
        .enumerate()
        .filter(|(_, window)| window[0] == b'C' && window[3..] == *origin.as_bytes());
    candidates.any(|(at, window)| {
        // Each candidate costs one hash of at most this many bytes.
        let note_bytes = usize::from(u16::from_be_bytes([window[1], window[2]]));
        let frame = (note_bytes <= MAX_NOTE_BYTES).then(|| Frames { bytes, at }.next()).flatten();
        frame
            .and_then(|(_, body)| Checkpoint::verify(str::from_utf8(body).ok()?, verifier).ok())
            .is_some_and(|checkpoint| checkpoint.size() > size)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::note::Signer;
    use crate::tree::Edge;

    fn signer() -> Signer {
        Signer::new("log.example", &[7; 32]).unwrap()
    }

    /// A journal of batches of these sizes, and where each batch ends in it.
    fn journal(batches: &[u8]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = header(0);
        let mut edge = Edge::default();
        let mut ends = Vec::new();
        for batch in batches {
            for _ in 0..*batch {
                let entry = format!("entry {}", edge.size());
                push_entry(&mut bytes, entry.as_bytes());
                edge.push(Hash::of_leaf(entry.as_bytes()), |_, _| {});
            }
            let checkpoint = Checkpoint::sign(edge.size(), edge.root(), &signer()).unwrap();
            push_checkpoint(&mut bytes, &checkpoint);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    #[test]
    fn a_journal_reads_back_as_it_was_written() {
        let (bytes, _) = journal(&[2, 0, 3]);
        let read = Journal::read(&bytes, &signer().verifier()).unwrap();
        assert_eq!(read.entries.len(), 5);
        assert_eq!(read.entries[4], b"entry 4");
        let sizes: Vec<u64> = read.checkpoints.iter().map(Checkpoint::size).collect();
        assert_eq!(sizes, [2, 2, 5]);
        assert_eq!(read.tail, None);
    }

    #[test]
    fn wherever_the_writing_stops_the_batches_before_are_kept_and_the_rest_is_reported() {
        let (bytes, ends) = journal(&[2, 3, 1]);
        for stop in ends[0]..bytes.len() {
            let read = Journal::read(&bytes[..stop], &signer().verifier()).unwrap();
            let whole = ends.iter().filter(|end| **end <= stop).count();
            assert_eq!(read.checkpoints.len(), whole, "stopped at {stop}");
            assert_eq!(read.size(), [2, 5, 6][whole - 1]);
            let left = stop - ends[whole - 1];
            assert_eq!(read.tail.as_ref().map_or(0, |tail| tail.bytes), left);
        }
    }

    #[test]
    fn damage_before_a_later_checkpoint_is_an_error_and_never_a_torn_end() {
        let (bytes, ends) = journal(&[2, 3, 1]);
        for at in 0..ends[1] {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            let error = Journal::read(&bytes, &signer().verifier()).unwrap_err();
            assert!(matches!(error, Error::Damaged { .. }), "byte {at}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_journal_reader_fail(
            mut noise in prop::collection::vec(any::<u8>(), 0..200), with_header in any::<bool>(),
        ) {
            if with_header {
                noise.splice(0..0, header(0));
            }
            let _ = Journal::read(&noise, &signer().verifier());
        }
    }
}
