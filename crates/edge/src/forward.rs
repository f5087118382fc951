//! Takes one request to its origin and the answer back.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::rc::Rc;

use http::header::SET_COOKIE;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};
use portcullis_model::{ActivityId, Cut, Outcome, Tier, Time};
use tokio::task::coop::unconstrained;

use crate::body::{
    Relay, RelayDeadline, RequestBody, ResponseBody, Terms, Upload, UploadState, VisitorBody,
};
use crate::deadline::Deadline;
use crate::fields;
use crate::origin::{Lease, Pool};
use crate::pages::{self, Trouble, Wants};
use crate::upgrade::{Passage, Tunnel};
use crate::visit::{Turn, Visit};
use crate::worker::House;

/// What has to be known to forward one request, taken from the policy before the first wait.
pub(crate) struct Errand {
    pub(crate) activity: ActivityId,
    pub(crate) tier: Tier,
    /// How much the visitor has asked for lately.
    pub(crate) load: Duration,
    pub(crate) pool: Rc<Pool>,
    /// When the request was complete.
    pub(crate) started: Time,
    /// A `Set-Cookie` of the gate's.
    pub(crate) cookie: Option<String>,
    pub(crate) wants: Wants,
    /// The request asks for an upgrade, and may have it.
    pub(crate) upgrade: Option<Passage>,
    pub(crate) body: Terms,
    /// Longest silence of the origin within its answer.
    pub(crate) response_idle: Duration,
}

/// Forwards a request whose head is already fit for the origin. From here on it has an outcome,
/// even if nobody polls it.
pub(crate) fn forward(
    visit: Rc<Visit>,
    errand: Errand,
    request: Request<VisitorBody>,
    turn: Turn,
) -> impl Future<Output = Response<ResponseBody>> {
    let account = Account::open(&visit.house, &errand);
    carry(visit, errand, request, turn, account)
}

async fn carry(
    visit: Rc<Visit>,
    mut errand: Errand,
    request: Request<VisitorBody>,
    turn: Turn,
    mut account: Account,
) -> Response<ResponseBody> {
    let house = &visit.house;
    let may_wait = errand.pool.config.queue_deadline;
    let deadline = house.deadlines.new_for(&visit, errand.started + may_wait);
    let (mut request, deadline) = with_body(request, house, &errand, deadline);
    // A body that never begins keeps no place at the origin.
    if matches!(deadline, RelayDeadline::Shared(_)) {
        if let Err(failure) = first_piece(request.body_mut(), &deadline).await {
            return give_up(&failure, &visit, &errand, &deadline, account, turn);
        }
        deadline.deadline().set(house.now() + may_wait);
    }
    let place = errand.pool.enter(house, errand.tier, errand.load, deadline.deadline()).await;
    let Ok(mut lease) = place else {
        return give_up(&Failure::Busy, &visit, &errand, &deadline, account, turn);
    };
    deadline.holds_place();
    let mut response = match exchange(&mut lease, request, &errand, &deadline, &mut account).await {
        Ok(response) => response,
        Err(failure) => {
            drop(lease);
            return give_up(&failure, &visit, &errand, &deadline, account, turn);
        }
    };
    let status = response.status();
    let upgraded = status == StatusCode::SWITCHING_PROTOCOLS;
    fields::for_visitor(response.headers_mut(), upgraded);
    if let Some(cookie) = &errand.cookie
        && let Ok(value) = HeaderValue::from_str(cookie)
    {
        response.headers_mut().append(SET_COOKIE, value);
    }
    if upgraded {
        lease.answered(false);
        let passage = errand.upgrade.take();
        if !hand_over(&visit, lease, passage, errand.activity, &deadline).await {
            account.settle(Outcome::OriginUnreachable);
            return pages::trouble(Trouble::Unreachable, errand.wants, turn);
        }
        account.settle(Outcome::Served);
        return response.map(|_| ResponseBody::empty(turn));
    }
    account.settle(if status.is_server_error() { Outcome::OriginError } else { Outcome::Served });
    lease.answered(true);
    relay(response, lease, &errand, deadline, house, turn)
}

/// The request with a body that counts, limits and reports what passes.
fn with_body(
    request: Request<VisitorBody>,
    house: &Rc<House>,
    errand: &Errand,
    deadline: Deadline,
) -> (Request<RequestBody>, RelayDeadline) {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        let request = Request::from_parts(parts, RequestBody::Empty);
        return (request, RelayDeadline::Own(deadline));
    }
    let upload = Upload::new(
        house,
        errand.activity,
        deadline,
        errand.body,
        errand.pool.config.response_deadline,
    );
    let body = RequestBody::stream(body, upload.clone());
    let request = Request::from_parts(parts, body);
    (request, RelayDeadline::Shared(upload))
}

/// Waits for the first bytes of a body, or its end.
async fn first_piece(body: &mut RequestBody, deadline: &RelayDeadline) -> Result<(), Failure> {
    poll_fn(|cx| match body.poll_first(cx) {
        Poll::Pending if deadline.deadline().passed(cx) => Poll::Ready(Err(Failure::Silent)),
        drawn => drawn.map_err(|_| Failure::Broken),
    })
    .await
}

/// The answer to a request that has none from its origin.
fn give_up(
    failure: &Failure,
    visit: &Visit,
    errand: &Errand,
    deadline: &RelayDeadline,
    mut account: Account,
    turn: Turn,
) -> Response<ResponseBody> {
    let (outcome, trouble) = failure.blame(deadline, visit);
    if trouble == Trouble::BodySlow && outcome == Outcome::BodyAborted {
        visit.house.meter.cut(errand.activity, Cut::SlowBody);
    }
    visit.still_sending.set(matches!(deadline, RelayDeadline::Shared(_)));
    account.settle(outcome);
    pages::trouble(trouble, errand.wants, turn)
}

/// Why there is no answer.
enum Failure {
    /// No connection became free in time.
    Busy,
    /// No connection could be opened.
    Unreachable,
    /// The connection broke, or what came is not HTTP.
    Broken,
    /// Nothing came in time.
    Silent,
}

impl Failure {
    /// Whose doing it was.
    fn blame(&self, deadline: &RelayDeadline, visit: &Visit) -> (Outcome, Trouble) {
        if let RelayDeadline::Shared(upload) = deadline {
            match (upload.state.get(), self) {
                (_, Self::Busy) => {}
                (UploadState::TooLarge, _) => {
                    return (Outcome::BodyAborted, Trouble::BodyTooLarge);
                }
                (UploadState::Broken, _) if visit.spoilt_body.get() => {
                    return (Outcome::BodyAborted, Trouble::BodyMalformed);
                }
                (UploadState::Broken, _) => return (Outcome::VisitorGone, Trouble::BodySlow),
                (UploadState::Awaited, Self::Silent) => {
                    return (Outcome::BodyAborted, Trouble::BodySlow);
                }
                _ => {}
            }
        }
        match self {
            Self::Unreachable | Self::Broken => (Outcome::OriginUnreachable, Trouble::Unreachable),
            Self::Silent => (Outcome::OriginTimeout, Trouble::Timeout),
            Self::Busy => (Outcome::OriginBusy, Trouble::Busy),
        }
    }
}

/// Sends the request and waits for the head of the answer. An idle connection that turns out to
/// be closed is replaced once by a fresh one, if the request was not sent or does no harm twice.
async fn exchange(
    lease: &mut Lease,
    mut request: Request<RequestBody>,
    errand: &Errand,
    deadline: &RelayDeadline,
    account: &mut Account,
) -> Result<Response<Incoming>, Failure> {
    let harmless = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        && matches!(request.body(), RequestBody::Empty);
    let mut fresh = false;
    loop {
        let config = &errand.pool.config;
        let due = account.house.now() + config.connect_deadline + config.response_deadline;
        deadline.deadline().set(due);
        let again = lease.open(fresh).await.map_err(|_| Failure::Unreachable)?;
        let spare = (again && harmless).then(|| copy_of(&request));
        account.sent = Some(account.house.now());
        lease.ask();
        deadline.deadline().set(account.house.now() + config.response_deadline);
        let wire = lease.wire().ok_or(Failure::Broken)?;
        // The answer moves only when the connection is driven, which is done right here; it must
        // not count against the task's share of the runtime's time, or its wake-up would be lost.
        let mut answer = pin!(unconstrained(wire.sender.try_send_request(request)));
        let answer = poll_fn(|cx| {
            let polled = lease.poll(cx, |wire, cx| {
                wire.drive(cx);
                answer.as_mut().poll(cx)
            });
            match polled {
                Some(Poll::Ready(answer)) => Poll::Ready(Some(answer)),
                Some(Poll::Pending) if !deadline.deadline().passed(cx) => Poll::Pending,
                _ => Poll::Ready(None),
            }
        });
        match answer.await {
            Some(Ok(response)) => return Ok(response),
            None => return Err(Failure::Silent),
            Some(Err(mut error)) => {
                lease.answered(false);
                let unsent = error.take_message().or(spare).filter(|_| again);
                request = unsent.ok_or(Failure::Broken)?;
                fresh = true;
            }
        }
    }
}

fn copy_of(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = Version::HTTP_11;
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// Leaves the origin's end of an upgraded connection for when the visitor's end has left HTTP.
async fn hand_over(
    visit: &Visit,
    mut lease: Lease,
    passage: Option<Passage>,
    activity: ActivityId,
    deadline: &RelayDeadline,
) -> bool {
    // Nobody asked for it.
    let Some(passage) = passage else { return false };
    poll_fn(|cx| {
        let driven =
            lease.poll(cx, |wire, cx| if wire.drive(cx) { Poll::Ready(()) } else { Poll::Pending });
        match driven {
            Some(Poll::Pending) if !deadline.deadline().passed(cx) => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
    let Some((stream, ahead)) = lease.take_upgraded() else {
        return false;
    };
    visit.tunnel.replace(Some(Tunnel { stream, ahead, lease, activity, passage }));
    true
}

/// The answer with a body that draws from the origin as the visitor takes it.
fn relay(
    response: Response<Incoming>,
    mut lease: Lease,
    errand: &Errand,
    deadline: RelayDeadline,
    house: &Rc<House>,
    turn: Turn,
) -> Response<ResponseBody> {
    let (parts, incoming) = response.into_parts();
    if incoming.is_end_stream() {
        lease.finish();
        return Response::from_parts(parts, ResponseBody::empty(turn));
    }
    // The visitor's turn: the origin is waited for when somebody asks for more.
    deadline.extend(house.now(), errand.body.idle, false);
    let relay = Relay {
        incoming,
        lease,
        deadline,
        idle: errand.response_idle,
        untaken: errand.body.idle,
        awaited: false,
        activity: errand.activity,
        house: house.clone(),
    };
    Response::from_parts(parts, ResponseBody::relay(relay, turn))
}

/// Sees to it that every forwarded request ends in exactly one outcome, whatever happens to it.
struct Account {
    house: Rc<House>,
    activity: ActivityId,
    started: Time,
    sent: Option<Time>,
    settled: bool,
}

impl Account {
    fn open(house: &Rc<House>, errand: &Errand) -> Self {
        Self {
            house: house.clone(),
            activity: errand.activity,
            started: errand.started,
            sent: None,
            settled: false,
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        self.settled = true;
        let now = self.house.read_clock();
        let latency = now.since(self.started);
        let busy = self.sent.map_or(Duration::ZERO, |sent| now.since(sent));
        self.house.meter.finished(self.activity, outcome, latency, busy);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(Outcome::VisitorGone);
        }
    }
}
