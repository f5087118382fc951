//! Takes one request to its origin and the answer back.

use core::future::poll_fn;
use core::mem;
use core::task::Poll;
use core::time::Duration;
use std::io;
use std::rc::Rc;

use http::StatusCode;
use portcullis_model::{ActivityId, Cut, Outcome, Tier, Time};

use crate::conn::connection::{Connection, RequestGuard};
use crate::context::WorkerContext;
use crate::deadline::Deadline;
use crate::origin::client::{OriginRequestWriter, OriginResponseHead};
use crate::origin::pool::{Pool, PooledConn};
use crate::origin::tunnel::{Tunnel, TunnelPermit};
use crate::origin::upload::{BodyLimits, RequestBody, Upload, UploadState, VisitorBody};
use crate::response::body::{Relay, RelayDeadline, ResponseBody};
use crate::response::gate_response::GateResponse;
use crate::response::pages::{self, ForwardFailure, ResponseFormat};

/// Bytes of a response that are written to one of several streams before the next one: the size
/// of one frame. Minimum rates are checked per piece, and slow connections are shared.
const STREAM_PIECE: usize = 16 * 1024;

/// What has to be known to forward one request, taken from the policy before the first wait.
pub(crate) struct ForwardJob {
    /// The head that the origin gets.
    pub(crate) head: Vec<u8>,
    /// How long the body is, if it is not chunked.
    pub(crate) length: Option<u64>,
    /// The answer has no body.
    pub(crate) for_head: bool,
    /// Asked twice, it does no more than once.
    pub(crate) retryable: bool,
    pub(crate) activity: ActivityId,
    pub(crate) tier: Tier,
    /// The visitor's recent load.
    pub(crate) load: Duration,
    pub(crate) pool: Rc<Pool>,
    /// When the request was complete.
    pub(crate) started: Time,
    /// A `Set-Cookie` of the gate's.
    pub(crate) cookie: Option<String>,
    pub(crate) format: ResponseFormat,
    /// The request asks for an upgrade, and may have it.
    pub(crate) upgrade: Option<TunnelPermit>,
    pub(crate) body: BodyLimits,
    /// Longest silence of the origin within its answer.
    pub(crate) response_idle: Duration,
}

/// Forwards a request whose head is already fit for the origin. From here on it has an outcome,
/// even if the future is never polled.
pub(crate) fn forward(
    conn: Rc<Connection>,
    job: ForwardJob,
    body: Option<VisitorBody>,
    turn: RequestGuard,
) -> impl Future<Output = GateResponse> {
    let account = OutcomeGuard::open(&conn.context, &job);
    proxy_request(conn, job, body, turn, account)
}

async fn proxy_request(
    conn: Rc<Connection>,
    mut job: ForwardJob,
    body: Option<VisitorBody>,
    turn: RequestGuard,
    mut account: OutcomeGuard,
) -> GateResponse {
    let context = &conn.context;
    let may_wait = job.pool.config.queue_timeout;
    let deadline = context.deadlines.start(conn.abort_target(), job.started + may_wait);
    let (mut question, deadline) = origin_request(&mut job, body, context, deadline);
    // A body that never begins keeps no place at the origin.
    if matches!(deadline, RelayDeadline::Shared(_)) {
        match await_first_chunk(question.body(), &deadline).await {
            Ok(true) => {}
            Ok(false) => question.end_without_body(job.retryable),
            Err(failure) => {
                return error_response(&failure, &conn, &job, &deadline, account, turn);
            }
        }
        deadline.deadline().set(context.now() + may_wait);
    }
    let place = job.pool.acquire(context, job.tier, job.load, deadline.deadline()).await;
    let Ok(mut lease) = place else {
        return error_response(
            &OriginFailure::PoolExhausted,
            &conn,
            &job,
            &deadline,
            account,
            turn,
        );
    };
    deadline.holds_slot();
    let answered =
        match send_and_await_head(&mut lease, question, &job, &deadline, &mut account).await {
            Ok(answered) => answered,
            Err(failure) => {
                drop(lease);
                return error_response(&failure, &conn, &job, &deadline, account, turn);
            }
        };
    let OriginResponseHead { status, mut fields, dated, length } = answered;
    if let Some(cookie) = &job.cookie {
        fields.put("set-cookie", cookie.as_bytes());
    }
    let mut upgrade = None;
    let body = if status == StatusCode::SWITCHING_PROTOCOLS {
        lease.response_ended(false);
        let permit = job.upgrade.take();
        upgrade = tunnel(lease, permit, job.activity);
        if upgrade.is_none() {
            account.record(Outcome::OriginUnreachable);
            return pages::failure(ForwardFailure::Unreachable, job.format, turn);
        }
        account.record(Outcome::Served);
        ResponseBody::empty(turn)
    } else {
        account.record(if status.is_server_error() {
            Outcome::OriginError
        } else {
            Outcome::Served
        });
        lease.response_ended(true);
        stream_response(lease, &job, deadline, context, turn)
    };
    GateResponse { status, fields, length, dated, last: false, body, upgrade }
}

/// What the origin is asked, with a body that counts, limits and reports what passes.
fn origin_request(
    job: &mut ForwardJob,
    body: Option<VisitorBody>,
    context: &Rc<WorkerContext>,
    deadline: Deadline,
) -> (OriginRequestWriter, RelayDeadline) {
    let head = mem::take(&mut job.head);
    let (body, deadline) = match body {
        None => (RequestBody::Empty, RelayDeadline::Own(deadline)),
        Some(body) => {
            let answer = job.pool.config.response_timeout;
            let upload = Upload::new(context, job.activity, deadline, job.body, answer);
            (RequestBody::stream(body, upload.clone()), RelayDeadline::Shared(upload))
        }
    };
    (OriginRequestWriter::new(head, body, job.length, job.for_head, job.retryable), deadline)
}

/// Waits for the first bytes of a body, or its end. Returns whether there are any.
async fn await_first_chunk(
    body: &mut RequestBody,
    deadline: &RelayDeadline,
) -> Result<bool, OriginFailure> {
    poll_fn(|cx| match body.poll_first_chunk(cx) {
        Poll::Pending if deadline.deadline().passed(cx) => Poll::Ready(Err(OriginFailure::Timeout)),
        drawn => drawn.map_err(|_| OriginFailure::ConnectionLost),
    })
    .await
}

/// The answer to a request that has none from its origin.
fn error_response(
    failure: &OriginFailure,
    conn: &Connection,
    job: &ForwardJob,
    deadline: &RelayDeadline,
    mut account: OutcomeGuard,
    turn: RequestGuard,
) -> GateResponse {
    let (outcome, failure) = failure.classify(deadline, conn);
    if failure == ForwardFailure::BodySlow && outcome == Outcome::BodyAborted {
        conn.context.meter.cut(Some(job.activity), Cut::SlowBody);
    }
    account.record(outcome);
    pages::failure(failure, job.format, turn)
}

/// Why there is no answer.
enum OriginFailure {
    /// No connection became free in time.
    PoolExhausted,
    /// No connection could be opened.
    Connect(io::ErrorKind),
    /// The connection broke, or what came is not HTTP.
    ConnectionLost,
    /// Nothing came in time.
    Timeout,
}

impl OriginFailure {
    /// Whose doing it was.
    fn classify(&self, deadline: &RelayDeadline, conn: &Connection) -> (Outcome, ForwardFailure) {
        if let RelayDeadline::Shared(upload) = deadline {
            match (upload.state.get(), self) {
                (_, Self::PoolExhausted) => {}
                (UploadState::TooLarge, _) => {
                    return (Outcome::BodyAborted, ForwardFailure::BodyTooLarge);
                }
                (UploadState::Aborted, _) if conn.malformed_body.get() => {
                    return (Outcome::BodyAborted, ForwardFailure::BodyMalformed);
                }
                (UploadState::Aborted, _) => {
                    return (Outcome::VisitorDisconnected, ForwardFailure::BodySlow);
                }
                (UploadState::AwaitingData, Self::Timeout) => {
                    return (Outcome::BodyAborted, ForwardFailure::BodySlow);
                }
                _ => {}
            }
        }
        match self {
            Self::Connect(kind) => {
                let outcome = match kind {
                    io::ErrorKind::ConnectionRefused => Outcome::OriginRefused,
                    io::ErrorKind::TimedOut => Outcome::OriginConnectTimeout,
                    _ => Outcome::OriginUnreachable,
                };
                (outcome, ForwardFailure::Unreachable)
            }
            Self::ConnectionLost => (Outcome::OriginUnreachable, ForwardFailure::Unreachable),
            Self::Timeout => (Outcome::OriginTimeout, ForwardFailure::Timeout),
            Self::PoolExhausted => (Outcome::OriginBusy, ForwardFailure::Busy),
        }
    }
}

/// Sends the request and waits for the head of the answer. An idle connection that turns out to
/// be closed is replaced once by a fresh one, if the request was not sent or does no harm twice.
async fn send_and_await_head(
    lease: &mut PooledConn,
    mut question: OriginRequestWriter,
    job: &ForwardJob,
    deadline: &RelayDeadline,
    account: &mut OutcomeGuard,
) -> Result<OriginResponseHead, OriginFailure> {
    let mut fresh = false;
    loop {
        let config = &job.pool.config;
        let due = account.context.now() + config.connect_timeout + config.response_timeout;
        deadline.deadline().set(due);
        let again =
            lease.open(fresh).await.map_err(|error| OriginFailure::Connect(error.kind()))?;
        account.sent = Some(account.context.now());
        lease.send_request(question);
        deadline.deadline().set(account.context.now() + config.response_timeout);
        let answered = poll_fn(|cx| match lease.poll_response_head(cx) {
            Poll::Ready(answered) => Poll::Ready(Some(answered)),
            Poll::Pending if deadline.deadline().passed(cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match answered.await {
            Some(Ok(answered)) => return Ok(answered),
            None => return Err(OriginFailure::Timeout),
            Some(Err(_)) => {
                lease.response_ended(false);
                question =
                    lease.take_request().filter(|_| again).ok_or(OriginFailure::ConnectionLost)?;
                fresh = true;
            }
        }
    }
}

/// The origin's end of an upgraded connection, for when the visitor's end has left HTTP; `None`
/// where the request contained no upgrade.
fn tunnel(
    mut lease: PooledConn,
    permit: Option<TunnelPermit>,
    activity: ActivityId,
) -> Option<Box<Tunnel>> {
    let permit = permit?;
    let (stream, ahead) = lease.take_upgraded()?;
    Some(Box::new(Tunnel { stream, ahead, lease, activity, permit }))
}

/// The answer's body, drawn from the origin as the visitor takes it.
fn stream_response(
    mut lease: PooledConn,
    job: &ForwardJob,
    deadline: RelayDeadline,
    context: &Rc<WorkerContext>,
    turn: RequestGuard,
) -> ResponseBody {
    if lease.is_over() {
        lease.finish();
        return ResponseBody::empty(turn);
    }
    // The visitor's turn: the wait for the origin begins with the next poll.
    deadline.extend(context.now(), job.body.idle, false);
    let relay = Relay {
        lease,
        deadline,
        idle: job.response_idle,
        untaken_timeout: job.body.idle,
        max_chunk: if turn.is_multiplexed() { STREAM_PIECE } else { usize::MAX },
        awaited: false,
        activity: job.activity,
        context: context.clone(),
    };
    ResponseBody::relay(relay, turn)
}

/// Sees to it that every forwarded request ends in exactly one outcome, whatever happens to it.
struct OutcomeGuard {
    context: Rc<WorkerContext>,
    activity: ActivityId,
    started: Time,
    sent: Option<Time>,
    settled: bool,
}

impl OutcomeGuard {
    fn open(context: &Rc<WorkerContext>, job: &ForwardJob) -> Self {
        Self {
            context: context.clone(),
            activity: job.activity,
            started: job.started,
            sent: None,
            settled: false,
        }
    }

    fn record(&mut self, outcome: Outcome) {
        self.settled = true;
        let now = self.context.read_clock();
        let latency = now.since(self.started);
        let busy = self.sent.map_or(Duration::ZERO, |sent| now.since(sent));
        self.context.meter.record_outcome(self.activity, outcome, latency, busy);
    }
}

impl Drop for OutcomeGuard {
    fn drop(&mut self) {
        if !self.settled {
            self.record(Outcome::VisitorDisconnected);
        }
    }
}
