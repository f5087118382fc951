//! The settings as the rest of the program reads them, with their defaults.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::path::PathBuf;

use super::acme_settings::AcmeConfig;
use super::tls_files::TlsFiles;
use crate::activity::Tier;
use crate::path::PathRules;
use crate::procedure::SourceLimits;
use crate::source::IpNet;

/// Everything an operator can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where visitors connect. Never empty.
    pub listeners: Vec<Listener>,
    /// Certificates for every listener with TLS, chosen by the requested name.
    pub certificates: Vec<TlsFiles>,
    /// Certificates that the gate obtains automatically, for every listener with TLS.
    pub acme: Option<AcmeConfig>,
    /// Where operators look: `/healthz`, `/metrics`, `/status.json`.
    pub admin: SocketAddr,
    /// Host names by which the admin listener may be requested, besides its address and `localhost`.
    pub admin_hosts: Vec<String>,
    /// Workers; `None` is one per core.
    pub workers: Option<u16>,
    /// The user to run as if root starts the gate.
    pub user: Option<String>,
    /// Whether the process drops privileges that it does not need.
    pub sandbox: bool,
    /// The access log, if there is one.
    pub access_log: Option<AccessLogSettings>,
    /// The folder of the ledger.
    pub ledger: PathBuf,
    /// Who may tell us a visitor's address (`X-Forwarded-For`, `Forwarded`, PROXY protocol).
    pub trusted_proxies: Vec<IpNet>,
    /// Bounds on what visitors may take.
    pub limits: Limits,
    /// When a surge is a surge.
    pub watch: WatchSettings,
    /// How fast the gate is lowered and raised.
    pub posture: PostureSettings,
    /// What is protected. Never empty.
    pub platforms: Vec<PlatformConfig>,
}

/// What the access log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// Its file.
    pub file: PathBuf,
    /// The form of a line.
    pub format: AccessLogFormat,
    /// The form of a visitor's address.
    pub address: AccessLogAddress,
    /// Lines in a second, of all workers together.
    pub max_lines_per_second: u32,
}

/// The form of a line in the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// Apache's and nginx's combined format, and the gate's reason.
    Combined,
    /// One JSON object.
    Json,
}

/// How the access log writes a visitor's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogAddress {
    /// Whole.
    Full,
    /// A /24, or a /48 of IPv6.
    Truncated,
    /// A keyed hash.
    Pseudonym,
    /// Not at all.
    None,
}

/// One address that visitors connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address.
    pub address: SocketAddr,
    /// TLS, with the certificate for visitors who ask for a name that none is for; without it,
    /// plain HTTP/1.1. [`Config::certificates`] are served here too.
    pub tls: Option<TlsFiles>,
    /// Every connection from a trusted proxy begins with a PROXY protocol header (v1 or v2).
    pub proxy_protocol: bool,
    /// HTTP/3 too, on the UDP port of the same number. Only together with TLS, and never with a
    /// PROXY protocol header.
    pub http_3: bool,
}

/// Bounds on what visitors may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte of a connection (or of a later request) to the end of its
    /// headers.
    pub header_timeout: Duration,
    /// TLS handshake, from accept.
    pub handshake_timeout: Duration,
    /// Longest silence within a request or response body, and how far behind its least rate a
    /// visitor may fall with one.
    pub body_idle_timeout: Duration,
    /// Bytes per second at which a visitor must at least send a body that is waited for.
    pub min_upload_rate: u32,
    /// Bytes per second at which a visitor must at least take what waits to be sent.
    pub min_download_rate: u32,
    /// Longest silence of an origin within an answer; an activity may have its own.
    pub response_idle_timeout: Duration,
    /// Longest silence between two requests of a connection.
    pub idle_timeout: Duration,
    /// Longest silence on an upgraded connection; an activity may have its own.
    pub tunnel_idle_timeout: Duration,
    /// How long an upgraded connection may last; an activity may have its own.
    pub max_tunnel_age: Duration,
    /// Age at which a connection is asked to end; at twice this age, requests in flight are cut.
    pub max_connection_age: Duration,
    /// Requests of one connection, after which it is asked to end.
    pub max_requests_per_connection: u32,
    /// Bytes of a request's header fields and request line.
    pub max_header_bytes: u32,
    /// Header fields of a request; each line of a cookie counts.
    pub max_header_fields: u16,
    /// Bytes of a request's target: its path and query.
    pub max_target_bytes: u32,
    /// Parts of a document that one request may ask for (`Range`).
    pub max_ranges: u16,
    /// Bytes of a request's body.
    pub max_body_bytes: u64,
    /// Visitor connections of all workers together.
    pub max_connections: u32,
    /// Streams at the same time on one HTTP/2 or HTTP/3 connection.
    pub max_streams_per_connection: u32,
    /// What one HTTP/2 connection may do besides asking; HTTP/3 has the same budgets for what it
    /// has too.
    pub http_2: Http2Limits,
    /// How many TLS handshakes may be begun.
    pub handshakes: HandshakeLimits,
    /// HTTP/3 connections that are not yet established.
    pub http_3: Http3Limits,
    /// Limits on each source on an ordinary day.
    pub source: SourceLimits,
    /// Connections of each network (an IPv4 /24, an IPv6 /48) at the same time.
    pub max_network_connections: u32,
    /// How many upgraded connections may be open.
    pub tunnels: TunnelLimits,
    /// Sources that are remembered at the same time (a table of fixed size).
    pub source_table_size: u32,
    /// How long a drain may take after SIGTERM.
    pub shutdown_grace: Duration,
    /// How long connections may stay with a process after another one has taken over.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A phone on a poor network sends its kilobyte of headers within a few seconds.
            header_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            body_idle_timeout: Duration::from_secs(30),
            // A phone whose plan is used up is slowed down to 32 kbit/s; a browser that opens six
            // connections then has 660 bytes a second for each.
            min_upload_rate: 500,
            min_download_rate: 500,
            // Servers that send events say something every quarter or half of a minute.
            response_idle_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            // Most libraries send a ping twice a minute, some once.
            tunnel_idle_timeout: Duration::from_secs(120),
            // WebSocket clients reconnect automatically; once an hour is not noticed.
            max_tunnel_age: Duration::from_secs(3_600),
            // No person reads a site for four hours without a minute's pause, so people never
            // reach it. It is not shorter because requests in flight have as long again: a download
            // of five gigabytes at 200 kB a second takes seven hours.
            max_connection_age: Duration::from_secs(4 * 3_600),
            // A hundred pages of a hundred parts each: two handshakes for them are not felt.
            max_requests_per_connection: 10_000,
            max_header_bytes: 32 * 1024,
            max_header_fields: 100,
            // Origins accept 8 KiB as a rule; the longest links that people share have two.
            max_target_bytes: 8 * 1024,
            // Browsers, players and downloads ask for one part, readers of documents for a few.
            max_ranges: 8,
            max_body_bytes: 64 * 1024 * 1024,
            max_connections: 16_384,
            max_streams_per_connection: 100,
            http_2: Http2Limits::default(),
            handshakes: HandshakeLimits::default(),
            http_3: Http3Limits::default(),
            // A mobile carrier may hide some hundred people behind one address, each with a page
            // of thirty parts: only floods from one address are above this.
            source: SourceLimits { requests_per_second: 200, burst: 1_000, connections: 256 },
            // A mobile carrier's /24 that hides seven hundred people, each with a browser that opens
            // six connections: a quarter of all, so that no four networks can take every place
            // before idle ones give way.
            max_network_connections: 4_096,
            tunnels: TunnelLimits::default(),
            source_table_size: 262_144,
            shutdown_grace: Duration::from_secs(30),
            drain_time: Duration::from_secs(30),
        }
    }
}

/// A rate limit: a burst, and a rate in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Events per second in the long run.
    pub per_second: u32,
    /// Events that may come together.
    pub burst: u32,
}

/// What one HTTP/2 connection may do besides asking. Each kind of frame has its own budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2Limits {
    /// Streams that the visitor resets.
    pub resets: RateLimit,
    /// Streams that the gate had to reset because of what the visitor did.
    pub refused_streams: RateLimit,
    /// Pings, settings, priorities and frames of unknown kinds; a separate budget for each.
    pub control_frames: RateLimit,
    /// Window updates beyond those that answer what was sent.
    pub window_updates: RateLimit,
    /// Empty DATA frames, and tiny ones; a separate budget for each.
    pub small_data_frames: RateLimit,
    /// CONTINUATION frames.
    pub continuations: RateLimit,
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            // Who leaves a page cancels up to a hundred streams: three pages in a row. A search
            // field that asks at every key cancels ten a second; a rapid-reset attack sends ten
            // thousand.
            resets: RateLimit { per_second: 50, burst: 300 },
            // An upload that is answered early has up to 64 frames of 16 KiB in flight, each of
            // which may be refused.
            refused_streams: RateLimit { per_second: 10, burst: 200 },
            // Clients that measure the network ping once a round trip while they download;
            // browsers tell a priority or two for each part of a page, and a frame of a made-up
            // kind with each request.
            control_frames: RateLimit { per_second: 100, burst: 300 },
            // A hundred streams opened together, each with its window widened, three times over.
            window_updates: RateLimit { per_second: 100, burst: 300 },
            // Small messages, at the rate of a person's pointer movements.
            small_data_frames: RateLimit { per_second: 200, burst: 1_000 },
            // Headers above 16 KiB come in two frames; a page of a hundred assets, twice.
            continuations: RateLimit { per_second: 50, burst: 200 },
        }
    }
}

/// How many TLS handshakes may be begun. One that resumes a session counts for a quarter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// By all together.
    pub total: RateLimit,
    /// By each source.
    pub source: RateLimit,
    /// Concurrent handshakes, of all workers together.
    pub max_concurrent: u32,
}

impl Default for HandshakeLimits {
    fn default() -> Self {
        Self {
            // With a P-256 key a connection and its first request cost 0.44 ms of a core
            // (measured), so that this is nine tenths of one; with RSA of 2048 bits 0.95 ms: two
            // cores. A thousand people each second who are new to the site open two each.
            total: RateLimit { per_second: 2_000, burst: 4_000 },
            // Five hundred phones behind one carrier's address that all open the newsletter's
            // link together; then three thousand new people a minute.
            source: RateLimit { per_second: 50, burst: 500 },
            // Two seconds' worth: a handshake is a round trip, which a poor network makes a
            // second of. Each holds about 20 KiB until it is done: 80 MiB.
            max_concurrent: 4_096,
        }
    }
}

/// Bounds on HTTP/3 handshakes, which anybody can begin in the name of any address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http3Limits {
    /// Concurrent handshakes, over all workers, from which on an address must validate itself:
    /// the response to its first packet is a Retry (RFC 9000, section 8.1.2).
    pub retry_threshold: u32,
}

impl Default for Http3Limits {
    fn default() -> Self {
        Self {
            // Six hundred new visitors a second, a tenth of a second away, without the round trip
            // that a Retry costs each. Forged addresses hold no more places than this.
            retry_threshold: 64,
        }
    }
}

/// How many upgraded connections (`WebSocket`) may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelLimits {
    /// Of all visitors together.
    pub max_total: u32,
    /// Of each source.
    pub max_per_source: u32,
}

impl Default for TunnelLimits {
    fn default() -> Self {
        Self {
            // A quarter of all connections: a tunnel is held for as long as a tab is open, and
            // takes a connection to the origin as well, of which pages need some too.
            max_total: 4_096,
            // Half the connections of a source: an office of sixty people with two tabs each.
            max_per_source: 128,
        }
    }
}

/// When a surge is a surge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchSettings {
    /// A surge is this many times the baseline, in tenths (25 is two and a half times).
    pub surge_factor_tenths: u32,
    /// Requests per second of one activity that are a surge while nothing is known of it yet.
    pub surge_min_rate: u32,
    /// How long the watch learns before it uses what it has learnt. (Evidence of hostility counts
    /// from the first second.)
    pub warm_up: Duration,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self { surge_factor_tenths: 25, surge_min_rate: 20, warm_up: Duration::from_secs(300) }
    }
}

/// How fast the gate is lowered and raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostureSettings {
    /// No hostile traffic for this long ends a wave.
    pub quiet_period: Duration,
    /// After a wave ended, procedures are released one by one this far apart.
    pub step_down_interval: Duration,
    /// Full speed is recorded when it has held for this long.
    pub full_speed_after: Duration,
    /// A procedure that is not renewed ends after this.
    pub procedure_ttl: Duration,
    /// A signature may hit at most this many in a million ordinary requests (estimated).
    pub collateral_per_million: u32,
    /// Limits on each source while they are tightened.
    pub tightened: SourceLimits,
    /// The header deadline while limits are tightened.
    pub tightened_header_timeout: Duration,
    /// What one token buys: requests per second and burst. (`connections` is not used.)
    pub token: TokenBudget,
    /// How long the page of a wait challenge waits.
    pub wait_challenge_delay: Duration,
}

/// What one token buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBudget {
    /// Requests per second in the long run.
    pub requests_per_second: u32,
    /// Requests that may come together: a page with all its parts, a few times over.
    pub burst: u32,
    /// How long a token is good for.
    pub lifetime: Duration,
}

impl Default for PostureSettings {
    fn default() -> Self {
        Self {
            quiet_period: Duration::from_secs(30),
            step_down_interval: Duration::from_secs(30),
            full_speed_after: Duration::from_secs(60),
            procedure_ttl: Duration::from_secs(600),
            collateral_per_million: 5_000,
            tightened: SourceLimits { requests_per_second: 20, burst: 100, connections: 32 },
            tightened_header_timeout: Duration::from_secs(3),
            token: TokenBudget {
                requests_per_second: 5,
                burst: 120,
                lifetime: Duration::from_secs(1_800),
            },
            wait_challenge_delay: Duration::from_secs(3),
        }
    }
}

/// A protected site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformConfig {
    /// Its name, unique.
    pub name: String,
    /// Its host names, lower case, without port; `*` (only alone) takes every host.
    pub hosts: Vec<String>,
    /// Its origin.
    pub origin: OriginConfig,
    /// Which paths its origin is known to read in one way.
    pub path_rules: PathRules,
    /// What people do on it, first match first. The last one matches everything.
    pub activities: Vec<ActivityConfig>,
}

impl PlatformConfig {
    /// A name by which the site knows itself, for requests of the gate's own: its first host, or else its
    /// origin's address.
    pub fn probe_host(&self) -> String {
        let named = self.hosts.iter().find(|host| *host != "*").cloned();
        named.unwrap_or_else(|| self.origin.authority())
    }
}

/// The server that a platform's requests are forwarded to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginConfig {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Connections to it at the same time, of all workers together.
    pub max_connections: u32,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long a response may take to begin.
    pub response_timeout: Duration,
    /// How long a request may wait for a free connection.
    pub queue_timeout: Duration,
    /// Whether a connection is used for more than one request.
    pub reuse_connections: bool,
    /// Whether the gate asks the origin itself while no request shows whether it answers.
    pub probe: bool,
    /// The path that it asks for.
    pub probe_path: String,
}

impl OriginConfig {
    /// An origin with every limit at its default.
    pub fn new(host: String, port: u16) -> Self {
        Self {
            host,
            port,
            max_connections: 64,
            connect_timeout: Duration::from_secs(3),
            response_timeout: Duration::from_secs(30),
            queue_timeout: Duration::from_secs(3),
            reuse_connections: true,
            probe: true,
            probe_path: "/".to_owned(),
        }
    }

    /// `host:port`, with brackets around an IPv6 address.
    pub fn authority(&self) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(v6)) => format!("[{v6}]:{}", self.port),
            _ => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Something people do on a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityConfig {
    /// Its name, unique on its platform.
    pub name: String,
    /// Who is served first.
    pub tier: Tier,
    /// Any of these.
    pub matches: Vec<RequestPattern>,
    /// Whether visitors may be challenged here. Payment webhooks and other programs that cannot
    /// follow a redirect want `false`.
    pub challenge: bool,
    /// Where visitors and origins may be silent for longer than elsewhere, or less long.
    pub timeouts: ActivityTimeouts,
}

/// Timeouts of an activity that replace [`Limits::response_idle_timeout`],
/// [`Limits::tunnel_idle_timeout`] and [`Limits::max_tunnel_age`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActivityTimeouts {
    /// Longest silence of the origin within an answer.
    pub response_idle_timeout: Option<Duration>,
    /// Longest silence on an upgraded connection.
    pub tunnel_idle_timeout: Option<Duration>,
    /// How long an upgraded connection may last.
    pub max_tunnel_age: Option<Duration>,
}

/// A method and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPattern {
    /// One method, or any.
    pub method: Option<String>,
    /// The path.
    pub path: PathPattern,
}

/// Which paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// This path alone.
    Exact(String),
    /// Every path that begins so (written with a `*` at the end).
    Prefix(String),
}

impl RequestPattern {
    /// Matches every request.
    pub const fn everything() -> Self {
        Self { method: None, path: PathPattern::Prefix(String::new()) }
    }

    /// Whether a request for `path` (without query) by `method` matches.
    pub fn matches(&self, method: &str, path: &str) -> bool {
        self.method.as_deref().is_none_or(|m| m == method)
            && match &self.path {
                PathPattern::Exact(exact) => path == exact,
                PathPattern::Prefix(prefix) => path.starts_with(prefix.as_str()),
            }
    }
}

impl Config {
    /// The default admin listener: loopback only.
    pub const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9_919);

    /// Every certificate with its key that an operator has named, each once.
    pub fn tls_files(&self) -> Vec<&TlsFiles> {
        let of_listeners = self.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        let ours = self.acme.as_ref().map(AcmeConfig::placeholder_certificate);
        let mut all = Vec::new();
        for files in of_listeners.chain(&self.certificates) {
            if !all.contains(&files) && ours.as_ref() != Some(files) {
                all.push(files);
            }
        }
        all
    }

    /// The most files that a gate with `workers` workers has open concurrently: connections of visitors and
    /// to origins, and for each worker its listeners and the runtime's own; the rest is the
    /// ledger's, the operators' and the certificates' while they are read.
    pub fn descriptors(&self, workers: u16) -> u64 {
        const OWN: u64 = 128;
        let origins =
            self.platforms.iter().map(|platform| u64::from(platform.origin.max_connections));
        let of_each_worker = 2 * self.listeners.len() as u64 + 8;
        u64::from(self.limits.max_connections)
            + origins.sum::<u64>()
            + of_each_worker * u64::from(workers)
            + OWN
    }

    /// One platform for every host, in front of `origin`, with every default: what
    /// `portcullis run --listen … --origin …` means.
    pub fn for_origin(listen: SocketAddr, origin: OriginConfig) -> Self {
        Self {
            listeners: vec![Listener {
                address: listen,
                tls: None,
                proxy_protocol: false,
                http_3: false,
            }],
            certificates: Vec::new(),
            acme: None,
            admin: Self::ADMIN,
            admin_hosts: Vec::new(),
            workers: None,
            user: None,
            sandbox: true,
            access_log: None,
            ledger: PathBuf::from("ledger"),
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
            watch: WatchSettings::default(),
            posture: PostureSettings::default(),
            platforms: vec![PlatformConfig {
                name: "site".into(),
                hosts: vec!["*".into()],
                origin,
                path_rules: PathRules::default(),
                activities: vec![ActivityConfig::everything_else()],
            }],
        }
    }
}

impl ActivityConfig {
    /// The catch-all that ends every platform's list.
    pub fn everything_else() -> Self {
        Self {
            name: "everything else".into(),
            tier: Tier::Important,
            matches: vec![RequestPattern::everything()],
            challenge: true,
            timeouts: ActivityTimeouts::default(),
        }
    }
}
