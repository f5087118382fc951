//! The policy: configuration and engaged procedures, compiled into one immutable value that is
//! swapped whole.

use core::time::Duration;
use std::sync::Arc;

use portcullis_model::{
    ActivityConfig, ActivityId, Assignment, Config, Ids, Measure, PlatformConfig, PlatformId,
    Procedure, Time,
};

use crate::host_table::HostTable;
use crate::secret::Secret;

/// Everything that a decision depends on besides the request, the tables and the time.
#[derive(Clone, Debug)]
pub struct Policy {
    config: Arc<Config>,
    secret: Secret,
    ids: Arc<Ids>,
    hosts: Arc<HostTable>,
    /// By the platform's place in the configuration, in the order in which the gate checks them.
    engaged: Vec<Vec<Procedure>>,
}

impl Policy {
    /// The policy of a process that begins with this configuration, with no procedure engaged.
    pub fn new(config: Arc<Config>, secret: Secret) -> Self {
        let ids = Arc::new(Ids::new(&config));
        Self::reloaded(config, ids, secret)
    }

    /// The policy after a reload with `config`, to which `ids` belong; no procedure is engaged.
    pub fn reloaded(config: Arc<Config>, ids: Arc<Ids>, secret: Secret) -> Self {
        let engaged = vec![Vec::new(); config.platforms.len()];
        let hosts = Arc::new(HostTable::new(config.platforms.iter().map(|p| p.hosts.as_slice())));
        Self { config, secret, ids, hosts, engaged }
    }

    /// The same policy with these procedures engaged, and no others.
    #[must_use]
    pub fn with_procedures(&self, procedures: &[Procedure]) -> Self {
        let mut engaged = vec![Vec::new(); self.config.platforms.len()];
        for procedure in procedures {
            if let Some(place) = self.ids.platform_place(procedure.scope.platform) {
                engaged[place].push(procedure.clone());
            }
        }
        for list in &mut engaged {
            list.sort_by_key(|procedure: &Procedure| cost_rank(&procedure.measure));
        }
        Self { engaged, ..self.clone() }
    }

    /// The same policy with other keys.
    #[must_use]
    pub fn with_secret(&self, secret: Secret) -> Self {
        Self { secret, ..self.clone() }
    }

    /// The configuration behind this policy.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The ids of its platforms and activities.
    pub const fn ids(&self) -> &Arc<Ids> {
        &self.ids
    }

    /// The gate's keys.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// A platform's configuration; the last platform's if a reload removed it.
    pub fn platform(&self, id: PlatformId) -> &PlatformConfig {
        let last = self.config.platforms.len() - 1;
        &self.config.platforms[self.ids.platform_place(id).unwrap_or(last)]
    }

    /// An activity's configuration; the last one's if a reload removed it.
    pub fn activity(&self, id: ActivityId) -> &ActivityConfig {
        let platforms = &self.config.platforms;
        let last = || (platforms.len() - 1, platforms[platforms.len() - 1].activities.len() - 1);
        let (at, within) = self.ids.activity_place(id).unwrap_or_else(last);
        &platforms[at].activities[within]
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

    /// Whether two host names belong to different platforms.
    pub fn serves_apart(&self, one: &str, other: &str) -> bool {
        let platforms = (self.platform_of(one), self.platform_of(other));
        matches!(platforms, (Some(one), Some(other)) if one != other)
    }

    /// The platform that serves `host`.
    pub(crate) fn platform_of(&self, host: &str) -> Option<PlatformId> {
        self.hosts.place_of(host).map(|place| self.ids.at(place).0)
    }

    /// The first activity of `platform` that matches.
    pub(crate) fn activity_of(&self, platform: PlatformId, method: &str, path: &str) -> ActivityId {
        let at = self.ids.platform_place(platform).unwrap_or(0);
        let activities = &self.config.platforms[at].activities;
        let within = activities
            .iter()
            .position(|activity| activity.matches.iter().any(|m| m.matches(method, path)))
            .unwrap_or(activities.len() - 1);
        self.ids.at(at).1[within]
    }

    /// The procedures that apply, cheapest first.
    pub(crate) fn engaged(
        &self,
        assigned: Assignment,
        now: Time,
    ) -> impl Iterator<Item = &Procedure> {
        let Assignment { platform, activity } = assigned;
        let place = self.ids.platform_place(platform);
        place
            .map_or(&[][..], |place| &self.engaged[place])
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
