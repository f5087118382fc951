//! Plans the attackers' requests.

use std::net::Ipv4Addr;

use super::rng::SeededRng;
use super::schedule::{AttackRequest, PlannedRung};
use crate::scenario::{Rung, Tactic};
use crate::site;

/// Connections with slow headers are opened within this time, not all in the same moment.
const SLOW_RAMP_MS: u32 = 800;

/// Plans one rung of the assault with this number, as if it were used from beginning to end.
pub(super) fn plan_rung(
    draw: &mut SeededRng,
    assault: u64,
    step: usize,
    rung: Rung,
    (from_ms, to_ms): (u32, u32),
) -> PlannedRung {
    let sources = (0..rung.bots).map(|bot| bot_address(assault, step, bot)).collect();
    let lasts_ms = to_ms - from_ms;
    let (count, spread_ms) = match rung.tactic {
        Tactic::SlowHeaders => (rung.strength, SLOW_RAMP_MS.min(lasts_ms)),
        _ => ((u64::from(rung.strength) * u64::from(lasts_ms) / 1_000) as u32, lasts_ms),
    };
    let mut requests: Vec<AttackRequest> = (0..count)
        .map(|_| AttackRequest {
            at_ms: from_ms + draw.below(spread_ms),
            bot: draw.below(u32::from(rung.bots)) as u16,
            random: draw.next_u32(),
        })
        .collect();
    requests.sort_by_key(|shot| shot.at_ms);
    PlannedRung { tactic: rung.tactic, sources, requests }
}

/// 127.66.0.0 upwards: a second octet for each assault, a stretch of the third for each rung.
fn bot_address(attack: u64, step: usize, bot: u16) -> Ipv4Addr {
    let second = 66 + (attack % 64) as u8;
    let third = (step % 8) as u8 * 32 + (bot / 250 % 32) as u8;
    Ipv4Addr::new(127, second, third, (bot % 250) as u8 + 1)
}

/// The path and query that a tactic asks for with what was drawn. Slow headers never get as far.
pub fn attack_path(tactic: Tactic, draw: u32) -> String {
    match tactic {
        Tactic::SearchFlood => {
            let word = |shift: u32| {
                site::SEARCH_WORDS[(draw >> shift) as usize % site::SEARCH_WORDS.len()]
            };
            format!("/search?q={}+{}+{}", word(0), word(8), draw % 10_000)
        }
        Tactic::CacheBusting => format!("/?cb={draw:08x}"),
        Tactic::SlowHeaders => "/".to_owned(),
        Tactic::Imitation | Tactic::TokenFarm => match draw % 8 {
            0 | 1 => "/".to_owned(),
            2 => "/news".to_owned(),
            3 => "/about".to_owned(),
            _ => site::article_path((draw >> 8) as usize),
        },
    }
}
