//! A request's body, as it comes by HTTP/3.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::rc::Rc;

use bytes::{Buf, Bytes};
use h3::server::RequestStream;
use http_body::{Body, Frame, SizeHint};

use super::transport::{QuicRecvStream, StreamState, check_guard};
use crate::conn::connection::Connection;
use crate::guard::http_3::Http3Guard;
use crate::request::body::BodyAborted;

/// Announced lengths are enforced here (RFC 9114, section 4.1.2), because h3 does not: bytes behind a
/// wrong length would be another request to the origin.
pub(crate) struct QuicBody {
    stream: RequestStream<QuicRecvStream, Bytes>,
    side: Rc<StreamState>,
    conn: Rc<Connection>,
    /// Of the announced length.
    left: Option<u64>,
    /// Read, to see whether there is a body.
    ahead: Option<Frame<Bytes>>,
    ended: bool,
    broken: bool,
}

impl QuicBody {
    pub(crate) const fn new(
        stream: RequestStream<QuicRecvStream, Bytes>,
        side: Rc<StreamState>,
        conn: Rc<Connection>,
        length: Option<u64>,
    ) -> Self {
        Self { stream, side, conn, left: length, ahead: None, ended: false, broken: false }
    }

    /// Reads ahead until it is known whether there is a body.
    pub(crate) fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ahead.is_some() || self.ended || self.broken {
            return Poll::Ready(());
        }
        match self.poll_more(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => self.ahead = Some(frame),
            Poll::Ready(Some(Err(BodyAborted))) => self.broken = true,
            Poll::Ready(None) => {}
        }
        Poll::Ready(())
    }

    fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        if self.broken {
            return Poll::Ready(Some(Err(BodyAborted)));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            match self.stream.poll_recv_data(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return self.abort(),
                Poll::Ready(Ok(Some(mut data))) => {
                    let bytes = data.copy_to_bytes(data.remaining());
                    let length = bytes.len() as u64;
                    self.side.backlog.set(self.side.backlog.get().saturating_sub(length));
                    if let Some(left) = &mut self.left {
                        let Some(rest) = left.checked_sub(length) else {
                            return self.wrong_length();
                        };
                        *left = rest;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Poll::Ready(Ok(None)) => {
                    let empty = self.side.empty.get();
                    if empty == 0 {
                        break;
                    }
                    // That was a piece without content, not the end.
                    self.side.empty.set(empty - 1);
                }
            }
        }
        let trailers = match self.stream.poll_recv_trailers(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(_)) => return self.abort(),
            Poll::Ready(Ok(trailers)) => trailers,
        };
        if self.left.is_some_and(|left| left > 0) {
            return self.wrong_length();
        }
        self.ended = true;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn abort(&mut self) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        self.broken = true;
        Poll::Ready(Some(Err(BodyAborted)))
    }

    /// The body is not as long as announced.
    fn wrong_length(&mut self) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        check_guard(&self.conn, Http3Guard::refused);
        self.abort()
    }

    /// Everything has been taken that will come.
    fn is_over(&self) -> bool {
        let side = &self.side;
        let consumed = side.complete.get()
            && side.backlog.get() == 0
            && side.empty.get() == 0
            && side.headers.get() < 2
            && self.left.is_none_or(|left| left == 0);
        self.ended || consumed && !self.broken
    }
}

impl Body for QuicBody {
    type Data = Bytes;
    type Error = BodyAborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        let this = self.get_mut();
        match this.ahead.take() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => this.poll_more(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_none() && self.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.ahead.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
        match self.left {
            Some(left) => SizeHint::with_exact(left + ahead),
            None if self.is_over() => SizeHint::with_exact(ahead),
            None => SizeHint::default(),
        }
    }
}
