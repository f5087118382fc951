//! One connection to an origin: a question goes out, its answer comes back.

use core::mem::MaybeUninit;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::net::TcpStream;

use super::upload::RequestBody;
use crate::buffers::{Buffers, Reader};
use crate::header_block::HeaderBlock;
use crate::http_1::decoder::{Decoder, Step};
use crate::http_1::head::{self, AnswerBody, AnswerHead, Scan, Span};
use crate::http_1::trailers::trailers;
use crate::http_1::write_buffer::Outgoing;
use crate::request::fields;

/// Bytes of the head of an answer. What origins send takes a tenth of it.
const HEAD_BYTES: usize = 64 * 1024;
/// Fields of an answer.
const FIELDS: usize = 128;
/// Interim answers before the answer; no origin sends more than two.
const INTERIM: u32 = 16;

/// A request as the origin gets it, and how much of it has gone.
pub(crate) struct Question {
    out: Outgoing,
    body: RequestBody,
    /// How much of the body is to come, if it is not chunked.
    left: Option<u64>,
    /// All of it has been handed to `out`.
    ended: bool,
    /// Its answer has no body.
    for_head: bool,
    /// It can be asked twice.
    harmless: bool,
}

/// Why a question did not get to the origin.
enum Stuck {
    /// The visitor broke off, or sent too much.
    Visitor,
    /// The origin takes no more.
    Origin,
}

impl Question {
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
            out: Outgoing::new(head),
            body,
            left: length,
            ended,
            for_head,
            harmless: harmless && ended,
        }
    }

    pub(crate) const fn body(&mut self) -> &mut RequestBody {
        &mut self.body
    }

    /// Whether it can be sent anew when its connection broke before anything was answered.
    const fn may_be_repeated(&self) -> bool {
        self.harmless || self.out.is_untouched()
    }

    /// Sends as much as goes; ready when all of it has gone.
    fn poll_send(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Stuck>> {
        loop {
            // What the head is followed by at once leaves with it.
            let mut waits = false;
            while !self.ended && !waits && !self.out.is_full() {
                match Pin::new(&mut self.body).poll_frame(cx) {
                    Poll::Ready(next) => self.gather(next)?,
                    Poll::Pending => waits = true,
                }
            }
            ready!(self.out.poll_write(Pin::new(stream), cx)).map_err(|_| Stuck::Origin)?;
            if self.ended && self.out.is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.out.forget();
            if waits {
                return Poll::Pending;
            }
        }
    }

    fn gather(&mut self, next: Option<Result<Frame<Bytes>, io::Error>>) -> Result<(), Stuck> {
        let Some(frame) = next.transpose().map_err(|_| Stuck::Visitor)? else {
            return self.end(None);
        };
        match frame.into_data() {
            Ok(data) => {
                if let Some(left) = &mut self.left {
                    // Whoever counted has not: never more than was announced.
                    *left = left.checked_sub(data.len() as u64).ok_or(Stuck::Visitor)?;
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

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Stuck> {
        self.ended = true;
        match self.left {
            Some(0) => Ok(()),
            Some(_) => Err(Stuck::Visitor),
            None => {
                self.out.put_end(trailers);
                Ok(())
            }
        }
    }
}

/// The head of an answer, fit for the visitor.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderBlock,
    pub(crate) dated: bool,
    /// Announced by the origin.
    pub(crate) length: Option<u64>,
}

/// What came is no answer, or the connection broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// Where the answer stands.
enum Receiving {
    /// Nobody has been asked.
    Nothing,
    Head(Scan, u32),
    Body(Decoder),
    /// All of it has come.
    Over,
    /// The connection speaks HTTP no more.
    Upgraded,
}

/// A connection to an origin.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: BytesMut,
    question: Option<Question>,
    receiving: Receiving,
    keeps_alive: bool,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            question: None,
            receiving: Receiving::Nothing,
            keeps_alive: true,
        }
    }

    /// Begins to ask.
    pub(crate) fn ask(&mut self, question: Question) {
        self.question = Some(question);
        self.receiving = Receiving::Head(Scan::default(), 0);
    }

    /// Gives the question back, to be asked elsewhere: if nothing has been heard of it, and it does
    /// no harm to ask twice.
    pub(crate) fn take_question(&mut self) -> Option<Question> {
        let unheard = matches!(self.receiving, Receiving::Head(_, 0)) && self.buffer.is_empty();
        let mut question =
            self.question.take().filter(|question| unheard && question.may_be_repeated())?;
        question.out.rewind();
        Some(question)
    }

    /// Moves the question on. An origin that takes no more of it may have answered all the same.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        let Some(question) = &mut self.question else { return Ok(()) };
        match question.poll_send(&mut self.stream, cx) {
            Poll::Pending | Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(Stuck::Origin)) => {
                self.keeps_alive = false;
                Ok(())
            }
            Poll::Ready(Err(Stuck::Visitor)) => {
                // What it had to say is not to be said anywhere.
                self.question = None;
                Err(Broken)
            }
        }
    }

    fn poll_fill(&mut self, buffers: &Buffers, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        buffers.poll_fill(Reader::Origin, &mut self.buffer, Pin::new(&mut self.stream), cx)
    }

    /// Waits for the head of the answer.
    pub(crate) fn poll_answer(
        &mut self,
        buffers: &Buffers,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Answered, Broken>> {
        self.send(cx)?;
        loop {
            let Receiving::Head(scan, _) = &mut self.receiving else {
                return Poll::Ready(Err(Broken));
            };
            match scan.answer(&mut self.buffer) {
                Err(_) => return Poll::Ready(Err(Broken)),
                Ok(Some(span)) => {
                    *scan = Scan::default();
                    let answered = self.read_head(span);
                    self.buffer.advance(span.end);
                    buffers.take_back(Reader::Origin, &mut self.buffer);
                    if answered.is_err() {
                        // It has been heard, whatever it meant by that.
                        self.question = None;
                    }
                    if let Some(answered) = answered? {
                        return Poll::Ready(Ok(answered));
                    }
                    self.heard_interim()?;
                }
                Ok(None) => {
                    if self.buffer.len() >= HEAD_BYTES {
                        return Poll::Ready(Err(Broken));
                    }
                    match ready!(self.poll_fill(buffers, cx)) {
                        Ok(0) | Err(_) => return Poll::Ready(Err(Broken)),
                        Ok(_) => {}
                    }
                }
            }
        }
    }

    fn heard_interim(&mut self) -> Result<(), Broken> {
        match &mut self.receiving {
            Receiving::Head(_, heard) if *heard < INTERIM => {
                *heard += 1;
                Ok(())
            }
            _ => Err(Broken),
        }
    }

    /// `None`: an interim answer, after which another comes (RFC 9110, section 15.2).
    fn read_head(&mut self, span: Span) -> Result<Option<Answered>, Broken> {
        let mut fields = [MaybeUninit::uninit(); FIELDS];
        let head =
            head::answer(&self.buffer[span.start..span.end], &mut fields).map_err(|_| Broken)?;
        let upgraded = head.status == 101;
        if upgraded && !head.upgrades_to("websocket") {
            // Nobody asked for anything else.
            return Err(Broken);
        }
        if head.status < 200 && !upgraded {
            return Ok(None);
        }
        let status = StatusCode::from_u16(head.status).map_err(|_| Broken)?;
        let for_head = self.question.as_ref().is_some_and(|question| question.for_head);
        let bodiless = for_head || matches!(head.status, 204 | 304);
        let says_length = !is_chunked(&head) && head.status != 204;
        let length = head.length().map_err(|_| Broken)?.filter(|_| says_length);
        let receiving = if upgraded {
            Receiving::Upgraded
        } else if bodiless {
            Receiving::Over
        } else {
            match head.body().map_err(|_| Broken)? {
                AnswerBody::Length(0) => Receiving::Over,
                AnswerBody::Length(length) => Receiving::Body(Decoder::Length(length)),
                AnswerBody::Chunked => Receiving::Body(Decoder::Size),
                AnswerBody::UntilClose => {
                    self.keeps_alive = false;
                    Receiving::Body(Decoder::UntilClose)
                }
            }
        };
        self.keeps_alive &= head.keeps_alive();
        let (fields, dated) = fields::for_visitor(head.fields, upgraded);
        self.receiving = receiving;
        Ok(Some(Answered { status, fields, dated, length }))
    }

    /// Draws the next piece of the answer's body, of so many bytes at most.
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
            let Receiving::Body(decoder) = &mut self.receiving else {
                return Poll::Ready(None);
            };
            let window = &self.buffer[..self.buffer.len().min(most)];
            match decoder.step(window, true) {
                Err(_) => return Poll::Ready(Some(Err(io::ErrorKind::InvalidData.into()))),
                Ok(Step::Skip(length)) => self.buffer.advance(length),
                Ok(Step::Data(length)) => {
                    if decoder.is_over() {
                        self.receiving = Receiving::Over;
                    }
                    let piece = self.buffer.split_to(length).freeze();
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                Ok(Step::End(length)) => {
                    self.receiving = Receiving::Over;
                    // An origin's answer is whole without them.
                    let trailers = trailers(&self.buffer[..length]).ok().flatten();
                    self.buffer.advance(length);
                    buffers.take_back(Reader::Origin, &mut self.buffer);
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                }
                Ok(Step::More) => {
                    let until_close = matches!(decoder, Decoder::UntilClose);
                    match ready!(self.poll_fill(buffers, cx)) {
                        Ok(0) if until_close => self.receiving = Receiving::Over,
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
        matches!(self.receiving, Receiving::Over)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.receiving {
            Receiving::Body(Decoder::Length(left)) => SizeHint::with_exact(left),
            Receiving::Body(_) => SizeHint::new(),
            _ => SizeHint::with_exact(0),
        }
    }

    /// Gives up what the last exchange held. Whether the connection can serve another.
    pub(crate) fn rest(&mut self, buffers: &Buffers) -> bool {
        let asked =
            self.question.take().is_none_or(|question| question.ended && question.out.is_empty());
        let over = matches!(self.receiving, Receiving::Over | Receiving::Nothing);
        buffers.take_back(Reader::Origin, &mut self.buffer);
        asked && over && self.keeps_alive && self.is_open()
    }

    /// Whether the connection is open and silent. From now on nobody is woken by it.
    pub(crate) fn is_open(&self) -> bool {
        if !self.buffer.is_empty() {
            return false;
        }
        let mut nobody = Context::from_waker(Waker::noop());
        match self.stream.poll_read_ready(&mut nobody) {
            Poll::Pending => true,
            // Perhaps it only was readable. Bytes that nobody asked for are no answer to what comes next.
            Poll::Ready(Ok(())) => {
                let read = self.stream.try_read(&mut [0]);
                read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            }
            Poll::Ready(Err(_)) => false,
        }
    }

    /// The connection, after it left HTTP, and what has been read of it already.
    pub(crate) fn into_upgraded(self) -> Option<(TcpStream, Bytes)> {
        let upgraded = matches!(self.receiving, Receiving::Upgraded);
        upgraded.then(|| (self.stream, self.buffer.freeze()))
    }
}

fn is_chunked(head: &AnswerHead<'_>) -> bool {
    head.fields.iter().any(|field| field.name == "transfer-encoding")
}
