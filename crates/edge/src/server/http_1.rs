//! A visitor's HTTP/1.1 connection: one request after the other, each answered in turn.

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
use crate::http_1::connection::{ConnInner, Disconnected, Http1Conn, IncomingBody, ReadEvent};
use crate::http_1::decoder::Decoder;
use crate::http_1::head::{self, HeadRange, HeadScanner, RequestFraming};
use crate::http_1::write_buffer::WriteBuffer;
use crate::origin::tunnel::{self, Tunnel};
use crate::origin::upload::VisitorBody;
use crate::request::body::BodyInfo;
use crate::response::body::ResponseBody;
use crate::response::gate_response::GateResponse;
use crate::response::pages::{self, ResponseFormat};
use crate::serve::{RequestService, Routed, route_request};
use crate::transport::visitor_io::VisitorIo;
use portcullis_gate::{Head, items};

/// Fields of a head that are read without an allocation: the default limit.
const FIELDS: usize = 100;
/// After an answer that came before the end of the request, this much more is read and thrown
/// away, for this long.
const LINGER_BYTES: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// How a request must be answered.
#[derive(Clone, Copy, Debug)]
struct ResponseParams {
    version: Version,
    for_head: bool,
    keeps_alive: bool,
    takes_trailers: bool,
}

impl ResponseParams {
    /// For bytes that are no request.
    const UNKNOWN: Self = Self {
        version: Version::HTTP_11,
        for_head: false,
        keeps_alive: false,
        takes_trailers: false,
    };
}

/// A response that an origin still owes. Boxed, because most connections do not wait for one.
type PendingResponse = Pin<Box<dyn Future<Output = GateResponse>>>;

/// How the end of a response's body is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyFraming {
    Bodiless,
    Length(u64),
    Chunked,
    UntilClose,
}

/// Answers a visitor's requests until either has enough.
pub(crate) async fn serve_http1(service: &RequestService, conn: &Rc<Connection>, io: VisitorIo) {
    let line = Http1Conn::new(conn, io);
    // Whether the visitor may be sending still, not knowing that it ends here.
    let unawares = loop {
        let span = match poll_fn(|cx| line.inner.borrow_mut().poll_next(cx)).await {
            ReadEvent::Head(span) => span,
            ReadEvent::Invalid(reason) => {
                line.inner.borrow_mut().refuse_request(reason);
                break true;
            }
            ReadEvent::Over => break false,
        };
        let (asked, judged) = match line.read(service, conn, span) {
            Ok(read) => read,
            Err(reason) => {
                line.inner.borrow_mut().refuse_request(reason);
                break true;
            }
        };
        let mut answer = match line.respond(conn, judged) {
            Ok(answer) => answer,
            Err(awaited) => match line.wait_for(awaited).await {
                Some(answer) => answer,
                None => return,
            },
        };
        let upgrade = answer.upgrade.take();
        let mut sending = line.begin_response(conn, asked, answer);
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
            return Box::pin(upgrade_to_tunnel(conn, line, *tunnel)).await;
        }
        // The unread rest of a body is no request.
        if last || !line.inner.borrow_mut().is_read() {
            break asked.keeps_alive;
        }
    };
    Box::pin(close_gracefully(&line, unawares)).await;
}

/// After an answer that promises it, bytes pass both ways.
async fn upgrade_to_tunnel(conn: &Rc<Connection>, line: Rc<Http1Conn>, tunnel: Tunnel) {
    let flushed = poll_fn(|cx| line.inner.borrow_mut().poll_flush(cx)).await;
    if let (Ok(()), Some(line)) = (flushed, Rc::into_inner(line)) {
        let ends = line.inner.into_inner();
        let _ = tunnel::pass(conn, tunnel, ends.io, ends.buffer.freeze()).await;
    }
}

/// Closes the connection without losing the last response. Where bytes are in flight, closing would
/// make the visitor's kernel discard the response unread, so that the gate reads on for a moment. A
/// visitor who does not expect the end gets `shutdown` or a TLS close first.
async fn close_gracefully(line: &Http1Conn, unawares: bool) {
    let flushed = poll_fn(|cx| line.inner.borrow_mut().poll_flush(cx)).await;
    let (more, plain, clock) = {
        let inner = line.inner.borrow();
        (inner.has_more(), inner.io.is_plain(), inner.conn.context.clock)
    };
    // Without encryption, the other cases need nothing but the drop of the connection.
    if flushed.is_err() || plain && !more && !unawares {
        return;
    }
    let shut = poll_fn(|cx| Pin::new(&mut line.inner.borrow_mut().io).poll_shutdown(cx)).await;
    if shut.is_ok() && more {
        let mut left = LINGER_BYTES;
        let discard = poll_fn(|cx| line.inner.borrow_mut().poll_discard(&mut left, cx));
        let _ = clock.timeout(LINGER, discard).await;
    }
}

/// An answer that is being sent.
struct ResponseWriter {
    body: ResponseBody,
    coding: BodyFraming,
    takes_trailers: bool,
    /// Nothing of the body is left to be gathered.
    ended: bool,
    /// The connection ends with it.
    last: bool,
}

impl Http1Conn {
    /// Reads and judges the head that has come.
    fn read(
        &self,
        service: &RequestService,
        conn: &Rc<Connection>,
        span: HeadRange,
    ) -> Result<(ResponseParams, Routed), Reason> {
        let ends = &mut *self.inner.borrow_mut();
        let policy = conn.context.policy.load();
        let most = usize::from(policy.config().limits.max_header_fields);
        let mut few = [MaybeUninit::uninit(); FIELDS];
        let mut many = Vec::new();
        let fields = if most <= FIELDS {
            &mut few[..most]
        } else {
            many.resize_with(most, MaybeUninit::uninit);
            &mut many[..]
        };
        let (head, body) = head::request(&ends.buffer[span.start..span.end], fields)?;
        let asked = ResponseParams::of(&head);
        let announced = match body {
            RequestFraming::Length(length) => BodyInfo { min_bytes: length, is_none: length == 0 },
            RequestFraming::Chunked | RequestFraming::Unknown => {
                BodyInfo { min_bytes: 0, is_none: false }
            }
        };
        let expects = head.version == Version::HTTP_11
            && !announced.is_none
            && head
                .first("expect")
                .is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
        let judged = route_request(service, conn, &policy, &head, announced);
        ends.decoder = match body {
            RequestFraming::Length(length) => Decoder::Length(length),
            RequestFraming::Chunked => Decoder::Size,
            RequestFraming::Unknown => Decoder::UntilClose,
        };
        ends.expects = expects;
        ends.consume(span.end);
        ends.scan = HeadScanner::default();
        Ok((asked, judged))
    }

    /// The answer, or what it has to be awaited from.
    fn respond(
        self: &Rc<Self>,
        conn: &Rc<Connection>,
        judged: Routed,
    ) -> Result<GateResponse, PendingResponse> {
        match judged {
            Routed::Answered(answer) => Ok(answer),
            Routed::Forwarded(job, turn) => {
                Err(Box::pin(forward(conn.clone(), job, self.lend_body(), turn)))
            }
        }
    }

    /// The body of the request that has just been read, if it has one.
    fn lend_body(self: &Rc<Self>) -> Option<VisitorBody> {
        if self.inner.borrow().decoder.is_over() {
            return None;
        }
        Some(VisitorBody::Http1(IncomingBody::new(self)))
    }

    /// Waits for an answer, for as long as the visitor does.
    async fn wait_for(&self, mut answer: PendingResponse) -> Option<GateResponse> {
        poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(answer));
            }
            self.inner.borrow_mut().poll_disconnected(cx).map(|Disconnected| None)
        })
        .await
    }

    /// Begins to send an answer: its head, and all of a short body.
    fn begin_response(
        &self,
        conn: &Connection,
        asked: ResponseParams,
        answer: GateResponse,
    ) -> ResponseWriter {
        let ends = &mut *self.inner.borrow_mut();
        // From here on `100 Continue` would be in the middle of the response.
        ends.expects = false;
        let unread = !self.body_lent.get() && !ends.is_read();
        let last = answer.last || unread || !asked.keeps_alive || conn.is_draining();
        ends.write_head(asked, answer, last)
    }

    /// Sends the rest of an answer; ready when all of it has been handed over or gathered.
    fn poll_send(
        &self,
        sending: &mut ResponseWriter,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Disconnected>> {
        loop {
            {
                let ends = &mut *self.inner.borrow_mut();
                if ends.out.is_full() {
                    ready!(ends.poll_flush(cx)).map_err(|_| Disconnected)?;
                }
            }
            // Nothing of the connection is held meanwhile: the answer may depend on the request's
            // body.
            let next = Pin::new(&mut sending.body).poll_frame(cx);
            let ends = &mut *self.inner.borrow_mut();
            match next {
                Poll::Ready(Some(Ok(frame))) => sending.gather(ends.gather(), frame)?,
                // Broken off on the way: so must the answer be. What there is of it is worth having.
                Poll::Ready(Some(Err(_))) => {
                    let _ = ends.poll_flush(cx);
                    if sending.coding == BodyFraming::UntilClose {
                        // Nothing else distinguishes this end from that of a complete response.
                        ends.conn.mark_truncated();
                    }
                    return Poll::Ready(Err(Disconnected));
                }
                Poll::Ready(None) => {
                    if !sending.ended {
                        sending.end(ends.gather(), None)?;
                    }
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => {
                    if let Poll::Ready(Err(_)) = ends.poll_flush(cx) {
                        return Poll::Ready(Err(Disconnected));
                    }
                    return ends.poll_disconnected(cx).map(Err);
                }
            }
            if sending.ended {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl ResponseWriter {
    fn gather(&mut self, out: &mut WriteBuffer, frame: Frame<Bytes>) -> Result<(), Disconnected> {
        match frame.into_data() {
            Ok(data) => {
                if let BodyFraming::Length(left) = &mut self.coding {
                    // Never more than announced: it would be read as the next response.
                    *left = left.checked_sub(data.len() as u64).ok_or(Disconnected)?;
                    self.ended = *left == 0;
                }
                out.put(data, self.coding == BodyFraming::Chunked);
                Ok(())
            }
            Err(frame) => {
                let trailers = frame.into_trailers().ok().filter(|_| self.takes_trailers);
                self.end(out, trailers.as_ref())
            }
        }
    }

    fn end(
        &mut self,
        out: &mut WriteBuffer,
        trailers: Option<&HeaderMap>,
    ) -> Result<(), Disconnected> {
        self.ended = true;
        match self.coding {
            BodyFraming::Length(left) if left > 0 => Err(Disconnected),
            BodyFraming::Chunked => {
                out.put_end(trailers);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl ResponseParams {
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
    fn coding(self, answer: &GateResponse) -> (BodyFraming, Option<u64>) {
        let exact = answer.body.size_hint().exact();
        match answer.status.as_u16() {
            100..200 | 204 => (BodyFraming::Bodiless, None),
            304 => (BodyFraming::Bodiless, answer.length),
            // An origin's response without a length gets none here; the gate's own pages have one.
            _ if self.for_head => {
                (BodyFraming::Bodiless, answer.length.or(exact.filter(|length| *length > 0)))
            }
            _ => match exact {
                Some(length) => (BodyFraming::Length(length), Some(length)),
                None if self.version == Version::HTTP_11 => (BodyFraming::Chunked, None),
                None => (BodyFraming::UntilClose, None),
            },
        }
    }
}

impl ConnInner {
    /// Answers what is no request. Nothing behind it is read.
    fn refuse_request(&mut self, reason: Reason) {
        let conn = self.conn.clone();
        conn.context.record_unrouted(conn.remote().source, reason);
        self.decoder = Decoder::UntilClose;
        let turn = conn.request_begins(&conn.context.policy.load().config().limits);
        let answer = pages::refusal(reason, ResponseFormat::Text, None, false, turn);
        self.write_head(ResponseParams::UNKNOWN, answer, true);
    }

    /// Puts the head of an answer behind what is gathered, and a short body with it.
    fn write_head(
        &mut self,
        asked: ResponseParams,
        mut answer: GateResponse,
        last: bool,
    ) -> ResponseWriter {
        let (coding, length) = asked.coding(&answer);
        let last = last || coding == BodyFraming::UntilClose;
        let conn = self.conn.clone();
        let out = self.gather();
        let page = out.gather();
        put_status(page, asked.version, answer.status);
        page.extend_from_slice(answer.fields.as_bytes());
        if let Some(length) = length {
            let _ = write!(page, "content-length: {length}\r\n");
        }
        let framing: &[u8] = match coding {
            BodyFraming::Chunked => b"transfer-encoding: chunked\r\n",
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
        if let Some(alternative) = conn.alt_svc.get().filter(|_| !last) {
            put_field(page, "alt-svc", alternative.as_bytes());
        }
        if !answer.dated {
            put_field(page, "date", &conn.context.date());
        }
        page.extend_from_slice(b"\r\n");
        let mut ended = coding == BodyFraming::Bodiless;
        answer.body.log_status(answer.status);
        if !ended && let Some(whole) = answer.body.take_whole() {
            answer.body.log_bytes(whole.len());
            out.put(whole, false);
            ended = true;
        }
        ResponseWriter {
            body: answer.body,
            coding,
            takes_trailers: asked.takes_trailers,
            ended,
            last,
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
