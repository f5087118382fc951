//! The scenarios of a drill: phases, and the visitors and attackers of each.
//!
//! A scenario is data. [`plan()`](crate::plan()) turns it and a seed into every single request.

use serde::Serialize;

/// A sequence of phases with the visitors of an ordinary day underneath.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its description, in one sentence.
    pub summary: &'static str,
    /// New visitors per minute throughout, evenly. Each stays for a few pages.
    pub visitors_per_minute: u32,
    /// One visitor in this many keeps no cookies. Zero: all keep them.
    pub cookieless_one_in: u32,
    /// Feed readers that fetch the feed every few seconds throughout.
    pub feed_readers: u32,
    /// The phases, in order, at least one.
    pub phases: Vec<ScenarioPhase>,
}

/// A named stretch of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScenarioPhase {
    /// Its identifier.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// How long it lasts, in milliseconds.
    pub lasts_ms: u32,
    /// New people who come on top of the ordinary day, most of them early in the phase.
    pub crowd: u32,
    /// Its attackers, at the same time.
    pub attacks: Vec<AttackPlan>,
    /// Whether the site must be down in this phase when it has no gate: the score card checks that
    /// the simulated attack is strong enough to take the site down.
    pub down_without_gate: bool,
}

/// One attacker: a ladder of tactics, of which it climbs a rung whenever the present one no longer
/// works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttackPlan {
    /// The tactics, in the order in which they are tried.
    pub ladder: Vec<Rung>,
    /// How long it continues into the following phases, in milliseconds.
    pub overrun_ms: u32,
}

/// A tactic and its strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rung {
    /// The tactic.
    pub tactic: Tactic,
    /// Programs that take part, each with its own address. For slow headers: addresses.
    pub bots: u16,
    /// Requests per second of all bots together. For slow headers: connections held.
    pub strength: u32,
}

/// A way to attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tactic {
    /// One expensive page with ever new words, by a scripting library that does not hide.
    SearchFlood,
    /// Many connections that send a request's headers a byte each second.
    SlowHeaders,
    /// The front page with a random query, so that no cache helps, under rotating user agents.
    CacheBusting,
    /// Ordinary pages with the exact headers of ordinary browsers, without cookies.
    Imitation,
    /// As imitation, but each bot follows redirects, waits when a page asks for it, and keeps its
    /// cookies.
    TokenFarm,
}

impl Tactic {
    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Tactic::SearchFlood => "search flood",
            Tactic::SlowHeaders => "slow headers",
            Tactic::CacheBusting => "cache-busting flood",
            Tactic::Imitation => "imitation of browsers",
            Tactic::TokenFarm => "token farm",
        }
    }
}

/// One contiguous stretch of attack within a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WaveSpan {
    /// When its first phase begins, in milliseconds from the scenario's start.
    pub from_ms: u32,
    /// When its last phase ends.
    pub to_ms: u32,
}

impl Scenario {
    /// Every scenario there is.
    pub fn all() -> Vec<Scenario> {
        vec![Self::campaign_day(), Self::smoke()]
    }

    /// The scenario of this name.
    pub fn by_name(name: &str) -> Option<Scenario> {
        Self::all().into_iter().find(|scenario| scenario.name == name)
    }

    /// A campaign's worst day in three quarters of a minute.
    ///
    /// Its strengths are chosen for the demonstration origin ([`crate::origin`]), which serves
    /// about 330 ordinary pages or 80 searches a second: the crowd stays well below that, every
    /// flood is several times above it, and all of it stays cheap enough for a machine of two
    /// cores.
    pub fn campaign_day() -> Scenario {
        Scenario {
            name: "campaign-day",
            summary: "A normal day, a flash crowd, four kinds of attack, a second wave, recovery.",
            visitors_per_minute: 220,
            cookieless_one_in: 60,
            feed_readers: 2,
            phases: vec![
                ScenarioPhase::quiet("normal-day", "Normal day", 7_000),
                ScenarioPhase {
                    crowd: 210,
                    ..ScenarioPhase::quiet("flash-crowd", "Flash crowd", 6_000)
                },
                ScenarioPhase::attacked(
                    "search-flood",
                    "Search flood",
                    6_000,
                    vec![AttackPlan::new(Tactic::SearchFlood, 160, 600)],
                ),
                ScenarioPhase::attacked(
                    "slow-headers",
                    "Slow headers",
                    5_000,
                    // It continues into the next phase, so that a request of this phase cannot
                    // outlast it.
                    vec![AttackPlan {
                        overrun_ms: 3_000,
                        ..AttackPlan::new(Tactic::SlowHeaders, 90, 360)
                    }],
                ),
                ScenarioPhase::attacked(
                    "cache-busting",
                    "Cache busting, tactics change",
                    7_000,
                    vec![AttackPlan {
                        ladder: vec![
                            Rung { tactic: Tactic::CacheBusting, bots: 240, strength: 1_000 },
                            Rung { tactic: Tactic::Imitation, bots: 240, strength: 800 },
                            Rung { tactic: Tactic::TokenFarm, bots: 120, strength: 700 },
                        ],
                        overrun_ms: 0,
                    }],
                ),
                ScenarioPhase::quiet("pause", "Pause", 7_000),
                ScenarioPhase::attacked(
                    "second-wave",
                    "Second wave, mixed",
                    5_000,
                    vec![
                        AttackPlan::new(Tactic::SearchFlood, 120, 400),
                        AttackPlan {
                            ladder: vec![
                                Rung { tactic: Tactic::Imitation, bots: 200, strength: 600 },
                                Rung { tactic: Tactic::TokenFarm, bots: 120, strength: 500 },
                            ],
                            overrun_ms: 0,
                        },
                    ],
                ),
                ScenarioPhase::quiet("recovery", "Recovery", 5_000),
            ],
        }
    }

    /// A short scenario of eight seconds, to test that the parts work together.
    pub fn smoke() -> Scenario {
        Scenario {
            name: "smoke",
            summary: "A few seconds each of a normal day, a search flood and recovery.",
            visitors_per_minute: 220,
            cookieless_one_in: 0,
            feed_readers: 1,
            phases: vec![
                ScenarioPhase::quiet("normal-day", "Normal day", 2_000),
                ScenarioPhase::attacked(
                    "search-flood",
                    "Search flood",
                    3_000,
                    vec![AttackPlan::new(Tactic::SearchFlood, 80, 500)],
                ),
                ScenarioPhase::quiet("recovery", "Recovery", 3_000),
            ],
        }
    }

    /// How long the scenario lasts, in milliseconds.
    pub fn lasts_ms(&self) -> u32 {
        self.phases.iter().map(|phase| phase.lasts_ms).sum()
    }

    /// Each phase with its beginning and end, in milliseconds from the start.
    pub fn spans(&self) -> impl Iterator<Item = (u32, u32, &ScenarioPhase)> {
        self.phases.iter().scan(0, |from, phase| {
            let span = (*from, *from + phase.lasts_ms, phase);
            *from += phase.lasts_ms;
            Some(span)
        })
    }

    /// The contiguous stretches of attack, in order.
    pub fn waves(&self) -> Vec<WaveSpan> {
        merge_adjacent(
            self.spans()
                .filter(|(_, _, phase)| phase.is_attack())
                .map(|(from_ms, to_ms, _)| WaveSpan { from_ms, to_ms }),
        )
    }
}

/// Joins stretches that touch. They come in order.
pub(crate) fn merge_adjacent(stretches: impl Iterator<Item = WaveSpan>) -> Vec<WaveSpan> {
    let mut waves: Vec<WaveSpan> = Vec::new();
    for stretch in stretches {
        match waves.last_mut() {
            Some(wave) if wave.to_ms == stretch.from_ms => wave.to_ms = stretch.to_ms,
            _ => waves.push(stretch),
        }
    }
    waves
}

impl ScenarioPhase {
    fn quiet(name: &'static str, title: &'static str, lasts_ms: u32) -> Self {
        ScenarioPhase {
            name,
            title,
            lasts_ms,
            crowd: 0,
            attacks: Vec::new(),
            down_without_gate: false,
        }
    }

    fn attacked(
        name: &'static str,
        title: &'static str,
        lasts_ms: u32,
        attacks: Vec<AttackPlan>,
    ) -> Self {
        ScenarioPhase { name, title, lasts_ms, crowd: 0, attacks, down_without_gate: true }
    }

    /// Whether anyone attacks in this phase.
    pub fn is_attack(&self) -> bool {
        !self.attacks.is_empty()
    }
}

impl AttackPlan {
    fn new(tactic: Tactic, bots: u16, strength: u32) -> Self {
        AttackPlan { ladder: vec![Rung { tactic, bots, strength }], overrun_ms: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_of_the_campaign_day_take_about_ninety_seconds() {
        let both = 2 * Scenario::campaign_day().lasts_ms();
        assert!((80_000..=96_000).contains(&both), "{both} ms");
    }

    #[test]
    fn the_campaign_day_has_two_waves_with_a_pause_between() {
        let waves = Scenario::campaign_day().waves();
        assert_eq!(
            waves,
            [
                WaveSpan { from_ms: 13_000, to_ms: 31_000 },
                WaveSpan { from_ms: 38_000, to_ms: 43_000 }
            ]
        );
    }

    #[test]
    fn every_scenario_is_bounded_and_can_be_named() {
        for scenario in Scenario::all() {
            assert_eq!(Scenario::by_name(scenario.name).as_ref(), Some(&scenario));
            assert!(scenario.lasts_ms() <= 60_000);
            for phase in &scenario.phases {
                let strength: u32 = phase
                    .attacks
                    .iter()
                    .filter_map(|assault| assault.ladder.iter().map(|r| r.strength).max())
                    .sum();
                assert!(strength <= 1_500, "{}: {strength} requests/s", phase.name);
                assert!(phase.lasts_ms > 0);
                assert!(phase.title.chars().count() <= 29, "too wide for the score card");
                for rung in phase.attacks.iter().flat_map(|assault| &assault.ladder) {
                    assert!(rung.bots > 0 && rung.strength > 0);
                }
            }
        }
    }
}
