//! Names for numbers: events are read by people, long after the configuration of their day.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_model::{
    ActivityId, Config, Feature, FeatureName, Ids, Measure, PlatformFacts, PlatformId, Signature,
};

/// Readable feature values stored; the oldest is dropped when there are more.
const SIGHTINGS: usize = 4_096;

/// What things are called.
#[derive(Debug)]
pub(crate) struct NameTable {
    config: Arc<Config>,
    ids: Arc<Ids>,
    values: BTreeMap<(Feature, u32), (u64, String)>,
    sighted: u64,
}

impl NameTable {
    pub(crate) const fn new(config: Arc<Config>, ids: Arc<Ids>) -> Self {
        Self { config, ids, values: BTreeMap::new(), sighted: 0 }
    }

    /// Uses a new configuration, with its ids; names of values stay.
    pub(crate) fn reload(&mut self, config: Arc<Config>, ids: Arc<Ids>) {
        self.config = config;
        self.ids = ids;
    }

    pub(crate) const fn ids(&self) -> &Arc<Ids> {
        &self.ids
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
        self.ids.platform_name(id).to_owned()
    }

    pub(crate) fn activity(&self, id: ActivityId) -> String {
        self.ids.activity_name(id).map_or_else(String::new, |(_, name)| name.to_owned())
    }

    pub(crate) fn activities(&self, ids: &[ActivityId]) -> Vec<String> {
        ids.iter().map(|id| self.activity(*id)).collect()
    }

    /// The names of an activity's platform and of the activity.
    pub(crate) fn full_name(&self, id: ActivityId) -> (String, String) {
        let (platform, name) = self.ids.activity_name(id).unwrap_or_default();
        (self.platform(platform), name.to_owned())
    }

    /// The configured activity with this name.
    pub(crate) fn find(&self, platform: &str, activity: &str) -> Option<ActivityId> {
        let named = |id: &ActivityId| self.full_name(*id) == (platform.into(), activity.into());
        self.ids.platforms().flat_map(|(_, activities)| activities).copied().find(named)
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

/// The ledger is public and permanent, and the text came from the sender of the request: text that could
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
