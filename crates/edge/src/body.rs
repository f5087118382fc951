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
use portcullis_model::{ActivityId, Time};

use crate::deadline::Deadline;
use crate::origin::Lease;
use crate::visit::Turn;
use crate::worker::House;

/// Bytes per second that an upload must reach on average once it has taken as long as one silence
/// may: a visitor who sends a byte now and then must not keep a connection of the origin's. The
/// slowest mobile networks carry ten times as much.
const LEAST_RATE: u64 = 500;

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

/// What the request's task and its upload both look at.
pub(crate) struct Upload {
    pub(crate) state: Cell<UploadState>,
    pub(crate) deadline: Deadline,
    begun: Time,
    received: Cell<u64>,
    limit: u64,
    idle: Duration,
    answer: Duration,
    activity: ActivityId,
    house: Rc<House>,
}

impl Upload {
    /// An upload of at most `limit` bytes that may fall silent for `idle`, and must be answered
    /// within `answer` after its end.
    pub(crate) fn new(
        house: &Rc<House>,
        activity: ActivityId,
        deadline: Deadline,
        limit: u64,
        idle: Duration,
        answer: Duration,
    ) -> Rc<Self> {
        Rc::new(Self {
            state: Cell::new(UploadState::Unasked),
            deadline,
            begun: house.now(),
            received: Cell::new(0),
            limit,
            idle,
            answer,
            activity,
            house: house.clone(),
        })
    }

    fn progress(&self, state: UploadState) {
        self.state.set(state);
        let now = self.house.now();
        self.deadline.set(if state == UploadState::Done {
            now + self.answer
        } else {
            let earned = Duration::from_secs(self.received.get() / LEAST_RATE);
            (now + self.idle).min(self.begun + self.idle + earned)
        });
    }
}

/// A request's body, as it comes from the visitor.
pub(crate) enum VisitorBody {
    /// By HTTP/1.1 or HTTP/2.
    Hyper(Incoming),
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
            Self::Hyper(body) => Pin::new(body).poll_frame(cx).map_err(|_| BrokenOff),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Hyper(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Hyper(body) => body.size_hint(),
        }
    }
}

/// A request's body, as the origin's connection sees it.
pub(crate) enum RequestBody {
    /// There is none.
    Empty,
    /// It streams.
    Stream(VisitorBody, Rc<Upload>),
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
        let Self::Stream(body, upload) = self.get_mut() else {
            return Poll::Ready(None);
        };
        match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Pending => {
                upload.state.set(UploadState::Awaited);
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    let length = data.len() as u64;
                    upload.received.set(upload.received.get() + length);
                    upload.house.meter.transferred(upload.activity, length, 0);
                    if upload.received.get() > upload.limit {
                        upload.state.set(UploadState::TooLarge);
                        return Poll::Ready(Some(Err(broken("the request body is too large"))));
                    }
                }
                let done = body.is_end_stream() || frame.is_trailers();
                upload.progress(if done { UploadState::Done } else { UploadState::Unasked });
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(BrokenOff))) => {
                upload.state.set(UploadState::Broken);
                Poll::Ready(Some(Err(broken("the visitor broke off"))))
            }
            Poll::Ready(None) => {
                if upload.state.get() != UploadState::Done {
                    upload.progress(UploadState::Done);
                }
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(body, _) => body.size_hint(),
        }
    }
}

/// A response's body, as the visitor's connection sees it.
pub(crate) struct ResponseBody {
    content: Content,
    /// The connection is busy until this is dropped.
    _turn: Turn,
}

enum Content {
    Empty,
    Whole(Bytes),
    Relay(Relay),
}

impl ResponseBody {
    pub(crate) const fn empty(turn: Turn) -> Self {
        Self { content: Content::Empty, _turn: turn }
    }

    pub(crate) const fn whole(bytes: Bytes, turn: Turn) -> Self {
        Self { content: Content::Whole(bytes), _turn: turn }
    }

    pub(crate) const fn relay(relay: Relay, turn: Turn) -> Self {
        Self { content: Content::Relay(relay), _turn: turn }
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
            Content::Relay(relay) => relay.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Relay(relay) => relay.incoming.size_hint(),
        }
    }
}

/// Why an answer could not be passed on to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayError {
    /// The origin broke off.
    #[error("the origin broke off: {0}")]
    Origin(#[from] hyper::Error),
    /// Neither side moved a byte for too long.
    #[error("the response stood still for too long")]
    Idle,
}

/// An origin's answer, on its way to the visitor. The origin's connection is driven from here, so
/// that an origin is never read faster than its visitor reads.
pub(crate) struct Relay {
    pub(crate) incoming: Incoming,
    pub(crate) lease: Lease,
    pub(crate) deadline: RelayDeadline,
    pub(crate) idle: Duration,
    pub(crate) activity: ActivityId,
    pub(crate) house: Rc<House>,
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
}

impl Relay {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        let incoming = &mut self.incoming;
        let polled = self.lease.poll(cx, |wire, cx| {
            // What has been read already comes first.
            match Pin::new(&mut *incoming).poll_frame(cx) {
                Poll::Pending => {
                    wire.drive(cx);
                    Pin::new(&mut *incoming).poll_frame(cx)
                }
                ready @ Poll::Ready(_) => ready,
            }
        });
        // After the end there is no connection to draw from.
        match polled.unwrap_or(Poll::Ready(None)) {
            Poll::Pending => {
                if self.deadline.deadline().passed(cx) {
                    return Poll::Ready(Some(Err(RelayError::Idle)));
                }
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    let length = data.len() as u64;
                    self.house.meter.transferred(self.activity, 0, length);
                }
                let deadline = self.deadline.deadline();
                deadline.set(self.house.now() + self.idle);
                // Armed even now: a visitor who reads no more keeps us from being polled again.
                let _ = deadline.passed(cx);
                if self.incoming.is_end_stream() || frame.is_trailers() {
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
