//! One vector, carried out.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::gate::GateCounts;
use super::ground::{Attacker, Count, End, Ground, code_word, rest};
use super::held::Grants;
use super::result::{Attempt, Fate, Rehearsed, Service};
use super::{Over, Vector, dial, honest};
use crate::run::{DrillError, allow_open_files, check_host};
use crate::target::Target;
use crate::traffic::{ANNOUNCED_PATIENCE, PATIENCE};

/// Connections of one rehearsal at the same time, however many are asked for: both ends in one
/// system come to two thousand descriptors, half of what a drill asks for.
pub const CONNECTIONS_MAX: u32 = 1_024;
/// Seconds of one rehearsal: the longest deadline by default, of silent tunnels, is two minutes, and
/// half of one more shows that it holds.
pub const SECONDS_MAX: u32 = 150;
/// How often one place is opened again after the gate closed it, and the pause before: four times a
/// second for as long as any rehearsal lasts.
const OPENINGS_MAX: u32 = 4 * SECONDS_MAX;
const REOPEN: Duration = Duration::from_millis(250);
/// People begin before the attack and go on after it, so that the first and last waits count too.
const LEAD_IN: Duration = Duration::from_millis(500);
/// How long attackers may take to let go after the end.
const LETTING_GO: Duration = Duration::from_secs(6);
/// How long after the last person's patience the end may come.
const TAIL: Duration = Duration::from_secs(2);

/// What to rehearse.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// Which vector.
    pub vector: &'static Vector,
    /// The gate.
    pub target: Target,
    /// The value of the `Host` field.
    pub host: String,
    /// The page that most attackers ask for.
    pub path: String,
    /// The page that people ask for.
    pub visitors_path: String,
    /// How long they wait for it.
    pub patience: Duration,
    /// Where the gate's operators look, for what it counted.
    pub operator: Option<Target>,
    /// Connections at the same time, at most [`CONNECTIONS_MAX`].
    pub connections: u32,
    /// How long, at most [`SECONDS_MAX`].
    pub seconds: u32,
    /// What the gate's configuration grants.
    pub grants: Grants,
    /// For how long a connection may be held, where that is the point.
    pub held_at_most: Option<Duration>,
    /// How many requests one connection may make, where that is the point.
    pub asked_at_most: Option<u64>,
}

impl Rehearsal {
    /// A rehearsal with everything as the vector's defaults have it, against a gate that grants this.
    pub fn new(vector: &'static Vector, target: Target, grants: Grants) -> Self {
        Self {
            vector,
            target,
            host: "localhost".to_owned(),
            path: "/".to_owned(),
            visitors_path: "/".to_owned(),
            patience: PATIENCE,
            operator: None,
            connections: vector.connections,
            seconds: vector.seconds,
            held_at_most: vector.held_at_most(&grants),
            asked_at_most: vector.asked_at_most(&grants),
            grants,
        }
    }
}

/// Carries it out and says what came of it. Blocks until it is over.
pub fn rehearse(rehearsal: &Rehearsal) -> Result<Rehearsed, DrillError> {
    check_host(&rehearsal.host)?;
    let target = rehearsal.target;
    if rehearsal.vector.over == Over::Tls && !target.is_tls() {
        return Err(DrillError::NeedsTls { vector: rehearsal.vector.name, target });
    }
    for path in [&rehearsal.path, &rehearsal.visitors_path] {
        let is_odd = |b: u8| !b.is_ascii_graphic();
        if !path.starts_with('/') || path.len() > 1024 || path.bytes().any(is_odd) {
            return Err(DrillError::Path(path.chars().take(80).collect()));
        }
    }
    allow_open_files()?;
    if target.address().is_ipv4() {
        for address in [Ipv4Addr::new(127, 66, 0, 1), honest::source(0)] {
            TcpListener::bind((address, 0))
                .map_err(|source| DrillError::Addresses { address, source })?;
        }
    }
    TcpStream::connect_timeout(&target.address(), Duration::from_secs(3))
        .map_err(|source| DrillError::Unreachable { target, source })?;
    let before = rehearsal.operator.map(GateCounts::read).transpose()?;

    let seconds = rehearsal.seconds.clamp(1, SECONDS_MAX);
    let start = Instant::now() + LEAD_IN;
    let end = start + Duration::from_secs(u64::from(seconds));
    let patience = rehearsal.patience + ANNOUNCED_PATIENCE;
    let visitors = {
        let rehearsal = rehearsal.clone();
        crate::run::spawn("visitors", move || {
            crate::traffic::run_here(honest::visit(rehearsal, end), end + patience + TAIL)
        })?
    };
    let attackers = {
        let rehearsal = rehearsal.clone();
        crate::run::spawn("attackers", move || {
            crate::traffic::run_here(attack(rehearsal, start, end), end + LETTING_GO)
        })?
    };
    let attempt = crate::run::join("attackers", attackers)?
        .unwrap_or_else(|| Err("it did not end in time".to_owned()))
        .map_err(DrillError::Broken)?;
    let service = crate::run::join("visitors", visitors)?
        .unwrap_or_else(|| Err("they did not end in time".to_owned()))
        .map_err(DrillError::Broken)?;
    let grown = match (before, rehearsal.operator) {
        (Some(before), Some(operator)) => Some(GateCounts::read(operator)?.since(&before)),
        _ => None,
    };
    Ok(Rehearsed::new(rehearsal, seconds, attempt, service, grown))
}

/// All attackers, until all have let go.
async fn attack(
    rehearsal: Rehearsal,
    start: Instant,
    end: Instant,
) -> Option<Result<(Attempt, Fate), String>> {
    Some(attack_now(rehearsal, start, end).await)
}

async fn attack_now(
    rehearsal: Rehearsal,
    start: Instant,
    end: Instant,
) -> Result<(Attempt, Fate), String> {
    let client = |protocol: &[u8]| dial::client(&[protocol]).map_err(|error| error.to_string());
    let connections = rehearsal.connections.clamp(1, CONNECTIONS_MAX);
    let ground = Rc::new(Ground {
        rehearsal,
        tls: Arc::new(client(b"http/1.1")?),
        tls_http_2: Arc::new(client(b"h2")?),
        end,
        count: Count::default(),
    });
    tokio::time::sleep_until(start).await;
    let mut places = JoinSet::new();
    for place in 0..connections {
        places.spawn_local(keep_at_it(ground.clone(), place));
    }
    while places.join_next().await.is_some() {}
    Ok(account(&ground))
}

/// One place among the connections: opened again when the gate has closed it.
async fn keep_at_it(ground: Rc<Ground>, place: u32) {
    for turn in 0..OPENINGS_MAX {
        if !ground.may_go_on() {
            return;
        }
        let attacker = Attacker { ground: ground.clone(), place, turn, asked: Rc::default() };
        let began = Instant::now();
        let end = (ground.rehearsal.vector.attack)(attacker.clone()).await;
        note(&ground, end, began.elapsed(), attacker.asked.get());
        rest(&attacker, REOPEN).await;
    }
}

fn note(ground: &Ground, end: End, lasted: Duration, asked: u64) {
    let word = match end {
        End::Held => "held until the attackers let go".to_owned(),
        End::Closed => "closed by the gate".to_owned(),
        End::GoAway(code) => format!("GOAWAY {}", code_word(code)),
        End::StreamsOver => "streams ended by the gate".to_owned(),
        End::Done => "left by the attackers".to_owned(),
        End::NotOpened => "not opened".to_owned(),
    };
    let count = &ground.count;
    *count.ends.borrow_mut().entry(word).or_default() += 1;
    if matches!(end, End::Held | End::Closed | End::GoAway(_) | End::StreamsOver) {
        count.longest.set(count.longest.get().max(lasted));
        if ground.rehearsal.held_at_most.is_some_and(|most| lasted > most) {
            count.held_too_long.set(count.held_too_long.get() + 1);
        }
    }
    count.most_asked.set(count.most_asked.get().max(asked));
    if ground.rehearsal.asked_at_most.is_some_and(|most| asked > most) {
        count.asked_too_often.set(count.asked_too_often.get() + 1);
    }
}

fn account(ground: &Ground) -> (Attempt, Fate) {
    let count = &ground.count;
    let attempt = Attempt {
        connections: count.connections.get(),
        requests: count.requests.get(),
        frames: count.frames.get(),
        datagrams: count.datagrams.get(),
        bytes: count.bytes.get(),
    };
    let fate = Fate {
        ends: count.ends.take(),
        answers: count.answers.take(),
        resets: count.resets.take(),
        longest_ms: count.longest.get().as_millis() as u64,
        held_too_long: count.held_too_long.get(),
        most_asked: count.most_asked.get(),
        asked_too_often: count.asked_too_often.get(),
    };
    (attempt, fate)
}

/// What the visitors' thread answers.
pub(super) type Served = Option<Result<Service, String>>;
