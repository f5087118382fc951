//! One request, from its head to its answer: check, decide, count, and then answer or forward.

use core::cell::Cell;
use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::rc::Rc;
use std::sync::Arc;

use http::header::{ALT_SVC, HeaderValue};
use http::{Method, Request, Response, Version};
use http_body::Body;
use portcullis_gate::{
    self as gate, Decision, Demands, Head, HeaderKind, HeaderPresence, Host, Policy, TunnelSlots,
    fields_of,
};
use portcullis_model::{Assignment, OriginConfig, Reason, SourceKey};

use crate::access_log::AccessRecord;
use crate::conn::connection::{Connection, RequestGuard};
use crate::forward::{ForwardJob, forward};
use crate::origin::pool::{OriginPools, WorkerShare};
use crate::origin::tunnel::TunnelPermit;
use crate::origin::upload::{BodyLimits, VisitorBody};
use crate::request::acme_challenge::ChallengeAnswers;
use crate::request::body::BodyInfo;
use crate::request::fields;
use crate::request::forwarded::{self, VisitorAddr};
use crate::response::body::ResponseBody;
use crate::response::gate_response::GateResponse;
use crate::response::pages::{self, ResponseFormat};

/// What requests are served with, besides their connection.
pub(crate) struct RequestService {
    pub(crate) pools: OriginPools,
    /// What certificate authorities are answered.
    challenges: Arc<ChallengeAnswers>,
}

impl RequestService {
    pub(crate) fn new(share: WorkerShare, challenges: Arc<ChallengeAnswers>) -> Self {
        Self { pools: OriginPools::new(share), challenges }
    }
}

/// Answers one request of `conn` by HTTP/2 or HTTP/3. Never fails: every request gets an answer
/// and a reason. The judgement is made here and now; only what goes to the origin waits for
/// anything.
pub(crate) fn serve(
    service: &RequestService,
    conn: &Rc<Connection>,
    request: Request<VisitorBody>,
) -> ResponseFuture {
    let policy = conn.context.policy.load();
    let (parts, body) = request.into_parts();
    let for_head = parts.method == Method::HEAD;
    let announced = BodyInfo { min_bytes: body.size_hint().lower(), is_none: body.is_end_stream() };
    let fields = fields_of(&parts.headers);
    let head = Head::from_parts(&parts, &fields);
    match route_request(service, conn, &policy, &head, announced) {
        Routed::Answered(answer) => {
            ResponseFuture::Answered(Some(into_http(conn, answer, for_head)))
        }
        Routed::Forwarded(job, turn) => {
            let conn = conn.clone();
            let body = Some(body).filter(|_| !announced.is_none);
            let answer = forward(conn.clone(), job, body, turn);
            ResponseFuture::Forwarded(Box::pin(
                async move { into_http(&conn, answer.await, for_head) },
            ))
        }
    }
}

/// Adds the address of the same site over HTTP/3, unless the worker is draining.
fn into_http(conn: &Connection, answer: GateResponse, for_head: bool) -> Response<ResponseBody> {
    let mut response = answer.into_response(for_head);
    if let Some(alternative) = conn.alt_svc.get().filter(|_| !conn.is_draining()) {
        response.headers_mut().insert(ALT_SVC, HeaderValue::clone(alternative));
    }
    response
}

/// A request being served. What the way to the origin needs is a kilobyte, boxed: a refused
/// request does not pay for it, nor does a task of HTTP/2 when it is moved.
#[allow(clippy::large_enum_variant)] // There is one for each request, on its way.
pub(crate) enum ResponseFuture {
    Answered(Option<Response<ResponseBody>>),
    Forwarded(Pin<Box<dyn Future<Output = Response<ResponseBody>>>>),
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            // A future is not polled after it is ready.
            Self::Answered(response) => response.take().map_or(Poll::Pending, ready),
            Self::Forwarded(answer) => answer.as_mut().poll(cx).map(Ok),
        }
    }
}

fn ready(response: Response<ResponseBody>) -> Poll<Result<Response<ResponseBody>, Infallible>> {
    Poll::Ready(Ok(response))
}

/// The route of a request: answered by the gate, or forwarded.
#[allow(clippy::large_enum_variant)] // There is one for each request, on its way.
pub(crate) enum Routed {
    Answered(GateResponse),
    Forwarded(ForwardJob, RequestGuard),
}

/// Everything that needs no waiting, by one policy from the first check to the last.
pub(crate) fn route_request(
    service: &RequestService,
    conn: &Rc<Connection>,
    policy: &Policy,
    head: &Head<'_>,
    body: BodyInfo,
) -> Routed {
    let context = &conn.context;
    let mut turn = conn.request_begins(&policy.config().limits);
    let config = policy.config();
    let sender = forwarded::visitor_of(conn.remote(), conn.secure, &config.trusted_proxies, head);

    let present = HeaderPresence::from_fields(head.fields);
    let coded = present.has(HeaderKind::TransferEncoding);
    let host = match gate::screen(head, present, &config.limits) {
        Ok(host) => host,
        Err(reason) => {
            context.record_unrouted(sender.source, reason);
            turn.logged = begin_log(conn, policy, head, &sender, reason);
            let wants = ResponseFormat::from_head(false, head);
            return Routed::Answered(pages::refusal(reason, wants, None, coded, turn));
        }
    };

    if is_misdirected(conn, policy, host.name) {
        context.record_unrouted(sender.source, Reason::Misdirected);
        turn.logged = begin_log(conn, policy, head, &sender, Reason::Misdirected);
        let wants = ResponseFormat::from_head(false, head);
        return Routed::Answered(pages::refusal(Reason::Misdirected, wants, None, coded, turn));
    }

    if let Some(answer) = service.challenges.to(head) {
        // Before any limit: under attack, too, certificates are renewed.
        context.record_unrouted(sender.source, Reason::Acme);
        turn.logged = begin_log(conn, policy, head, &sender, Reason::Acme);
        return Routed::Answered(pages::challenge(&answer, turn));
    }

    let limits = &config.limits;
    let slots =
        TunnelPermits { service, conn, policy, source: sender.source, taken: Cell::default() };
    let asks_for_upgrade = head.version == Version::HTTP_11
        && head.method == "GET"
        && body.is_none
        && fields::is_websocket_upgrade(head, present);
    let demands = Demands {
        body_bytes: body.min_bytes,
        too_many_ranges: present.has(HeaderKind::Range)
            && !gate::ranges_within_limit(head, usize::from(limits.max_ranges)),
        tunnel: asks_for_upgrade.then_some(&slots as &dyn TunnelSlots),
    };
    let decision = ask_gate(conn, policy, head, host, &sender, demands);
    let permit = slots.taken.take();
    let Decision { record, answer } = decision;
    context.record(&record);
    turn.logged = begin_log(conn, policy, head, &sender, record.reason);
    if let Some(assigned) = record.assigned {
        conn.set_activity(assigned.activity);
    }

    let wants = ResponseFormat::from_head(record.page, head);
    Routed::Answered(match answer {
        gate::Disposition::Redirect { location, cookie } => {
            pages::redirect(&location, cookie.as_deref(), turn)
        }
        gate::Disposition::WaitPage { seconds, continue_to } => {
            pages::wait(seconds, &continue_to, turn)
        }
        gate::Disposition::Refuse { retry_after } => {
            pages::refusal(record.reason, wants, retry_after, coded, turn)
        }
        gate::Disposition::Forward { assigned, strip_pass, cookie, load } => {
            let mut out = Vec::with_capacity(HEAD_BYTES);
            put_request_line(&mut out, head, strip_pass);
            let origin = &policy.platform(assigned.platform).origin;
            put_host(&mut out, host, origin);
            if !origin.reuse_connections && permit.is_none() {
                out.extend_from_slice(b"connection: close\r\n");
            }
            fields::for_origin(head, present, permit.is_some(), &mut out);
            forwarded::write_forwarding_headers(&mut out, conn.remote(), &sender, host.field);
            let length = put_framing(&mut out, head, body, coded);
            out.extend_from_slice(b"\r\n");
            let activity = policy.activity(assigned.activity);
            let job = ForwardJob {
                head: out,
                length,
                for_head: head.method == "HEAD",
                retryable: matches!(head.method, "GET" | "HEAD" | "OPTIONS"),
                activity: assigned.activity,
                tier: activity.tier,
                load,
                pool: service.pools.get(assigned.platform, origin),
                started: record.at,
                cookie,
                format: wants,
                upgrade: permit,
                response_idle: activity
                    .timeouts
                    .response_idle_timeout
                    .unwrap_or(limits.response_idle_timeout),
                body: BodyLimits {
                    bytes: limits.max_body_bytes,
                    rate: limits.min_upload_rate,
                    idle: limits.body_idle_timeout,
                },
            };
            return Routed::Forwarded(job, turn);
        }
    })
}

/// Whether a request names another platform than its handshake did, whose certificate is not for it. A
/// browser sends requests for several hosts on one connection only where the certificate is for all.
fn is_misdirected(conn: &Connection, policy: &Policy, host: &str) -> bool {
    conn.requested_name().is_some_and(|requested| {
        !requested.name.eq_ignore_ascii_case(host)
            && policy.serves_apart(&requested.name, host)
            && !requested.covers(host)
    })
}

/// Begins the request's line in the access log, if there is one.
fn begin_log(
    conn: &Connection,
    policy: &Policy,
    head: &Head<'_>,
    sender: &VisitorAddr,
    reason: Reason,
) -> Option<Box<AccessRecord>> {
    let context = &conn.context;
    let log = context.access_log.as_ref()?;
    let now = context.now();
    let address = sender.address(conn.remote());
    log.begin((now, context.wall(now)), address, head, reason, policy.secret())
}

/// Permits for an upgraded connection of one request.
struct TunnelPermits<'a> {
    service: &'a RequestService,
    conn: &'a Connection,
    policy: &'a Policy,
    source: SourceKey,
    taken: Cell<Option<TunnelPermit>>,
}

impl TunnelSlots for TunnelPermits<'_> {
    fn take(&self, assigned: Assignment) -> bool {
        let (policy, context) = (self.policy, &self.conn.context);
        let platform = assigned.platform;
        let pool = self.service.pools.get(platform, &policy.platform(platform).origin);
        let timeouts = &policy.activity(assigned.activity).timeouts;
        let limits = &policy.config().limits;
        let permit = TunnelPermit::open(context, &pool, self.source, limits, timeouts);
        let free = permit.is_some();
        self.taken.set(permit);
        free
    }
}

/// Bytes that a head for the origin usually takes: a browser's, and what the gate adds.
const HEAD_BYTES: usize = 1024;

/// Asks the gate, and sends the watch the names behind the hashed features.
fn ask_gate(
    conn: &Connection,
    policy: &Policy,
    head: &Head<'_>,
    host: Host<'_>,
    sender: &VisitorAddr,
    demands: Demands<'_>,
) -> Decision {
    let context = &conn.context;
    let request = gate::Request {
        source: sender.source,
        host: host.name,
        method: head.method,
        path: head.target.path,
        query: head.target.query,
        secure: sender.secure,
        tls_client: conn.tls_client(),
        fields: head,
        demands,
    };
    let now = context.read_clock();
    let decision = gate::decide(policy, &context.tables, &request, now, context.wall(now));
    context.record_names(&request, &decision.record);
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
            if let Some(rest) = gate::strip_token_param(query) {
                put_query(&rest);
            }
        }
        Some(query) => put_query(query),
        None => {}
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// An origin requires a host, also if the visitor named none.
fn put_host(out: &mut Vec<u8>, host: Host<'_>, origin: &OriginConfig) {
    out.extend_from_slice(b"host: ");
    if host.field.is_empty() {
        out.extend_from_slice(origin.authority().as_bytes());
    } else {
        out.extend_from_slice(host.field.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes how the body ends: by the announced length, or else in chunks. Returns the length.
fn put_framing(out: &mut Vec<u8>, head: &Head<'_>, body: BodyInfo, coded: bool) -> Option<u64> {
    // A screened head has at most one length, in digits, and none with a transfer coding.
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
