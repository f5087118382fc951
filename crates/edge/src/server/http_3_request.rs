//! One request by HTTP/3, from its complete head to the visitor's acknowledgement of the answer.

use core::cell::Cell;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;
use std::rc::Rc;
use std::time::{Duration as Span, UNIX_EPOCH};

use bytes::Bytes;
use h3::error::Code;
use h3::server::RequestStream;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use portcullis_model::Cut;

use crate::conn::connection::Connection;
use crate::deadline::Deadline;
use crate::guard::http_3::Http3Guard;
use crate::http_3::body::QuicBody;
use crate::http_3::transport::{self, QuicRecvStream, QuicSendStream, StreamState};
use crate::origin::upload::VisitorBody;
use crate::response::body::ResponseBody;
use crate::serve::{RequestService, serve};
use crate::transfer_rate::TransferLag;

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Bytes per second at which the end of an answer must be acknowledged, once all of it has been
/// handed over, unless `download_rate` is more: half of what a phone has whose plan is used up. What
/// has to be acknowledged before it is whatever waits on the connection, of all answers: from
/// nothing to the send window.
const TAIL_RATE: u32 = 2 * 1024;
/// Number of responses that share a connection without long waits for their turn.
const SHARE: u32 = 16;

type H3RequestStream = RequestStream<transport::QuicBidiStream, Bytes>;

/// A request whose head has come, and enough to know whether it has a body.
pub(crate) struct BufferedHead {
    request: Request<VisitorBody>,
    answer: RequestStream<QuicSendStream, Bytes>,
}

/// Waits until it is known whether the request has a body, where none is to be expected: a head
/// alone does not say so.
pub(crate) async fn buffer_head(
    conn: &Rc<Connection>,
    request: Request<()>,
    stream: H3RequestStream,
    side: &Rc<StreamState>,
) -> BufferedHead {
    side.break_off.set(true);
    let (mut answer, receiving): (_, RequestStream<QuicRecvStream, Bytes>) = stream.split();
    let lengths = request.headers().get_all(CONTENT_LENGTH).iter().map(HeaderValue::as_bytes);
    let length = portcullis_gate::content_length(lengths).ok().flatten();
    let mut body = QuicBody::new(receiving, side.clone(), conn.clone(), length);
    let bodiless = !matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    let mut begun = false;
    if !(bodiless && length.is_none()) {
        poll_fn(|cx| {
            begun = body.poll_begin(cx).is_ready();
            Poll::Ready(())
        })
        .await;
    }
    if !begun && expects_continue(request.headers()) {
        let interim = Response::new(());
        let (mut parts, ()) = interim.into_parts();
        parts.status = StatusCode::CONTINUE;
        let _ = answer.send_response(Response::from_parts(parts, ())).await;
    } else if bodiless && length.is_none() {
        poll_fn(|cx| body.poll_begin(cx)).await;
    }
    BufferedHead { request: request.map(|()| VisitorBody::Http3(Box::new(body))), answer }
}

fn expects_continue(headers: &HeaderMap) -> bool {
    let expects = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    headers.get(EXPECT).is_some_and(expects)
}

/// Serves a request and sends the answer, for as long as the visitor wants it.
pub(crate) async fn serve_request(
    service: &Rc<RequestService>,
    conn: &Rc<Connection>,
    whole: BufferedHead,
    side: &Rc<StreamState>,
) {
    let BufferedHead { request, mut answer } = whole;
    let head = *request.method() == Method::HEAD;
    let served = until_stopped(conn, side, serve(service, conn, request)).await;
    let Some(Ok(response)) = served else { return };
    let context = &conn.context;
    let (idle, rate) = {
        let policy = context.policy.load();
        let limits = &policy.config().limits;
        (limits.body_idle_timeout, limits.min_download_rate)
    };
    let deadline = context.deadlines.start(conn.abort_target(), context.now() + idle);
    let guarded_bytes = Cell::new(0);
    let sender =
        ResponseSender { conn, side, deadline, lag: Cell::default(), guarded_bytes, rate, idle };
    let Some(_busy) = sender.send(&mut answer, response, head).await else { return };
    if !sender.until_acknowledged().await {
        // The transport need not keep what is left of it.
        answer.stop_stream(Code::H3_REQUEST_CANCELLED);
    }
}

/// Works until it is done, or the visitor wants no answer any more.
async fn until_stopped<T>(
    conn: &Connection,
    side: &StreamState,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| match side.poll_stopped(conn, cx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => work.as_mut().poll(cx).map(Some),
    })
    .await
}

/// Sends one answer.
struct ResponseSender<'a> {
    conn: &'a Rc<Connection>,
    side: &'a StreamState,
    deadline: Deadline,
    /// How this answer is taken.
    lag: Cell<TransferLag>,
    /// Bytes that were reported to the guard.
    guarded_bytes: Cell<u64>,
    rate: u32,
    idle: Duration,
}

impl ResponseSender<'_> {
    /// The whole answer; `None` if it could not be sent to its end.
    async fn send(
        &self,
        answer: &mut RequestStream<QuicSendStream, Bytes>,
        response: Response<ResponseBody>,
        head: bool,
    ) -> Option<ResponseBody> {
        let (mut parts, mut body) = response.into_parts();
        let status = parts.status;
        let bodiless =
            head || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        strip_http1_fields(&mut parts.headers, body.size_hint().exact().filter(|_| !bodiless));
        self.date(&mut parts.headers);
        self.step(answer.send_response(Response::from_parts(parts, ()))).await?;
        if !bodiless {
            self.send_body(answer, &mut body).await?;
        }
        self.step(answer.finish()).await?;
        // The connection is busy with it until the visitor has it.
        Some(body)
    }

    async fn send_body(
        &self,
        answer: &mut RequestStream<QuicSendStream, Bytes>,
        body: &mut ResponseBody,
    ) -> Option<()> {
        loop {
            let next = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
            let Some(frame) = until_stopped(self.conn, self.side, next).await? else {
                return Some(());
            };
            match frame.ok()?.into_data() {
                Ok(data) => self.step(answer.send_data(data)).await?,
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        return self.step(answer.send_trailers(trailers)).await;
                    }
                }
            }
        }
    }

    /// One step that waits for the visitor. A response whose window stays closed is aborted; one of many
    /// that share a slow line has time in proportion, because each waits for its turn.
    async fn step<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Option<T> {
        let mut work = pin!(work);
        let context = &self.conn.context;
        let mut before = self.side.sent.get();
        let done = poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done.ok());
            }
            let now = context.now();
            let sent = self.side.sent.get();
            let others = self.conn.requests().max(1);
            let mut pace = self.lag.get();
            pace.start_waiting(now);
            pace.moved(sent - before, (self.rate / others).max(1), now);
            before = sent;
            self.lag.set(pace);
            if let Some(due) = pace.due(self.idle * others.div_ceil(SHARE)) {
                self.deadline.set(due);
                if now >= due {
                    self.conn.count_cut(Cut::FlowControlStall);
                    return Poll::Ready(None);
                }
            }
            // Wakes this task when it is due.
            let _ = self.deadline.passed(cx);
            self.side.poll_stopped(self.conn, cx).map(|_| None)
        })
        .await;
        let mut pace = self.lag.get();
        pace.stop_waiting(context.now());
        self.lag.set(pace);
        let sent = self.side.sent.get();
        let more = sent - self.guarded_bytes.replace(sent);
        self.guarded(|guard| guard.handed_over(more));
        done
    }

    fn guarded<T>(&self, ask: impl FnOnce(&mut Http3Guard) -> T) -> Option<T> {
        self.conn.http_3_guard.get().map(|guard| ask(&mut guard.borrow_mut()))
    }

    /// Bytes that were handed over are lost with the connection until they are acknowledged. The
    /// most that waited on the connection meanwhile has its time at the least rate: other answers
    /// take their turns with this one.
    /// Whether it came in time.
    async fn until_acknowledged(&self) -> bool {
        let context = &self.conn.context;
        let since = context.now();
        let mut most = 0;
        poll_fn(|cx| {
            if self.side.poll_stopped(self.conn, cx).is_ready() {
                return Poll::Ready(true);
            }
            most = self.guarded(|guard| guard.unacknowledged()).unwrap_or(0).max(most);
            let due = since + self.idle + tail(most, self.rate);
            if context.now() >= due {
                self.conn.count_cut(Cut::FlowControlStall);
                return Poll::Ready(false);
            }
            self.deadline.set(due);
            // Wakes this task when it is due.
            let _ = self.deadline.passed(cx);
            Poll::Pending
        })
        .await
    }

    /// hyper adds this for the other protocols.
    fn date(&self, headers: &mut HeaderMap) {
        if headers.contains_key(DATE) {
            return;
        }
        let context = &self.conn.context;
        let now = UNIX_EPOCH + Span::from_millis(context.wall(context.now()).0);
        if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(now)) {
            headers.insert(DATE, date);
        }
    }
}

impl Drop for ResponseSender<'_> {
    fn drop(&mut self) {
        let reported = self.guarded_bytes.get();
        self.guarded(|guard| guard.acknowledged(reported));
    }
}

/// How long `bytes` may take to be acknowledged.
fn tail(bytes: u64, rate: u32) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1_000) / u64::from(rate.max(TAIL_RATE)))
}

/// Removes the fields that HTTP/3 does not allow (RFC 9114, section 4.2), and sets the length.
fn strip_http1_fields(headers: &mut HeaderMap, length: Option<u64>) {
    for name in [&CONNECTION, &KEEP_ALIVE, &TRANSFER_ENCODING, &UPGRADE] {
        headers.remove(name);
    }
    if let Some(length) = length
        && !headers.contains_key(CONTENT_LENGTH)
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_to_be_acknowledged_has_its_time_at_the_least_rate() {
        assert_eq!(tail(0, 500), Duration::ZERO);
        // A page, to a phone whose plan is used up.
        assert_eq!(tail(20 * 1_024, 500), Duration::from_secs(10));
        // A configuration that demands more gets it.
        assert_eq!(tail(1 << 20, 64 * 1_024), Duration::from_secs(16));
    }
}
