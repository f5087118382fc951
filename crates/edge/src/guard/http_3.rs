//! What an HTTP/3 visitor does besides asking, and what it announces: judged before the HTTP
//! library keeps it.
//!
//! h3 buffers every frame but DATA whole, whatever its announced length, and remembers every stream
//! that ended before its head arrived. Both are bounded here; the budgets are those of HTTP/2.

use portcullis_model::{Cut, Http2Limits, Limits, RateLimit, Time};

use super::http_2::Budget;
use super::http_3_frames::{DATA, HEADERS, Http3Frame, NOT_ON_REQUESTS, PRIORITY_UPDATE};

/// Bytes of answers that were sent and not acknowledged, over all streams of a connection: 80 Mbit/s
/// at a tenth of a second. With what waits of requests (see `http_3::transport`), less than 20 MiB of a
/// connection that does its worst.
pub(crate) const SEND_WINDOW: u64 = 1024 * 1024;

/// A piece of a body below this is not worth its frame.
const TINY_DATA: u64 = 64;
/// Bytes of a frame that means nothing here, or of one on the control stream: settings are some
/// dozens, and frames of made-up kinds, which browsers send to see that they are ignored, fewer.
const SMALL_FRAME: u64 = 4 * 1024;
/// Streams of one connection that may end before their head has arrived. h3 remembers each in some 20
/// bytes for as long as the connection lasts.
const LOST_HEADS: u32 = 4_096;

/// What has a separate budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Http3FloodKind {
    Reset,
    Refused,
    Priority,
    Stray,
    EmptyData,
    SmallData,
}

const KINDS: usize = 6;

impl Http3FloodKind {
    const fn allowance(self, limits: &Http2Limits) -> RateLimit {
        match self {
            Self::Reset => limits.resets,
            Self::Refused => limits.refused_streams,
            Self::Priority | Self::Stray => limits.control_frames,
            Self::EmptyData | Self::SmallData => limits.small_data_frames,
        }
    }

    const fn cut(self) -> Cut {
        match self {
            Self::Reset => Cut::ResetFlood,
            Self::Refused => Cut::ServerResetFlood,
            Self::Priority => Cut::PriorityFlood,
            Self::Stray => Cut::UnknownFrameFlood,
            Self::EmptyData => Cut::EmptyDataFlood,
            Self::SmallData => Cut::SmallDataFlood,
        }
    }
}

/// Watches over one HTTP/3 connection.
#[derive(Debug)]
pub(crate) struct Http3Guard {
    limits: Http2Limits,
    /// Bytes of a header block, as it comes, that end the connection.
    block_limit: u64,
    budgets: [Budget; KINDS],
    /// Requests whose head is not complete, by stream, and since when; the oldest first. At most the
    /// number of streams.
    heads: Vec<(u64, Time)>,
    lost_heads: u32,
    /// Bytes of answers that were handed to the transport and that the visitor is not known to have.
    unacknowledged: u64,
    /// Why the connection ends.
    why: Option<Cut>,
}

impl Http3Guard {
    pub(crate) fn new(limits: &Limits, now: Time) -> Self {
        Self {
            limits: limits.http_2,
            // h3 decodes up to the limit and refuses more. No legitimate client sends a block that is
            // twice as large before it is decoded.
            block_limit: u64::from(limits.max_header_bytes) * 2,
            budgets: [Budget::full(now); KINDS],
            heads: Vec::new(),
            lost_heads: 0,
            unacknowledged: 0,
            why: None,
        }
    }

    /// `bytes` of an answer were handed to the transport.
    pub(crate) const fn handed_over(&mut self, bytes: u64) {
        self.unacknowledged = self.unacknowledged.saturating_add(bytes);
    }

    /// A response of `bytes` in all is acknowledged, or no longer stored.
    pub(crate) const fn acknowledged(&mut self, bytes: u64) {
        self.unacknowledged = self.unacknowledged.saturating_sub(bytes);
    }

    /// At most this number of bytes of responses is stored until the visitor acknowledges them. The
    /// transport reports whole responses only, so that a part that arrived counts until the rest
    /// has; it never holds more than [`SEND_WINDOW`].
    pub(crate) fn unacknowledged(&self) -> u64 {
        self.unacknowledged.min(SEND_WINDOW)
    }

    /// The connection ends for this.
    pub(crate) fn ends(&mut self, why: Cut) {
        self.why.get_or_insert(why);
    }

    /// Why the guard ended the connection, if it did.
    pub(crate) const fn why(&self) -> Option<Cut> {
        self.why
    }

    fn spend(&mut self, kind: Http3FloodKind, now: Time) -> Result<(), Cut> {
        let allowance = kind.allowance(&self.limits);
        if self.budgets[kind as usize].take(allowance, now) { Ok(()) } else { Err(kind.cut()) }
    }

    /// A request's stream was opened.
    pub(crate) fn head_begins(&mut self, stream: u64, now: Time) {
        self.heads.push((stream, now));
    }

    /// A request's head is complete, or will never be.
    pub(crate) fn head_ends(&mut self, stream: u64) {
        self.heads.retain(|(waiting, _)| *waiting != stream);
    }

    /// A request's stream ended before its head was complete.
    pub(crate) fn head_lost(&mut self) -> Result<(), Cut> {
        self.lost_heads += 1;
        if self.lost_heads > LOST_HEADS { Err(Cut::ResetFlood) } else { Ok(()) }
    }

    /// Since when the head is awaited that has been awaited longest.
    pub(crate) fn head_open_since(&self) -> Option<Time> {
        self.heads.first().map(|(_, since)| *since)
    }

    /// A frame begins on a request's stream; `headers` came before it.
    pub(crate) fn on_request(
        &mut self,
        frame: Http3Frame,
        headers: u8,
        now: Time,
    ) -> Result<(), Cut> {
        match frame.kind {
            // Trailers are the end.
            DATA | HEADERS if headers > 1 => Err(Cut::ProtocolError),
            HEADERS if frame.length > self.block_limit => Err(Cut::HeaderList),
            HEADERS => Ok(()),
            DATA if headers == 0 => Err(Cut::ProtocolError),
            DATA => match frame.length {
                0 => self.spend(Http3FloodKind::EmptyData, now),
                1..TINY_DATA => self.spend(Http3FloodKind::SmallData, now),
                _ => Ok(()),
            },
            kind if NOT_ON_REQUESTS.contains(&kind) => Err(Cut::ProtocolError),
            _ => self.stray(frame, now),
        }
    }

    /// A frame begins on the visitor's control stream.
    pub(crate) fn on_control(&mut self, frame: Http3Frame, now: Time) -> Result<(), Cut> {
        if PRIORITY_UPDATE.contains(&frame.kind) && frame.length <= SMALL_FRAME {
            return self.spend(Http3FloodKind::Priority, now);
        }
        self.stray(frame, now)
    }

    fn stray(&mut self, frame: Http3Frame, now: Time) -> Result<(), Cut> {
        if frame.length > SMALL_FRAME {
            return Err(Cut::UnknownFrameFlood);
        }
        self.spend(Http3FloodKind::Stray, now)
    }

    /// The visitor opened a stream that is no request.
    pub(crate) fn one_way_stream(&mut self, now: Time) -> Result<(), Cut> {
        self.spend(Http3FloodKind::Stray, now)
    }

    /// The visitor aborted a request, or wants no response to it any more.
    pub(crate) fn reset(&mut self, now: Time) -> Result<(), Cut> {
        self.spend(Http3FloodKind::Reset, now)
    }

    /// We had to give up a request because of what the visitor did.
    pub(crate) fn refused(&mut self, now: Time) -> Result<(), Cut> {
        self.spend(Http3FloodKind::Refused, now)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn guard() -> Http3Guard {
        Http3Guard::new(&Limits::default(), Time(0))
    }

    fn frame(kind: u64, length: u64) -> Http3Frame {
        Http3Frame { kind, length }
    }

    #[test]
    fn frames_that_h3_would_buffer_are_refused_when_they_are_announced() {
        let mut guard = guard();
        assert_eq!(guard.on_request(frame(HEADERS, 64 * 1024), 0, Time(0)), Ok(()));
        let huge = frame(HEADERS, 64 * 1024 + 1);
        assert_eq!(guard.on_request(huge, 0, Time(0)), Err(Cut::HeaderList));
        let stray = frame(0x21, 1 << 40);
        assert_eq!(guard.on_request(stray, 1, Time(0)), Err(Cut::UnknownFrameFlood));
        assert_eq!(guard.on_control(stray, Time(0)), Err(Cut::UnknownFrameFlood));
        assert_eq!(guard.on_request(frame(DATA, 1 << 40), 1, Time(0)), Ok(()));
    }

    #[test]
    fn content_comes_after_a_head_and_before_trailers() {
        let mut guard = guard();
        assert_eq!(guard.on_request(frame(DATA, 100), 0, Time(0)), Err(Cut::ProtocolError));
        assert_eq!(guard.on_request(frame(DATA, 100), 1, Time(0)), Ok(()));
        assert_eq!(guard.on_request(frame(DATA, 100), 2, Time(0)), Err(Cut::ProtocolError));
        assert_eq!(guard.on_request(frame(0x04, 1), 1, Time(0)), Err(Cut::ProtocolError));
        assert_eq!(guard.on_request(frame(0x41, 1), 1, Time(0)), Err(Cut::ProtocolError));
    }

    #[test]
    fn resets_have_a_budget_that_refills() {
        let mut guard = guard();
        let allowed = (0..1_000).take_while(|_| guard.reset(Time(0)).is_ok()).count();
        assert_eq!(allowed, 300);
        let later = Time(0) + Duration::from_secs(1);
        let allowed = (0..1_000).take_while(|_| guard.reset(later).is_ok()).count();
        assert_eq!(allowed, 50);
    }

    #[test]
    fn the_oldest_head_is_reported_whatever_order_they_end_in() {
        let mut guard = guard();
        guard.head_begins(0, Time(1));
        guard.head_begins(4, Time(2));
        guard.head_begins(8, Time(3));
        guard.head_ends(0);
        assert_eq!(guard.head_open_since(), Some(Time(2)));
        guard.head_ends(8);
        guard.head_ends(4);
        assert_eq!(guard.head_open_since(), None);
    }

    #[test]
    fn streams_that_end_without_a_head_are_counted_over_the_life_of_the_connection() {
        let mut guard = guard();
        let allowed = (0..10_000).take_while(|_| guard.head_lost().is_ok()).count();
        assert_eq!(allowed, 4_096);
    }
}
