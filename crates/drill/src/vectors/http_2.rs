//! Vectors of HTTP/2, frame by frame.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::dial::Stream;
use super::frames::{
    self, ACK, Block, CONTINUATION, DATA, END_STREAM, Frames, GOAWAY, HEADERS, PING, PRIORITY,
    RST_STREAM, SETTINGS,
};
use super::ground::{Attacker, End, rest};

/// Frames that are sent in one go, and the pause before the next: three thousand a second, ten
/// times what an honest visitor could ever send.
const BATCH: u32 = 60;
const PAUSE: Duration = Duration::from_millis(20);

/// How long to wait for the gate's last word after it has stopped reading.
const LAST_WORD: Duration = Duration::from_millis(500);

/// The longest frame that is read: the default of `SETTINGS_MAX_FRAME_SIZE`, which we never raise.
const FRAME_MAX: usize = 16_384;

const CANCEL: u32 = 0x8;

/// What the reader of a connection has seen.
#[derive(Default)]
struct Seen {
    go_away: Cell<Option<u32>>,
    closed: Cell<bool>,
    ended: Notify,
    /// Acknowledgements that are owed: of settings, and of pings with their content.
    settings: Cell<u32>,
    pings: RefCell<Vec<[u8; 8]>>,
    /// Streams that the gate has answered in full, or reset.
    over: RefCell<BTreeSet<u32>>,
    /// Something is owed, or a stream is over.
    news: Notify,
}

/// Streams that are remembered as over: as many as any server allows at once, ten times over.
const OVER_MAX: usize = 1_000;

/// One connection: we write here, a task of its own reads.
struct Conversation {
    attacker: Attacker,
    writer: WriteHalf<Stream>,
    seen: Rc<Seen>,
    next_stream: u32,
    /// Pings are not answered.
    is_deaf: bool,
}

impl Conversation {
    /// Opens a connection and says hello.
    async fn open(attacker: &Attacker, settings: &[(u16, u32)]) -> Result<Self, End> {
        let mut conversation = Self::open_silently(attacker).await?;
        let mut hello = Frames::default();
        hello.bytes.extend(frames::PREFACE);
        let mut all = vec![(frames::TABLE_SIZE, 0)];
        all.extend(settings);
        hello.settings(&all);
        conversation.send(hello).await?;
        Ok(conversation)
    }

    async fn open_silently(attacker: &Attacker) -> Result<Self, End> {
        let stream = attacker.open_http_2().await.ok_or(End::NotOpened)?;
        if !stream.is_http_2() {
            attacker.answered("no HTTP/2");
            return Err(End::NotOpened);
        }
        let (reader, writer) = tokio::io::split(stream);
        let seen = Rc::<Seen>::default();
        tokio::task::spawn_local(read(attacker.clone(), reader, seen.clone()));
        Ok(Self { attacker: attacker.clone(), writer, seen, next_stream: 1, is_deaf: false })
    }

    fn stream(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        stream
    }

    fn get(&self) -> Block {
        Block::request("GET", self.attacker.host(), self.attacker.path())
    }

    fn post(&self) -> Block {
        Block::request("POST", self.attacker.host(), self.attacker.path())
    }

    /// Sends frames, with the acknowledgements that are owed.
    async fn send(&mut self, mut frames: Frames) -> Result<(), End> {
        for _ in 0..self.seen.settings.replace(0) {
            frames.frame(SETTINGS, ACK, 0, &[]);
        }
        let pings = self.seen.pings.take();
        for content in pings.into_iter().filter(|_| !self.is_deaf) {
            frames.frame(PING, ACK, 0, &content);
        }
        let writing = async {
            self.writer.write_all(&frames.bytes).await?;
            self.writer.flush().await
        };
        match timeout_at(self.attacker.end(), writing).await {
            Ok(Ok(())) => {
                self.attacker.framed(frames.how_many);
                self.attacker.sent(frames.bytes.len());
                if self.seen.closed.get() { Err(self.last_word().await) } else { Ok(()) }
            }
            Ok(Err(_)) => Err(self.last_word().await),
            Err(_) => Err(End::Held),
        }
    }

    /// How the gate ended it.
    async fn last_word(&self) -> End {
        if !self.seen.closed.get() {
            let _ = timeout(LAST_WORD, self.seen.ended.notified()).await;
        }
        self.seen.go_away.get().map_or(End::Closed, End::GoAway)
    }

    /// Answers what must be answered and does nothing else, until the end or the gate's end.
    async fn hold(&mut self) -> End {
        self.hold_until(|_| false).await
    }

    /// The same, but no longer than the gate lets one of the streams live. What is held from then on
    /// is a connection without streams, which is another vector.
    async fn hold_streams(&mut self) -> End {
        self.hold_until(Self::streams_are_over).await
    }

    fn streams_are_over(&self) -> bool {
        self.seen.over.borrow().len() >= self.next_stream as usize / 2
    }

    async fn hold_until(&mut self, over: impl Fn(&Self) -> bool) -> End {
        while !self.seen.closed.get() {
            if Instant::now() >= self.attacker.end() {
                return End::Held;
            }
            if over(self) {
                return End::StreamsOver;
            }
            let news = async {
                tokio::select! {
                    () = self.seen.ended.notified() => {}
                    () = self.seen.news.notified() => {}
                }
            };
            let _ = timeout_at(self.attacker.end(), news).await;
            if !self.seen.closed.get()
                && let Err(end) = self.send(Frames::default()).await
            {
                return end;
            }
        }
        self.last_word().await
    }

    /// Sends batch after batch until somebody has had enough.
    async fn flood(&mut self, mut batch: impl FnMut(&mut Self, &mut Frames)) -> End {
        while self.attacker.may_go_on() {
            let mut frames = Frames::default();
            batch(self, &mut frames);
            if let Err(end) = self.send(frames).await {
                return end;
            }
            rest(&self.attacker, PAUSE).await;
            // Stream numbers are not endless (RFC 9113, section 5.1.1).
            if self.next_stream > 1 << 30 {
                return End::Done;
            }
        }
        End::Held
    }
}

/// Reads frames until the end of the connection.
async fn read(attacker: Attacker, mut reader: ReadHalf<Stream>, seen: Rc<Seen>) {
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
            if ends && seen.over.borrow().len() < OVER_MAX {
                let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                seen.over.borrow_mut().insert(stream);
                seen.news.notify_one();
            }
            match (head[3], payload.get(..4)) {
                (SETTINGS, _) if head[4] & ACK == 0 => {
                    seen.settings.set(seen.settings.get().saturating_add(1));
                    seen.news.notify_one();
                }
                // A gate that asks more often than we answer is not believed.
                (PING, _) if head[4] & ACK == 0 && seen.pings.borrow().len() < 16 => {
                    let mut content = [0; 8];
                    content.copy_from_slice(payload.get(..8).unwrap_or(&[0; 8]));
                    seen.pings.borrow_mut().push(content);
                    seen.news.notify_one();
                }
                (HEADERS, _) => match frames::status(payload) {
                    Some(status) => attacker.answered(status),
                    None => attacker.answered("an answer"),
                },
                (RST_STREAM, Some(&[a, b, c, d])) => {
                    attacker.reset(u32::from_be_bytes([a, b, c, d]));
                }
                (GOAWAY, Some(_)) if length >= 8 => {
                    let code = [payload[4], payload[5], payload[6], payload[7]];
                    seen.go_away.set(Some(u32::from_be_bytes(code)));
                }
                _ => {}
            }
        }
    };
    let _: Result<(), std::io::Error> = reading.await;
    seen.closed.set(true);
    seen.ended.notify_one();
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

/// Agrees on HTTP/2 and says nothing, not even what is owed.
pub(super) async fn preface_silence(attacker: Attacker) -> End {
    let conversation = or_end!(Conversation::open_silently(&attacker).await);
    match timeout_at(attacker.end(), conversation.seen.ended.notified()).await {
        Ok(()) => conversation.last_word().await,
        Err(_) => End::Held,
    }
}

pub(super) async fn without_streams(attacker: Attacker) -> End {
    or_end!(Conversation::open(&attacker, &[]).await).hold().await
}

/// As many streams as any server allows, each a form that never comes.
pub(super) async fn idle_streams(attacker: Attacker) -> End {
    let mut conversation = or_end!(Conversation::open(&attacker, &[]).await);
    let mut frames = Frames::default();
    let block = conversation.post();
    for _ in 0..100 {
        let stream = conversation.stream();
        frames.headers(stream, &block, false);
    }
    attacker.requested(100);
    or_end!(conversation.send(frames).await);
    conversation.hold_streams().await
}

/// Streams that an attacker has open at the same time: half of what any server allows.
const AT_ONCE: usize = 50;

/// Asks as often as it is answered, whatever it is told, and never answers the ping by which the gate
/// would know that its farewell has come.
pub(super) async fn deaf_to_goaway(attacker: Attacker) -> End {
    let mut conversation = or_end!(Conversation::open(&attacker, &[]).await);
    conversation.is_deaf = true;
    let block = conversation.get();
    // Room for all answers of a connection, some kilobytes each.
    let mut room = Frames::default();
    room.window_update(0, 1 << 30);
    or_end!(conversation.send(room).await);
    while attacker.may_go_on() {
        let mut frames = Frames::default();
        for _ in 0..AT_ONCE {
            let stream = conversation.stream();
            frames.headers(stream, &block, true);
        }
        attacker.requested(AT_ONCE as u64);
        or_end!(conversation.send(frames).await);
        let batch = |conversation: &Conversation| conversation.seen.over.borrow().len() >= AT_ONCE;
        match conversation.hold_until(batch).await {
            End::StreamsOver => conversation.seen.over.borrow_mut().clear(),
            end => return end,
        }
    }
    End::Held
}

/// Asks for pages and never has room for them.
pub(super) async fn zero_window(attacker: Attacker) -> End {
    let mut conversation =
        or_end!(Conversation::open(&attacker, &[(frames::WINDOW_SIZE, 0)]).await);
    let mut frames = Frames::default();
    let block = conversation.get();
    for _ in 0..20 {
        let stream = conversation.stream();
        frames.headers(stream, &block, true);
    }
    attacker.requested(20);
    or_end!(conversation.send(frames).await);
    conversation.hold_streams().await
}

/// Room for one byte more, a few times a second.
pub(super) async fn window_drip(attacker: Attacker) -> End {
    let mut conversation =
        or_end!(Conversation::open(&attacker, &[(frames::WINDOW_SIZE, 0)]).await);
    let mut frames = Frames::default();
    let block = conversation.get();
    let streams: Vec<u32> = (0..4).map(|_| conversation.stream()).collect();
    for stream in &streams {
        frames.headers(*stream, &block, true);
    }
    attacker.requested(4);
    or_end!(conversation.send(frames).await);
    while attacker.may_go_on() {
        if conversation.streams_are_over() {
            return End::StreamsOver;
        }
        let mut frames = Frames::default();
        for stream in &streams {
            frames.window_update(*stream, 1);
        }
        or_end!(conversation.send(frames).await);
        rest(&attacker, Duration::from_millis(250)).await;
    }
    End::Held
}

pub(super) async fn window_flood(attacker: Attacker) -> End {
    let mut conversation = or_end!(Conversation::open(&attacker, &[]).await);
    conversation
        .flood(|_, frames| {
            for _ in 0..BATCH {
                frames.window_update(0, 1);
            }
        })
        .await
}

pub(super) async fn rapid_reset(attacker: Attacker) -> End {
    let mut conversation = or_end!(Conversation::open(&attacker, &[]).await);
    let block = conversation.get();
    conversation
        .flood(|conversation, frames| {
            for _ in 0..BATCH / 2 {
                let stream = conversation.stream();
                frames.headers(stream, &block, true);
                frames.reset(stream, CANCEL);
            }
            conversation.attacker.requested(u64::from(BATCH / 2));
        })
        .await
}

/// Requests that are begun well and then break the rules of one stream, so that the gate has to
/// reset it, in five ways by place.
pub(super) async fn made_you_reset(attacker: Attacker) -> End {
    let mut conversation = or_end!(Conversation::open(&attacker, &[]).await);
    let way = attacker.place % 5;
    let mut block = if way == 2 { conversation.get() } else { conversation.post() };
    if way == 3 {
        block.field("content-length", "5");
    }
    conversation
        .flood(|conversation, frames| {
            for _ in 0..BATCH / 3 {
                let stream = conversation.stream();
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
            conversation.attacker.requested(u64::from(BATCH / 3));
        })
        .await
}

/// A header block that never ends: in empty pieces, or in pieces with fields in them, by place.
pub(super) async fn continuations(attacker: Attacker) -> End {
    let mut conversation = or_end!(Conversation::open(&attacker, &[]).await);
    let stream = conversation.stream();
    let mut first = Frames::default();
    first.frame(HEADERS, END_STREAM, stream, &conversation.get().0);
    attacker.requested(1);
    or_end!(conversation.send(first).await);
    let mut block = Block::default();
    if !attacker.place.is_multiple_of(2) {
        block.field("x-more", &"more".repeat(100));
    }
    conversation
        .flood(|_, frames| {
            for _ in 0..BATCH {
                frames.frame(CONTINUATION, 0, stream, &block.0);
            }
        })
        .await
}

pub(super) async fn pings(attacker: Attacker) -> End {
    let mut conversation = or_end!(Conversation::open(&attacker, &[]).await);
    conversation
        .flood(|_, frames| {
            for _ in 0..BATCH {
                frames.frame(PING, 0, 0, b"how long");
            }
        })
        .await
}

pub(super) async fn settings(attacker: Attacker) -> End {
    let mut conversation = or_end!(Conversation::open(&attacker, &[]).await);
    conversation
        .flood(|_, frames| {
            for _ in 0..BATCH {
                frames.settings(&[(frames::WINDOW_SIZE, 65_535)]);
            }
        })
        .await
}

pub(super) async fn priorities(attacker: Attacker) -> End {
    let mut conversation = or_end!(Conversation::open(&attacker, &[]).await);
    conversation
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
    let mut conversation = or_end!(Conversation::open(&attacker, &[]).await);
    let stream = conversation.stream();
    let mut first = Frames::default();
    first.headers(stream, &conversation.post(), false);
    attacker.requested(1);
    or_end!(conversation.send(first).await);
    conversation
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
    let mut conversation = or_end!(Conversation::open(&attacker, &[]).await);
    let get = conversation.get();
    conversation
        .flood(|conversation, frames| {
            let stream = conversation.stream();
            let mut block = get.clone();
            // The table's default size is 4096 bytes, with 32 for each entry.
            block.remembered("x-a", &"a".repeat(4_000)).again(10_000);
            frames.headers(stream, &block, true);
            conversation.attacker.requested(1);
        })
        .await
}

/// A cookie in three thousand crumbs (RFC 9113, section 8.2.3).
pub(super) async fn cookie_crumbs(attacker: Attacker) -> End {
    let mut conversation = or_end!(Conversation::open(&attacker, &[]).await);
    let get = conversation.get();
    conversation
        .flood(|conversation, frames| {
            let stream = conversation.stream();
            let mut block = get.clone();
            block.remembered("cookie", "a=b").again(3_000);
            frames.headers(stream, &block, true);
            conversation.attacker.requested(1);
        })
        .await
}
