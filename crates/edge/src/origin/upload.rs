//! A request's body, on its way from the visitor to the origin.

use core::cell::Cell;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use portcullis_model::{ActivityId, Time};

use crate::conn::http_2_body::Http2Body;
use crate::context::WorkerContext;
use crate::deadline::Deadline;
use crate::http_1::connection::IncomingBody;
use crate::http_3::body::QuicBody;
use crate::request::body::BodyAborted;
use crate::transfer_rate::{CONTENDED_TIMEOUT, TransferLag};

/// The state of the upload of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadState {
    /// The origin has not requested (more of) it.
    NotRequested,
    /// The visitor owes the next part.
    AwaitingData,
    /// All of it has been passed on.
    Done,
    /// The visitor broke off.
    Aborted,
    /// It grew beyond the limit.
    TooLarge,
}

/// What a visitor's body must keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
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
    pub(crate) holds_slot: Cell<bool>,
    received: Cell<u64>,
    lag: Cell<TransferLag>,
    terms: BodyLimits,
    response_timeout: Duration,
    activity: ActivityId,
    context: Rc<WorkerContext>,
}

impl Upload {
    /// An upload on these terms, which must be answered within `answer` after its end.
    pub(crate) fn new(
        context: &Rc<WorkerContext>,
        activity: ActivityId,
        deadline: Deadline,
        terms: BodyLimits,
        answer: Duration,
    ) -> Rc<Self> {
        Rc::new(Self {
            state: Cell::new(UploadState::NotRequested),
            deadline,
            holds_slot: Cell::new(false),
            received: Cell::new(0),
            lag: Cell::default(),
            terms,
            response_timeout: answer,
            activity,
            context: context.clone(),
        })
    }

    /// Something came, or the end of it.
    fn progress(&self, state: UploadState, bytes: u64) {
        self.state.set(state);
        let now = self.context.now();
        let mut pace = self.lag.get();
        pace.moved(bytes, self.terms.rate, now);
        pace.stop_waiting(now);
        self.lag.set(pace);
        let done = state == UploadState::Done;
        self.deadline.set(now + if done { self.response_timeout } else { self.terms.idle });
    }

    /// The origin could take more than has come.
    fn on_awaiting(&self) {
        if self.state.replace(UploadState::AwaitingData) != UploadState::AwaitingData {
            let mut pace = self.lag.get();
            pace.start_waiting(self.context.now());
            self.lag.set(pace);
            if let Some(due) = self.due() {
                self.deadline.set(due);
                self.deadline.tighten(self.tightened_due());
            }
        }
    }

    /// When the visitor has to have sent more if others wait for the place that it holds.
    pub(crate) fn tightened_due(&self) -> Option<Time> {
        self.lag.get().due(CONTENDED_TIMEOUT).filter(|_| self.holds_slot.get())
    }

    /// When the visitor has to have sent more.
    pub(crate) fn due(&self) -> Option<Time> {
        self.lag.get().due(self.terms.idle)
    }

    /// Whether the visitor is too far behind with it.
    pub(crate) fn is_late(&self) -> bool {
        let behind = self.lag.get().behind(self.context.now());
        let limit = if self.deadline.was_tightened() { CONTENDED_TIMEOUT } else { self.terms.idle };
        self.state.get() == UploadState::AwaitingData && behind >= limit
    }
}

/// A request's body, as it comes from the visitor.
pub(crate) enum VisitorBody {
    /// By HTTP/1.1.
    Http1(IncomingBody),
    /// By HTTP/2.
    Http2(Http2Body),
    /// By HTTP/3.
    Http3(Box<QuicBody>),
}

impl Body for VisitorBody {
    type Data = Bytes;
    type Error = BodyAborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        match self.get_mut() {
            Self::Http1(body) => body.poll_frame(cx),
            Self::Http2(body) => Pin::new(body).poll_frame(cx),
            Self::Http3(body) => Pin::new(&mut **body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
            Self::Http3(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
            Self::Http3(body) => body.size_hint(),
        }
    }
}

/// A request's body, as the origin's connection sees it.
pub(crate) enum RequestBody {
    /// There is none.
    Empty,
    /// It streams.
    Stream(StreamingBody),
}

/// A body that streams.
pub(crate) struct StreamingBody {
    pub(crate) body: VisitorBody,
    pub(crate) upload: Rc<Upload>,
    /// Its first piece, drawn before there was a connection to the origin.
    first: Option<Frame<Bytes>>,
}

fn aborted(what: &'static str) -> io::Error {
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
                None => streamed.poll_chunk(cx),
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
        Self::Stream(StreamingBody { body, upload, first: None })
    }

    /// Draws the first piece. Returns whether there is one: the visitor may end the body without.
    pub(crate) fn poll_first_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Self::Stream(streamed) = self else {
            return Poll::Ready(Ok(false));
        };
        loop {
            let piece = ready!(streamed.poll_chunk(cx)).transpose()?;
            let is_empty = |piece: &Frame<Bytes>| piece.data_ref().is_some_and(Bytes::is_empty);
            if !piece.as_ref().is_some_and(is_empty) {
                streamed.first = piece;
                return Poll::Ready(Ok(streamed.first.is_some()));
            }
        }
    }
}

impl Drop for StreamingBody {
    /// A visitor that was too slow is not waited for once more.
    fn drop(&mut self) {
        if let VisitorBody::Http2(body) = &mut self.body
            && self.upload.is_late()
        {
            body.reset_immediately();
        }
    }
}

impl StreamingBody {
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

    fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Self { body, upload, .. } = self;
        match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Pending => {
                upload.on_awaiting();
                Poll::Pending
            }
            Poll::Ready(Some(Ok(frame))) => {
                let mut length = 0;
                if let Some(data) = frame.data_ref() {
                    length = data.len() as u64;
                    upload.received.set(upload.received.get() + length);
                    upload.context.meter.record_bytes(upload.activity, length, 0);
                    if upload.received.get() > upload.terms.bytes {
                        upload.state.set(UploadState::TooLarge);
                        return Poll::Ready(Some(Err(aborted("the request body is too large"))));
                    }
                }
                let done = body.is_end_stream() || frame.is_trailers();
                let state = if done { UploadState::Done } else { UploadState::NotRequested };
                upload.progress(state, length);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(BodyAborted))) => {
                upload.state.set(UploadState::Aborted);
                Poll::Ready(Some(Err(aborted("the visitor broke off"))))
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
