//! From a scenario and a seed to every request that will be sent, and when.
//!
//! [`plan`] is pure: the same seed and scenario give the same plan, byte for byte. Offsets are
//! milliseconds from the start of the run. What the answers turn out to be does not change the
//! plan, only how much of it can be carried out: an attacker's ladder is planned in full, rung by
//! rung, and the run decides from which rung the next request is taken.

mod attack;
mod people;
mod rng;
mod schedule;

use crate::scenario::Scenario;
use rng::SeededRng;

pub use crate::browser::Browser;
pub use attack::attack_path;
pub use schedule::{
    AttackRequest, Plan, PlannedAttack, PlannedRung, VisitStep, Visitor, VisitorKind,
    VisitorRequest,
};

/// Plans a run.
pub fn plan(seed: u64, scenario: &Scenario) -> Plan {
    let mut visitors = people::everyday_visitors(&mut SeededRng::new(seed, 0), scenario);
    visitors.extend(people::crowd_visitors(&mut SeededRng::new(seed, 1), scenario));
    visitors.extend(people::feed_readers(&mut SeededRng::new(seed, 2), scenario));
    visitors.retain(|visitor| !visitor.steps.is_empty());
    visitors.sort_by_key(|visitor| (visitor.steps.first().map(|step| step.at_ms), visitor.source));

    let mut attacks = Vec::new();
    for (phase, (from_ms, to_ms, what)) in scenario.spans().enumerate() {
        for attack in &what.attacks {
            let number = attacks.len() as u64;
            let to_ms = (to_ms + attack.overrun_ms).min(scenario.lasts_ms());
            let rungs = attack
                .ladder
                .iter()
                .enumerate()
                .map(|(step, rung)| {
                    let mut rng = SeededRng::new(seed, 1_000 + number * 100 + step as u64);
                    attack::plan_rung(&mut rng, number, step, *rung, (from_ms, to_ms))
                })
                .collect();
            attacks.push(PlannedAttack { phase, from_ms, to_ms, rungs });
        }
    }
    Plan { seed, scenario: scenario.name, visitors, attacks }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    fn bytes(seed: u64, scenario: &Scenario) -> Vec<u8> {
        serde_json::to_vec(&plan(seed, scenario)).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        let day = Scenario::campaign_day();
        assert_eq!(bytes(2019, &day), bytes(2019, &day));
        assert_ne!(bytes(2019, &day), bytes(2020, &day));
    }

    /// A changed plan makes recorded drills incomparable, so a change must be meant.
    #[test]
    fn a_seed_means_the_same_in_every_version() {
        let smoke = plan(1, &Scenario::smoke());
        let first = |count: usize| smoke.visitors.iter().take(count).collect::<Vec<_>>();
        let attack_requests: Vec<_> = smoke.attacks[0].rungs[0].requests.iter().take(3).collect();
        insta::assert_snapshot!(
            serde_json::to_string_pretty(&(first(2), attack_requests)).unwrap()
        );
    }

    #[test]
    fn the_crowd_is_several_times_the_normal_day_and_within_the_origins_means() {
        let day = Scenario::campaign_day();
        let plan = plan(2019, &day);
        let views = |from: u32, to: u32| {
            plan.visitors
                .iter()
                .flat_map(|v| &v.steps)
                .filter(|step| (from..to).contains(&step.at_ms))
                .count()
        };
        let normal_per_second = views(0, 7_000) / 7;
        assert!((12..=24).contains(&normal_per_second), "{normal_per_second} views/s");
        let busiest =
            (7_000..13_000).step_by(1_000).map(|from| views(from, from + 1_000)).max().unwrap();
        assert!(busiest >= 4 * normal_per_second, "{busiest} views in the busiest second");
        // 70% of about 330 ordinary pages a second.
        assert!(busiest <= 230, "{busiest} views in the busiest second");
    }

    #[test]
    fn several_hundred_addresses_take_part_and_some_are_shared() {
        let plan = plan(7, &Scenario::campaign_day());
        let people: BTreeSet<_> = plan.visitors.iter().map(|visitor| visitor.source).collect();
        let attackers: BTreeSet<_> = plan
            .attacks
            .iter()
            .flat_map(|assault| assault.rungs.iter().flat_map(|rung| &rung.sources))
            .collect();
        assert!(people.len() > 200, "{} addresses of people", people.len());
        assert!(people.len() < plan.visitors.len(), "no address is shared");
        assert!(attackers.len() > 500, "{} addresses of attackers", attackers.len());
        assert!(attackers.iter().all(|address| !people.contains(address)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn every_plan_keeps_to_its_scenario(seed: u64) {
            let day = Scenario::campaign_day();
            let plan = plan(seed, &day);
            let end = day.lasts_ms();
            for visitor in &plan.visitors {
                prop_assert!(visitor.source.is_loopback());
                prop_assert!(visitor.steps.iter().all(|step| step.at_ms < end));
                prop_assert!(visitor.steps.is_sorted_by_key(|step| step.at_ms));
            }
            for assault in &plan.attacks {
                for rung in &assault.rungs {
                    prop_assert!(rung.sources.iter().all(std::net::Ipv4Addr::is_loopback));
                    prop_assert!(rung.requests.is_sorted_by_key(|shot| shot.at_ms));
                    for shot in &rung.requests {
                        prop_assert!((assault.from_ms..assault.to_ms).contains(&shot.at_ms));
                        prop_assert!(usize::from(shot.bot) < rung.sources.len());
                    }
                }
            }
        }
    }
}
