//! Reads a whole file: TOML, then table by table, then what has to agree between tables.

use core::net::{Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::path::Path;

use toml::de::DeTable;

use crate::{IpNet, PathRules, SourceLimits, Tier};

use super::acme::{PlacedAcme, acme};
use super::agreement::{self, PlacedActivity};
use super::host::parse_host;
use super::origin::origin;
use super::pattern::parse_pattern;
use super::problem::{ProblemCollector, Problems, ValueError, quoted};
use super::settings::{
    AccessLogAddress, AccessLogFormat, AccessLogSettings, ActivityConfig, ActivityTimeouts, Config,
    HandshakeLimits, Http2Limits, Http3Limits, Limits, Listener, OriginConfig, PlatformConfig,
    PostureSettings, RateLimit, TokenBudget, TunnelLimits, WatchSettings,
};
use super::syntax;
use super::table::{Placed, Table};
use super::tls_files::TlsFiles;

/// A file that a person keeps is smaller; reading a larger one would only cost memory.
const LARGEST_FILE: usize = 256 * 1024;

/// Characters of a platform's or activity's name: it appears in tables and in the ledger.
const LONGEST_NAME: usize = 64;

impl Config {
    /// Reads the text of a `portcullis.toml`. `file` is the name that problems are reported
    /// under.
    ///
    /// Every key that is left out has its default. All problems are collected before this returns,
    /// except that a file which is not TOML is not read further. Paths stay as they are written: see [`Config::resolve_paths`].
    pub fn read(text: &str, file: &str) -> Result<Self, Problems> {
        let mut report = ProblemCollector::new(text);
        if text.len() > LARGEST_FILE {
            let error = ValueError::new("this file is too large", "at most 256 KiB");
            report.add(None, "", error);
            return Err(report.finish(file));
        }
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            syntax::report(&mut report, text, &errors);
            return Err(report.finish(file));
        }
        let defaults = Self::defaults();
        let root = Table::root(&mut report, document.get_ref(), &defaults);
        let config = read_root(&mut report, &root);
        if report.len() == 0 { Ok(config) } else { Err(report.finish(file)) }
    }

    /// The same configuration with every relative path (ledger, certificates, keys) joined to
    /// `folder`: the folder of the file that it was read from.
    #[must_use]
    pub fn resolve_paths(mut self, folder: &Path) -> Self {
        // `join` keeps an absolute path as it is.
        self.ledger = folder.join(&self.ledger);
        let of_listeners = self.listeners.iter_mut().filter_map(|l| l.tls.as_mut());
        for tls in of_listeners.chain(&mut self.certificates) {
            tls.certificate = folder.join(&tls.certificate);
            tls.key = folder.join(&tls.key);
        }
        if let Some(log) = &mut self.access_log {
            log.file = folder.join(&log.file);
        }
        if let Some(acme) = &mut self.acme {
            acme.resolve_paths(folder);
        }
        self
    }

    /// A configuration in which whatever has a default has it.
    pub(super) fn defaults() -> Self {
        Self::for_origin(Self::ADMIN, OriginConfig::new("127.0.0.1".into(), 3_000))
    }
}

fn read_root(report: &mut ProblemCollector, root: &Table) -> Config {
    let ledger = root.get::<String>(report, "ledger");
    let table = root.table(report, "admin");
    let admin = table.get(report, "listen");
    let allow_remote = table.get(report, "allow_remote");
    agreement::admin_is_private(report, &admin, &allow_remote);
    let admin_hosts = table.list(report, "hosts", parse_host);
    let workers = root.find(report, "workers").map(|workers| workers.value);
    let user = root.find::<String>(report, "user").map(|user| user.value);
    let sandbox = root.get(report, "sandbox").value;
    let before = report.len();
    let trusted_proxies = root.list(report, "trusted_proxies", parse_network);
    let none_trusted = trusted_proxies.is_empty() && report.len() == before;

    let listeners = root.tables(report, "listeners");
    let certificates = root.has("certificates") || root.has("acme");
    let shared = root.tables(report, "certificates");
    let shared: Vec<_> = shared.iter().filter_map(|table| pair(report, table)).collect();
    let acme = acme(report, root);
    let access_log = access_log(report, root);
    let placeholder = acme.as_ref().map(PlacedAcme::placeholder_certificate);
    let first = shared.first().or(placeholder.as_ref());
    let listeners: Vec<_> =
        listeners.iter().map(|table| listener(report, table, certificates, first)).collect();
    let addresses: Vec<_> = listeners.iter().filter_map(|l| l.address.as_ref()).collect();
    agreement::listeners_apart(report, &addresses, &admin);
    if none_trusted {
        let flags = listeners.iter().map(|listener| &listener.proxy_protocol);
        agreement::proxies_named(report, flags);
    }

    let table = root.table(report, "limits");
    let (limits, bounds) = limits(report, &table);
    let table = root.table(report, "watch");
    let watch = watch(report, &table);
    let table = root.table(report, "posture");
    let posture = posture(report, &table, &bounds);

    let platforms = platforms(report, root, &addresses, &admin);

    let listeners: Vec<_> = listeners.into_iter().filter_map(PlacedListener::resolve).collect();
    let platforms: Vec<_> = platforms.into_iter().filter_map(Platform::resolve).collect();
    let acme = acme.map(|acme| acme.resolve(report, &listeners, &platforms));

    Config {
        listeners,
        certificates: shared,
        acme,
        admin: admin.value,
        admin_hosts: admin_hosts.into_iter().map(|host| host.value).collect(),
        workers,
        user,
        sandbox,
        access_log,
        ledger: ledger.value.into(),
        trusted_proxies: trusted_proxies.into_iter().map(|p| p.value).collect(),
        limits,
        watch,
        posture,
        platforms,
    }
}

/// The platforms, which must differ and must not forward to the gate itself.
fn platforms(
    report: &mut ProblemCollector,
    root: &Table,
    addresses: &[&Placed<SocketAddr>],
    admin: &Placed<SocketAddr>,
) -> Vec<Platform> {
    let platforms = root.tables(report, "platforms");
    let platforms: Vec<_> = platforms.iter().map(|table| platform(report, table)).collect();
    let names: Vec<_> = platforms.iter().filter_map(|p| p.name.as_ref()).collect();
    agreement::names_differ(report, &names, "platform");
    let hosts: Vec<_> = platforms.iter().map(|p| p.hosts.as_slice()).collect();
    agreement::hosts_apart(report, &hosts);
    let origins = platforms.iter().filter_map(|p| p.origin.as_ref());
    agreement::no_loop(report, origins, addresses, admin);
    agreement::activities_bounded(report, platforms.iter().map(|p| &p.activities));
    platforms
}

fn access_log(report: &mut ProblemCollector, root: &Table) -> Option<AccessLogSettings> {
    if !root.has("access_log") {
        return None;
    }
    let table = root.table(report, "access_log");
    let format = table.get::<String>(report, "format").value;
    let address = table.get::<String>(report, "address").value;
    let max_lines_per_second = table.get(report, "max_lines_per_second").value;
    Some(AccessLogSettings {
        file: table.find::<String>(report, "file")?.value.into(),
        format: match format.as_str() {
            "json" => AccessLogFormat::Json,
            _ => AccessLogFormat::Combined,
        },
        address: match address.as_str() {
            "full" => AccessLogAddress::Full,
            "pseudonym" => AccessLogAddress::Pseudonym,
            "none" => AccessLogAddress::None,
            _ => AccessLogAddress::Truncated,
        },
        max_lines_per_second,
    })
}

/// A range of trusted proxies. A host in it can claim any visitor's address, so a range
/// that contains every address is refused.
fn parse_network(text: &str) -> Result<IpNet, ValueError> {
    const EXPECTED: &str = "an address or a range such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32";
    let error = || ValueError::new(format!("{} is not an address range", quoted(text)), EXPECTED);
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
    let mapped =
        address.parse::<Ipv6Addr>().is_ok_and(|address| address.to_ipv4_mapped().is_some());
    if mapped {
        return Err(error().hint("write IPv4 addresses in their own form, such as 10.0.0.0/8"));
    }
    let network: IpNet = text.parse().map_err(|_| error())?;
    if prefix.is_some_and(|prefix| prefix.parse() == Ok(0)) {
        return Err(ValueError::new(
            format!("{} trusts every address", quoted(text)),
            "the ranges of your proxies: a trusted host can claim any visitor's address",
        ));
    }
    Ok(network)
}

/// A listener as far as it could be read.
struct PlacedListener {
    address: Option<Placed<SocketAddr>>,
    tls: Option<TlsFiles>,
    proxy_protocol: Placed<bool>,
    http_3: bool,
}

impl PlacedListener {
    fn resolve(self) -> Option<Listener> {
        Some(Listener {
            address: self.address?.value,
            tls: self.tls,
            proxy_protocol: self.proxy_protocol.value,
            http_3: self.http_3,
        })
    }
}

/// One of `[[certificates]]`; certificate and key are required.
fn pair(report: &mut ProblemCollector, table: &Table) -> Option<TlsFiles> {
    let certificate = table.find::<String>(report, "certificate");
    let key = table.find::<String>(report, "key");
    let (certificate, key) = certificate.zip(key)?;
    Some(TlsFiles { certificate: certificate.value.into(), key: key.value.into() })
}

fn listener(
    report: &mut ProblemCollector,
    table: &Table,
    certificates: bool,
    first: Option<&TlsFiles>,
) -> PlacedListener {
    let certificate = table.find::<String>(report, "certificate");
    let key = table.find::<String>(report, "key");
    for (has, lacks) in [("certificate", "key"), ("key", "certificate")] {
        if let Some(place) = table.place_of(has)
            && !table.has(lacks)
        {
            let error = ValueError::new(
                format!("there is a {has} but no {lacks}"),
                format!("both for TLS, or neither: {lacks} = \"site.pem\""),
            );
            report.add(Some(&place), &table.path_of(has), error);
        }
    }
    let own = certificate.zip(key).map(|(certificate, key)| TlsFiles {
        certificate: certificate.value.into(),
        key: key.value.into(),
    });
    let wanted = table.find::<bool>(report, "tls");
    if let Some(wanted) = &wanted {
        let error = if wanted.value {
            let lacking = !certificates && !table.has("certificate");
            lacking.then(|| {
                let expected = "[[certificates]], [acme], or certificate and key here";
                ValueError::new("there is no certificate for TLS", expected)
            })
        } else {
            table.has("certificate").then(|| {
                let expected = "true, or neither certificate nor key";
                ValueError::new("there is a certificate, but no TLS", expected)
            })
        };
        if let Some(error) = error {
            report.add(wanted.place.as_ref(), &wanted.key, error);
        }
    }
    let shared = || first.filter(|_| wanted.as_ref().is_some_and(|wanted| wanted.value)).cloned();
    let tls = own.or_else(shared);
    let proxy_protocol = table.get(report, "proxy_protocol");
    let http_3 = table.get(report, "http_3");
    let secure = tls.is_some() || table.has("certificate");
    let wants_tls = wanted.as_ref().is_some_and(|wanted| wanted.value);
    agreement::http_3_possible(report, &http_3, secure || wants_tls, &proxy_protocol);
    PlacedListener {
        address: table.find(report, "address"),
        tls,
        proxy_protocol,
        http_3: http_3.value,
    }
}

/// The ordinary bounds that tightened ones are compared with.
pub(super) struct Bounds {
    pub requests_per_second: Placed<u32>,
    pub burst: Placed<u32>,
    pub connections: Placed<u32>,
    pub header_deadline: Placed<Duration>,
}

fn limits(report: &mut ProblemCollector, table: &Table) -> (Limits, Bounds) {
    let header_deadline = table.get(report, "header_timeout");
    let header_bytes = table.get(report, "max_header_bytes");
    let connections = table.get(report, "max_connections");
    agreement::headers_fit_memory(report, &connections, &header_bytes);
    let source = table.table(report, "source");
    let bounds = Bounds {
        requests_per_second: source.get(report, "requests_per_second"),
        burst: source.get(report, "burst"),
        connections: source.get(report, "max_connections"),
        header_deadline,
    };
    agreement::no_more(report, &bounds.connections, &connections);
    let limits = Limits {
        header_timeout: bounds.header_deadline.value,
        handshake_timeout: table.get(report, "handshake_timeout").value,
        body_idle_timeout: table.get(report, "body_idle_timeout").value,
        min_upload_rate: table.get(report, "min_upload_rate").value,
        min_download_rate: table.get(report, "min_download_rate").value,
        response_idle_timeout: table.get(report, "response_idle_timeout").value,
        idle_timeout: table.get(report, "idle_timeout").value,
        tunnel_idle_timeout: table.get(report, "tunnel_idle_timeout").value,
        max_tunnel_age: table.get(report, "max_tunnel_age").value,
        max_connection_age: table.get(report, "max_connection_age").value,
        max_requests_per_connection: table.get(report, "max_requests_per_connection").value,
        max_header_bytes: header_bytes.value,
        max_header_fields: table.get(report, "max_header_fields").value,
        max_target_bytes: table.get(report, "max_target_bytes").value,
        max_ranges: table.get(report, "max_ranges").value,
        max_body_bytes: table.get(report, "max_body_bytes").value,
        max_connections: connections.value,
        max_streams_per_connection: table.get(report, "max_streams_per_connection").value,
        http_2: http_2(report, table),
        handshakes: handshakes(report, table),
        http_3: Http3Limits {
            retry_threshold: table.table(report, "http_3").get(report, "retry_threshold").value,
        },
        source: SourceLimits {
            requests_per_second: bounds.requests_per_second.value,
            burst: bounds.burst.value,
            connections: bounds.connections.value,
        },
        max_network_connections: table
            .table(report, "network")
            .get(report, "max_connections")
            .value,
        tunnels: tunnels(report, table),
        source_table_size: table.get(report, "source_table_size").value,
        shutdown_grace: table.get(report, "shutdown_grace").value,
        drain_time: table.get(report, "drain_time").value,
    };
    (limits, bounds)
}

fn tunnels(report: &mut ProblemCollector, limits: &Table) -> TunnelLimits {
    let table = limits.table(report, "tunnels");
    let all = table.get(report, "max_total");
    let source = table.get(report, "max_per_source");
    agreement::no_more(report, &source, &all);
    TunnelLimits { max_total: all.value, max_per_source: source.value }
}

fn http_2(report: &mut ProblemCollector, limits: &Table) -> Http2Limits {
    let table = limits.table(report, "http_2");
    Http2Limits {
        resets: RateLimit {
            per_second: table.get(report, "resets_per_second").value,
            burst: table.get(report, "resets_burst").value,
        },
        refused_streams: RateLimit {
            per_second: table.get(report, "refused_streams_per_second").value,
            burst: table.get(report, "refused_streams_burst").value,
        },
        control_frames: RateLimit {
            per_second: table.get(report, "control_frames_per_second").value,
            burst: table.get(report, "control_frames_burst").value,
        },
        window_updates: RateLimit {
            per_second: table.get(report, "window_updates_per_second").value,
            burst: table.get(report, "window_updates_burst").value,
        },
        small_data_frames: RateLimit {
            per_second: table.get(report, "small_data_frames_per_second").value,
            burst: table.get(report, "small_data_frames_burst").value,
        },
        continuations: RateLimit {
            per_second: table.get(report, "continuations_per_second").value,
            burst: table.get(report, "continuations_burst").value,
        },
    }
}

fn handshakes(report: &mut ProblemCollector, limits: &Table) -> HandshakeLimits {
    let table = limits.table(report, "handshakes");
    let per_second = table.get(report, "per_second");
    let burst = table.get(report, "burst");
    let source_per_second = table.get(report, "source_per_second");
    let source_burst = table.get(report, "source_burst");
    agreement::no_more(report, &source_per_second, &per_second);
    agreement::no_more(report, &source_burst, &burst);
    HandshakeLimits {
        total: RateLimit { per_second: per_second.value, burst: burst.value },
        source: RateLimit { per_second: source_per_second.value, burst: source_burst.value },
        max_concurrent: table.get(report, "max_concurrent").value,
    }
}

fn watch(report: &mut ProblemCollector, table: &Table) -> WatchSettings {
    WatchSettings {
        surge_factor_tenths: table.get(report, "surge_factor").value,
        surge_min_rate: table.get(report, "surge_min_rate").value,
        warm_up: table.get(report, "warm_up").value,
    }
}

fn posture(report: &mut ProblemCollector, table: &Table, ordinary: &Bounds) -> PostureSettings {
    let tightened = table.table(report, "tightened");
    let requests_per_second = tightened.get(report, "requests_per_second");
    let burst = tightened.get(report, "burst");
    let connections = tightened.get(report, "max_connections");
    let header_deadline = tightened.get(report, "header_timeout");
    agreement::no_more(report, &requests_per_second, &ordinary.requests_per_second);
    agreement::no_more(report, &burst, &ordinary.burst);
    agreement::no_more(report, &connections, &ordinary.connections);
    agreement::no_longer(report, &header_deadline, &ordinary.header_deadline);
    let token = table.table(report, "token");
    PostureSettings {
        quiet_period: table.get(report, "quiet_period").value,
        step_down_interval: table.get(report, "step_down_interval").value,
        full_speed_after: table.get(report, "full_speed_after").value,
        procedure_ttl: table.get(report, "procedure_ttl").value,
        collateral_per_million: table.get(report, "collateral_per_million").value,
        tightened: SourceLimits {
            requests_per_second: requests_per_second.value,
            burst: burst.value,
            connections: connections.value,
        },
        tightened_header_timeout: header_deadline.value,
        token: TokenBudget {
            requests_per_second: token.get(report, "requests_per_second").value,
            burst: token.get(report, "burst").value,
            lifetime: token.get(report, "lifetime").value,
        },
        wait_challenge_delay: table.get(report, "wait_challenge_delay").value,
    }
}

/// A platform as far as it could be read.
struct Platform {
    name: Option<Placed<String>>,
    hosts: Vec<Placed<String>>,
    origin: Option<Placed<OriginConfig>>,
    path_rules: PathRules,
    activities: Vec<PlacedActivity>,
}

impl Platform {
    fn resolve(self) -> Option<PlatformConfig> {
        let activities = self.activities.into_iter().map(|activity| ActivityConfig {
            name: activity.name.map(|name| name.value).unwrap_or_default(),
            tier: activity.tier,
            matches: activity.patterns.into_iter().map(|p| p.value).collect(),
            challenge: activity.challenge,
            timeouts: activity.timeouts,
        });
        Some(PlatformConfig {
            name: self.name?.value,
            hosts: self.hosts.into_iter().map(|host| host.value).collect(),
            origin: self.origin?.value,
            path_rules: self.path_rules,
            activities: activities.chain([ActivityConfig::everything_else()]).collect(),
        })
    }
}

fn platform(report: &mut ProblemCollector, table: &Table) -> Platform {
    let name = name(report, table);
    let hosts = table.list(report, "hosts", parse_host);
    let origin = platform_origin(report, table);
    let path_rules = PathRules {
        allow_encoded_slashes: table.get(report, "allow_encoded_slashes").value,
        allow_parameters: table.get(report, "allow_path_parameters").value,
        allow_non_utf8: table.get(report, "allow_non_utf8_paths").value,
    };
    let activities = if table.has("activities") {
        let tables = table.tables(report, "activities");
        tables.iter().map(|t| activity(report, t, path_rules)).collect()
    } else {
        Vec::new()
    };
    let names: Vec<_> = activities.iter().filter_map(|a| a.name.as_ref()).collect();
    agreement::names_differ(report, &names, "activity");
    agreement::name_not_reserved(report, &names);
    agreement::nothing_shadowed(report, &activities);
    Platform { name, hosts, origin, path_rules, activities }
}

fn name(report: &mut ProblemCollector, table: &Table) -> Option<Placed<String>> {
    let name = table.find::<String>(report, "name")?;
    let length = name.value.chars().count();
    if length > LONGEST_NAME || name.value.trim() != name.value {
        let error = ValueError::new(
            format!("{} is not a name", quoted(&name.value)),
            "1 to 64 characters, without a space at either end",
        );
        report.add(name.place.as_ref(), &name.key, error);
        return None;
    }
    Some(name)
}

/// Bytes of a path that the gate asks an origin for.
const LONGEST_PROBE_PATH: usize = 1_024;

/// `origin` is either the address alone or a table that has it as `url`.
fn platform_origin(report: &mut ProblemCollector, table: &Table) -> Option<Placed<OriginConfig>> {
    if !table.is_table("origin") {
        let url = table.find(report, "origin")?;
        return read_origin(report, url);
    }
    let table = table.table(report, "origin");
    let url = table.find(report, "url");
    let connections = table.get(report, "max_connections").value;
    let connect_deadline = table.get(report, "connect_timeout").value;
    let response_timeout = table.get(report, "response_timeout").value;
    let queue_deadline = table.get(report, "queue_timeout").value;
    let reuse_connections = table.get(report, "reuse_connections").value;
    let probe = table.get(report, "probe").value;
    let probe_path = probe_path(report, &table)?;
    let origin = read_origin(report, url?)?;
    Some(origin.map(|origin| OriginConfig {
        host: origin.host,
        port: origin.port,
        max_connections: connections,
        connect_timeout: connect_deadline,
        response_timeout,
        queue_timeout: queue_deadline,
        reuse_connections,
        probe,
        probe_path,
    }))
}

/// A path that can be sent unchanged in a request.
fn probe_path(report: &mut ProblemCollector, table: &Table) -> Option<String> {
    let path = table.get::<String>(report, "probe_path");
    let plain = path.value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if path.value.starts_with('/') && plain && path.value.len() <= LONGEST_PROBE_PATH {
        return Some(path.value);
    }
    let error = ValueError::new(
        format!("{} is not a path", quoted(&path.value)),
        "a path that begins with /, without spaces, such as /health",
    );
    report.add(path.place.as_ref(), &path.key, error);
    None
}

fn read_origin(report: &mut ProblemCollector, url: Placed<String>) -> Option<Placed<OriginConfig>> {
    match origin(&url.value) {
        Ok(origin) => Some(url.map(|_| origin)),
        Err(error) => {
            report.add(url.place.as_ref(), &url.key, error);
            None
        }
    }
}

fn activity(report: &mut ProblemCollector, table: &Table, rules: PathRules) -> PlacedActivity {
    let tier = table.get::<String>(report, "tier").value;
    PlacedActivity {
        name: name(report, table),
        place: table.place().cloned(),
        tier: [Tier::Essential, Tier::Optional]
            .into_iter()
            .find(|known| known.as_str() == tier)
            .unwrap_or(Tier::Important),
        patterns: table.list(report, "paths", |text| parse_pattern(text, rules)),
        challenge: table.get(report, "challenge").value,
        timeouts: ActivityTimeouts {
            response_idle_timeout: table
                .find(report, "response_idle_timeout")
                .map(|time| time.value),
            tunnel_idle_timeout: table.find(report, "tunnel_idle_timeout").map(|time| time.value),
            max_tunnel_age: table.find(report, "max_tunnel_age").map(|time| time.value),
        },
    }
}
