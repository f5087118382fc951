//! Properties of every valid configuration, stated again here and not by the reader's own tables.

use std::collections::BTreeSet;
use std::time::Duration;

use portcullis_model::{Config, PathPattern, PlatformConfig};

const DAY: Duration = Duration::from_hours(24);

/// Panics unless `config` has the properties that other crates rely on.
pub fn assert_sound(config: &Config) {
    assert!((1..=16).contains(&config.listeners.len()));
    let addresses: BTreeSet<_> = config.listeners.iter().map(|l| l.address).collect();
    assert_eq!(addresses.len(), config.listeners.len());
    assert!(!addresses.contains(&config.admin));
    assert!(addresses.iter().all(|address| address.port() > 0));
    assert!(config.workers.is_none_or(|workers| (1..=256).contains(&workers)));
    assert!(!config.ledger.as_os_str().is_empty());
    if config.listeners.iter().any(|listener| listener.proxy_protocol) {
        assert!(!config.trusted_proxies.is_empty());
    }
    assert_limits(config);
    assert_posture(config);
    assert_platforms(&config.platforms);
}

fn assert_limits(config: &Config) {
    let limits = &config.limits;
    let memory = u64::from(limits.max_connections) * u64::from(limits.max_header_bytes);
    assert!(memory <= 16 << 30);
    // The HTTP library needs a buffer of 8 KiB at least.
    assert!((8 << 10..=256 << 10).contains(&limits.max_header_bytes));
    assert!(limits.source_table_size <= 1 << 24);
    assert!(limits.max_header_fields >= 32);
    for deadline in [
        limits.header_timeout,
        limits.handshake_timeout,
        limits.body_idle_timeout,
        limits.idle_timeout,
    ] {
        assert!(deadline >= Duration::from_secs(1) && deadline <= Duration::from_hours(1));
    }
    assert!(
        limits.max_connection_age >= Duration::from_secs(10) && limits.max_connection_age <= DAY
    );
    assert!(limits.max_requests_per_connection >= 10);
    for timeout in [limits.response_idle_timeout, limits.tunnel_idle_timeout, limits.max_tunnel_age]
    {
        assert!(timeout >= Duration::from_secs(1) && timeout <= DAY * 7);
    }
    assert!(
        limits.tunnels.max_per_source > 0
            && limits.tunnels.max_per_source <= limits.tunnels.max_total
    );
    assert!(limits.max_network_connections > 0);
    let source = &limits.source;
    assert!(source.requests_per_second > 0 && source.burst > 0 && source.connections > 0);
    assert!(source.connections <= limits.max_connections);
    assert!((15..=1_000).contains(&config.watch.surge_factor_tenths));
    assert!(config.watch.surge_min_rate > 0 && config.watch.warm_up <= DAY);
}

fn assert_posture(config: &Config) {
    let posture = &config.posture;
    let (tightened, ordinary) = (&posture.tightened, &config.limits.source);
    assert!(tightened.requests_per_second <= ordinary.requests_per_second);
    assert!(tightened.burst <= ordinary.burst);
    assert!(tightened.connections <= ordinary.connections);
    assert!(tightened.requests_per_second > 0 && tightened.burst > 0 && tightened.connections > 0);
    assert!(posture.tightened_header_timeout <= config.limits.header_timeout);
    assert!(posture.tightened_header_timeout >= Duration::from_millis(500));
    for time in [posture.quiet_period, posture.full_speed_after, posture.wait_challenge_delay] {
        assert!(time >= Duration::from_secs(1) && time <= DAY);
    }
    assert!(
        posture.step_down_interval >= Duration::from_millis(250)
            && posture.step_down_interval <= DAY
    );
    assert!(posture.procedure_ttl >= Duration::from_secs(10) && posture.procedure_ttl <= DAY);
    assert!((1..=100_000).contains(&posture.collateral_per_million));
    assert!(posture.token.requests_per_second > 0 && posture.token.burst > 0);
    assert!(posture.token.lifetime > posture.wait_challenge_delay);
}

fn assert_platforms(platforms: &[PlatformConfig]) {
    assert!((1..=64).contains(&platforms.len()));
    let names: BTreeSet<_> = platforms.iter().map(|p| p.name.to_lowercase()).collect();
    assert_eq!(names.len(), platforms.len());
    let hosts: Vec<_> = platforms.iter().flat_map(|p| &p.hosts).collect();
    let different: BTreeSet<_> = hosts.iter().collect();
    assert_eq!(different.len(), hosts.len());
    assert!(hosts.iter().all(|host| !host.bytes().any(|b| b.is_ascii_uppercase())));
    let star = platforms.iter().position(|p| p.hosts.iter().any(|host| host == "*"));
    if let Some(star) = star {
        assert_eq!(star, platforms.len() - 1);
        assert_eq!(platforms[star].hosts, ["*"]);
    }
    let activities: usize = platforms.iter().map(|p| p.activities.len()).sum();
    assert!(activities <= 512);
    for platform in platforms {
        assert!(!platform.hosts.is_empty());
        assert!(platform.origin.port > 0 && platform.origin.max_connections > 0);
        assert!(platform.origin.connect_timeout > Duration::ZERO);
        let names: BTreeSet<_> =
            platform.activities.iter().map(|a| a.name.to_lowercase()).collect();
        assert_eq!(names.len(), platform.activities.len());
        let last = platform.activities.last().expect("the catch-all");
        assert_eq!(last.name, "everything else");
        assert!(last.matches.iter().any(|pattern| pattern.matches("GET", "")));
        for pattern in platform.activities.iter().flat_map(|a| &a.matches) {
            let (PathPattern::Exact(path) | PathPattern::Prefix(path)) = &pattern.path;
            assert!(path.is_ascii() && !path.contains(['*', '?', ' ']));
        }
    }
}
