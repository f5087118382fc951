//! What an HTTP/2 visitor does besides asking, and what it makes us do: the frames that the HTTP
//! library obeys without asking us.
//!
//! Resets, pings, settings, priorities, continuations, tiny data and window updates cost a visitor
//! next to nothing and us a little each (CVE-2023-44487, CVE-2019-9511 to 9518, CVE-2024-27316);
//! so do requests that make hyper reset a stream (CVE-2025-8671). Bytes pass through
//! unchanged, in both directions.

use core::time::Duration;

use portcullis_model::{Cut, Http2Limits, Limits, RateLimit, Time};

use super::flow_control::SendWindows;
use super::http_2_frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM_OR_ACK, GOAWAY, HEADERS, Http2Frame,
    Http2FrameReader, PING, PRIORITY, PRIORITY_UPDATE, PUSH_PROMISE, RST_STREAM, SETTINGS, START,
    WINDOW_UPDATE,
};

/// A piece of a body below this is not worth its frame.
const TINY_DATA: u32 = 64;
/// For every such number of bytes that we send, the visitor earns a window update, for the stream
/// and for the connection.
const BYTES_PER_UPDATE: u32 = 512;
/// Streams beyond the limit that hyper has received and not yet refused. It ends the connection
/// itself long before this number.
const MAX_UNREFUSED: usize = 2048;
/// Most that can be earned ahead: for 32 MiB in flight.
const MOST_CREDIT: u32 = 65_536;
/// Each request earns this number, for clients that widen the window of each stream.
const UPDATES_PER_REQUEST: u32 = 2;

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const CANCEL: u32 = 8;
const PROTOCOL_ERROR: u8 = 1;
const FLOW_CONTROL_ERROR: u8 = 3;
const FRAME_SIZE_ERROR: u8 = 6;
const ENHANCE_YOUR_CALM: u8 = 11;

const INITIAL_WINDOW_SIZE: u16 = 4;
const LARGEST_WINDOW: u32 = 0x7fff_ffff;

/// What has a separate budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FloodKind {
    Reset,
    Refused,
    Ping,
    Settings,
    Priority,
    Stray,
    WindowUpdate,
    EmptyData,
    SmallData,
    Continuation,
}

const KINDS: usize = 10;

impl FloodKind {
    const fn allowance(self, limits: &Http2Limits) -> RateLimit {
        match self {
            Self::Reset => limits.resets,
            Self::Refused => limits.refused_streams,
            Self::Ping | Self::Settings | Self::Priority | Self::Stray => limits.control_frames,
            Self::WindowUpdate => limits.window_updates,
            Self::EmptyData | Self::SmallData => limits.small_data_frames,
            Self::Continuation => limits.continuations,
        }
    }

    const fn cut(self) -> Cut {
        match self {
            Self::Reset => Cut::ResetFlood,
            Self::Refused => Cut::ServerResetFlood,
            Self::Ping => Cut::PingFlood,
            Self::Settings => Cut::SettingsFlood,
            Self::Priority => Cut::PriorityFlood,
            Self::Stray => Cut::UnknownFrameFlood,
            Self::WindowUpdate => Cut::WindowUpdateFlood,
            Self::EmptyData => Cut::EmptyDataFlood,
            Self::SmallData => Cut::SmallDataFlood,
            Self::Continuation => Cut::ContinuationFlood,
        }
    }
}

/// What is left of one budget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    spent: u32,
    /// Until when what was spent has been earned back.
    at: Time,
}

impl Budget {
    /// Nothing is spent.
    pub(crate) const fn full(now: Time) -> Self {
        Self { spent: 0, at: now }
    }

    /// Takes one; `false` if there is none.
    pub(crate) fn take(&mut self, allowance: RateLimit, now: Time) -> bool {
        let rate = u128::from(allowance.per_second.max(1));
        let earned = now.since(self.at).as_micros() * rate / 1_000_000;
        if earned >= u128::from(self.spent) {
            self.spent = 0;
            self.at = now;
        } else {
            // Less than what was spent, which is a u32; the rest of a token is earned later.
            self.spent -= earned as u32;
            let micros = u64::try_from((earned * 1_000_000).div_ceil(rate)).unwrap_or(u64::MAX);
            self.at = self.at + Duration::from_micros(micros);
        }
        if self.spent >= allowance.burst {
            return false;
        }
        self.spent += 1;
        true
    }
}

/// What the frames that we send say about the visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutboundFrame {
    /// hyper ends the connection.
    Ends(Cut),
    /// hyper refused a request itself: its headers were too large.
    TooLarge,
}

/// Watches over one HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Http2Guard {
    limits: Http2Limits,
    /// Bytes of a header block, as it comes, that end the connection.
    block_limit: u32,
    from_visitor: Http2FrameReader,
    to_visitor: Http2FrameReader,
    budgets: [Budget; KINDS],
    /// The visitor has sent its preface and settings.
    settled: bool,
    /// A header block has begun and not ended, since then; with its bytes so far.
    block: Option<(Time, u32)>,
    /// Acknowledgements that the visitor owes to our pings and settings.
    pongs: u32,
    acknowledgements: u32,
    /// Window updates that were earned.
    credit: u32,
    /// Bytes sent towards the next.
    sent: u32,
    /// The last stream that the visitor opened.
    last_stream: u32,
    /// Whether the visitor opens windows for its responses.
    windows: SendWindows,
    /// Streams that may be open.
    most_streams: usize,
    empty_data_last: bool,
    over: bool,
    /// The error code of the GOAWAY (RFC 9113, section 7).
    code: u8,
}

impl Http2Guard {
    pub(crate) fn new(limits: &Limits, now: Time) -> Self {
        Self {
            limits: limits.http_2,
            // hyper decodes up to the limit and refuses more. No legitimate client sends a block that
            // is twice as large before it is decoded.
            block_limit: limits.max_header_bytes.saturating_mul(2),
            from_visitor: Http2FrameReader::after_preface(),
            to_visitor: Http2FrameReader::new(),
            budgets: [Budget::full(now); KINDS],
            settled: false,
            block: None,
            pongs: 0,
            acknowledgements: 0,
            credit: 0,
            sent: 0,
            last_stream: 0,
            windows: SendWindows::new(limits.min_download_rate, now),
            most_streams: limits.max_streams_per_connection as usize + MAX_UNREFUSED,
            empty_data_last: false,
            over: false,
            code: ENHANCE_YOUR_CALM,
        }
    }

    /// Since when a header block is open.
    pub(crate) fn block_open_since(&self) -> Option<Time> {
        self.block.map(|(since, _)| since)
    }

    /// The visitor's windows.
    pub(crate) const fn windows(&self) -> &SendWindows {
        &self.windows
    }

    /// Whether the visitor has sent its preface and settings.
    pub(crate) const fn settled(&self) -> bool {
        self.settled
    }

    /// GOAWAY, for most reasons with `ENHANCE_YOUR_CALM`, if what we send ended with a whole frame.
    pub(crate) fn farewell(&self) -> Option<[u8; 17]> {
        let [a, b, c, d] = self.last_stream.to_be_bytes();
        let frame = [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, a, b, c, d, 0, 0, 0, self.code];
        self.to_visitor.between_frames().then_some(frame)
    }

    /// The next bytes from the visitor.
    pub(crate) fn received(&mut self, mut bytes: &[u8], now: Time) -> Result<(), Cut> {
        while let Some(frame) = self.from_visitor.next(&mut bytes) {
            if let Some(code) = violation(&frame) {
                self.code = code;
                return Err(Cut::ProtocolError);
            }
            self.visitors_frame(&frame, now)?;
        }
        self.windows.settle(now);
        Ok(())
    }

    fn visitors_frame(&mut self, frame: &Http2Frame, now: Time) -> Result<(), Cut> {
        match frame.kind {
            HEADERS => {
                if frame.stream > self.last_stream {
                    self.last_stream = frame.stream;
                    self.earn(UPDATES_PER_REQUEST);
                    if self.windows.opened(frame.stream) > self.most_streams {
                        return Err(Cut::ServerResetFlood);
                    }
                }
                self.block_grows(frame, now)
            }
            CONTINUATION => {
                self.spend(FloodKind::Continuation, now)?;
                self.block_grows(frame, now)
            }
            DATA => {
                self.empty_data_last = frame.length == 0;
                match frame.length {
                    // The last piece: there is but one for each stream.
                    _ if frame.has(END_STREAM_OR_ACK) => Ok(()),
                    0 => self.spend(FloodKind::EmptyData, now),
                    1..TINY_DATA => self.spend(FloodKind::SmallData, now),
                    _ => Ok(()),
                }
            }
            SETTINGS if frame.has(END_STREAM_OR_ACK) && self.acknowledgements > 0 => {
                self.acknowledgements -= 1;
                Ok(())
            }
            SETTINGS => {
                self.settled = true;
                // No client needs this many settings; and none of them may pass unread.
                if frame.length as usize > START {
                    return Err(Cut::SettingsFlood);
                }
                let initial = settings(frame).filter(|(name, _)| *name == INITIAL_WINDOW_SIZE);
                if let Some((_, initial)) = initial.last() {
                    self.windows.set_initial(initial);
                }
                self.spend(FloodKind::Settings, now)
            }
            PING if frame.has(END_STREAM_OR_ACK) && self.pongs > 0 => {
                self.pongs -= 1;
                Ok(())
            }
            PING => self.spend(FloodKind::Ping, now),
            PRIORITY | PRIORITY_UPDATE => self.spend(FloodKind::Priority, now),
            RST_STREAM => {
                self.windows.closed(frame.stream);
                self.spend(FloodKind::Reset, now)
            }
            WINDOW_UPDATE => {
                self.windows.widened(frame.stream, frame.number(0) & LARGEST_WINDOW);
                if self.credit > 0 {
                    self.credit -= 1;
                    return Ok(());
                }
                self.spend(FloodKind::WindowUpdate, now)
            }
            _ => self.spend(FloodKind::Stray, now),
        }
    }

    fn block_grows(&mut self, frame: &Http2Frame, now: Time) -> Result<(), Cut> {
        let (since, before) = self.block.unwrap_or((now, 0));
        let bytes = before.saturating_add(frame.length);
        self.block = (!frame.has(END_HEADERS)).then_some((since, bytes));
        if bytes > self.block_limit { Err(Cut::HeaderList) } else { Ok(()) }
    }

    /// The next bytes from us. `Err`: the visitor made us say too much.
    pub(crate) fn sent(
        &mut self,
        mut bytes: &[u8],
        now: Time,
        mut tell: impl FnMut(OutboundFrame),
    ) -> Result<(), Cut> {
        while let Some(frame) = self.to_visitor.next(&mut bytes) {
            match frame.kind {
                DATA => {
                    let sent = self.sent.saturating_add(frame.length);
                    self.sent = sent % BYTES_PER_UPDATE;
                    self.earn(sent / BYTES_PER_UPDATE);
                    self.windows.sent(frame.stream, frame.length, now);
                    if frame.has(END_STREAM_OR_ACK) {
                        self.windows.closed(frame.stream);
                    }
                }
                RST_STREAM => {
                    self.windows.closed(frame.stream);
                    // The visitor's doing; other resets are an origin's or our own.
                    if !matches!(frame.number(0), NO_ERROR | INTERNAL_ERROR | CANCEL) {
                        self.spend(FloodKind::Refused, now)?;
                    }
                }
                PING if !frame.has(END_STREAM_OR_ACK) => self.pongs += 1,
                SETTINGS if !frame.has(END_STREAM_OR_ACK) => self.acknowledgements += 1,
                GOAWAY if !self.over && frame.number(4) != NO_ERROR => {
                    self.over = true;
                    tell(OutboundFrame::Ends(self.cut_for_goaway(&frame)));
                }
                HEADERS if frame.has(END_STREAM_OR_ACK) => {
                    self.windows.closed(frame.stream);
                    if is_status_alone(&frame) {
                        tell(OutboundFrame::TooLarge);
                    }
                }
                HEADERS => self.windows.began(frame.stream),
                _ => {}
            }
        }
        self.windows.settle(now);
        Ok(())
    }

    /// The cause behind hyper's own GOAWAY, from its debug data.
    fn cut_for_goaway(&self, farewell: &Http2Frame) -> Cut {
        match farewell.start().get(8..).unwrap_or_default() {
            b"too_many_continuations" => Cut::ContinuationFlood,
            b"header_list_way_too_large" => Cut::HeaderList,
            b"too_many_resets" => Cut::ResetFlood,
            b"too_many_internal_resets" => Cut::ServerResetFlood,
            b"too_many_data_frames" if self.empty_data_last => Cut::EmptyDataFlood,
            b"too_many_data_frames" => Cut::SmallDataFlood,
            _ => Cut::ProtocolError,
        }
    }

    fn earn(&mut self, updates: u32) {
        self.credit = self.credit.saturating_add(updates).min(MOST_CREDIT);
    }

    fn spend(&mut self, kind: FloodKind, now: Time) -> Result<(), Cut> {
        let allowance = kind.allowance(&self.limits);
        if self.budgets[kind as usize].take(allowance, now) { Ok(()) } else { Err(kind.cut()) }
    }
}

/// The names and values in a frame of settings (RFC 9113, section 6.5.1).
fn settings(frame: &Http2Frame) -> impl Iterator<Item = (u16, u32)> {
    frame.start().chunks_exact(6).map(|setting| {
        let (name, value) = setting.split_at(2);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n: u32, b| n << 8 | u32::from(*b));
        (number(name) as u16, number(value))
    })
}

/// The error of a visitor's frame, where hyper would report another error or let it pass.
fn violation(frame: &Http2Frame) -> Option<u8> {
    let size_is_wrong = match frame.kind {
        RST_STREAM | WINDOW_UPDATE => frame.length != 4,
        PRIORITY => frame.length != 5,
        PING => frame.length != 8,
        SETTINGS if frame.has(END_STREAM_OR_ACK) => frame.length != 0,
        SETTINGS => !frame.length.is_multiple_of(6),
        _ => false,
    };
    if size_is_wrong {
        return Some(FRAME_SIZE_ERROR);
    }
    // Visitors promise nothing (section 8.4).
    if frame.kind == PUSH_PROMISE {
        return Some(PROTOCOL_ERROR);
    }
    let too_wide = |(name, value)| name == INITIAL_WINDOW_SIZE && value > LARGEST_WINDOW;
    let settings = frame.kind == SETTINGS && settings(frame).any(too_wide);
    settings.then_some(FLOW_CONTROL_ERROR)
}

/// Whether a response's head is a status and nothing else (RFC 7541, section 6). The gate's own
/// responses have a date; hyper's refusal of headers that are too large has none.
fn is_status_alone(head: &Http2Frame) -> bool {
    let mut block = head.start();
    // Changes of the table's size come first.
    while let [0x20..=0x3f, rest @ ..] = block {
        // A size above 30 continues while the top bit is set.
        let long = block[0] == 0x3f;
        let end = if long {
            rest.iter().position(|b| b & 0x80 == 0).map_or(rest.len(), |at| at + 1)
        } else {
            0
        };
        block = &rest[end..];
    }
    let seen = head.start().len() as u32 == head.length;
    match block {
        // From a table.
        [0x80..=0xff] => seen,
        // `:status` by its place in the table, and a short value.
        [0x48 | 0x08 | 0x18, length, value @ ..] => {
            seen && usize::from(length & 0x7f) == value.len()
        }
        _ => false,
    }
}

/// Whether a guard finds the same in `frames` from and to the visitor as a whole and cut into parts
/// of these lengths, which repeat. For tests with arbitrary bytes.
#[doc(hidden)]
#[must_use]
pub fn reads_alike(limits: &Limits, frames: &[u8], lengths: &[usize]) -> bool {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let now = Time(1);
    let watch = |lengths: &[usize]| {
        let mut guard = Http2Guard::new(limits, now);
        let mut reported = Vec::new();
        let mut outcome = (Ok(()), Ok(()));
        for (is_ours, bytes) in [(false, [PREFACE, frames].concat()), (true, frames.to_vec())] {
            let (mut rest, mut lengths) = (&bytes[..], lengths.iter().cycle());
            while let Some(length) = lengths.next().filter(|_| !rest.is_empty()) {
                let (piece, more) = rest.split_at((*length).clamp(1, rest.len()));
                rest = more;
                if is_ours {
                    outcome.1 =
                        outcome.1.and_then(|()| guard.sent(piece, now, |w| reported.push(w)));
                } else {
                    outcome.0 = outcome.0.and_then(|()| guard.received(piece, now));
                }
            }
        }
        (outcome, reported, guard.farewell(), guard.block, guard.windows.is_blocked())
    };
    watch(lengths) == watch(&[usize::MAX])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn settled() -> Http2Guard {
        let mut guard = Http2Guard::new(&Limits::default(), Time(0));
        guard.received(PREFACE, Time(0)).expect("preface");
        assert!(!guard.settled());
        guard.received(&frame(SETTINGS, 0, 0, &[0; 12]), Time(0)).expect("settings");
        assert!(guard.settled());
        guard
    }

    fn sent(guard: &mut Http2Guard, bytes: &[u8]) -> Vec<OutboundFrame> {
        let mut reported = Vec::new();
        guard.sent(bytes, Time(1), |what| reported.push(what)).expect("no flood");
        reported
    }

    #[test]
    fn each_kind_of_flood_ends_within_its_burst_and_is_called_by_its_name() {
        let floods = [
            (frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]), Cut::ResetFlood, 300),
            (frame(PING, 0, 0, &[0; 8]), Cut::PingFlood, 300),
            // An acknowledgement of no ping that the gate sent.
            (frame(PING, 1, 0, &[0; 8]), Cut::PingFlood, 300),
            // One has been spent on the first settings.
            (frame(SETTINGS, 0, 0, &[]), Cut::SettingsFlood, 299),
            (frame(PRIORITY, 0, 1, &[0; 5]), Cut::PriorityFlood, 300),
            (frame(PRIORITY_UPDATE, 0, 0, &[0; 9]), Cut::PriorityFlood, 300),
            (frame(0xfa, 0, 0, &[0; 9]), Cut::UnknownFrameFlood, 300),
            (frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]), Cut::WindowUpdateFlood, 300),
            (frame(DATA, 0, 1, &[]), Cut::EmptyDataFlood, 1000),
            (frame(DATA, 0, 1, &[1]), Cut::SmallDataFlood, 1000),
            (frame(CONTINUATION, 0, 1, &[1]), Cut::ContinuationFlood, 200),
        ];
        for (bytes, cut, burst) in floods {
            let mut guard = settled();
            for _ in 0..burst {
                guard.received(&bytes, Time(1)).expect("within the burst");
            }
            assert_eq!(guard.received(&bytes, Time(1)), Err(cut));
        }
    }

    #[test]
    fn a_person_who_leaves_pages_and_downloads_and_uploads_is_no_flood() {
        let mut guard = settled();
        let reset = frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]);
        for _ in 0..300 {
            guard.received(&reset, Time(1)).expect("three pages left in a row");
        }
        let update = frame(WINDOW_UPDATE, 0, 1, &16_384u32.to_be_bytes());
        for _ in 0..10_000 {
            // Some clients widen both windows for each piece.
            sent(&mut guard, &frame(DATA, 0, 1, &[7; 16_384]));
            guard.received(&update, Time(2)).expect("a download");
            guard.received(&update, Time(2)).expect("a download");
            guard.received(&frame(DATA, 0, 3, &[7; 900]), Time(2)).expect("an upload");
        }
        for minute in 1..100 {
            for _ in 0..100 {
                guard.received(&reset, Time::from_secs(minute * 60)).expect("another page left");
            }
        }
    }

    #[test]
    fn a_frame_that_breaks_the_protocol_is_answered_with_its_proper_name() {
        let cases = [
            (frame(RST_STREAM, 0, 1, &[0; 3]), FRAME_SIZE_ERROR),
            (frame(WINDOW_UPDATE, 0, 0, &[0; 3]), FRAME_SIZE_ERROR),
            (frame(PRIORITY, 0, 1, &[0; 4]), FRAME_SIZE_ERROR),
            (frame(PING, 0, 0, &[0; 6]), FRAME_SIZE_ERROR),
            (frame(SETTINGS, 0, 0, &[0; 3]), FRAME_SIZE_ERROR),
            (frame(SETTINGS, 1, 0, &[0; 6]), FRAME_SIZE_ERROR),
            (frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]), FLOW_CONTROL_ERROR),
            (frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2, 0x82]), PROTOCOL_ERROR),
        ];
        for (bytes, code) in cases {
            let mut guard = settled();
            assert_eq!(guard.received(&bytes, Time(1)), Err(Cut::ProtocolError));
            assert_eq!(guard.farewell().map(|farewell| farewell[16]), Some(code));
        }
    }

    #[test]
    fn answers_to_our_own_pings_and_settings_cost_nothing() {
        let mut guard = settled();
        for _ in 0..10_000 {
            sent(&mut guard, &[frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])].concat());
            let answers = [frame(PING, 1, 0, &[0; 8]), frame(SETTINGS, 1, 0, &[])].concat();
            guard.received(&answers, Time(1)).expect("answers");
        }
    }

    #[test]
    fn streams_that_the_visitor_made_us_reset_count_and_others_do_not() {
        let mut guard = settled();
        for code in [0, 2, 8] {
            let reset = frame(RST_STREAM, 0, 1, &[0, 0, 0, code]);
            for _ in 0..1000 {
                sent(&mut guard, &reset);
            }
        }
        let reset = frame(RST_STREAM, 0, 1, &[0, 0, 0, 1]);
        let flood = (0..1000).find_map(|_| guard.sent(&reset, Time(1), |_| ()).err());
        assert_eq!(flood, Some(Cut::ServerResetFlood));
    }

    #[test]
    fn the_librarys_own_endings_have_a_cause() {
        let farewell = |code: u8, data: &[u8]| {
            frame(GOAWAY, 0, 0, &[&[0, 0, 0, 1, 0, 0, 0, code], data].concat())
        };
        assert_eq!(sent(&mut settled(), &farewell(0, b"")), []);
        assert_eq!(
            sent(&mut settled(), &farewell(1, b"")),
            [OutboundFrame::Ends(Cut::ProtocolError)]
        );
        let calm = farewell(11, b"header_list_way_too_large");
        assert_eq!(sent(&mut settled(), &calm), [OutboundFrame::Ends(Cut::HeaderList)]);
        let twice = [farewell(11, b"too_many_resets"), farewell(1, b"")].concat();
        assert_eq!(sent(&mut settled(), &twice), [OutboundFrame::Ends(Cut::ResetFlood)]);
    }

    #[test]
    fn the_librarys_refusal_of_large_headers_is_not_taken_for_our_response() {
        let head = |block: &[u8]| sent(&mut settled(), &frame(HEADERS, 5, 1, block));
        assert_eq!(head(&[0x48, 0x83, 1, 2, 3]), [OutboundFrame::TooLarge]);
        assert_eq!(head(&[0xbe]), [OutboundFrame::TooLarge]);
        assert_eq!(head(&[0x3f, 0xe1, 0x1f, 0xbe]), [OutboundFrame::TooLarge]);
        assert_eq!(head(&[0x48, 0x83, 1, 2, 3, 0xbf]), []);
        assert_eq!(head(&[0x88, 0xbe]), []);
    }

    #[test]
    fn a_header_block_far_above_the_limit_ends_the_connection() {
        let mut guard = settled();
        guard.received(&frame(HEADERS, 0, 1, &[1; 16_384]), Time(1)).expect("large");
        let more = frame(CONTINUATION, 0, 1, &[1; 16_384]);
        let ended = (0..10).find_map(|_| guard.received(&more, Time(1)).err());
        assert_eq!(ended, Some(Cut::HeaderList));
    }

    fn any_frames() -> impl Strategy<Value = Vec<u8>> {
        let any_frame = (0u8..18, any::<u8>(), 0u32..9, prop::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload));
        prop::collection::vec(any_frame, 0..60).prop_map(|frames| frames.concat())
    }

    fn strict() -> Limits {
        let few = RateLimit { per_second: 1, burst: 3 };
        let http_2 = Http2Limits {
            resets: few,
            refused_streams: few,
            control_frames: few,
            window_updates: few,
            small_data_frames: few,
            continuations: few,
        };
        Limits { http_2, ..Limits::default() }
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_into_reads_changes_nothing(
            bytes in any_frames(),
            cuts in prop::collection::vec(1usize..50, 1..40),
        ) {
            prop_assert!(reads_alike(&strict(), &bytes, &cuts));
            prop_assert!(reads_alike(&Limits::default(), &bytes, &cuts));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut guard = Http2Guard::new(&Limits::default(), Time(0));
            let _ = guard.received(&bytes, Time(1));
            let _ = guard.sent(&bytes, Time(2), |_| ());
        }

        #[test]
        fn no_more_than_the_burst_and_the_rate_gets_through(
            per_second in 1u32..200,
            burst in 1u32..200,
            waits in prop::collection::vec(0u64..200_000, 1..400),
        ) {
            let mut budget = Budget { spent: 0, at: Time(0) };
            let allowance = RateLimit { per_second, burst };
            let (mut now, mut taken) = (Time(0), 0u128);
            for wait in waits {
                now = now + Duration::from_micros(wait);
                taken += u128::from(budget.take(allowance, now));
                let most = u128::from(burst)
                    + now.since(Time(0)).as_micros() * u128::from(per_second) / 1_000_000;
                prop_assert!(taken <= most);
            }
        }
    }
}
