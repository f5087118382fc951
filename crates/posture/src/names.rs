//! Names for numbers: events are read by people, long after the configuration of their day.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_model::{
    ActivityId, Config, Feature, FeatureName, Measure, PlatformFacts, PlatformId, Signature,
};

/// Readable feature values kept; the oldest number goes when there are more.
const SIGHTINGS: usize = 4_096;

/// What things are called.
#[derive(Debug)]
pub(crate) struct NameTable {
    config: Arc<Config>,
    /// Each activity's platform and name, by policy-wide number.
    activities: Vec<(PlatformId, String)>,
    values: BTreeMap<(Feature, u32), (u64, String)>,
    sighted: u64,
}

impl NameTable {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        let activities = config
            .platforms
            .iter()
            .enumerate()
            .flat_map(|(at, platform)| {
                platform.activities.iter().map(move |a| (PlatformId(at as u16), a.name.clone()))
            })
            .collect();
        Self { config, activities, values: BTreeMap::new(), sighted: 0 }
    }

    pub(crate) fn sight(&mut self, sighting: &FeatureName) {
        self.sighted += 1;
        let key = (sighting.feature, sighting.value);
        self.values.insert(key, (self.sighted, sighting.text().to_owned()));
        if self.values.len() > SIGHTINGS {
            // Half at a time, so that the cost is rare.
            let cut = self.sighted - (SIGHTINGS / 2) as u64;
            self.values.retain(|_, (when, _)| *when > cut);
        }
    }

    pub(crate) fn platform(&self, id: PlatformId) -> String {
        self.config.platforms.get(usize::from(id.0)).map_or_else(String::new, |p| p.name.clone())
    }

    pub(crate) fn activity(&self, id: ActivityId) -> String {
        self.activities.get(usize::from(id.0)).map_or_else(String::new, |(_, name)| name.clone())
    }

    pub(crate) fn activities(&self, ids: &[ActivityId]) -> Vec<String> {
        ids.iter().map(|id| self.activity(*id)).collect()
    }

    pub(crate) fn activities_of(&self, platform: PlatformId) -> impl Iterator<Item = ActivityId> {
        (0..self.activities.len())
            .filter(move |at| self.activities[*at].0 == platform)
            .map(|at| ActivityId(at as u16))
    }

    /// A platform's name and activities, to tell whether a new configuration changed them.
    pub(crate) fn list(&self, platform: PlatformId) -> (String, Vec<String>) {
        let names = self.activities_of(platform).map(|activity| self.activity(activity));
        (self.platform(platform), names.collect())
    }

    /// Every activity with its platform, in policy order.
    pub(crate) fn everything(&self) -> Vec<(String, String)> {
        let named =
            |(platform, name): &(PlatformId, String)| (self.platform(*platform), name.clone());
        self.activities.iter().map(named).collect()
    }

    pub(crate) fn facts(&self) -> Vec<PlatformFacts> {
        self.config
            .platforms
            .iter()
            .map(|platform| PlatformFacts {
                name: platform.name.clone(),
                hosts: platform.hosts.clone(),
                activities: platform
                    .activities
                    .iter()
                    .map(|activity| (activity.name.clone(), activity.tier))
                    .collect(),
            })
            .collect()
    }

    /// A measure in words.
    pub(crate) fn measure(&self, measure: &Measure) -> String {
        let wait = self.config.posture.wait_challenge_delay;
        measure.summary(wait, |signature| self.signature(signature))
    }

    fn signature(&self, signature: &Signature) -> String {
        let condition = |c: &portcullis_model::Condition| {
            if c.value == 0 {
                return format!("{} is absent", c.feature.as_str());
            }
            match self.values.get(&(c.feature, c.value)) {
                Some((_, text)) if fit_for_the_public(text) => {
                    format!("{} is “{text}”", c.feature.as_str())
                }
                _ => format!("{} is #{:08x}", c.feature.as_str(), c.value),
            }
        };
        signature.conditions.iter().map(condition).collect::<Vec<_>>().join("; ")
    }
}

/// The ledger is public and for ever, and the text came from the sender of the request: text that could
/// contain an address, a name or misleading characters is replaced by its number.
fn fit_for_the_public(text: &str) -> bool {
    let digits = text.split(|c: char| !c.is_ascii_digit()).any(|run| run.len() >= 5);
    text.len() <= 118
        && text.chars().all(|c| matches!(c, ' '..='~'))
        && !text.contains('@')
        && !text.contains('%')
        && !digits
}

#[cfg(test)]
mod tests {
    use super::fit_for_the_public;

    #[test]
    fn what_could_name_a_person_is_not_published() {
        assert!(fit_for_the_public("/search"));
        assert!(fit_for_the_public("Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"));
        assert!(!fit_for_the_public("/unsubscribe/jane@example.org"));
        assert!(!fit_for_the_public("/account/1234567"));
        assert!(!fit_for_the_public("jane%40example.org"));
        assert!(!fit_for_the_public("abc\u{202e}def"));
    }
}
