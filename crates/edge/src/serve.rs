//! One request, from its head to its answer: check, decide, count, and then answer or forward.

use core::convert::Infallible;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::rc::Rc;

use http::header::{ALT_SVC, CONNECTION, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri, Version};
use http_body::Body;
use portcullis_gate::{self as gate, Answer, Decision, Policy};
use portcullis_model::{Reason, Verdict};

use crate::body::{ResponseBody, Terms, VisitorBody};
use crate::fields::{self, Arrived, Kind, Present};
use crate::forward::{Errand, forward};
use crate::forwarded::{self, Sender};
use crate::pages::{self, Wants};
use crate::ranges;
use crate::strict;
use crate::upgrade::Passage;
use crate::visit::{Turn, Visit};

/// After so many seconds a place for one more tunnel may be free.
const TUNNEL_AGAIN: u32 = 10;

/// Answers one request of `visit`. Never fails: every request gets an answer and a reason. The
/// judgement is made here and now; only what goes to the origin waits for anything.
pub(crate) fn serve(visit: Rc<Visit>, request: Request<VisitorBody>) -> Serving {
    let turn = visit.request_begins();
    let (mut parts, body) = request.into_parts();
    match judge(&visit, &mut parts, &body, turn) {
        Judged::Answered(mut response) => {
            // Answered here and now, before the library has heard that it is the last one.
            if visit.is_draining() && parts.version == Version::HTTP_11 {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            visit.still_sending.set(!body.is_end_stream());
            Serving::Answered(Some(with_alternative(&visit, response)))
        }
        Judged::Forwarded(errand, turn) => {
            let request = Request::from_parts(parts, body);
            let answer = forward(visit.clone(), errand, request, turn);
            Serving::Forwarded(Box::pin(async move { with_alternative(&visit, answer.await) }))
        }
    }
}

/// Says where the same is served by HTTP/3. Whoever is about to stop invites nobody.
fn with_alternative(visit: &Visit, mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    if let Some(alternative) = visit.alternative.get().filter(|_| !visit.is_draining()) {
        response.headers_mut().insert(ALT_SVC, alternative.clone());
    }
    response
}

/// A request being served. What the way to the origin needs is two kilobytes, boxed: a refused
/// request does not pay for it, nor does an idle connection, nor a task of HTTP/2 when it is moved.
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

enum Judged {
    Answered(Response<ResponseBody>),
    Forwarded(Errand, Turn),
}

/// Everything that needs no waiting. On `Forwarded`, `parts` is fit for the origin.
fn judge(visit: &Rc<Visit>, parts: &mut Parts, body: &VisitorBody, turn: Turn) -> Judged {
    let house = &visit.house;
    let policy = house.policy.load();
    let config = policy.config();
    let identity = visit.identity();
    let trusted = &config.trusted_proxies;
    let sender = forwarded::sender(identity, visit.secure, trusted, &parts.headers);

    let present = Present::among(&parts.headers);
    let checked = strict::check(parts, present, &config.limits);
    let host_length = match checked {
        Ok(length) => length,
        Err(reason) => {
            house.write_unread(sender.source, reason);
            let headers = mem::take(&mut parts.headers);
            let wants = Wants::of(false, &headers);
            return Judged::Answered(pages::refusal(headers, reason, wants, None, turn));
        }
    };

    if let Some(answer) = house.answers.to(parts) {
        // Before any limit: under attack, too, certificates are renewed.
        house.write_unread(sender.source, Reason::Acme);
        return Judged::Answered(pages::challenge(mem::take(&mut parts.headers), &answer, turn));
    }

    let mut decision = decide(visit, &policy, parts, host_length, &sender);
    let limits = &config.limits;
    let too_much = if body.size_hint().lower() > limits.body_bytes {
        Some(Reason::BodyTooLarge)
    } else if present.has(Kind::Range)
        && !ranges::bearable(&parts.headers, usize::from(limits.ranges))
    {
        Some(Reason::Ranges)
    } else {
        None
    };
    if let Some(reason) = too_much
        && decision.record.reason.verdict() != Verdict::Refuse
    {
        decision.record.reason = reason;
        decision.answer = Answer::Refuse { retry_after: None };
    }
    let platform = policy.platform(decision.record.platform);
    let patience = &policy.activity(decision.record.activity).1.patience;
    let asks_for_upgrade = parts.version == Version::HTTP_11
        && parts.method == Method::GET
        && body.is_end_stream()
        && fields::asks_for_websocket(&parts.headers, present);
    let mut passage = None;
    if asks_for_upgrade && matches!(decision.answer, Answer::Forward { .. }) {
        let pool = house.pool(decision.record.platform, &platform.origin);
        passage = Passage::open(house, &pool, sender.source, limits, patience);
        if passage.is_none() {
            decision.record.reason = Reason::Tunnels;
            decision.answer = Answer::Refuse { retry_after: Some(TUNNEL_AGAIN) };
        }
    }
    let Decision { record, answer } = decision;
    house.write(&record);
    visit.asks_for(record.activity);

    let wants = Wants::of(record.page, &parts.headers);
    let mut headers = || mem::take(&mut parts.headers);
    Judged::Answered(match answer {
        Answer::Redirect { location, cookie } => {
            pages::redirect(headers(), &location, cookie.as_deref(), turn)
        }
        Answer::WaitPage { seconds, continue_to } => {
            pages::wait(headers(), seconds, &continue_to, turn)
        }
        Answer::Refuse { retry_after } => {
            pages::refusal(headers(), record.reason, wants, retry_after, turn)
        }
        Answer::Forward { strip_pass, cookie, load } => {
            let upgrades = passage.is_some();
            let errand = Errand {
                activity: record.activity,
                tier: policy.activity(record.activity).1.tier,
                load,
                pool: house.pool(record.platform, &platform.origin),
                started: record.at,
                cookie,
                wants,
                upgrade: passage,
                response_idle: patience.response_idle.unwrap_or(limits.response_idle),
                body: Terms {
                    bytes: limits.body_bytes,
                    rate: limits.upload_rate,
                    idle: limits.body_idle,
                },
            };
            fields::for_origin(&mut parts.headers, present, parts.version, upgrades);
            forwarded::tell(&mut parts.headers, visit.identity(), &sender);
            make_fit(parts, strip_pass);
            return Judged::Forwarded(errand, turn);
        }
    })
}

/// Asks the gate, and tells the watch the words behind what it hashed.
fn decide(
    visit: &Visit,
    policy: &Policy,
    parts: &Parts,
    host_length: usize,
    sender: &Sender,
) -> Decision {
    let house = &visit.house;
    let arrived = Arrived(&parts.headers);
    let request = gate::Request {
        source: sender.source,
        host: strict::host_name(parts, host_length),
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query(),
        secure: sender.secure,
        tls_client: visit.tls_client(),
        fields: &arrived,
    };
    let now = house.read_clock();
    let decision = gate::decide(policy, &house.tables, &request, now, house.wall(now));
    house.sight(&request, &decision.record);
    decision
}

/// Turns the visitor's request line into the one that the origin gets.
fn make_fit(parts: &mut Parts, strip_pass: bool) {
    if strip_pass {
        let path = parts.uri.path();
        let rest = parts.uri.query().and_then(gate::without_pass);
        let target = match rest {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        if let Ok(target) = target.parse::<PathAndQuery>() {
            parts.uri = Uri::from(target);
        }
    } else if parts.uri.scheme().is_some()
        && let Some(target) = parts.uri.path_and_query()
    {
        parts.uri = Uri::from(target.clone());
    }
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
}
