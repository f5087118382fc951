//! What the fuzz targets in `fuzz/` reach of this crate's parsers; compiled with `--cfg fuzzing`
//! only.

use core::mem::MaybeUninit;

use http::Version;
use portcullis_model::{Cut, IpNet, Limits, SourceKey, Time};

use crate::guard::http_3::Http3Guard;
use crate::guard::http_3_frames::{FrameEvent, HEADERS, Http3Frame, Http3FrameReader};
use crate::http_1::decoder::{DecodeStep, Decoder};
use crate::http_1::head::{self, HeadScanner, ResponseFraming};
use crate::http_1::trailers::trailers;
use crate::request::fields::for_visitor;
use crate::request::forwarded::{RemoteAddr, visitor_of, write_forwarding_headers};
use portcullis_gate::{Field, Head, RequestTarget};

/// Cuts `bytes` into parts of these lengths, which repeat.
fn parts<'a>(bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut parts = Vec::new();
    let mut lengths = lengths.iter().copied().cycle();
    while !rest.is_empty() {
        let length = lengths.next().unwrap_or(usize::MAX).clamp(1, rest.len());
        let (piece, after) = rest.split_at(length);
        parts.push(piece);
        rest = after;
    }
    parts
}

/// What an origin's bytes on one connection were read as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Responses {
    /// The header fields of each response as the visitor gets them.
    pub heads: Vec<Vec<u8>>,
    /// The content of all bodies.
    pub content: Vec<u8>,
    /// Bodies that had trailer fields.
    pub trailers: usize,
    /// Nothing after this point was read: it was malformed, or the connection was not to be used
    /// again.
    pub ended: bool,
}

/// Reads responses to `GET` as a connection to an origin does, from bytes that arrive in parts of
/// these lengths.
pub fn responses(bytes: &[u8], lengths: &[usize]) -> Responses {
    let mut found = Responses::default();
    let mut buffer = Vec::new();
    let mut scan = HeadScanner::default();
    let mut body = Decoder::Length(0);
    let mut keeps_alive = true;
    for piece in parts(bytes, lengths) {
        buffer.extend_from_slice(piece);
        while !found.ended {
            if !body.is_over() {
                match body.step(&buffer, true) {
                    Err(_) => found.ended = true,
                    Ok(DecodeStep::More) => break,
                    Ok(DecodeStep::Skip(length)) => drop(buffer.drain(..length)),
                    Ok(DecodeStep::Data(length)) => found.content.extend(buffer.drain(..length)),
                    Ok(DecodeStep::End(length)) => {
                        let fields = trailers(&buffer[..length]).ok().flatten();
                        found.trailers += usize::from(fields.is_some());
                        buffer.drain(..length);
                    }
                }
                if buffer.is_empty() && !body.is_over() {
                    break;
                }
                continue;
            }
            if !keeps_alive {
                found.ended = true;
                break;
            }
            match scan.response(&mut buffer) {
                Err(_) => found.ended = true,
                Ok(None) => break,
                Ok(Some(range)) => {
                    scan = HeadScanner::default();
                    match response_head(&buffer[range.start..range.end]) {
                        None => found.ended = true,
                        Some((fields, framing, reusable)) => {
                            found.heads.push(fields);
                            body = framing;
                            keeps_alive = reusable;
                        }
                    }
                    buffer.drain(..range.end);
                }
            }
        }
    }
    found
}

/// A head's fields for the visitor, what follows it, and whether the connection can be used again.
fn response_head(bytes: &[u8]) -> Option<(Vec<u8>, Decoder, bool)> {
    let mut fields = [MaybeUninit::uninit(); 128];
    let head = head::answer(bytes, &mut fields).ok()?;
    let upgraded = head.status == 101;
    if upgraded && !head.upgrades_to("websocket") {
        return None;
    }
    let framing = if head.status < 200 || matches!(head.status, 204 | 304) {
        Decoder::Length(0)
    } else {
        match head.body().ok()? {
            ResponseFraming::Length(length) => Decoder::Length(length),
            ResponseFraming::Chunked => Decoder::Size,
            ResponseFraming::UntilClose => Decoder::UntilClose,
        }
    };
    let reusable = head.keeps_alive() && !upgraded && framing != Decoder::UntilClose;
    let (block, _) = for_visitor(head.fields, upgraded);
    Some((block.as_bytes().to_vec(), framing, reusable))
}

/// What a visitor's bytes on one HTTP/3 stream were read as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http3Frames {
    /// Kind and length of each frame.
    pub frames: Vec<(u64, u64)>,
    /// Bytes of content that came, by frame.
    pub content: Vec<u64>,
    /// Why the guard ended the connection.
    pub cut: Option<Cut>,
}

/// Reads the frames of a request's stream, or of the control stream, in parts of these lengths, and
/// shows each to the guard.
pub fn http_3_frames(
    limits: &Limits,
    bytes: &[u8],
    lengths: &[usize],
    control: bool,
) -> Http3Frames {
    let mut found = Http3Frames::default();
    let mut reader = Http3FrameReader::new();
    let mut guard = Http3Guard::new(limits, Time(1));
    let mut headers = 0_u8;
    for mut piece in parts(bytes, lengths) {
        while let Some(event) = reader.next(&mut piece) {
            match event {
                FrameEvent::Head(frame) => {
                    let Http3Frame { kind, length } = frame;
                    found.frames.push((kind, length));
                    found.content.push(0);
                    let judged = if control {
                        guard.on_control(frame, Time(1))
                    } else {
                        guard.on_request(frame, headers, Time(1))
                    };
                    headers += u8::from(kind == HEADERS && headers < 3);
                    if let Err(cut) = judged {
                        found.cut = Some(cut);
                        return found;
                    }
                }
                FrameEvent::Content(_, bytes) => {
                    if let Some(content) = found.content.last_mut() {
                        *content += bytes;
                    }
                }
            }
        }
    }
    found
}

fn with_head<T>(fields: &[(&'static str, &[u8])], of: impl FnOnce(&Head<'_>) -> T) -> T {
    let fields: Vec<Field<'_>> = fields.iter().map(|(name, value)| Field { name, value }).collect();
    let target = RequestTarget { scheme: None, authority: None, path: "/", query: None };
    of(&Head { version: Version::HTTP_11, method: "GET", target, fields: &fields })
}

/// The visitor of a request that came from `peer`, and the fields that tell its origin of it.
pub fn forwarded(
    peer: core::net::IpAddr,
    trusted: &[IpNet],
    fields: &[(&'static str, &[u8])],
    host: &str,
) -> (SourceKey, Vec<u8>) {
    with_head(fields, |head| {
        let trusts_peer = trusted.iter().any(|network| network.contains(peer));
        let remote = RemoteAddr::new(peer, trusts_peer);
        let visitor = visitor_of(&remote, true, trusted, head);
        let mut out = Vec::new();
        write_forwarding_headers(&mut out, &remote, &visitor, host);
        (visitor.source, out)
    })
}

/// Whether these `Range` fields ask for at most `limit` parts that do not overlap.
pub fn ranges_within_limit(values: &[&[u8]], limit: usize) -> bool {
    let fields: Vec<(&'static str, &[u8])> = values.iter().map(|value| ("range", *value)).collect();
    with_head(&fields, |head| portcullis_gate::ranges_within_limit(head, limit))
}
