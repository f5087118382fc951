//! A request's body, on its way from the visitor to the origin.

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

use crate::context::WorkerContext;
use crate::deadline::Deadline;
use crate::http_1::connection::Inbound;
use crate::http_3::body::QuicBody;
use crate::request::body::BrokenOff;
use crate::transfer_rate::{PRESSED, Pace};

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
            if let Some(due) = self.due() {
                self.deadline.set(due);
                self.deadline.hurry(self.hurried());
            }
        }
    }

    /// When the visitor has to have sent more if others wait for the place that it holds.
    pub(crate) fn hurried(&self) -> Option<Time> {
        self.pace.get().due(PRESSED).filter(|_| self.holds_place.get())
    }

    /// When the visitor has to have sent more.
    pub(crate) fn due(&self) -> Option<Time> {
        self.pace.get().due(self.terms.idle)
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
