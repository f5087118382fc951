//! Takes one request to its origin and the answer back.

use core::future::poll_fn;
use core::mem;
use core::task::Poll;
use core::time::Duration;
use std::rc::Rc;

use http::StatusCode;
use portcullis_model::{ActivityId, Cut, Outcome, Tier, Time};

use crate::answer::Answer;
use crate::body::{
    Relay, RelayDeadline, RequestBody, ResponseBody, Terms, Upload, UploadState, VisitorBody,
};
use crate::deadline::Deadline;
use crate::http_1::{Answered, Question};
use crate::origin::{Lease, Pool};
use crate::pages::{self, Trouble, Wants};
use crate::upgrade::{Passage, Tunnel};
use crate::visit::{Turn, Visit};
use crate::worker::House;

/// Bytes of an answer that are given to one of several streams at once: what fits into one frame of
/// theirs. How each of them is taken is judged by piece, and slow lines are shared.
const STREAM_PIECE: usize = 16 * 1024;

/// What has to be known to forward one request, taken from the policy before the first wait.
pub(crate) struct Errand {
    /// The head that the origin gets.
    pub(crate) head: Vec<u8>,
    /// How long the body is, if it is not chunked.
    pub(crate) length: Option<u64>,
    /// The answer has no body.
    pub(crate) for_head: bool,
    /// Asked twice, it does no more than once.
    pub(crate) harmless: bool,
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
    body: Option<VisitorBody>,
    turn: Turn,
) -> impl Future<Output = Answer> {
    let account = Account::open(&visit.house, &errand);
    carry(visit, errand, body, turn, account)
}

async fn carry(
    visit: Rc<Visit>,
    mut errand: Errand,
    body: Option<VisitorBody>,
    turn: Turn,
    mut account: Account,
) -> Answer {
    let house = &visit.house;
    let may_wait = errand.pool.config.queue_timeout;
    let deadline = house.deadlines.new_for(&visit, errand.started + may_wait);
    let (mut question, deadline) = question(&mut errand, body, house, deadline);
    // A body that never begins keeps no place at the origin.
    if matches!(deadline, RelayDeadline::Shared(_)) {
        if let Err(failure) = first_piece(question.body(), &deadline).await {
            return give_up(&failure, &visit, &errand, &deadline, account, turn);
        }
        deadline.deadline().set(house.now() + may_wait);
    }
    let place = errand.pool.enter(house, errand.tier, errand.load, deadline.deadline()).await;
    let Ok(mut lease) = place else {
        return give_up(&Failure::Busy, &visit, &errand, &deadline, account, turn);
    };
    deadline.holds_place();
    let answered = match exchange(&mut lease, question, &errand, &deadline, &mut account).await {
        Ok(answered) => answered,
        Err(failure) => {
            drop(lease);
            return give_up(&failure, &visit, &errand, &deadline, account, turn);
        }
    };
    let Answered { status, mut fields, dated, length } = answered;
    if let Some(cookie) = &errand.cookie {
        fields.put("set-cookie", cookie.as_bytes());
    }
    let body = if status == StatusCode::SWITCHING_PROTOCOLS {
        lease.answered(false);
        let passage = errand.upgrade.take();
        if !hand_over(&visit, lease, passage, errand.activity) {
            account.settle(Outcome::OriginUnreachable);
            return pages::trouble(Trouble::Unreachable, errand.wants, turn);
        }
        account.settle(Outcome::Served);
        ResponseBody::empty(turn)
    } else {
        account.settle(if status.is_server_error() {
            Outcome::OriginError
        } else {
            Outcome::Served
        });
        lease.answered(true);
        relay(lease, &errand, deadline, house, turn)
    };
    Answer { status, fields, length, dated, last: false, body }
}

/// What the origin is asked, with a body that counts, limits and reports what passes.
fn question(
    errand: &mut Errand,
    body: Option<VisitorBody>,
    house: &Rc<House>,
    deadline: Deadline,
) -> (Question, RelayDeadline) {
    let head = mem::take(&mut errand.head);
    let (body, deadline) = match body {
        None => (RequestBody::Empty, RelayDeadline::Own(deadline)),
        Some(body) => {
            let answer = errand.pool.config.response_timeout;
            let upload = Upload::new(house, errand.activity, deadline, errand.body, answer);
            (RequestBody::stream(body, upload.clone()), RelayDeadline::Shared(upload))
        }
    };
    (Question::new(head, body, errand.length, errand.for_head, errand.harmless), deadline)
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
) -> Answer {
    let (outcome, trouble) = failure.blame(deadline, visit);
    if trouble == Trouble::BodySlow && outcome == Outcome::BodyAborted {
        visit.house.meter.cut(errand.activity, Cut::SlowBody);
    }
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
                (UploadState::Broken, _) => return (Outcome::VisitorDisconnected, Trouble::BodySlow),
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
    mut question: Question,
    errand: &Errand,
    deadline: &RelayDeadline,
    account: &mut Account,
) -> Result<Answered, Failure> {
    let mut fresh = false;
    loop {
        let config = &errand.pool.config;
        let due = account.house.now() + config.connect_timeout + config.response_timeout;
        deadline.deadline().set(due);
        let again = lease.open(fresh).await.map_err(|_| Failure::Unreachable)?;
        account.sent = Some(account.house.now());
        lease.ask(question);
        deadline.deadline().set(account.house.now() + config.response_timeout);
        let answered = poll_fn(|cx| match lease.poll_answer(cx) {
            Poll::Ready(answered) => Poll::Ready(Some(answered)),
            Poll::Pending if deadline.deadline().passed(cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match answered.await {
            Some(Ok(answered)) => return Ok(answered),
            None => return Err(Failure::Silent),
            Some(Err(_)) => {
                lease.answered(false);
                question = lease.take_question().filter(|_| again).ok_or(Failure::Broken)?;
                fresh = true;
            }
        }
    }
}

/// Leaves the origin's end of an upgraded connection for when the visitor's end has left HTTP.
fn hand_over(
    visit: &Visit,
    mut lease: Lease,
    passage: Option<Passage>,
    activity: ActivityId,
) -> bool {
    // Unless nobody asked for it.
    let Some(passage) = passage else { return false };
    let Some((stream, ahead)) = lease.take_upgraded() else { return false };
    visit.tunnel.replace(Some(Tunnel { stream, ahead, lease, activity, passage }));
    true
}

/// The answer's body, drawn from the origin as the visitor takes it.
fn relay(
    mut lease: Lease,
    errand: &Errand,
    deadline: RelayDeadline,
    house: &Rc<House>,
    turn: Turn,
) -> ResponseBody {
    if lease.is_over() {
        lease.finish();
        return ResponseBody::empty(turn);
    }
    // The visitor's turn: the origin is waited for when somebody asks for more.
    deadline.extend(house.now(), errand.body.idle, false);
    let relay = Relay {
        lease,
        deadline,
        idle: errand.response_idle,
        untaken: errand.body.idle,
        piece: if turn.is_multiplexed() { STREAM_PIECE } else { usize::MAX },
        awaited: false,
        activity: errand.activity,
        house: house.clone(),
    };
    ResponseBody::relay(relay, turn)
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
            self.settle(Outcome::VisitorDisconnected);
        }
    }
}
