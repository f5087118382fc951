//! Ids of platforms and activities, by name.

use serde::{Deserialize, Serialize};

use crate::{ActivityId, Config, PlatformId};

/// The ids of platforms and activities, for the life of a process.
///
/// A name keeps its id over every reload, and an id is never given to another name: counters,
/// records, baselines and procedures that use an id stay those of one activity. Names that a reload
/// removed keep their ids too. The ids of a first configuration count up in its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ids {
    /// Names by id.
    platform_names: Vec<String>,
    /// Platforms and names by id.
    activity_names: Vec<(PlatformId, String)>,
    /// What is configured, in the order of the configuration.
    configured: Vec<(PlatformId, Vec<ActivityId>)>,
    /// Places in `configured`, by id.
    platform_places: Vec<Option<usize>>,
    /// The same for activities: the platform's place, and the activity's place on it.
    activity_places: Vec<Option<(usize, usize)>>,
}

impl Ids {
    /// The ids of a process that begins with `config`.
    pub fn new(config: &Config) -> Self {
        let nothing = Self {
            platform_names: Vec::new(),
            activity_names: Vec::new(),
            configured: Vec::new(),
            platform_places: Vec::new(),
            activity_places: Vec::new(),
        };
        nothing.reloaded(config)
    }

    /// The ids after a reload with `config`.
    #[must_use]
    pub fn reloaded(&self, config: &Config) -> Self {
        let mut next = Self { configured: Vec::new(), ..self.clone() };
        for platform in &config.platforms {
            let id = next.platform_id(&platform.name);
            let activities =
                platform.activities.iter().map(|a| next.activity_id(id, &a.name)).collect();
            next.configured.push((id, activities));
        }
        next.platform_places = vec![None; next.platform_names.len()];
        next.activity_places = vec![None; next.activity_names.len()];
        for (at, (platform, activities)) in next.configured.iter().enumerate() {
            next.platform_places[usize::from(platform.0)] = Some(at);
            for (within, activity) in activities.iter().enumerate() {
                next.activity_places[usize::from(activity.0)] = Some((at, within));
            }
        }
        next
    }

    /// The id of a platform's name; a new one if the name has none.
    fn platform_id(&mut self, name: &str) -> PlatformId {
        let known = self.platform_names.iter().position(|known| known == name);
        PlatformId(known.unwrap_or_else(|| {
            self.platform_names.push(name.to_owned());
            self.platform_names.len() - 1
        }) as u16)
    }

    /// The id of an activity's name; a new one if the name has none.
    fn activity_id(&mut self, platform: PlatformId, name: &str) -> ActivityId {
        let mut known = self.activity_names.iter();
        let known = known.position(|(of, known)| *of == platform && known == name);
        ActivityId(known.unwrap_or_else(|| {
            self.activity_names.push((platform, name.to_owned()));
            self.activity_names.len() - 1
        }) as u16)
    }

    /// How many ids of activities have been given: every one is below this.
    pub fn activity_count(&self) -> usize {
        self.activity_names.len()
    }

    /// What is configured: platforms with their activities, in the order of the configuration.
    pub fn platforms(&self) -> impl ExactSizeIterator<Item = (PlatformId, &[ActivityId])> {
        self.configured.iter().map(|(platform, activities)| (*platform, activities.as_slice()))
    }

    /// The platform at this place in the configuration, and its activities.
    ///
    /// # Panics
    ///
    /// If the configuration has fewer platforms.
    pub fn at(&self, place: usize) -> (PlatformId, &[ActivityId]) {
        let (platform, activities) = &self.configured[place];
        (*platform, activities)
    }

    /// A platform's place in the configuration; `None` if a reload removed it.
    pub fn platform_place(&self, id: PlatformId) -> Option<usize> {
        *self.platform_places.get(usize::from(id.0))?
    }

    /// The place of an activity's platform in the configuration, and the activity's place on it;
    /// `None` if a reload removed it.
    pub fn activity_place(&self, id: ActivityId) -> Option<(usize, usize)> {
        *self.activity_places.get(usize::from(id.0))?
    }

    /// A platform's name, removed or not; empty for an id that was never given.
    pub fn platform_name(&self, id: PlatformId) -> &str {
        self.platform_names.get(usize::from(id.0)).map_or("", String::as_str)
    }

    /// The platform of an activity, removed or not, and the activity's name.
    pub fn activity_name(&self, id: ActivityId) -> Option<(PlatformId, &str)> {
        let (platform, name) = self.activity_names.get(usize::from(id.0))?;
        Some((*platform, name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ActivityConfig, OriginConfig};

    /// A configuration with these platforms, each with these activities.
    fn config(platforms: &[(String, Vec<String>)]) -> Config {
        let origin = OriginConfig::new("127.0.0.1".into(), 80);
        let mut config = Config::for_origin(([127, 0, 0, 1], 80).into(), origin);
        let template = config.platforms.remove(0);
        for (name, activities) in platforms {
            let mut platform = template.clone();
            platform.name.clone_from(name);
            let activity = |name: &String| ActivityConfig {
                name: name.clone(),
                ..ActivityConfig::everything_else()
            };
            platform.activities = activities.iter().map(activity).collect();
            config.platforms.push(platform);
        }
        config
    }

    fn platforms() -> impl Strategy<Value = Vec<(String, Vec<String>)>> {
        let activities = proptest::collection::btree_set("[a-e]", 1..4)
            .prop_map(|names| names.into_iter().collect::<Vec<_>>())
            .prop_shuffle();
        proptest::collection::btree_map("[p-s]", activities, 1..4)
            .prop_map(|platforms| platforms.into_iter().collect::<Vec<_>>())
            .prop_shuffle()
    }

    proptest! {
        #[test]
        fn a_name_keeps_its_id_over_reloads_and_no_id_changes_its_name(
            configs in proptest::collection::vec(platforms(), 1..6),
        ) {
            let mut ids = Ids::new(&config(&configs[0]));
            for platforms in &configs {
                let next = ids.reloaded(&config(platforms));
                for at in 0..ids.activity_count() {
                    let id = ActivityId(at as u16);
                    prop_assert_eq!(ids.activity_name(id), next.activity_name(id));
                }
                let named = next.platforms().map(|(platform, activities)| {
                    let names = activities.iter().map(|a| next.activity_name(*a).unwrap());
                    assert!(names.clone().all(|(of, _)| of == platform));
                    let names = names.map(|(_, name)| name.to_owned()).collect::<Vec<_>>();
                    (next.platform_name(platform).to_owned(), names)
                });
                prop_assert_eq!(&named.collect::<Vec<_>>(), platforms);
                for (at, (platform, activities)) in next.platforms().enumerate() {
                    prop_assert_eq!(next.platform_place(platform), Some(at));
                    for (within, activity) in activities.iter().enumerate() {
                        prop_assert_eq!(next.activity_place(*activity), Some((at, within)));
                    }
                }
                prop_assert_eq!(&next.reloaded(&config(platforms)), &next);
                ids = next;
            }
        }
    }
}
