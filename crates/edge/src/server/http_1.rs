//! A visitor's connection that speaks HTTP/1.1: one request after the other, each answered in turn.

use core::future::poll_fn;
use core::mem::MaybeUninit;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io::Write as _;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use http_body::{Body as _, Frame};
use portcullis_model::Reason;
use tokio::io::AsyncWrite;

use crate::conn::connection::Connection;
use crate::forward::forward;
use crate::header_block::put_field;
use crate::http_1::connection::{Ends, Gone, Inbound, Line, Next};
use crate::http_1::decoder::Decoder;
use crate::http_1::head::{self, Body, Scan, Span};
use crate::http_1::write_buffer::Outgoing;
use crate::origin::tunnel::{self, Tunnel};
use crate::origin::upload::VisitorBody;
use crate::request::body::Announced;
use crate::request::head::{Head, items};
use crate::response::body::ResponseBody;
use crate::response::gate_response::Answer;
use crate::response::pages::{self, Wants};
use crate::serve::{Judged, Service, judge};
use crate::transport::visitor_io::VisitorIo;

/// Fields of a head that are read without an allocation: what the configuration allows by itself.
const FIELDS: usize = 100;
/// After an answer that came before the end of the request, this much more is read and thrown
/// away, for this long.
const LINGER_BYTES: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);

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

/// How the end of an answer's body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Bodiless,
    Length(u64),
    Chunked,
    UntilClose,
}

/// Answers a visitor's requests until either has enough.
pub(crate) async fn speak(service: &Service, conn: &Rc<Connection>, io: VisitorIo) {
    let line = Line::new(conn, io);
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
        let (asked, judged) = match line.read(service, conn, span) {
            Ok(read) => read,
            Err(reason) => {
                line.ends.borrow_mut().refuse(reason);
                break true;
            }
        };
        let mut answer = match line.follow(conn, judged) {
            Ok(answer) => answer,
            Err(awaited) => match line.wait_for(awaited).await {
                Some(answer) => answer,
                None => return,
            },
        };
        let upgrade = answer.upgrade.take();
        let mut sending = line.begin(conn, asked, answer);
        if !sending.ended {
            let sent = poll_fn(|cx| line.poll_send(&mut sending, cx)).await;
            if sent.is_err() {
                return;
            }
        }
        let last = sending.last;
        // The request is over; the connection is idle, unless more of them have come.
        drop(sending);
        if let Some(tunnel) = upgrade {
            return Box::pin(become_tunnel(conn, line, *tunnel)).await;
        }
        // The rest of a body that nobody waited for is no request.
        if last || !line.ends.borrow_mut().is_read() {
            break asked.keeps_alive;
        }
    };
    Box::pin(part(&line, unawares)).await;
}

/// After an answer that promises it, bytes pass both ways.
async fn become_tunnel(conn: &Rc<Connection>, line: Rc<Line>, tunnel: Tunnel) {
    let flushed = poll_fn(|cx| line.ends.borrow_mut().poll_flush(cx)).await;
    if let (Ok(()), Some(line)) = (flushed, Rc::into_inner(line)) {
        let ends = line.ends.into_inner();
        let _ = tunnel::pass(conn, tunnel, ends.io, ends.buffer.freeze()).await;
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
    fn read(
        &self,
        service: &Service,
        conn: &Rc<Connection>,
        span: Span,
    ) -> Result<(Asked, Judged), Reason> {
        let ends = &mut *self.ends.borrow_mut();
        let most = usize::from(conn.context.policy.load().config().limits.header_fields);
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
        let judged = judge(service, conn, &head, announced, conn.request_begins());
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
    fn follow(self: &Rc<Self>, conn: &Rc<Connection>, judged: Judged) -> Result<Answer, Awaited> {
        match judged {
            Judged::Answered(answer) => Ok(answer),
            Judged::Forwarded(job, turn) => {
                Err(Box::pin(forward(conn.clone(), job, self.lend(), turn)))
            }
        }
    }

    /// The body of the request that has just been read, if it has one.
    fn lend(self: &Rc<Self>) -> Option<VisitorBody> {
        if self.ends.borrow().decoder.is_over() {
            return None;
        }
        Some(VisitorBody::Line(Inbound::new(self)))
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
    fn begin(&self, conn: &Connection, asked: Asked, answer: Answer) -> Sending {
        let ends = &mut *self.ends.borrow_mut();
        // From here on it would stand in the middle of the answer.
        ends.expects = false;
        let unread = !self.lent.get() && !ends.is_read();
        let last = answer.last || unread || !asked.keeps_alive || conn.is_draining();
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
                        ends.conn.breaks_off();
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
    /// Answers what is no request. Nothing behind it is read.
    fn refuse(&mut self, reason: Reason) {
        let conn = self.conn.clone();
        conn.context.write_unread(conn.identity().source, reason);
        self.decoder = Decoder::UntilClose;
        let answer = pages::refusal(reason, Wants::Text, None, false, conn.request_begins());
        self.put(Asked::UNKNOWN, answer, true);
    }

    /// Puts the head of an answer behind what is gathered, and a short body with it.
    fn put(&mut self, asked: Asked, mut answer: Answer, last: bool) -> Sending {
        let (coding, length) = asked.coding(&answer);
        let last = last || coding == Coding::UntilClose;
        let conn = self.conn.clone();
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
        if let Some(alternative) = conn.alternative.get().filter(|_| !last) {
            put_field(page, "alt-svc", alternative.as_bytes());
        }
        if !answer.dated {
            put_field(page, "date", &conn.context.date());
        }
        page.extend_from_slice(b"\r\n");
        let mut ended = coding == Coding::Bodiless;
        if !ended && let Some(whole) = answer.body.take_whole() {
            out.put(whole, false);
            ended = true;
        }
        Sending { body: answer.body, coding, takes_trailers: asked.takes_trailers, ended, last }
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
