//! Readable names for hashed feature values, reported now and then.

use portcullis_model::{FEATURES, Feature, FeatureName, Record};

use crate::request::{Request, describe};

/// Reported values that a worker remembers; a power of two.
const REMEMBERED: usize = 1024;

/// A worker's cache of the feature values that it has reported lately.
///
/// Direct-mapped: two values that share a slot are reported repeatedly, which costs a copy each.
#[derive(Debug)]
pub struct FeatureNameCache {
    reported: Box<[u32]>,
}

impl Default for FeatureNameCache {
    fn default() -> Self {
        Self::new()
    }
}

impl FeatureNameCache {
    /// An empty memory.
    pub fn new() -> Self {
        Self { reported: vec![0; REMEMBERED * FEATURES].into() }
    }

    /// Passes to `out` the text of each feature of this request that was not reported lately.
    pub fn sight(
        &mut self,
        request: &Request<'_>,
        record: &Record,
        out: &mut dyn FnMut(FeatureName),
    ) {
        for feature in Feature::ALL {
            let value = record.features.get(feature);
            let place = (value as usize & (REMEMBERED - 1)) * FEATURES + feature as usize;
            if value == 0 || self.reported[place] == value {
                continue;
            }
            self.reported[place] = value;
            if let Some(text) = describe(request, feature) {
                out(FeatureName::new(feature, value, &text));
            }
        }
    }
}
