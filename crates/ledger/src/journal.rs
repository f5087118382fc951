//! The journal: the file that a batch must reach before it is acknowledged.
//!
//! Its first line states the index of its first entry. Checksummed frames follow
//! ([`portcullis_durable::push_frame`]): an `E` frame for each entry, and after the entries of each
//! batch a `C` frame with the signed checkpoint that covers them. A batch counts if and only if its
//! `C` frame is whole and its signature is valid.
//!
//! ```text
//! portcullis-journal 1 512\n
//! frame = kind ("E" or "C", 1 byte) | size of the body (2 bytes, most significant first)
//!       | body | first 8 bytes of SHA-256(kind | size | body)
//! ```

use portcullis_durable::{Frame, FrameIter, push_frame};

use crate::checkpoint::{Checkpoint, decimal};
use crate::error::Error;
use crate::layout::JOURNAL_FILE;
use crate::note::Verifier;
use crate::tile::TILE_WIDTH;

const HEADER: &str = "portcullis-journal 1 ";

/// The kind of an entry's frame.
const ENTRY: u8 = b'E';

/// The kind of a checkpoint's frame.
const CHECKPOINT: u8 = b'C';

/// The largest checkpoint in a journal in bytes: it has the log's own signature only.
const MAX_NOTE_BYTES: usize = 4096;

/// The content of a journal: the header, the entries from index `base` on, and their checkpoint.
pub(crate) fn content<'a>(
    base: u64,
    entries: impl IntoIterator<Item = &'a Vec<u8>>,
    checkpoint: &Checkpoint,
) -> Vec<u8> {
    let mut bytes = header(base);
    push_batch(&mut bytes, entries, checkpoint);
    bytes
}

fn header(base: u64) -> Vec<u8> {
    format!("{HEADER}{base}\n").into_bytes()
}

/// Appends the frames of a batch: its entries and the checkpoint that completes it.
pub(crate) fn push_batch<'a>(
    bytes: &mut Vec<u8>,
    entries: impl IntoIterator<Item = &'a Vec<u8>>,
    checkpoint: &Checkpoint,
) {
    for entry in entries {
        push_frame(bytes, ENTRY, entry);
    }
    push_frame(bytes, CHECKPOINT, checkpoint.note().as_bytes());
}

/// The content of a journal that valid checkpoints complete.
#[derive(Debug)]
pub(crate) struct Journal<'a> {
    /// The index of its first entry, a multiple of 256: all earlier entries are in full tiles.
    pub(crate) base: u64,
    /// The entries from `base` on.
    pub(crate) entries: Vec<&'a [u8]>,
    /// The checkpoints, with sizes that never decrease; the last one covers all entries. There is
    /// at least one.
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// The bytes after the last valid checkpoint.
    pub(crate) tail: Option<TornTail>,
}

/// The end of a journal that no valid checkpoint completes: an interrupted batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TornTail {
    /// Its offset in the file.
    pub(crate) offset: usize,
    /// Its size.
    pub(crate) bytes: usize,
    /// The number of whole entries in it.
    pub(crate) entries: usize,
    /// The entry whose frame is broken, if it is an entry's.
    pub(crate) entry: Option<u64>,
    /// What is broken.
    pub(crate) what: String,
}

impl<'a> Journal<'a> {
    /// Reads a journal. A torn end is returned in `tail`; damage before the last checkpoint signed
    /// by this key is an error.
    ///
    /// The roots of the checkpoints are not verified: that needs the tree before `base`.
    pub(crate) fn read(bytes: &'a [u8], verifier: &Verifier) -> Result<Self, Error> {
        let line = bytes.iter().position(|byte| *byte == b'\n');
        let (line, start) = line.map_or((bytes, bytes.len()), |end| (&bytes[..end], end + 1));
        let base = str::from_utf8(line)
            .ok()
            .and_then(|line| decimal(line.strip_prefix(HEADER)?))
            .filter(|base| base.is_multiple_of(TILE_WIDTH))
            .ok_or_else(|| {
                Error::damaged(JOURNAL_FILE, "its first line is not a journal's header")
            })?;

        let mut journal = Self { base, entries: Vec::new(), checkpoints: Vec::new(), tail: None };
        let mut frames = FrameIter::new(bytes, start);
        let (mut batch, mut complete) = (Vec::new(), start);
        // Why reading stopped early, and at which entry.
        let mut fault = None;
        while let Some(kind) = frames.rest().first().copied() {
            let entry = base + (journal.entries.len() + batch.len()) as u64;
            match frames.next() {
                Some(Frame { kind: ENTRY, body }) => batch.push(body),
                Some(Frame { kind: CHECKPOINT, body }) => {
                    match checkpoint_at(body, entry, verifier) {
                        Ok(checkpoint) => {
                            journal.entries.append(&mut batch);
                            journal.checkpoints.push(checkpoint);
                            complete = frames.offset();
                        }
                        Err(what) => {
                            fault = Some((None, what));
                            break;
                        }
                    }
                }
                Some(_) | None => {
                    let entry = (kind == ENTRY).then_some(entry);
                    fault = Some((entry, "its frame is broken".to_owned()));
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
            return Err(damaged(", and no valid checkpoint is before it"));
        }
        // Nothing follows a torn end. If a later checkpoint of this log does, this is damage.
        if complete < bytes.len() {
            if later_checkpoint(&bytes[complete + 1..], size, verifier) {
                return Err(damaged(", although a later checkpoint follows it"));
            }
            let bytes = bytes.len() - complete;
            let entries = batch.len();
            journal.tail = Some(TornTail { offset: complete, bytes, entries, entry, what });
        }
        Ok(journal)
    }

    /// The number of entries in the log by this journal.
    pub(crate) fn size(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    /// The first missing entry and the message for a journal that ends before a checkpoint of
    /// `covered` entries.
    pub(crate) fn shorter_than(&self, covered: u64) -> (u64, String) {
        let (size, tail) = (self.size(), self.tail.as_ref());
        let why = tail
            .map_or_else(String::new, |tail| format!(": at byte {}, {}", tail.offset, tail.what));
        let what = format!(
            "the checkpoint covers {covered} entries, but the journal ends after {size}{why}"
        );
        (tail.and_then(|tail| tail.entry).unwrap_or(size), what)
    }

    /// The checkpoint that completes the last batch.
    pub(crate) fn last(&self) -> Option<&Checkpoint> {
        self.checkpoints.last()
    }
}

/// The checkpoint in a `C` frame, which must cover exactly the entries before it.
fn checkpoint_at(body: &[u8], size: u64, verifier: &Verifier) -> Result<Checkpoint, String> {
    let note = str::from_utf8(body).map_err(|_| "a checkpoint in it is not text".to_owned())?;
    let checkpoint = Checkpoint::verify(note, verifier)
        .map_err(|error| format!("a checkpoint in it is invalid: {error}"))?;
    if checkpoint.size() != size {
        let covers = checkpoint.size();
        return Err(format!("a checkpoint for {covers} entries follows {size} entries"));
    }
    Ok(checkpoint)
}

/// Whether the bytes contain a checkpoint for more than `size` entries, signed by this key.
fn later_checkpoint(bytes: &[u8], size: u64, verifier: &Verifier) -> bool {
    // "C", two bytes of size, and the note, whose first line is the log's name.
    let origin = format!("{}\n", verifier.name());
    let mut candidates = bytes
        .windows(3 + origin.len())
        .enumerate()
        .filter(|(_, window)| window[0] == CHECKPOINT && window[3..] == *origin.as_bytes());
    candidates.any(|(at, window)| {
        // Each candidate costs one hash of at most this many bytes.
        let note_bytes = usize::from(u16::from_be_bytes([window[1], window[2]]));
        let frame =
            (note_bytes <= MAX_NOTE_BYTES).then(|| FrameIter::new(bytes, at).next()).flatten();
        frame
            .and_then(|frame| Checkpoint::verify(str::from_utf8(frame.body).ok()?, verifier).ok())
            .is_some_and(|checkpoint| checkpoint.size() > size)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::Hash;
    use crate::note::Signer;
    use crate::tree::RightEdge;

    fn signer() -> Signer {
        Signer::new("log.example", &[7; 32]).unwrap()
    }

    /// A journal of batches of these sizes, and where each batch ends.
    fn journal(batches: &[u8]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = header(0);
        let mut edge = RightEdge::default();
        let mut ends = Vec::new();
        for batch in batches {
            let entries: Vec<Vec<u8>> = (edge.size()..edge.size() + u64::from(*batch))
                .map(|index| format!("entry {index}").into_bytes())
                .collect();
            for entry in &entries {
                edge.push(Hash::of_leaf(entry), |_, _| {});
            }
            let checkpoint = Checkpoint::sign(edge.size(), edge.root(), &signer()).unwrap();
            push_batch(&mut bytes, &entries, &checkpoint);
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
    fn a_journal_cut_anywhere_keeps_its_whole_batches_and_reports_the_rest() {
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
    fn damage_before_a_later_checkpoint_is_an_error_not_a_torn_end() {
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
        fn any_bytes_are_read_without_a_panic(
            mut noise in prop::collection::vec(any::<u8>(), 0..200), with_header in any::<bool>(),
        ) {
            if with_header {
                noise.splice(0..0, header(0));
            }
            let _ = Journal::read(&noise, &signer().verifier());
        }
    }
}
