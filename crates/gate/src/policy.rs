//! The policy: configuration and engaged procedures, compiled into one immutable value that is
//! swapped whole.

use core::time::Duration;
use std::sync::Arc;

use portcullis_model::{
    ActivityConfig, ActivityId, Config, Measure, PlatformConfig, PlatformId, Procedure, Time,
};

use crate::secret::Secret;

/// Everything that a decision depends on besides the request, the tables and the time.
#[derive(Clone, Debug)]
pub struct Policy {
    config: Arc<Config>,
    secret: Secret,
    /// Where each platform's activities begin in the policy-wide numbering.
    first_activity: Vec<u16>,
    /// By platform, in the order in which the gate looks at them.
    engaged: Vec<Vec<Procedure>>,
}

impl Policy {
    /// The policy of a quiet day: no procedure engaged.
    pub fn new(config: Arc<Config>, secret: Secret) -> Self {
        let mut first_activity = Vec::with_capacity(config.platforms.len());
        let mut next = 0;
        for platform in &config.platforms {
            first_activity.push(next);
            next += platform.activities.len() as u16;
        }
        let engaged = vec![Vec::new(); config.platforms.len()];
        Self { config, secret, first_activity, engaged }
    }

    /// The same policy with these procedures engaged, and no others.
    #[must_use]
    pub fn with_procedures(&self, procedures: &[Procedure]) -> Self {
        let mut engaged = vec![Vec::new(); self.config.platforms.len()];
        for procedure in procedures {
            if let Some(list) = engaged.get_mut(usize::from(procedure.scope.platform.0)) {
                list.push(procedure.clone());
            }
        }
        for list in &mut engaged {
            list.sort_by_key(|procedure: &Procedure| cost_rank(&procedure.measure));
        }
        Self { engaged, ..self.clone() }
    }

    /// The configuration behind this policy.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The gate's keys.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// A platform by its number; the last one if a reload removed it.
    pub fn platform(&self, id: PlatformId) -> &PlatformConfig {
        let last = self.config.platforms.len() - 1;
        &self.config.platforms[usize::from(id.0).min(last)]
    }

    /// How many activities all platforms have together.
    pub fn activities(&self) -> usize {
        self.config.platforms.iter().map(|platform| platform.activities.len()).sum()
    }

    /// Whose activity this is, and what configuration says of it.
    pub fn activity(&self, id: ActivityId) -> (PlatformId, &ActivityConfig) {
        let at = self.first_activity.partition_point(|first| *first <= id.0).saturating_sub(1);
        let platform = &self.config.platforms[at];
        let within = usize::from(id.0 - self.first_activity[at]).min(platform.activities.len() - 1);
        (PlatformId(at as u16), &platform.activities[within])
    }

    /// The numbers of a platform's activities.
    pub fn activities_of(&self, platform: PlatformId) -> impl Iterator<Item = ActivityId> + use<> {
        let at = usize::from(platform.0);
        let first = self.first_activity[at];
        (first..first + self.config.platforms[at].activities.len() as u16).map(ActivityId)
    }

    /// How long a connection may take to send a whole request header: the shortest that is
    /// engaged anywhere, because a connection has no platform yet.
    pub fn header_deadline(&self, now: Time) -> Duration {
        self.tightened(now)
            .map(|(_, deadline)| deadline)
            .fold(self.config.limits.header_timeout, Duration::min)
    }

    /// How many connections a source may hold: the fewest that is engaged anywhere.
    pub fn source_connections(&self, now: Time) -> u32 {
        self.tightened(now)
            .map(|(connections, _)| connections)
            .fold(self.config.limits.source.connections, u32::min)
    }

    /// Whether any procedure is engaged on any platform.
    pub fn is_engaged(&self, now: Time) -> bool {
        self.engaged.iter().flatten().any(|procedure| now < procedure.expires)
    }

    fn tightened(&self, now: Time) -> impl Iterator<Item = (u32, Duration)> {
        self.engaged.iter().flatten().filter(move |p| now < p.expires).filter_map(|p| {
            match &p.measure {
                Measure::TightenSources { limits, header_deadline } => {
                    Some((limits.connections, *header_deadline))
                }
                _ => None,
            }
        })
    }

    /// The platform that serves `host`.
    pub(crate) fn platform_of(&self, host: &str) -> Option<PlatformId> {
        let serves = |platform: &PlatformConfig| {
            platform.hosts.iter().any(|name| name == "*" || name.eq_ignore_ascii_case(host))
        };
        self.config.platforms.iter().position(serves).map(|at| PlatformId(at as u16))
    }

    /// The first activity of `platform` that matches.
    pub(crate) fn activity_of(&self, platform: PlatformId, method: &str, path: &str) -> ActivityId {
        let at = usize::from(platform.0);
        let activities = &self.config.platforms[at].activities;
        let within = activities
            .iter()
            .position(|activity| activity.matches.iter().any(|m| m.matches(method, path)))
            .unwrap_or(activities.len() - 1);
        ActivityId(self.first_activity[at] + within as u16)
    }

    /// The procedures that apply, cheapest first.
    pub(crate) fn engaged(
        &self,
        platform: PlatformId,
        activity: ActivityId,
        now: Time,
    ) -> impl Iterator<Item = &Procedure> {
        self.engaged[usize::from(platform.0)]
            .iter()
            .filter(move |p| now < p.expires && p.scope.covers(platform, activity))
    }
}

/// Shedding by activity and refusing by signature are cheaper than looking at tokens.
const fn cost_rank(measure: &Measure) -> u8 {
    match measure {
        Measure::RefuseSignature(_) => 0,
        Measure::Shed(_) => 1,
        Measure::TightenSources { .. } => 2,
        Measure::Challenge(_) => 3,
    }
}
