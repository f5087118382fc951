//! Readable names for hashed feature values, told once in a while.

use portcullis_model::{FEATURES, Feature, FeatureName, Record};

use crate::request::{Request, describe};

/// Values that a worker remembers having told; must be a power of two.
const REMEMBERED: usize = 1024;

/// One worker's memory of which feature values it has told lately.
///
/// Direct-mapped: two values that fall on the same place are told again now and then, which costs
/// a copy and nothing else.
#[derive(Debug)]
pub struct FeatureNameCache {
    told: Box<[u32]>,
}

impl Default for FeatureNameCache {
    fn default() -> Self {
        Self::new()
    }
}

impl FeatureNameCache {
    /// An empty memory.
    pub fn new() -> Self {
        Self { told: vec![0; REMEMBERED * FEATURES].into() }
    }

    /// Tells `out` the text of each feature of this request that has not been told lately.
    pub fn sight(
        &mut self,
        request: &Request<'_>,
        record: &Record,
        out: &mut dyn FnMut(FeatureName),
    ) {
        for feature in Feature::ALL {
            let value = record.features.get(feature);
            let place = (value as usize & (REMEMBERED - 1)) * FEATURES + feature as usize;
            if value == 0 || self.told[place] == value {
                continue;
            }
            self.told[place] = value;
            if let Some(text) = describe(request, feature) {
                out(FeatureName::new(feature, value, &text));
            }
        }
    }
}
