//! Who makes up an excess, against who comes on ordinary days of this site.
//!
//! Each piece has a weight: how improbable its count is if the excess were a crowd of the usual visitors: the
//! logarithm of a likelihood ratio, in thousandths of a nat. A piece about what the site or
//! its log does not have has no weight.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_model::{Evidence, EvidenceKind};

use crate::calm_mix::{CalmMix, PROGRAMS_MILLI, SHARE_MARGIN};
use crate::rate_windows::Excess;
use crate::surprise;
use crate::visitors::JudgedVisit;

/// Pieces with this weight together, with the excess, show an attack.
const HOSTILE_MILLI: u64 = 16_000;
/// At least this much of it must be about who asks.
const HOSTILE_MIX_MILLI: u64 = 8_000;
/// One piece must have this weight by itself.
const CLEAR_PIECE_MILLI: u64 = 5_000;
/// The excess itself must be this improbable.
pub(crate) const RAISED_MILLI: u64 = 4_000;
/// One piece has no more weight than this: its samples depend on each other.
const PIECE_MAX_MILLI: u64 = 14_000;
/// The same for a piece that fits some crowds too.
const WEAK_PIECE_MAX_MILLI: u64 = 6_000;

/// Visitors of one program, for pages or for one path, who are a flood, whatever else there is, if the rate is
/// [`PROGRAM_TENTHS`] tenths of the usual.
const PROGRAM_VISITORS: u64 = 30;
/// See [`PROGRAM_VISITORS`].
const PROGRAM_TENTHS: u64 = 30;
/// Visitors of whom each asks once are a flood if they send this many requests beyond the usual, or come steadily
/// ([`STEADY_TICKS`]): scanners of links in mails are fewer, and come for a minute or two.
const FLOOD_REQUESTS: u64 = 70;
/// The middle two thirds of steady visitors come in no less than this many ticks: two minutes.
const STEADY_TICKS: u64 = 480;
/// Fewer busy visitors than this who read page after page are robots, unless the rate is [`ROBOT_TENTHS`] tenths
/// of the usual.
const ROBOTS: usize = 16;
/// See [`ROBOTS`].
const ROBOT_TENTHS: u64 = 30;
/// Visits in an excess, before it is compared.
const VISITS_MIN: u64 = 8;
/// Where more visitors than this come without assets on ordinary days (in thousandths), their lack shows
/// nothing: the site keeps its assets elsewhere.
const BARE_USUAL_MAX: u64 = 930;
/// Visitors ask for as long as this before a few visitors are a flood, in ticks: twelve
/// seconds. A job of the site's own that runs at night takes less.
const FEW_TICKS: u64 = 48;
/// Requests of a few visitors that are a flood.
const FEW_REQUESTS: u64 = 100;
/// Requests per second at which a few visitors are a flood without the twelve seconds.
const FEW_PER_SECOND: u64 = 100;
/// Fewer visitors than this are few.
const FEW: usize = 4;

/// What the busy visitors of a platform asked for, in the window of an excess.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BusyRequests {
    /// Visitors, up to a bound.
    pub visitors: usize,
    /// Their requests in the window.
    pub requests: u64,
    /// Of these, repetitions of the request before.
    pub repeated: u64,
    /// Requests in the window, of any visitor without assets, for the same as its request before.
    pub again: u64,
    /// Their requests in the last second.
    pub per_second: u64,
    /// Ticks in a row with such requests.
    pub ticks: u64,
    /// Requests per second that the platform expects in all, in thousandths.
    pub usual_milli: u64,
}

/// The pieces of evidence in an excess, and whether they show an attack.
#[derive(Debug, Default)]
pub(crate) struct Composition {
    pub evidence: Vec<Evidence>,
    pub hostile: bool,
    /// Whether they are more than scanners of links.
    pub flood: bool,
}

/// The distinct visitors of some time.
#[derive(Debug, Default)]
struct Visitors {
    all: u64,
    agents: BTreeMap<u32, u64>,
    paths: BTreeMap<u32, u64>,
    /// Those whose path and user agent are not those of programs that never load assets.
    readers: u64,
    bare: u64,
    /// The sum of the usual shares of the readers, in thousandths.
    usual_sum: u64,
    /// When those without assets came, the newest first.
    bare_ticks: Vec<u64>,
    /// Visitors without assets, on paths of pages, by user agent.
    bare_agents: BTreeMap<u32, u64>,
}

impl Visitors {
    fn of<'a>(visits: impl Iterator<Item = &'a JudgedVisit>, calm: &CalmMix) -> Self {
        let mut seen = BTreeSet::new();
        let mut all = Self::default();
        for visit in visits.filter(|visit| seen.insert(visit.visitor)) {
            all.all += 1;
            *all.agents.entry(visit.user_agent).or_default() += 1;
            *all.paths.entry(visit.path).or_default() += 1;
            if visit.bare && calm.path_milli(visit.path) <= PROGRAMS_MILLI {
                *all.bare_agents.entry(visit.user_agent).or_default() += 1;
            }
            let usual = calm.bare_milli(visit);
            if usual <= PROGRAMS_MILLI {
                all.readers += 1;
                if visit.bare {
                    all.bare += 1;
                    all.bare_ticks.push(visit.tick);
                }
                all.usual_sum += usual;
            }
        }
        all
    }

    /// Whether far more of them than on ordinary days ask for one path.
    fn are_on_one_path(&self, calm: &CalmMix) -> bool {
        let Some((path, count)) = self.paths.iter().max_by_key(|(_, count)| **count) else {
            return false;
        };
        let usual = (calm.visits_of_path_milli(*path) * 2 + SHARE_MARGIN).min(900);
        surprise::of_share(*count, self.all, usual) >= CLEAR_PIECE_MILLI
    }

    /// Whether those without assets came for minutes.
    fn are_steady(&self) -> bool {
        let sixth = self.bare_ticks.len() / 6;
        let newer = self.bare_ticks.get(sixth);
        let older = self.bare_ticks.get(sixth * 5);
        newer.zip(older).is_some_and(|(newer, older)| newer.saturating_sub(*older) >= STEADY_TICKS)
    }
}

/// Evaluates an excess by its visits and its busy visitors.
pub(crate) fn evaluate<'a>(
    excess: &Excess,
    visits: impl Iterator<Item = &'a JudgedVisit>,
    busy: &BusyRequests,
    calm: &CalmMix,
) -> Composition {
    if excess.surprise_milli < RAISED_MILLI {
        return Composition::default();
    }
    let visitors = Visitors::of(visits, calm);
    let agent = unusual_agent(&visitors, calm);
    // One program that reads pages, or one path. An app that was updated asks for data, as it did before.
    let of_pages = agent.as_ref().is_some_and(|(_, _, agent)| {
        let bare = visitors.bare_agents.get(agent).copied().unwrap_or_default();
        let many = visitors.all >= PROGRAM_VISITORS && excess.factor_tenths() >= PROGRAM_TENTHS;
        many && (bare >= PROGRAM_VISITORS || visitors.are_on_one_path(calm))
    });
    let busy_visitors = busy_visitors(excess, busy, calm);
    let without_pause = busy_visitors.is_some();
    let again =
        if without_pause { None } else { same_again(excess, busy.again, visitors.all, calm) };
    let pieces = [
        bare_visitors(&visitors, calm),
        agent.map(|(weight, evidence, _)| (weight, evidence)),
        busy_visitors,
        again,
    ];
    let pieces: Vec<_> = pieces.into_iter().flatten().collect();
    let mix: u64 = pieces.iter().map(|(weight, _)| weight).sum();
    // Small shifts of a mix happen in any crowd: one of the pieces must be clear by itself.
    let clear = pieces.iter().any(|(weight, evidence)| {
        *weight >= CLEAR_PIECE_MILLI
            && (of_pages || evidence.kind != EvidenceKind::UnusualUserAgent)
    });
    let flood = excess.beyond() >= FLOOD_REQUESTS || visitors.are_steady();
    let enough = if of_pages { CLEAR_PIECE_MILLI } else { HOSTILE_MIX_MILLI };
    let hostile = clear && mix >= enough && mix + excess.surprise_milli >= HOSTILE_MILLI;
    let evidence = if hostile { pieces.into_iter().map(|(_, e)| e).collect() } else { Vec::new() };
    Composition { evidence, hostile, flood: flood || without_pause }
}

/// A weight in nats, for people.
fn nats(milli: u64) -> String {
    format!("{}.{}", milli / 1_000, milli % 1_000 / 100)
}

/// Browsers load the assets of a page; returning visitors loaded them earlier; robots do not, and
/// are few.
fn bare_visitors(visitors: &Visitors, calm: &CalmMix) -> Option<(u64, Evidence)> {
    let Visitors { readers: all, bare, usual_sum, .. } = *visitors;
    if all < VISITS_MIN || !calm.is_known() {
        return None;
    }
    let share = usual_sum / all;
    let usual = share + SHARE_MARGIN.min((1_000 - share) / 3);
    if usual > BARE_USUAL_MAX {
        return None;
    }
    let weight = surprise::of_share(bare, all, usual).min(PIECE_MAX_MILLI);
    let share = bare * 100 / all;
    (weight >= 1_000).then(|| {
        let evidence = Evidence {
            kind: EvidenceKind::PagesWithoutAssets,
            measured: share,
            threshold: usual / 10,
            summary: format!(
                "{share}% of {all} visitors asked for no asset within 2 seconds of a page or in \
                 the 10 minutes before; at most {}% do there on ordinary days (weight {})",
                usual / 10,
                nats(weight)
            ),
        };
        (weight, evidence)
    })
}

/// One user agent that hardly comes on ordinary days. An app that was updated is such a one too, so
/// that this shows little alone.
fn unusual_agent(visitors: &Visitors, calm: &CalmMix) -> Option<(u64, Evidence, u32)> {
    let Visitors { all, agents, .. } = visitors;
    let all = *all;
    if all < VISITS_MIN || !calm.is_known() {
        return None;
    }
    let (agent, count) = agents.iter().max_by_key(|(_, count)| **count)?;
    let usual = (calm.agent_milli(*agent) * 3).min(900);
    let weight =
        surprise::of_share(*count, all, usual + SHARE_MARGIN / 2).min(WEAK_PIECE_MAX_MILLI);
    let share = count * 100 / all;
    (weight >= 1_000 && share >= 20).then(|| {
        let evidence = Evidence {
            kind: EvidenceKind::UnusualUserAgent,
            measured: share,
            threshold: usual.div_ceil(10),
            summary: format!(
                "{share}% of {all} visitors have one user agent, which {}.{}% have on ordinary \
                 days (weight {})",
                calm.agent_milli(*agent) / 10,
                calm.agent_milli(*agent) % 10,
                nats(weight)
            ),
        };
        (weight, evidence, *agent)
    })
}

/// Visitors who ask without pause. Where they are few, they may be the site's own job, a monitor or
/// a search engine: these are short, or slow and do not repeat themselves.
fn busy_visitors(excess: &Excess, busy: &BusyRequests, calm: &CalmMix) -> Option<(u64, Evidence)> {
    let repeating = busy.repeated * 2 >= busy.requests;
    if busy.visitors < FEW {
        let fast = busy.per_second >= FEW_PER_SECOND;
        let lasting = busy.ticks >= FEW_TICKS || fast;
        // A robot that reads page after page, each once, is a robot: the site's own job, or a search
        // engine in a hurry.
        let reading = !repeating && !fast;
        let small = busy.per_second * 1_000 < busy.usual_milli * 2;
        if busy.requests < FEW_REQUESTS || !lasting || reading || small {
            return None;
        }
    }
    let reading = !repeating && busy.per_second < FEW_PER_SECOND;
    if reading && busy.visitors < ROBOTS && excess.factor_tenths() < ROBOT_TENTHS {
        return None;
    }
    let usual = calm.busy_milli();
    let share = busy.requests.min(excess.count);
    // A visitor's requests depend on each other: a quarter of them count.
    let weight = (surprise::of_share(share, excess.count, usual) / 4).min(PIECE_MAX_MILLI);
    let per_cent = share * 100 / excess.count.max(1);
    (weight >= 1_000).then(|| {
        let kind = if repeating {
            EvidenceKind::RepeatedRequests
        } else {
            EvidenceKind::ExcessivePageRate
        };
        let what = if repeating { "the same page again and again" } else { "page after page" };
        let evidence = Evidence {
            kind,
            measured: per_cent,
            threshold: usual / 10,
            summary: format!(
                "{per_cent}% of {} requests in {} s came from visitors who asked for {what} more \
                 than 40 times a minute (weight {})",
                excess.count,
                excess.ticks.div_ceil(4),
                nats(weight)
            ),
        };
        (weight, evidence)
    })
}

/// Visitors who never load an asset and ask for the same again and again, each slowly. A browser asks for
/// a page once; a page that asks for news again and again came with assets.
fn same_again(
    excess: &Excess,
    again: u64,
    visitors: u64,
    calm: &CalmMix,
) -> Option<(u64, Evidence)> {
    if visitors < VISITS_MIN || !calm.knows_requests() {
        return None;
    }
    let usual = calm.again_milli();
    let again = again.min(excess.count);
    // A visitor's requests depend on each other: a quarter of them count.
    let weight = (surprise::of_share(again, excess.count, usual) / 4).min(PIECE_MAX_MILLI);
    let per_cent = again * 100 / excess.count.max(1);
    (weight >= 1_000).then(|| {
        let evidence = Evidence {
            kind: EvidenceKind::RepeatedRequests,
            measured: per_cent,
            threshold: usual / 10,
            summary: format!(
                "{per_cent}% of {} requests in {} s came from visitors without assets who asked for \
                 the same as before; at most {}% do on ordinary days (weight {})",
                excess.count,
                excess.ticks.div_ceil(4),
                usual / 10,
                nats(weight)
            ),
        };
        (weight, evidence)
    })
}
