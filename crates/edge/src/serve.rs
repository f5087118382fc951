//! One request, from its head to its answer: check, decide, count, and then answer or forward.

use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::rc::Rc;

use http::header::{ALT_SVC, HeaderValue};
use http::{Method, Request, Response, Version};
use http_body::Body;
use portcullis_gate::{self as gate, Decision, Policy};
use portcullis_model::{Reason, Verdict};

use crate::answer::Answer;
use crate::body::{ResponseBody, Terms, VisitorBody};
use crate::fields::{self, Kind, Present};
use crate::forward::{Errand, forward};
use crate::forwarded::{self, Sender};
use crate::head::{Head, fields_of};
use crate::pages::{self, Wants};
use crate::ranges;
use crate::strict::{self, Host};
use crate::upgrade::Passage;
use crate::visit::{Turn, Visit};

/// After so many seconds a place for one more tunnel may be free.
const TUNNEL_AGAIN: u32 = 10;

/// What a head says of the body behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announced {
    /// It has at least so many bytes.
    pub(crate) least: u64,
    /// There is none.
    pub(crate) is_none: bool,
}

/// Answers one request of `visit` by HTTP/2 or HTTP/3. Never fails: every request gets an answer
/// and a reason. The judgement is made here and now; only what goes to the origin waits for
/// anything.
pub(crate) fn serve(visit: &Rc<Visit>, request: Request<VisitorBody>) -> Serving {
    let turn = visit.request_begins();
    let (parts, body) = request.into_parts();
    let for_head = parts.method == Method::HEAD;
    let announced = Announced { least: body.size_hint().lower(), is_none: body.is_end_stream() };
    let fields = fields_of(&parts.headers);
    match judge(visit, &Head::of(&parts, &fields), announced, turn) {
        Judged::Answered(answer) => Serving::Answered(Some(respond(visit, answer, for_head))),
        Judged::Forwarded(errand, turn) => {
            let visit = visit.clone();
            let body = Some(body).filter(|_| !announced.is_none);
            let answer = forward(visit.clone(), errand, body, turn);
            Serving::Forwarded(Box::pin(async move { respond(&visit, answer.await, for_head) }))
        }
    }
}

/// Says where the same is served by HTTP/3. Whoever is about to stop invites nobody.
fn respond(visit: &Visit, answer: Answer, for_head: bool) -> Response<ResponseBody> {
    let mut response = answer.into_response(for_head);
    if let Some(alternative) = visit.alternative.get().filter(|_| !visit.is_draining()) {
        response.headers_mut().insert(ALT_SVC, HeaderValue::clone(alternative));
    }
    response
}

/// A request being served. What the way to the origin needs is a kilobyte, boxed: a refused
/// request does not pay for it, nor does a task of HTTP/2 when it is moved.
#[allow(clippy::large_enum_variant)] // There is one for each request, on its way.
pub(crate) enum Serving {
    Answered(Option<Response<ResponseBody>>),
    Forwarded(Pin<Box<dyn Future<Output = Response<ResponseBody>>>>),
}

impl Future for Serving {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            // After its answer nobody asks again.
            Self::Answered(response) => response.take().map_or(Poll::Pending, ready),
            Self::Forwarded(answer) => answer.as_mut().poll(cx).map(Ok),
        }
    }
}

fn ready(response: Response<ResponseBody>) -> Poll<Result<Response<ResponseBody>, Infallible>> {
    Poll::Ready(Ok(response))
}

/// What becomes of a request.
#[allow(clippy::large_enum_variant)] // There is one for each request, on its way.
pub(crate) enum Judged {
    Answered(Answer),
    Forwarded(Errand, Turn),
}

/// Everything that needs no waiting.
pub(crate) fn judge(visit: &Rc<Visit>, head: &Head<'_>, body: Announced, turn: Turn) -> Judged {
    let house = &visit.house;
    let policy = house.policy.load();
    let config = policy.config();
    let sender = forwarded::sender(visit.identity(), visit.secure, &config.trusted_proxies, head);

    let present = Present::among(head.fields);
    let coded = present.has(Kind::TransferEncoding);
    let host = match strict::check(head, present, &config.limits) {
        Ok(host) => host,
        Err(reason) => {
            house.write_unread(sender.source, reason);
            let wants = Wants::of(false, head);
            return Judged::Answered(pages::refusal(reason, wants, None, coded, turn));
        }
    };

    if let Some(answer) = house.answers.to(head) {
        // Before any limit: under attack, too, certificates are renewed.
        house.write_unread(sender.source, Reason::Acme);
        return Judged::Answered(pages::challenge(&answer, turn));
    }

    let mut decision = decide(visit, &policy, head, host, &sender);
    let limits = &config.limits;
    let too_much = if body.least > limits.max_body_bytes {
        Some(Reason::BodyTooLarge)
    } else if present.has(Kind::Range) && !ranges::bearable(head, usize::from(limits.max_ranges)) {
        Some(Reason::TooManyRanges)
    } else {
        None
    };
    if let Some(reason) = too_much
        && decision.record.reason.verdict() != Verdict::Refuse
    {
        decision.record.reason = reason;
        decision.answer = gate::Answer::Refuse { retry_after: None };
    }
    let platform = policy.platform(decision.record.platform);
    let patience = &policy.activity(decision.record.activity).1.timeouts;
    let asks_for_upgrade = head.version == Version::HTTP_11
        && head.method == "GET"
        && body.is_none
        && fields::asks_for_websocket(head, present);
    let mut passage = None;
    if asks_for_upgrade && matches!(decision.answer, gate::Answer::Forward { .. }) {
        let pool = house.pool(decision.record.platform, &platform.origin);
        passage = Passage::open(house, &pool, sender.source, limits, patience);
        if passage.is_none() {
            decision.record.reason = Reason::TunnelLimit;
            decision.answer = gate::Answer::Refuse { retry_after: Some(TUNNEL_AGAIN) };
        }
    }
    let Decision { record, answer } = decision;
    house.write(&record);
    visit.asks_for(record.activity);

    let wants = Wants::of(record.page, head);
    Judged::Answered(match answer {
        gate::Answer::Redirect { location, cookie } => {
            pages::redirect(&location, cookie.as_deref(), turn)
        }
        gate::Answer::WaitPage { seconds, continue_to } => pages::wait(seconds, &continue_to, turn),
        gate::Answer::Refuse { retry_after } => {
            pages::refusal(record.reason, wants, retry_after, coded, turn)
        }
        gate::Answer::Forward { strip_pass, cookie, load } => {
            let mut out = Vec::with_capacity(HEAD_BYTES);
            put_request_line(&mut out, head, strip_pass);
            put_host(&mut out, host);
            fields::for_origin(head, present, passage.is_some(), &mut out);
            forwarded::tell(&mut out, visit.identity(), &sender, host.field);
            let length = put_framing(&mut out, head, body, coded);
            out.extend_from_slice(b"\r\n");
            let errand = Errand {
                head: out,
                length,
                for_head: head.method == "HEAD",
                harmless: matches!(head.method, "GET" | "HEAD" | "OPTIONS"),
                activity: record.activity,
                tier: policy.activity(record.activity).1.tier,
                load,
                pool: house.pool(record.platform, &platform.origin),
                started: record.at,
                cookie,
                wants,
                upgrade: passage,
                response_idle: patience
                    .response_idle_timeout
                    .unwrap_or(limits.response_idle_timeout),
                body: Terms {
                    bytes: limits.max_body_bytes,
                    rate: limits.min_upload_rate,
                    idle: limits.body_idle_timeout,
                },
            };
            return Judged::Forwarded(errand, turn);
        }
    })
}

/// Bytes that a head for the origin usually takes: a browser's, and what the gate adds.
const HEAD_BYTES: usize = 1024;

/// Asks the gate, and tells the watch the words behind what it hashed.
fn decide(
    visit: &Visit,
    policy: &Policy,
    head: &Head<'_>,
    host: Host<'_>,
    sender: &Sender,
) -> Decision {
    let house = &visit.house;
    let request = gate::Request {
        source: sender.source,
        host: host.name,
        method: head.method,
        path: head.target.path,
        query: head.target.query,
        secure: sender.secure,
        tls_client: visit.tls_client(),
        fields: head,
    };
    let now = house.read_clock();
    let decision = gate::decide(policy, &house.tables, &request, now, house.wall(now));
    house.sight(&request, &decision.record);
    decision
}

/// The request line that the origin gets; always in the form that names a path.
fn put_request_line(out: &mut Vec<u8>, head: &Head<'_>, strip_pass: bool) {
    let target = &head.target;
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.path.as_bytes());
    let mut put_query = |query: &str| {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    };
    match target.query {
        Some(query) if strip_pass => {
            if let Some(rest) = gate::without_pass(query) {
                put_query(&rest);
            }
        }
        Some(query) => put_query(query),
        None => {}
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

fn put_host(out: &mut Vec<u8>, host: Host<'_>) {
    out.extend_from_slice(b"host: ");
    out.extend_from_slice(host.field.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Says how the body ends: by the length that was announced, or else in chunks. Returns the length.
fn put_framing(out: &mut Vec<u8>, head: &Head<'_>, body: Announced, coded: bool) -> Option<u64> {
    // What has been checked says one length at most, in digits, and none beside a coding.
    let announced = head.first("content-length").filter(|_| !coded);
    if let Some(digits) = announced {
        out.extend_from_slice(b"content-length: ");
        out.extend_from_slice(digits);
        out.extend_from_slice(b"\r\n");
        return core::str::from_utf8(digits).ok()?.parse().ok();
    }
    if !body.is_none {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
        return None;
    }
    // Methods that usually bring something say that they bring nothing (RFC 9110, section 8.6).
    if !matches!(head.method, "GET" | "HEAD" | "OPTIONS" | "DELETE") {
        out.extend_from_slice(b"content-length: 0\r\n");
    }
    Some(0)
}
