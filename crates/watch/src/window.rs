//! The last two seconds of requests, and the memory of ordinary ones.

use std::collections::VecDeque;

use portcullis_model::{ActivityId, Features, Reason, Record, TokenState, Verdict};

/// Ticks that the window holds: two seconds.
pub(crate) const WINDOW_TICKS: usize = 8;
/// Requests sampled per tick. Beyond that, whole sources are left out, so that counts per source stay
/// exact for those that are sampled.
const SAMPLES_PER_TICK: usize = 2_048;
/// Ordinary requests remembered, to tell whom a signature would have hit.
const MEMORY: usize = 8_192;

/// What the window keeps of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SampledRequest {
    pub source: u64,
    pub features: Features,
    pub query: u32,
    pub activity: ActivityId,
    pub page: bool,
    pub partial: bool,
    /// Sent to the origin: not stopped by anything.
    pub forwarded: bool,
    /// Came with a token.
    pub had_token: bool,
    /// Already stopped by a signature: not to be mined again.
    pub matched_signature: bool,
}

/// The last ticks' requests of one platform.
#[derive(Debug, Default)]
pub(crate) struct Window {
    ticks: VecDeque<Vec<SampledRequest>>,
    current: Vec<SampledRequest>,
    offered: usize,
    /// Keep sources whose hash has this many zero bits.
    sampling: u32,
}

impl Window {
    pub(crate) fn push(&mut self, record: &Record, activity: ActivityId) {
        // The second half of the gate's redirect is no request of the visitor's.
        if record.reason == Reason::ChallengePassed {
            return;
        }
        self.offered += 1;
        let source = record.source.bits();
        let spread = source.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        if self.current.len() >= SAMPLES_PER_TICK || spread & ((1 << self.sampling) - 1) != 0 {
            return;
        }
        self.current.push(SampledRequest {
            source,
            features: record.features,
            query: record.query,
            activity,
            page: record.page,
            partial: record.partial,
            forwarded: record.reason.verdict() == Verdict::Forward,
            had_token: matches!(record.token, TokenState::Valid | TokenState::JustIssued),
            matched_signature: record.reason == Reason::Signature,
        });
    }

    /// Ends the tick; returns the requests that have just left the window.
    pub(crate) fn end_tick(&mut self) -> Vec<SampledRequest> {
        let mut tick = if self.ticks.len() >= WINDOW_TICKS {
            self.ticks.pop_front().unwrap_or_default()
        } else {
            Vec::new()
        };
        let left = tick.clone();
        tick.clear();
        core::mem::swap(&mut tick, &mut self.current);
        self.ticks.push_back(tick);
        self.sampling = (self.offered / SAMPLES_PER_TICK).checked_ilog2().map_or(0, |log| log + 1);
        self.offered = 0;
        left
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &SampledRequest> {
        self.ticks.iter().flatten()
    }
}

/// Features of ordinary requests, the most recent ones.
#[derive(Debug, Default)]
pub(crate) struct ReferenceSample {
    ring: Vec<Features>,
    next: usize,
    pages: u64,
    seen: u64,
}

impl ReferenceSample {
    pub(crate) fn push(&mut self, request: &SampledRequest) {
        if self.ring.len() < MEMORY {
            self.ring.push(request.features);
        } else {
            self.ring[self.next] = request.features;
            self.next = (self.next + 1) % MEMORY;
        }
        // Shares of pages fade over the same number of requests.
        if self.seen >= MEMORY as u64 {
            self.seen /= 2;
            self.pages /= 2;
        }
        self.seen += 1;
        self.pages += u64::from(request.page);
    }

    pub(crate) fn features(&self) -> &[Features] {
        &self.ring
    }

    /// Of a thousand ordinary requests, how many are for pages; `None` before a hundred were
    /// seen.
    pub(crate) fn pages_per_thousand(&self) -> Option<u64> {
        (self.seen >= 100).then(|| self.pages * 1_000 / self.seen)
    }
}
