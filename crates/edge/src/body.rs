//! Bodies on their way: from the visitor to the origin, and back.

use core::cell::Cell;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use portcullis_model::{ActivityId, Cut, Time};

use crate::conn::RequestGuard;
use crate::deadline::Deadline;
use crate::http_1::Inbound;
use crate::http_3::QuicBody;
use crate::origin::PooledConn;
use crate::pace::{PRESSED, Pace};
use crate::worker::WorkerContext;

/// How the upload of one request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadState {
    /// The origin has not asked for (more of) it.
    Unasked,
    /// The visitor owes the next part.
    Awaited,
    /// All of it has been passed on.
    Done,
    /// The visitor broke off.
    Broken,
    /// It grew beyond the limit.
    TooLarge,
}

/// What a visitor's body must keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Most bytes.
    pub(crate) bytes: u64,
    /// Least bytes per second.
    pub(crate) rate: u32,
    /// How long it may be silent, or behind that rate.
    pub(crate) idle: Duration,
}

/// What the request's task and its upload both look at.
pub(crate) struct Upload {
    pub(crate) state: Cell<UploadState>,
    pub(crate) deadline: Deadline,
    /// A place at the origin is held meanwhile.
    pub(crate) holds_place: Cell<bool>,
    received: Cell<u64>,
    pace: Cell<Pace>,
    terms: Terms,
    answer: Duration,
    activity: ActivityId,
    context: Rc<WorkerContext>,
}

impl Upload {
    /// An upload on these terms, which must be answered within `answer` after its end.
    pub(crate) fn new(
        context: &Rc<WorkerContext>,
        activity: ActivityId,
        deadline: Deadline,
        terms: Terms,
        answer: Duration,
    ) -> Rc<Self> {
        Rc::new(Self {
            state: Cell::new(UploadState::Unasked),
            deadline,
            holds_place: Cell::new(false),
            received: Cell::new(0),
            pace: Cell::default(),
            terms,
            answer,
            activity,
            context: context.clone(),
        })
    }

    /// Something came, or the end of it.
    fn progress(&self, state: UploadState, bytes: u64) {
        self.state.set(state);
        let now = self.context.now();
        let mut pace = self.pace.get();
        pace.moved(bytes, self.terms.rate, now);
        pace.rest(now);
        self.pace.set(pace);
        let done = state == UploadState::Done;
        self.deadline.set(now + if done { self.answer } else { self.terms.idle });
    }

    /// The origin could take more than has come.
    fn awaited(&self) {
        if self.state.replace(UploadState::Awaited) != UploadState::Awaited {
            let mut pace = self.pace.get();
            pace.wait(self.context.now());
            self.pace.set(pace);
            if let Some(due) = pace.due(self.terms.idle) {
                self.deadline.set(due);
                self.deadline.hurry(self.hurried());
            }
        }
    }

    /// When the visitor has to have sent more if others wait for the place that it holds.
    fn hurried(&self) -> Option<Time> {
        self.pace.get().due(PRESSED).filter(|_| self.holds_place.get())
    }

    /// Whether the visitor is too far behind with it.
    pub(crate) fn is_late(&self) -> bool {
        let behind = self.pace.get().behind(self.context.now());
        let limit = if self.deadline.was_hurried() { PRESSED } else { self.terms.idle };
        self.state.get() == UploadState::Awaited && behind >= limit
    }
}

/// A request's body, as it comes from the visitor.
pub(crate) enum VisitorBody {
    /// By HTTP/1.1.
    Line(Inbound),
    /// By HTTP/2.
    Hyper(Incoming),
    /// By HTTP/3.
    Quic(Box<QuicBody>),
}

/// The visitor broke off, or what it sent is no body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BrokenOff;

impl Body for VisitorBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Line(body) => body.poll_frame(cx),
            Self::Hyper(body) => match Pin::new(&mut *body).poll_frame(cx) {
                // Reset without an error: whatever the visitor means by it, that was not all.
                Poll::Ready(None) if !body.is_end_stream() => Poll::Ready(Some(Err(BrokenOff))),
                polled => polled.map_err(|_| BrokenOff),
            },
            Self::Quic(body) => Pin::new(&mut **body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Line(body) => body.is_end_stream(),
            Self::Hyper(body) => body.is_end_stream(),
            Self::Quic(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Line(body) => body.size_hint(),
            Self::Hyper(body) => body.size_hint(),
            Self::Quic(body) => body.size_hint(),
        }
    }
}

/// A request's body, as the origin's connection sees it.
pub(crate) enum RequestBody {
    /// There is none.
    Empty,
    /// It streams.
    Stream(Streamed),
}

/// A body that streams.
pub(crate) struct Streamed {
    pub(crate) body: VisitorBody,
    pub(crate) upload: Rc<Upload>,
    /// Its first piece, drawn before there was a connection to the origin.
    first: Option<Frame<Bytes>>,
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, what)
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Stream(streamed) => match streamed.first.take() {
                Some(first) => Poll::Ready(Some(Ok(first))),
                None => streamed.draw(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(streamed) => streamed.first.is_none() && streamed.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(streamed) => streamed.size_hint(),
        }
    }
}

impl RequestBody {
    pub(crate) const fn stream(body: VisitorBody, upload: Rc<Upload>) -> Self {
        Self::Stream(Streamed { body, upload, first: None })
    }

    /// Draws the first piece. `Ok` too where the visitor has ended the body without one.
    pub(crate) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self::Stream(streamed) = self else {
            return Poll::Ready(Ok(()));
        };
        streamed.draw(cx).map(|piece| {
            streamed.first = piece.transpose()?;
            Ok(())
        })
    }
}

impl Streamed {
    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + first);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + first);
        }
        hint
    }

    fn draw(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Self { body, upload, .. } = self;
        match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Pending => {
                upload.awaited();
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => {
                let mut length = 0;
                if let Some(data) = frame.data_ref() {
                    length = data.len() as u64;
                    upload.received.set(upload.received.get() + length);
                    upload.context.meter.transferred(upload.activity, length, 0);
                    if upload.received.get() > upload.terms.bytes {
                        upload.state.set(UploadState::TooLarge);
                        return Poll::Ready(Some(Err(broken("the request body is too large"))));
                    }
                }
                let done = body.is_end_stream() || frame.is_trailers();
                let state = if done { UploadState::Done } else { UploadState::Unasked };
                upload.progress(state, length);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(BrokenOff))) => {
                upload.state.set(UploadState::Broken);
                Poll::Ready(Some(Err(broken("the visitor broke off"))))
            }
            Poll::Ready(None) => {
                if upload.state.get() != UploadState::Done {
                    upload.progress(UploadState::Done, 0);
                }
                Poll::Ready(None)
            }
        }
    }
}

/// A response's body, as the visitor's connection sees it.
pub(crate) struct ResponseBody {
    content: Content,
    /// The connection is busy until this is dropped.
    _turn: RequestGuard,
}

enum Content {
    Empty,
    Whole(Bytes),
    Relay(Relay),
}

impl ResponseBody {
    pub(crate) const fn empty(turn: RequestGuard) -> Self {
        Self { content: Content::Empty, _turn: turn }
    }

    pub(crate) const fn whole(bytes: Bytes, turn: RequestGuard) -> Self {
        Self { content: Content::Whole(bytes), _turn: turn }
    }

    pub(crate) const fn relay(relay: Relay, turn: RequestGuard) -> Self {
        Self { content: Content::Relay(relay), _turn: turn }
    }

    /// Takes all of a body that is there already. `None`: it is drawn from an origin.
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        match &mut self.content {
            Content::Empty => Some(Bytes::new()),
            Content::Whole(bytes) => Some(core::mem::take(bytes)),
            Content::Relay(_) => None,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = RelayError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        let this = self.get_mut();
        match &mut this.content {
            Content::Empty => Poll::Ready(None),
            Content::Whole(bytes) => {
                let bytes = core::mem::take(bytes);
                this.content = Content::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Content::Relay(relay) => relay.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Relay(relay) => relay.lease.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Relay(relay) => relay.lease.size_hint(),
        }
    }
}

/// Why an answer could not be passed on to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    /// The origin broke off.
    #[error("the origin broke off: {0}")]
    Origin(#[from] io::Error),
    /// The origin moved no byte for too long.
    #[error("the response stood still for too long")]
    Idle,
    /// The visitor was too slow with the rest of its request.
    #[error("the rest of the request came too slowly")]
    SlowBody,
}

/// An origin's answer, on its way to the visitor. The origin's connection is driven from here, so
/// that an origin is never read faster than its visitor reads.
pub(crate) struct Relay {
    pub(crate) lease: PooledConn,
    pub(crate) deadline: RelayDeadline,
    pub(crate) idle: Duration,
    /// How long the visitor may leave a piece untaken.
    pub(crate) untaken: Duration,
    /// Most bytes of a piece.
    pub(crate) piece: usize,
    /// The origin owes the next piece.
    pub(crate) awaited: bool,
    pub(crate) activity: ActivityId,
    pub(crate) context: Rc<WorkerContext>,
}

/// A relay shares its deadline with the rest of its upload, if there is any.
pub(crate) enum RelayDeadline {
    Own(Deadline),
    Shared(Rc<Upload>),
}

impl RelayDeadline {
    pub(crate) fn deadline(&self) -> &Deadline {
        match self {
            Self::Own(deadline) => deadline,
            Self::Shared(upload) => &upload.deadline,
        }
    }

    /// The origin may be silent for `idle` from now on; what the visitor owes does not wait. A
    /// piece that was `given` to the visitor may keep it from being asked for the next.
    pub(crate) fn extend(&self, now: Time, idle: Duration, given: bool) {
        let (due, hurried) = match self {
            Self::Shared(upload) => (upload.pace.get().due(upload.terms.idle), upload.hurried()),
            Self::Own(_) => (None, None),
        };
        let silent = now + idle;
        self.deadline().set(due.map_or(silent, |due| due.min(silent)));
        let taken = given.then_some(now + PRESSED);
        self.deadline().hurry([hurried, taken].into_iter().flatten().min());
    }

    /// A place at the origin is held from now on.
    pub(crate) fn holds_place(&self) {
        if let Self::Shared(upload) = self {
            upload.holds_place.set(true);
        }
    }

    /// Whether it is the visitor who is too slow.
    fn is_visitors_fault(&self) -> bool {
        matches!(self, Self::Shared(upload) if upload.is_late())
    }
}

impl Relay {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        match self.lease.poll_frame(self.piece, cx) {
            Poll::Pending => {
                // However long the visitor took for the last piece is not the origin's doing.
                if !core::mem::replace(&mut self.awaited, true) {
                    self.deadline.extend(self.context.now(), self.idle, false);
                }
                if !self.deadline.deadline().passed(cx) {
                    return Poll::Pending;
                }
                Poll::Ready(Some(Err(if self.deadline.is_visitors_fault() {
                    self.context.meter.cut(self.activity, Cut::SlowBody);
                    RelayError::SlowBody
                } else {
                    RelayError::Idle
                })))
            }
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    let length = data.len() as u64;
                    self.context.meter.transferred(self.activity, 0, length);
                }
                self.awaited = false;
                self.deadline.extend(self.context.now(), self.untaken, true);
                // Armed even now: a visitor who reads no more keeps us from being polled again.
                let _ = self.deadline.deadline().passed(cx);
                if self.lease.is_over() {
                    self.lease.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => {
                self.lease.finish();
                Poll::Ready(None)
            }
        }
    }
}
