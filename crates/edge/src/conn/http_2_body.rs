//! The body of a request by HTTP/2.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::rc::Rc;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::connection::Connection;
use crate::request::body::BodyAborted;

/// After an answer that came before the end of a request, this much more of the request is read and thrown
/// away, for this long; then its stream is reset with `NO_ERROR` (RFC 9113, section 8.1). Clients that
/// are still sending would lose the answer to an earlier reset (curl 7.88).
const DRAIN_BYTES: u64 = 8 * 1024 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A body whose stream is reset only some time after it is dropped.
pub(crate) struct Http2Body {
    /// `None` once it is dropped.
    body: Option<Incoming>,
    /// All of it has come, or it was broken off.
    over: bool,
    conn: Rc<Connection>,
}

impl Http2Body {
    pub(crate) fn new(body: Incoming, conn: &Rc<Connection>) -> Self {
        let over = body.is_end_stream();
        Self { body: Some(body), over, conn: conn.clone() }
    }

    /// The rest of it is not read when it is dropped.
    pub(crate) const fn reset_immediately(&mut self) {
        self.over = true;
    }
}

impl Body for Http2Body {
    type Data = Bytes;
    type Error = BodyAborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let polled = match Pin::new(&mut *body).poll_frame(cx) {
            // Reset without an error: whatever the visitor means by it, that was not all.
            Poll::Ready(None) if !body.is_end_stream() => Poll::Ready(Some(Err(BodyAborted))),
            polled => polled.map_err(|_| BodyAborted),
        };
        this.over |= matches!(polled, Poll::Ready(None | Some(Err(_)))) || body.is_end_stream();
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Http2Body {
    fn drop(&mut self) {
        if let Some(body) = self.body.take()
            && !self.over
            && !self.conn.is_draining()
            && !self.conn.is_cut()
        {
            let clock = self.conn.context.clock;
            tokio::task::spawn_local(clock.timeout(DRAIN_TIMEOUT, drain(body)));
        }
    }
}

async fn drain(mut body: Incoming) {
    let mut left = DRAIN_BYTES;
    while left > 0 {
        let next = core::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let Some(Ok(frame)) = next else { return };
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        left = left.saturating_sub(length.max(1));
    }
}
