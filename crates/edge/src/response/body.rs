//! A response's body, on its way to the visitor.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use portcullis_model::{ActivityId, Cut, Time};

use crate::conn::connection::RequestGuard;
use crate::context::WorkerContext;
use crate::deadline::Deadline;
use crate::origin::pool::PooledConn;
use crate::origin::upload::Upload;
use crate::transfer_rate::CONTENDED_TIMEOUT;

/// A response's body, as the visitor's connection sees it.
pub(crate) struct ResponseBody {
    content: BodyKind,
    /// The connection is busy until this is dropped.
    turn: RequestGuard,
}

enum BodyKind {
    Empty,
    Whole(Bytes),
    Relay(Relay),
}

impl ResponseBody {
    pub(crate) const fn empty(turn: RequestGuard) -> Self {
        Self { content: BodyKind::Empty, turn }
    }

    pub(crate) const fn whole(bytes: Bytes, turn: RequestGuard) -> Self {
        Self { content: BodyKind::Whole(bytes), turn }
    }

    pub(crate) const fn relay(relay: Relay, turn: RequestGuard) -> Self {
        Self { content: BodyKind::Relay(relay), turn }
    }

    /// Notes the status for the access log.
    pub(crate) fn log_status(&self, status: StatusCode) {
        if let Some(logged) = &self.turn.logged {
            logged.set_status(status);
        }
    }

    /// Notes bytes that go to the visitor for the access log.
    pub(crate) fn log_bytes(&self, bytes: usize) {
        if let Some(logged) = &self.turn.logged {
            logged.add_bytes(bytes);
        }
    }

    /// Takes all of a body that is there already. `None`: it is drawn from an origin.
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        match &mut self.content {
            BodyKind::Empty => Some(Bytes::new()),
            BodyKind::Whole(bytes) => Some(core::mem::take(bytes)),
            BodyKind::Relay(_) => None,
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
            BodyKind::Empty => Poll::Ready(None),
            BodyKind::Whole(bytes) => {
                let bytes = core::mem::take(bytes);
                this.content = BodyKind::Empty;
                this.log_bytes(bytes.len());
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            BodyKind::Relay(relay) => {
                let frame = relay.poll_frame(cx);
                if let Poll::Ready(Some(Ok(frame))) = &frame
                    && let Some(data) = frame.data_ref()
                {
                    this.log_bytes(data.len());
                }
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            BodyKind::Empty => true,
            BodyKind::Whole(bytes) => bytes.is_empty(),
            BodyKind::Relay(relay) => relay.lease.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            BodyKind::Empty => SizeHint::with_exact(0),
            BodyKind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            BodyKind::Relay(relay) => relay.lease.size_hint(),
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
    #[error("the response did not move for too long")]
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
    pub(crate) untaken_timeout: Duration,
    /// Most bytes of a piece.
    pub(crate) max_chunk: usize,
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

    /// The origin may be silent for `idle` from now on; the visitor's own deadline does not move. A
    /// chunk that was `given` to the visitor may delay the request for the next.
    pub(crate) fn extend(&self, now: Time, idle: Duration, given: bool) {
        let (due, hurried) = match self {
            Self::Shared(upload) => (upload.due(), upload.tightened_due()),
            Self::Own(_) => (None, None),
        };
        let silent = now + idle;
        self.deadline().set(due.map_or(silent, |due| due.min(silent)));
        let taken = given.then_some(now + CONTENDED_TIMEOUT);
        self.deadline().tighten([hurried, taken].into_iter().flatten().min());
    }

    /// A place at the origin is held from now on.
    pub(crate) fn holds_slot(&self) {
        if let Self::Shared(upload) = self {
            upload.holds_slot.set(true);
        }
    }

    /// Whether it is the visitor who is too slow.
    fn is_visitor_late(&self) -> bool {
        matches!(self, Self::Shared(upload) if upload.is_late())
    }
}

impl Relay {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        match self.lease.poll_frame(self.max_chunk, cx) {
            Poll::Pending => {
                // However long the visitor took for the last piece is not the origin's doing.
                if !core::mem::replace(&mut self.awaited, true) {
                    self.deadline.extend(self.context.now(), self.idle, false);
                }
                if !self.deadline.deadline().passed(cx) {
                    return Poll::Pending;
                }
                Poll::Ready(Some(Err(if self.deadline.is_visitor_late() {
                    self.context.meter.cut(Some(self.activity), Cut::SlowBody);
                    RelayError::SlowBody
                } else {
                    RelayError::Idle
                })))
            }
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    let length = data.len() as u64;
                    self.context.meter.record_bytes(self.activity, 0, length);
                }
                self.awaited = false;
                self.deadline.extend(self.context.now(), self.untaken_timeout, true);
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
