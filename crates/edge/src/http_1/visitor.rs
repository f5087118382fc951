//! A visitor's connection that speaks HTTP/1.1: one request after the other, each answered in turn.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::mem::MaybeUninit;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io::{self, Write as _};
use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};
use portcullis_model::{Cut, Reason};
use tokio::io::AsyncWrite;

use super::buffers::Reader;
use super::decoder::{Decoder, Step};
use super::exchange::trailers;
use super::head::{self, Body, Scan, Span};
use super::outgoing::Outgoing;
use crate::answer::{Answer, put_line};
use crate::body::{BrokenOff, ResponseBody, VisitorBody};
use crate::forward::forward;
use crate::head::{Head, items};
use crate::pages::{self, Wants};
use crate::serve::{Announced, Judged, judge};
use crate::transport::VisitorIo;
use crate::upgrade;
use crate::visit::{Phase, Visit};

/// Fields of a head that are read without an allocation: what the configuration allows by itself.
const FIELDS: usize = 100;
/// What is read ahead of its turn while a request is being answered.
const AHEAD: usize = 16 * 1024;
/// Requests of one visitor that are answered before others have their turn: a read may bring three
/// hundred, and a flood of them is a millisecond.
const IN_A_ROW: u32 = 16;
/// Bytes for one answer of the usual size.
const PAGE: usize = 4 * 1024;
/// After an answer that came before the end of the request, this much more is read and thrown
/// away, for this long.
const LINGER_BYTES: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection, shared with the body of the request that is under way.
pub(crate) struct Line {
    ends: RefCell<Ends>,
    /// The body of the request is being read by whoever forwards it.
    lent: Cell<bool>,
}

/// Both directions of it.
struct Ends {
    io: VisitorIo,
    visit: Rc<Visit>,
    buffer: BytesMut,
    scan: Scan,
    /// The body of the request that is being answered.
    decoder: Decoder,
    /// The visitor waits to be told that it may send the body.
    expects: bool,
    /// Requests that were answered without waiting for the visitor.
    in_a_row: u32,
    out: Outgoing,
    /// Something was written since the last flush.
    unflushed: bool,
}

/// What comes next.
enum Next {
    /// A head.
    Head(Span),
    /// What is no head, and why.
    Unfit(Reason),
    /// The visitor has left, or is to leave.
    Over,
}

/// What a request says of how it is to be answered.
#[derive(Clone, Copy, Debug)]
struct Asked {
    version: Version,
    for_head: bool,
    keeps_alive: bool,
    takes_trailers: bool,
}

impl Asked {
    /// Of whoever sent what is no request.
    const UNKNOWN: Self = Self {
        version: Version::HTTP_11,
        for_head: false,
        keeps_alive: false,
        takes_trailers: false,
    };
}

/// An answer that an origin is asked for. Boxed: most connections are not waiting for one.
type Awaited = Pin<Box<dyn Future<Output = Answer>>>;

/// The visitor has gone.
struct Gone;

/// How the end of an answer's body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Bodiless,
    Length(u64),
    Chunked,
    UntilClose,
}

/// Answers a visitor's requests until either has enough.
pub(crate) async fn speak(visit: &Rc<Visit>, io: VisitorIo) {
    let line = Rc::new(Line {
        ends: RefCell::new(Ends {
            io,
            visit: visit.clone(),
            buffer: BytesMut::new(),
            scan: Scan::default(),
            decoder: Decoder::Length(0),
            expects: false,
            in_a_row: 0,
            out: Outgoing::default(),
            unflushed: false,
        }),
        lent: Cell::new(false),
    });
    // Whether the visitor may be sending still, not knowing that it ends here.
    let unawares = loop {
        let span = match poll_fn(|cx| line.ends.borrow_mut().poll_next(cx)).await {
            Next::Head(span) => span,
            Next::Unfit(reason) => {
                line.ends.borrow_mut().refuse(reason);
                break true;
            }
            Next::Over => break false,
        };
        let (asked, judged) = match line.read(visit, span) {
            Ok(read) => read,
            Err(reason) => {
                line.ends.borrow_mut().refuse(reason);
                break true;
            }
        };
        let answer = match line.follow(visit, judged) {
            Ok(answer) => answer,
            Err(awaited) => match line.wait_for(awaited).await {
                Some(answer) => answer,
                None => return,
            },
        };
        let upgraded = answer.status == StatusCode::SWITCHING_PROTOCOLS;
        let mut sending = line.begin(visit, asked, answer);
        if !sending.ended {
            let sent = poll_fn(|cx| line.poll_send(&mut sending, cx)).await;
            if sent.is_err() {
                return;
            }
        }
        let last = sending.last;
        // The request is over; the connection is idle, unless more of them have come.
        drop(sending);
        if upgraded {
            return Box::pin(become_tunnel(visit, line)).await;
        }
        // The rest of a body that nobody waited for is no request.
        if last || !line.ends.borrow_mut().is_read() {
            break asked.keeps_alive;
        }
    };
    Box::pin(part(&line, unawares)).await;
}

/// After an answer that promises it, bytes pass both ways.
async fn become_tunnel(visit: &Rc<Visit>, line: Rc<Line>) {
    let flushed = poll_fn(|cx| line.ends.borrow_mut().poll_flush(cx)).await;
    let tunnel = visit.tunnel.take();
    if let (Ok(()), Some(tunnel), Some(line)) = (flushed, tunnel, Rc::into_inner(line)) {
        let ends = line.ends.into_inner();
        let _ = upgrade::pass(visit, tunnel, ends.io, ends.buffer.freeze()).await;
    }
}

/// Says goodbye. Where bytes are under way, closing would make the visitor's system throw the last
/// answer away unread, so that what still comes is read for a moment. A visitor who does not expect
/// the end is told of it first.
async fn part(line: &Line, unawares: bool) {
    let flushed = poll_fn(|cx| line.ends.borrow_mut().poll_flush(cx)).await;
    let (more, plain) = {
        let ends = line.ends.borrow();
        (ends.has_more(), ends.io.is_plain())
    };
    // Others, without encryption, are told by the connection's being dropped.
    if flushed.is_err() || plain && !more && !unawares {
        return;
    }
    let shut = poll_fn(|cx| Pin::new(&mut line.ends.borrow_mut().io).poll_shutdown(cx)).await;
    if shut.is_ok() && more {
        let mut left = LINGER_BYTES;
        let discard = poll_fn(|cx| line.ends.borrow_mut().poll_discard(&mut left, cx));
        let _ = tokio::time::timeout(LINGER, discard).await;
    }
}

/// An answer that is being sent.
struct Sending {
    body: ResponseBody,
    coding: Coding,
    takes_trailers: bool,
    /// Nothing of the body is left to be gathered.
    ended: bool,
    /// The connection ends with it.
    last: bool,
}

impl Line {
    /// Reads and judges the head that has come.
    fn read(&self, visit: &Rc<Visit>, span: Span) -> Result<(Asked, Judged), Reason> {
        let ends = &mut *self.ends.borrow_mut();
        let most = usize::from(visit.house.policy.load().config().limits.max_header_fields);
        let mut few = [MaybeUninit::uninit(); FIELDS];
        let mut many = Vec::new();
        let fields = if most <= FIELDS {
            &mut few[..most]
        } else {
            many.resize_with(most, MaybeUninit::uninit);
            &mut many[..]
        };
        let (head, body) = head::request(&ends.buffer[span.start..span.end], fields)?;
        let asked = Asked::of(&head);
        let announced = match body {
            Body::Length(length) => Announced { least: length, is_none: length == 0 },
            Body::Chunked | Body::Unknown => Announced { least: 0, is_none: false },
        };
        let expects = head.version == Version::HTTP_11
            && !announced.is_none
            && head
                .first("expect")
                .is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
        let judged = judge(visit, &head, announced, visit.request_begins());
        ends.decoder = match body {
            Body::Length(length) => Decoder::Length(length),
            Body::Chunked => Decoder::Size,
            Body::Unknown => Decoder::UntilClose,
        };
        ends.expects = expects;
        ends.take_away(span.end);
        ends.scan = Scan::default();
        Ok((asked, judged))
    }

    /// The answer, or what it has to be awaited from.
    fn follow(self: &Rc<Self>, visit: &Rc<Visit>, judged: Judged) -> Result<Answer, Awaited> {
        match judged {
            Judged::Answered(answer) => Ok(answer),
            Judged::Forwarded(errand, turn) => {
                Err(Box::pin(forward(visit.clone(), errand, self.lend(), turn)))
            }
        }
    }

    /// The body of the request that has just been read, if it has one.
    fn lend(self: &Rc<Self>) -> Option<VisitorBody> {
        if self.ends.borrow().decoder.is_over() {
            return None;
        }
        self.lent.set(true);
        Some(VisitorBody::Line(Inbound { line: self.clone() }))
    }

    /// Waits for an answer, for as long as the visitor does.
    async fn wait_for(&self, mut answer: Awaited) -> Option<Answer> {
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(answer));
            }
            self.ends.borrow_mut().poll_left(cx).map(|Gone| None)
        })
        .await
    }

    /// Begins to send an answer: its head, and all of a short body.
    fn begin(&self, visit: &Visit, asked: Asked, answer: Answer) -> Sending {
        let ends = &mut *self.ends.borrow_mut();
        // From here on it would stand in the middle of the answer.
        ends.expects = false;
        let unread = !self.lent.get() && !ends.is_read();
        let last = answer.last || unread || !asked.keeps_alive || visit.is_draining();
        ends.put(asked, answer, last)
    }

    /// Sends the rest of an answer; ready when all of it has been handed over or gathered.
    fn poll_send(&self, sending: &mut Sending, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        loop {
            {
                let ends = &mut *self.ends.borrow_mut();
                if ends.out.is_full() {
                    ready!(ends.poll_flush(cx)).map_err(|_| Gone)?;
                }
            }
            // Nothing of the connection is held meanwhile: the answer may depend on the request's
            // body.
            let next = Pin::new(&mut sending.body).poll_frame(cx);
            let ends = &mut *self.ends.borrow_mut();
            match next {
                Poll::Ready(Some(Ok(frame))) => sending.gather(ends.gather(), frame)?,
                // Broken off on the way: so must the answer be. What there is of it is worth having.
                Poll::Ready(Some(Err(_))) => {
                    let _ = ends.poll_flush(cx);
                    if sending.coding == Coding::UntilClose {
                        // Where nothing else tells the end from a whole answer's.
                        ends.visit.breaks_off();
                    }
                    return Poll::Ready(Err(Gone));
                }
                Poll::Ready(None) => {
                    if !sending.ended {
                        sending.end(ends.gather(), None)?;
                    }
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => {
                    if let Poll::Ready(Err(_)) = ends.poll_flush(cx) {
                        return Poll::Ready(Err(Gone));
                    }
                    return ends.poll_left(cx).map(Err);
                }
            }
            if sending.ended {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl Sending {
    fn gather(&mut self, out: &mut Outgoing, frame: Frame<Bytes>) -> Result<(), Gone> {
        match frame.into_data() {
            Ok(data) => {
                if let Coding::Length(left) = &mut self.coding {
                    // Never more than was said: it would be read as the next answer.
                    *left = left.checked_sub(data.len() as u64).ok_or(Gone)?;
                    self.ended = *left == 0;
                }
                out.put(data, self.coding == Coding::Chunked);
                Ok(())
            }
            Err(frame) => {
                let trailers = frame.into_trailers().ok().filter(|_| self.takes_trailers);
                self.end(out, trailers.as_ref())
            }
        }
    }

    fn end(&mut self, out: &mut Outgoing, trailers: Option<&HeaderMap>) -> Result<(), Gone> {
        self.ended = true;
        match self.coding {
            Coding::Length(left) if left > 0 => Err(Gone),
            Coding::Chunked => {
                out.put_end(trailers);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Asked {
    fn of(head: &Head<'_>) -> Self {
        let (mut close, mut keep) = (false, false);
        for item in head.all("connection").flat_map(items) {
            close |= item.eq_ignore_ascii_case(b"close");
            keep |= item.eq_ignore_ascii_case(b"keep-alive");
        }
        let current = head.version == Version::HTTP_11;
        Self {
            version: head.version,
            for_head: head.method == "HEAD",
            keeps_alive: !close && (current || keep),
            takes_trailers: current && head.lists("te", "trailers"),
        }
    }

    /// How an answer's body ends, and the length that its head names.
    fn coding(self, answer: &Answer) -> (Coding, Option<u64>) {
        let exact = answer.body.size_hint().exact();
        match answer.status.as_u16() {
            100..200 | 204 => (Coding::Bodiless, None),
            304 => (Coding::Bodiless, answer.length),
            // An origin's answer that says no length has none here; our own pages have theirs.
            _ if self.for_head => {
                (Coding::Bodiless, answer.length.or(exact.filter(|length| *length > 0)))
            }
            _ => match exact {
                Some(length) => (Coding::Length(length), Some(length)),
                None if self.version == Version::HTTP_11 => (Coding::Chunked, None),
                None => (Coding::UntilClose, None),
            },
        }
    }
}

impl Ends {
    /// Waits for the next head. What has been gathered leaves before more is read.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            // However many requests came together: no more is answered than is taken.
            if self.out.is_full() && ready!(self.poll_flush(cx)).is_err() {
                return Poll::Ready(Next::Over);
            }
            if !self.buffer.is_empty() {
                let most = self.visit.house.policy.load().config().limits.max_header_bytes as usize;
                if self.in_a_row >= IN_A_ROW {
                    // Others have their turn first.
                    self.in_a_row = 0;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                match self.scan.request(&mut self.buffer) {
                    Err(_) => return Poll::Ready(Next::Unfit(Reason::Malformed)),
                    Ok(Some(span)) if span.end <= most => {
                        self.in_a_row += 1;
                        return Poll::Ready(Next::Head(span));
                    }
                    Ok(None) if self.buffer.len() <= most => {}
                    Ok(_) => return Poll::Ready(Next::Unfit(Reason::HeaderTooLarge)),
                }
            }
            if ready!(self.poll_flush(cx)).is_err() {
                return Poll::Ready(Next::Over);
            }
            // Nobody's time runs while they are not listened to.
            if !self.buffer.is_empty() && self.visit.phase() == Phase::Idle {
                self.visit.enter(Phase::Header);
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::Over),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending if self.visit.is_draining() && self.buffer.is_empty() => {
                    return Poll::Ready(Next::Over);
                }
                Poll::Pending => {
                    self.in_a_row = 0;
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let buffers = &self.visit.house.buffers;
        buffers.poll_fill(Reader::Visitor, &mut self.buffer, Pin::new(&mut self.io), cx)
    }

    /// Takes bytes from the front, and gives the buffer back behind the last.
    fn take_away(&mut self, bytes: usize) {
        self.buffer.advance(bytes);
        self.visit.house.buffers.take_back(Reader::Visitor, &mut self.buffer);
    }

    /// Writes what has been gathered.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.out.is_empty() {
            self.unflushed = true;
            ready!(self.out.poll_write(Pin::new(&mut self.io), cx))?;
            if let Some(page) = self.out.take_page() {
                self.visit.house.return_page(page);
            }
        }
        // What has been written may still be kept by TLS.
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Where answers are gathered; its memory is the worker's, borrowed until they have left.
    fn gather(&mut self) -> &mut Outgoing {
        if self.out.needs_page() {
            self.out.give_page(self.visit.house.borrow_page(PAGE));
        }
        &mut self.out
    }

    /// Ready when the visitor has left. What it sends ahead is kept, up to a bound.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        if let Poll::Ready(Err(_)) = self.poll_flush(cx) {
            return Poll::Ready(Gone);
        }
        // Whoever reads the body sees for itself.
        while self.decoder.is_over() && self.buffer.len() < AHEAD {
            match ready!(self.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(Gone),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }

    /// Draws the next piece of the request's body.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.decoder == Decoder::UntilClose {
            // It was spoilt before.
            return Poll::Ready(Some(Err(BrokenOff)));
        }
        loop {
            match self.decoder.step(&self.buffer, false) {
                Err(_) => {
                    self.spoil();
                    return Poll::Ready(Some(Err(BrokenOff)));
                }
                Ok(Step::Skip(length)) => self.take_away(length),
                Ok(Step::Data(length)) => {
                    // Whoever sends it did not wait to be told.
                    self.expects = false;
                    let piece = self.buffer.split_to(length).freeze();
                    if self.buffer.is_empty() {
                        self.buffer = BytesMut::new();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                Ok(Step::End(length)) => {
                    let Ok(trailers) = trailers(&self.buffer[..length]) else {
                        self.spoil();
                        return Poll::Ready(Some(Err(BrokenOff)));
                    };
                    self.take_away(length);
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                }
                Ok(Step::More) => {
                    if core::mem::take(&mut self.expects) && self.buffer.is_empty() {
                        self.gather().gather().extend_from_slice(CONTINUE);
                    }
                    if let Poll::Ready(Err(_)) = self.poll_flush(cx) {
                        return Poll::Ready(Some(Err(BrokenOff)));
                    }
                    match ready!(self.poll_fill(cx)) {
                        Ok(0) | Err(_) => return Poll::Ready(Some(Err(BrokenOff))),
                        Ok(_) => {}
                    }
                }
            }
        }
    }

    /// The body could be read in two ways: nothing behind it is believed.
    fn spoil(&mut self) {
        self.visit.spoilt_body.set(true);
        self.visit.count(Cut::MalformedBody);
        self.decoder = Decoder::UntilClose;
    }

    /// Whether all of the request has been read, after what has come of a body that nobody reads has
    /// been thrown away.
    fn is_read(&mut self) -> bool {
        while !self.decoder.is_over() && self.decoder != Decoder::UntilClose {
            match self.decoder.step(&self.buffer, false) {
                Ok(Step::More) => return false,
                Ok(Step::End(length)) if trailers(&self.buffer[..length]).is_err() => self.spoil(),
                Ok(Step::Skip(length) | Step::Data(length) | Step::End(length)) => {
                    self.take_away(length);
                }
                Err(_) => self.spoil(),
            }
        }
        self.decoder.is_over()
    }

    /// Answers what is no request. Nothing behind it is read.
    fn refuse(&mut self, reason: Reason) {
        let visit = self.visit.clone();
        visit.house.write_unread(visit.identity().source, reason);
        self.decoder = Decoder::UntilClose;
        let answer = pages::refusal(reason, Wants::Text, None, false, visit.request_begins());
        self.put(Asked::UNKNOWN, answer, true);
    }

    /// Puts the head of an answer behind what is gathered, and a short body with it.
    fn put(&mut self, asked: Asked, mut answer: Answer, last: bool) -> Sending {
        let (coding, length) = asked.coding(&answer);
        let last = last || coding == Coding::UntilClose;
        let visit = self.visit.clone();
        let out = self.gather();
        let page = out.gather();
        put_status(page, asked.version, answer.status);
        page.extend_from_slice(answer.fields.as_bytes());
        if let Some(length) = length {
            let _ = write!(page, "content-length: {length}\r\n");
        }
        let framing: &[u8] = match coding {
            Coding::Chunked => b"transfer-encoding: chunked\r\n",
            _ => b"",
        };
        page.extend_from_slice(framing);
        let connection: &[u8] = if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            b"connection: upgrade\r\n"
        } else if last {
            b"connection: close\r\n"
        } else if asked.version == Version::HTTP_10 {
            b"connection: keep-alive\r\n"
        } else {
            b""
        };
        page.extend_from_slice(connection);
        if let Some(alternative) = visit.alternative.get().filter(|_| !last) {
            put_line(page, "alt-svc", alternative.as_bytes());
        }
        if !answer.dated {
            put_line(page, "date", &visit.house.date());
        }
        page.extend_from_slice(b"\r\n");
        let mut ended = coding == Coding::Bodiless;
        if !ended && let Some(whole) = answer.body.take_whole() {
            out.put(whole, false);
            ended = true;
        }
        Sending { body: answer.body, coding, takes_trailers: asked.takes_trailers, ended, last }
    }

    /// Whether the visitor may still be sending what nobody reads.
    fn has_more(&self) -> bool {
        !self.decoder.is_over() || !self.buffer.is_empty()
    }

    /// Reads on and throws away; ready when that is enough.
    fn poll_discard(&mut self, left: &mut usize, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let length = self.buffer.len();
            self.take_away(length);
            *left = left.saturating_sub(length);
            match ready!(self.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) if *left == 0 => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }
}

fn put_status(out: &mut Vec<u8>, version: Version, status: StatusCode) {
    let version: &[u8] = if version == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " };
    out.extend_from_slice(version);
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or("Unknown").as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The body of a request, read from its connection as somebody asks for it.
pub(crate) struct Inbound {
    line: Rc<Line>,
}

impl Inbound {
    pub(crate) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.line.ends.borrow_mut().poll_body(cx)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.line.ends.borrow().decoder.is_over()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.line.ends.borrow().decoder {
            Decoder::Length(left) => SizeHint::with_exact(left),
            _ => SizeHint::new(),
        }
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        self.line.lent.set(false);
    }
}
