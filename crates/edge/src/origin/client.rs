//! One connection to an origin: a question goes out, its answer comes back.

use core::mem::MaybeUninit;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use socket2::SockRef;
use tokio::net::TcpStream;

use super::upload::RequestBody;
use crate::buffers::{Buffers, ReadSide};
use crate::header_block::HeaderBlock;
use crate::http_1::decoder::{DecodeStep, Decoder};
use crate::http_1::head::{self, HeadRange, HeadScanner, ResponseFraming, ResponseHead};
use crate::http_1::trailers::trailers;
use crate::http_1::write_buffer::WriteBuffer;
use crate::request::fields;

/// Bytes of the head of an answer. What origins send takes a tenth of it.
const HEAD_BYTES: usize = 64 * 1024;
/// Fields of an answer.
const FIELDS: usize = 128;
/// Interim answers before the answer; no origin sends more than two.
const INTERIM: u32 = 16;

/// A request as the origin gets it, and how much of it has gone.
pub(crate) struct OriginRequestWriter {
    out: WriteBuffer,
    body: RequestBody,
    /// How much of the body is to come, if it is not chunked.
    left: Option<u64>,
    /// All of it has been handed to `out`.
    ended: bool,
    /// Its answer has no body.
    for_head: bool,
    /// It can be asked twice.
    retryable: bool,
}

/// Why a question did not get to the origin.
enum SendError {
    /// The visitor broke off, or sent too much.
    Visitor,
    /// The origin takes no more.
    Origin,
}

impl OriginRequestWriter {
    /// `head` is the whole head. A body is `length` bytes long, or chunked.
    pub(crate) fn new(
        head: Vec<u8>,
        body: RequestBody,
        length: Option<u64>,
        for_head: bool,
        harmless: bool,
    ) -> Self {
        let ended = matches!(body, RequestBody::Empty);
        Self {
            out: WriteBuffer::new(head),
            body,
            left: length,
            ended,
            for_head,
            retryable: harmless && ended,
        }
    }

    /// The visitor ended a chunked body before its first byte: the request continues as one without a
    /// body. `bare`: its method says so by having no length.
    pub(crate) fn end_without_body(&mut self, bare: bool) {
        const CHUNKED: &[u8] = b"transfer-encoding: chunked\r\n\r\n";
        let end: &[u8] = if bare { b"\r\n" } else { b"content-length: 0\r\n\r\n" };
        if self.left.is_none() && self.out.replace_end(CHUNKED, end) {
            self.body = RequestBody::Empty;
            self.left = Some(0);
            self.ended = true;
            self.retryable = bare;
        }
    }

    pub(crate) const fn body(&mut self) -> &mut RequestBody {
        &mut self.body
    }

    /// Whether it can be sent again after its connection broke before a response began.
    const fn may_be_repeated(&self) -> bool {
        self.retryable || self.out.is_untouched()
    }

    /// Sends as much as goes; ready when all of it has gone.
    fn poll_send(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        loop {
            // Data that is ready together with the head is sent with it.
            let mut waits = false;
            while !self.ended && !waits && !self.out.is_full() {
                match Pin::new(&mut self.body).poll_frame(cx) {
                    Poll::Ready(next) => self.gather(next)?,
                    Poll::Pending => waits = true,
                }
            }
            ready!(self.out.poll_write(Pin::new(stream), cx)).map_err(|_| SendError::Origin)?;
            if self.ended && self.out.is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.out.forget();
            if waits {
                return Poll::Pending;
            }
        }
    }

    fn gather(&mut self, next: Option<Result<Frame<Bytes>, io::Error>>) -> Result<(), SendError> {
        let Some(frame) = next.transpose().map_err(|_| SendError::Visitor)? else {
            return self.end(None);
        };
        match frame.into_data() {
            Ok(data) => {
                if let Some(left) = &mut self.left {
                    // The counter is exact: never more than was announced.
                    *left = left.checked_sub(data.len() as u64).ok_or(SendError::Visitor)?;
                }
                self.out.put(data, self.left.is_none());
            }
            Err(frame) => {
                let trailers = frame.into_trailers().ok();
                return self.end(trailers.as_ref());
            }
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), SendError> {
        self.ended = true;
        match self.left {
            Some(0) => Ok(()),
            Some(_) => Err(SendError::Visitor),
            None => {
                self.out.put_end(trailers);
                Ok(())
            }
        }
    }
}

/// The head of an answer, fit for the visitor.
pub(crate) struct OriginResponseHead {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderBlock,
    pub(crate) dated: bool,
    /// Announced by the origin.
    pub(crate) length: Option<u64>,
}

/// What came is no answer, or the connection broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OriginConnError;

/// The state of the response.
enum ReadState {
    /// No request was sent.
    Nothing,
    Head(HeadScanner, u32),
    Body(Decoder),
    /// All of it has come.
    Over,
    /// The connection no longer carries HTTP.
    Upgraded,
}

/// A connection to an origin.
pub(crate) struct Http1ClientConn {
    stream: TcpStream,
    buffer: BytesMut,
    question: Option<OriginRequestWriter>,
    receiving: ReadState,
    keeps_alive: bool,
}

impl Http1ClientConn {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            question: None,
            receiving: ReadState::Nothing,
            keeps_alive: true,
        }
    }

    /// Begins to ask.
    pub(crate) fn send_request(&mut self, question: OriginRequestWriter) {
        self.question = Some(question);
        self.receiving = ReadState::Head(HeadScanner::default(), 0);
    }

    /// Returns the request so that it can be sent on another connection: if no byte of a response
    /// was received, and repeating it does no harm.
    pub(crate) fn take_request(&mut self) -> Option<OriginRequestWriter> {
        let unheard = matches!(self.receiving, ReadState::Head(_, 0)) && self.buffer.is_empty();
        let mut question =
            self.question.take().filter(|question| unheard && question.may_be_repeated())?;
        question.out.rewind();
        Some(question)
    }

    /// Moves the question on. An origin that takes no more of it may have answered all the same.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), OriginConnError> {
        let Some(question) = &mut self.question else { return Ok(()) };
        match question.poll_send(&mut self.stream, cx) {
            Poll::Pending | Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(SendError::Origin)) => {
                self.keeps_alive = false;
                Ok(())
            }
            Poll::Ready(Err(SendError::Visitor)) => {
                // The rest of the request must not reach any origin.
                self.question = None;
                Err(OriginConnError)
            }
        }
    }

    fn poll_fill(&mut self, buffers: &Buffers, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        buffers.poll_fill(ReadSide::Origin, &mut self.buffer, Pin::new(&mut self.stream), cx)
    }

    /// Waits for the head of the answer.
    pub(crate) fn poll_response_head(
        &mut self,
        buffers: &Buffers,
        cx: &mut Context<'_>,
    ) -> Poll<Result<OriginResponseHead, OriginConnError>> {
        self.send(cx)?;
        loop {
            let ReadState::Head(scan, _) = &mut self.receiving else {
                return Poll::Ready(Err(OriginConnError));
            };
            match scan.response(&mut self.buffer) {
                Err(_) => return Poll::Ready(Err(OriginConnError)),
                Ok(Some(span)) => {
                    *scan = HeadScanner::default();
                    let answered = self.read_head(span);
                    self.buffer.advance(span.end);
                    buffers.take_back(ReadSide::Origin, &mut self.buffer);
                    if answered.is_err() {
                        // The origin has received it, whatever its response means.
                        self.question = None;
                    }
                    if let Some(answered) = answered? {
                        return Poll::Ready(Ok(answered));
                    }
                    self.read_interim()?;
                }
                Ok(None) => {
                    if self.buffer.len() >= HEAD_BYTES {
                        return Poll::Ready(Err(OriginConnError));
                    }
                    match ready!(self.poll_fill(buffers, cx)) {
                        Ok(0) | Err(_) => return Poll::Ready(Err(OriginConnError)),
                        Ok(_) => {}
                    }
                }
            }
        }
    }

    fn read_interim(&mut self) -> Result<(), OriginConnError> {
        match &mut self.receiving {
            ReadState::Head(_, interim) if *interim < INTERIM => {
                *interim += 1;
                Ok(())
            }
            _ => Err(OriginConnError),
        }
    }

    /// `None`: an interim answer, after which another comes (RFC 9110, section 15.2).
    fn read_head(
        &mut self,
        span: HeadRange,
    ) -> Result<Option<OriginResponseHead>, OriginConnError> {
        let mut fields = [MaybeUninit::uninit(); FIELDS];
        let head = head::answer(&self.buffer[span.start..span.end], &mut fields)
            .map_err(|_| OriginConnError)?;
        let upgraded = head.status == 101;
        if upgraded && !head.upgrades_to("websocket") {
            // No other upgrade was requested.
            return Err(OriginConnError);
        }
        if head.status < 200 && !upgraded {
            return Ok(None);
        }
        if is_chunked(&head) && head.fields.iter().any(|field| field.name == "content-length") {
            // Two readers would find two ends of it (RFC 9112, section 6.1).
            return Err(OriginConnError);
        }
        let status = StatusCode::from_u16(head.status).map_err(|_| OriginConnError)?;
        let for_head = self.question.as_ref().is_some_and(|question| question.for_head);
        let bodiless = for_head || matches!(head.status, 204 | 304);
        let has_length = !is_chunked(&head) && head.status != 204;
        let length = head.length().map_err(|_| OriginConnError)?.filter(|_| has_length);
        let receiving = if upgraded {
            ReadState::Upgraded
        } else if bodiless {
            ReadState::Over
        } else {
            match head.body().map_err(|_| OriginConnError)? {
                ResponseFraming::Length(0) => ReadState::Over,
                ResponseFraming::Length(length) => ReadState::Body(Decoder::Length(length)),
                ResponseFraming::Chunked => ReadState::Body(Decoder::Size),
                ResponseFraming::UntilClose => {
                    self.keeps_alive = false;
                    ReadState::Body(Decoder::UntilClose)
                }
            }
        };
        self.keeps_alive &= head.keeps_alive();
        let (fields, dated) = fields::for_visitor(head.fields, upgraded);
        self.receiving = receiving;
        Ok(Some(OriginResponseHead { status, fields, dated, length }))
    }

    /// Reads the next piece of the response's body, of at most this number of bytes.
    pub(crate) fn poll_frame(
        &mut self,
        most: usize,
        buffers: &Buffers,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.send(cx).is_err() {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        loop {
            let ReadState::Body(decoder) = &mut self.receiving else {
                return Poll::Ready(None);
            };
            let window = &self.buffer[..self.buffer.len().min(most)];
            match decoder.step(window, true) {
                Err(_) => return Poll::Ready(Some(Err(io::ErrorKind::InvalidData.into()))),
                Ok(DecodeStep::Skip(length)) => self.buffer.advance(length),
                Ok(DecodeStep::Data(length)) => {
                    if decoder.is_over() {
                        self.receiving = ReadState::Over;
                    }
                    let piece = self.buffer.split_to(length).freeze();
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                Ok(DecodeStep::End(length)) => {
                    self.receiving = ReadState::Over;
                    // An origin's answer is whole without them.
                    let trailers = trailers(&self.buffer[..length]).ok().flatten();
                    self.buffer.advance(length);
                    buffers.take_back(ReadSide::Origin, &mut self.buffer);
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                }
                Ok(DecodeStep::More) => {
                    let until_close = matches!(decoder, Decoder::UntilClose);
                    match ready!(self.poll_fill(buffers, cx)) {
                        Ok(0) if until_close => self.receiving = ReadState::Over,
                        Ok(0) => {
                            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
                        }
                        Err(error) => return Poll::Ready(Some(Err(error))),
                        Ok(_) => {}
                    }
                }
            }
        }
    }

    /// Whether all of the answer has been drawn.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.receiving, ReadState::Over)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.receiving {
            ReadState::Body(Decoder::Length(left)) => SizeHint::with_exact(left),
            ReadState::Body(_) => SizeHint::new(),
            _ => SizeHint::with_exact(0),
        }
    }

    /// Releases what the last exchange held. Returns whether the connection can serve another.
    pub(crate) fn finish(&mut self, buffers: &Buffers) -> bool {
        let asked =
            self.question.take().is_none_or(|question| question.ended && question.out.is_empty());
        let over = matches!(self.receiving, ReadState::Over | ReadState::Nothing);
        buffers.take_back(ReadSide::Origin, &mut self.buffer);
        asked && over && self.keeps_alive && self.is_open()
    }

    /// Whether the connection is open and silent. It wakes no task from now on.
    pub(crate) fn is_open(&self) -> bool {
        if !self.buffer.is_empty() {
            return false;
        }
        let mut cx = Context::from_waker(Waker::noop());
        match self.stream.poll_read_ready(&mut cx) {
            Poll::Pending => true,
            // It may have been readable before. Bytes that were not requested are no response to the next
            // request.
            Poll::Ready(Ok(())) => {
                let read = self.stream.try_read(&mut [0]);
                read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            }
            Poll::Ready(Err(_)) => false,
        }
    }

    /// Whether the connection is open and silent, by a look at the kernel's buffer: bytes that came
    /// since the worker last waited for events are seen too. They would be taken for the answer to the
    /// next request.
    pub(crate) fn is_silent(&self) -> bool {
        let peeked = SockRef::from(&self.stream).peek(&mut [MaybeUninit::uninit()]);
        self.buffer.is_empty()
            && peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The connection, after it left HTTP, and what has been read of it already.
    pub(crate) fn into_upgraded(self) -> Option<(TcpStream, Bytes)> {
        let upgraded = matches!(self.receiving, ReadState::Upgraded);
        upgraded.then(|| (self.stream, self.buffer.freeze()))
    }
}

fn is_chunked(head: &ResponseHead<'_>) -> bool {
    head.fields.iter().any(|field| field.name == "transfer-encoding")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn bytes_that_came_within_this_turn_are_noticed() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut origin, _) = listener.accept().unwrap();
            let conn = Http1ClientConn::new(stream);
            assert!(conn.is_open() && conn.is_silent());
            origin.write_all(b"x").unwrap();
            // The runtime has not waited for events since.
            assert!(!conn.is_silent());
        });
    }
}
