//! The tables of the file, each key with its words.

use core::time::Duration;

use super::acme::ACME;
use super::keys::{Absent, Key, Kind, Section};
use super::value::Value;

mod protocols;

use protocols::{
    HANDSHAKES, HTTP_2, HTTP_3, NETWORK, RESPONSE_IDLE_WHY, TUNNEL_AGE, TUNNEL_AGE_WHY,
    TUNNEL_IDLE_WHY, TUNNELS,
};

/// Names and files.
pub(super) const LONGEST_TEXT: usize = 4_096;
/// Platforms of one gate. Counters, sketches and baselines are kept for each activity of each.
const PLATFORMS: usize = 64;
/// Activities of one platform, without the catch-all.
const ACTIVITIES: usize = 64;
/// Activities of all platforms together, catch-alls included: each costs every worker about a
/// kilobyte of counters, and the watch a sketch and a baseline.
pub(super) const ALL_ACTIVITIES: usize = 512;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const MINUTE: Duration = secs(60);
const HOUR: Duration = secs(3_600);
const DAY: Duration = secs(86_400);
const KIB: u64 = 1 << 10;

pub(super) static ROOT: Section = Section {
    heading: "",
    about: "Keys that stand before the first table.",
    keys: &[
        Key {
            name: "ledger",
            kind: Kind::Text,
            absent: Absent::Is(|c| Value::Text(c.ledger.display().to_string())),
            about: "The folder of the ledger.",
            why: "",
        },
        Key {
            name: "workers",
            kind: Kind::Count(1, 256),
            absent: Absent::Means("one per core"),
            about: "Workers, each with its own listeners, connections and counters.",
            why: "without one nothing is served; more than cores only compete for them",
        },
        Key {
            name: "trusted_proxies",
            kind: Kind::List(0, 1_024),
            absent: Absent::Means("nobody"),
            about: "Addresses and ranges of your own load balancer or CDN. From them alone a \
                    visitor's address is believed (`X-Forwarded-For`, `Forwarded`, PROXY \
                    protocol).",
            why: "every connection is compared with each",
        },
        Key {
            name: "admin",
            kind: Kind::Table(&ADMIN),
            absent: Absent::Means("every default"),
            about: "The listener for operators and monitoring.",
            why: "",
        },
        Key {
            name: "listeners",
            kind: Kind::Tables(&LISTEN, 16),
            absent: Absent::Required("[[listeners]] with address = \"0.0.0.0:80\""),
            about: "Where visitors connect.",
            why: "every worker opens each of them",
        },
        Key {
            name: "certificates",
            kind: Kind::Tables(&CERTIFICATE, 256),
            absent: Absent::Means("those of the listeners alone"),
            about: "Certificates for every listener that speaks TLS, chosen by the name that is \
                    asked for.",
            why: "each is read into memory, a few KiB",
        },
        Key {
            name: "acme",
            kind: Kind::Table(&ACME),
            absent: Absent::Means("certificates from files alone"),
            about: "Certificates that the gate gets by itself and renews.",
            why: "",
        },
        Key {
            name: "limits",
            kind: Kind::Table(&LIMITS),
            absent: Absent::Means("every default"),
            about: "Bounds on what visitors may take.",
            why: "",
        },
        Key {
            name: "watch",
            kind: Kind::Table(&WATCH),
            absent: Absent::Means("every default"),
            about: "When a surge is a surge.",
            why: "",
        },
        Key {
            name: "posture",
            kind: Kind::Table(&POSTURE),
            absent: Absent::Means("every default"),
            about: "How fast the gate is lowered and raised.",
            why: "",
        },
        Key {
            name: "platforms",
            kind: Kind::Tables(&PLATFORM, PLATFORMS),
            absent: Absent::Required(
                "[[platforms]] with name = \"site\", hosts = [\"*\"] and origin = \
                 \"http://127.0.0.1:3000\"",
            ),
            about: "The sites that are protected.",
            why: "counters and baselines are kept for each",
        },
    ],
};

static ADMIN: Section = Section {
    heading: "[admin]",
    about: "The listener for operators and monitoring: `/healthz`, `/metrics` and `/status.json`. It \
            asks for no password.",
    keys: &[
        Key {
            name: "listen",
            kind: Kind::Address,
            absent: Absent::Is(|c| Value::Address(c.admin)),
            about: "Address and port of the admin listener.",
            why: "",
        },
        Key {
            name: "allow_remote",
            kind: Kind::Flag,
            absent: Absent::Is(|_| Value::Flag(false)),
            about: "Allows `listen` to be an address that other machines can reach. Set it to `true` \
                    only where a firewall restricts access.",
            why: "",
        },
    ],
};

static LISTEN: Section = Section {
    heading: "[[listeners]]",
    about: "An address that visitors connect to. At least one. Over TLS, HTTP/2 and HTTP/1.1, \
            and HTTP/3 where `http_3` says so; without, HTTP/1.1.",
    keys: &[
        Key {
            name: "address",
            kind: Kind::Address,
            absent: Absent::Required("address = \"0.0.0.0:443\""),
            about: "Address and port. `0.0.0.0:443` is every IPv4 address of this machine, \
                    `[::]:443` every IPv6 address.",
            why: "",
        },
        Key {
            name: "tls",
            kind: Kind::Flag,
            absent: Absent::Means("TLS where `certificate` and `key` stand"),
            about: "Speaks TLS with the `[[certificates]]`. Visitors who ask for a name that none \
                    is for get the first, or the one that stands here.",
            why: "",
        },
        Key {
            name: "certificate",
            kind: Kind::Text,
            absent: Absent::Means("no TLS, unless `tls` says so"),
            about: "File of the certificate chain (PEM), leaf first. Together with `key`.",
            why: "",
        },
        Key {
            name: "key",
            kind: Kind::Text,
            absent: Absent::Means("no TLS, unless `tls` says so"),
            about: "File of the private key (PEM).",
            why: "",
        },
        Key {
            name: "proxy_protocol",
            kind: Kind::Flag,
            absent: Absent::Is(|_| Value::Flag(false)),
            about: "Every connection from a trusted proxy begins with a PROXY protocol header \
                    (v1 or v2).",
            why: "",
        },
        Key {
            name: "http_3",
            kind: Kind::Flag,
            absent: Absent::Is(|_| Value::Flag(false)),
            about: "Speaks HTTP/3 too, on the UDP port of the same number, and says so in answers \
                    over TLS (`Alt-Svc`). Open that port in the firewall: see docs/http-3.md.",
            why: "",
        },
    ],
};

static CERTIFICATE: Section = Section {
    heading: "[[certificates]]",
    about: "A certificate and its key. The names it is for are read from the certificate; \
            `*.example.org` is for one label more.",
    keys: &[
        Key {
            name: "certificate",
            kind: Kind::Text,
            absent: Absent::Required("certificate = \"site.pem\""),
            about: "File of the certificate chain (PEM), leaf first.",
            why: "",
        },
        Key {
            name: "key",
            kind: Kind::Text,
            absent: Absent::Required("key = \"site.key\""),
            about: "File of the private key (PEM).",
            why: "",
        },
    ],
};

/// The range of the least rates of bodies.
const LEAST_RATE: Kind = Kind::Bytes(64, 64 * KIB);
const LEAST_RATE_WHY: &str = "a phone whose plan is used up has 4 kB a second, and less for each of its connections; below \
     64 bytes a second there is no limit to speak of, and above 64 KiB people on ordinary mobile \
     networks would be cut";

static LIMITS: Section = Section {
    heading: "[limits]",
    about: "Bounds on what visitors may take, at any time. The defaults suit a site of any size \
            on a small server.",
    keys: &[
        Key {
            name: "header_timeout",
            kind: Kind::Time(secs(1), MINUTE),
            absent: Absent::Is(|c| Value::Time(c.limits.header_timeout)),
            about: "From the first byte of a request to the end of its headers.",
            why: "a phone on a poor network needs a few seconds for its kilobyte; whoever needs a \
                  minute is holding a place",
        },
        Key {
            name: "handshake_timeout",
            kind: Kind::Time(secs(1), MINUTE),
            absent: Absent::Is(|c| Value::Time(c.limits.handshake_timeout)),
            about: "The TLS handshake, from accept.",
            why: "a handshake is two round trips; whoever needs a minute is holding a place",
        },
        Key {
            name: "body_idle_timeout",
            kind: Kind::Time(secs(1), secs(600)),
            absent: Absent::Is(|c| Value::Time(c.limits.body_idle_timeout)),
            about: "Longest silence within the body of a request; and how far a \
                    visitor may fall behind `min_upload_rate` and `min_download_rate`, which every byte \
                    makes up for.",
            why: "a train in a tunnel is silent for seconds; ten minutes of silence is not a \
                  transfer",
        },
        Key {
            name: "min_upload_rate",
            kind: LEAST_RATE,
            absent: Absent::Is(|c| Value::Bytes(u64::from(c.limits.min_upload_rate))),
            about: "Bytes per second at which a visitor must at least send a body, while it is \
                    waited for. Whoever falls behind by more than `body_idle_timeout` is answered with \
                    408. A body of N bytes takes at most `body_idle_timeout` and N / `min_upload_rate`: at \
                    500 bytes a second, 64 MiB may take 37 hours.",
            why: LEAST_RATE_WHY,
        },
        Key {
            name: "min_download_rate",
            kind: LEAST_RATE,
            absent: Absent::Is(|c| Value::Bytes(u64::from(c.limits.min_download_rate))),
            about: "Bytes per second at which a visitor must at least take what waits to be sent \
                    on its connection. Whoever falls behind by more than `body_idle_timeout` is cut. An \
                    answer that has nothing to send for a while is not concerned.",
            why: LEAST_RATE_WHY,
        },
        Key {
            name: "idle_timeout",
            kind: Kind::Time(secs(1), HOUR),
            absent: Absent::Is(|c| Value::Time(c.limits.idle_timeout)),
            about: "Longest silence between two requests of a connection.",
            why: "an idle connection holds a place that somebody else may need",
        },
        Key {
            name: "response_idle_timeout",
            kind: Kind::Time(secs(1), DAY),
            absent: Absent::Is(|c| Value::Time(c.limits.response_idle_timeout)),
            about: "Longest silence of the origin within an answer. An activity may have its own: \
                    a stream of events without a sign of life in between may need hours.",
            why: RESPONSE_IDLE_WHY,
        },
        Key {
            name: "tunnel_idle_timeout",
            kind: Kind::Time(secs(1), DAY),
            absent: Absent::Is(|c| Value::Time(c.limits.tunnel_idle_timeout)),
            about: "Longest silence on a WebSocket, after which it is cut (`tunnel-idle`). An \
                    activity may have its own.",
            why: TUNNEL_IDLE_WHY,
        },
        Key {
            name: "max_tunnel_age",
            kind: Kind::Time(secs(1), TUNNEL_AGE),
            absent: Absent::Is(|c| Value::Time(c.limits.max_tunnel_age)),
            about: "How long a WebSocket may last before it is cut (`tunnel-age`). An activity may \
                    have its own.",
            why: TUNNEL_AGE_WHY,
        },
        Key {
            name: "max_connection_age",
            kind: Kind::Time(secs(10), DAY),
            absent: Absent::Is(|c| Value::Time(c.limits.max_connection_age)),
            about: "How old a connection may become. Then it is asked to end: HTTP/1.1 by \
                    `Connection: close` on the next answer, HTTP/2 and HTTP/3 by GOAWAY. What is under way \
                    has as long again before it is cut (`max-age`). A WebSocket is not concerned.",
            why: "whoever comes back pays a handshake, which below ten seconds costs more than it \
                  frees; a connection that lives for days keeps rules that were changed since",
        },
        Key {
            name: "max_requests_per_connection",
            kind: Kind::Count(10, 100_000_000),
            absent: Absent::Is(|c| Value::Count(u64::from(c.limits.max_requests_per_connection))),
            about: "Requests on one connection, after which it is asked to end as above. A visitor \
                    over HTTP/2 or HTTP/3 who goes on all the same is cut (`max-age`).",
            why: "a page asks for some dozens; a hundred million is no limit",
        },
        Key {
            name: "max_header_bytes",
            kind: Kind::Bytes(8 * KIB, 256 * KIB),
            absent: Absent::Is(|c| Value::Bytes(u64::from(c.limits.max_header_bytes))),
            about: "Request line and header fields of one request.",
            why: "cookies of an ordinary site come to a few KiB; each connection may hold this \
                  much memory",
        },
        Key {
            name: "max_header_fields",
            kind: Kind::Count(32, 1_000),
            absent: Absent::Is(|c| Value::Count(u64::from(c.limits.max_header_fields))),
            about: "Header fields of one request. Over HTTP/2, where browsers may send a cookie \
                    in crumbs, each crumb counts.",
            why: "browsers and proxies together send about thirty",
        },
        Key {
            name: "max_target_bytes",
            kind: Kind::Bytes(KIB, 60 * KIB),
            absent: Absent::Is(|c| Value::Bytes(u64::from(c.limits.max_target_bytes))),
            about: "The target of one request: its path and query. Longer ones are answered with \
                    414.",
            why: "forms that search send a few hundred bytes; origins accept 8 KiB as a rule, and \
                  no more than 64 KiB can be read",
        },
        Key {
            name: "max_ranges",
            kind: Kind::Count(1, 200),
            absent: Absent::Is(|c| Value::Count(u64::from(c.limits.max_ranges))),
            about: "Parts of a document that one request may ask for (`Range`). More of them, or \
                    overlapping ones, are answered with 416.",
            why: "browsers, players and downloads ask for one part and readers of documents for a \
                  few; each part costs the origin, and none of them saves anything beyond 200",
        },
        Key {
            name: "max_body_bytes",
            kind: Kind::Bytes(KIB, 1 << 40),
            absent: Absent::Is(|c| Value::Bytes(c.limits.max_body_bytes)),
            about: "The body of one request. It is passed on as it comes, not held in memory.",
            why: "a form needs a KiB; the origin has to take whatever is allowed here",
        },
        Key {
            name: "max_connections",
            kind: Kind::Count(16, 1 << 20),
            absent: Absent::Is(|c| Value::Count(u64::from(c.limits.max_connections))),
            about: "Connections of visitors at the same time, over all workers. Above three \
                    quarters of it idle ones are granted less than `idle_timeout`, down to 5 seconds; at \
                    the bound the one that has been idle for longest (for a second at least) ends \
                    for each new one (`pressure`), and only where none is idle the new one is \
                    refused.",
            why: "one browser opens six; each connection costs a file descriptor and up to \
                  `max_header_bytes` of memory",
        },
        Key {
            name: "max_streams_per_connection",
            kind: Kind::Count(1, 1_000),
            absent: Absent::Is(|c| Value::Count(u64::from(c.limits.max_streams_per_connection))),
            about: "Requests at the same time on one HTTP/2 or HTTP/3 connection.",
            why: "a page asks for some dozens; each stream costs memory",
        },
        Key {
            name: "source_table_size",
            kind: Kind::Count(1_024, 1 << 24),
            absent: Absent::Is(|c| Value::Count(u64::from(c.limits.source_table_size))),
            about: "Sources that are remembered at the same time.",
            why: "the table is of fixed size, some dozens of bytes for each",
        },
        Key {
            name: "shutdown_grace",
            kind: Kind::Time(Duration::ZERO, secs(600)),
            absent: Absent::Is(|c| Value::Time(c.limits.shutdown_grace)),
            about: "How long requests under way may take to finish after SIGTERM.",
            why: "a machine that is to be restarted should not wait for longer",
        },
        Key {
            name: "source",
            kind: Kind::Table(&SOURCE),
            absent: Absent::Means("every default"),
            about: "Limits on each source on an ordinary day.",
            why: "",
        },
        Key {
            name: "network",
            kind: Kind::Table(&NETWORK),
            absent: Absent::Means("every default"),
            about: "Limits on each network.",
            why: "",
        },
        Key {
            name: "tunnels",
            kind: Kind::Table(&TUNNELS),
            absent: Absent::Means("every default"),
            about: "How many WebSockets may be open.",
            why: "",
        },
        Key {
            name: "http_2",
            kind: Kind::Table(&HTTP_2),
            absent: Absent::Means("every default"),
            about: "What one HTTP/2 connection may do besides asking.",
            why: "",
        },
        Key {
            name: "handshakes",
            kind: Kind::Table(&HANDSHAKES),
            absent: Absent::Means("every default"),
            about: "How many TLS handshakes may be begun.",
            why: "",
        },
        Key {
            name: "http_3",
            kind: Kind::Table(&HTTP_3),
            absent: Absent::Means("every default"),
            about: "HTTP/3 connections that are not yet established.",
            why: "",
        },
    ],
};

/// The range of every rate and burst: zero would refuse everybody.
const RATE: Kind = Kind::Count(1, 1_000_000);
const RATE_WHY: &str = "zero would refuse everybody; a million is no limit";
/// The range of connections of one source.
const CONNECTIONS_OF_SOURCE: Kind = Kind::Count(1, 65_535);
const CONNECTIONS_OF_SOURCE_WHY: &str =
    "zero would refuse everybody; one address has no more ports than 65535";

static SOURCE: Section = Section {
    heading: "[limits.source]",
    about: "Limits on each source (an IPv4 address, or an IPv6 /64) on an ordinary day. A mobile \
            carrier or an office may hide hundreds of people behind one address: leave room.",
    keys: &[
        Key {
            name: "requests_per_second",
            kind: RATE,
            absent: Absent::Is(|c| Value::Count(u64::from(c.limits.source.requests_per_second))),
            about: "Requests per second in the long run.",
            why: RATE_WHY,
        },
        Key {
            name: "burst",
            kind: RATE,
            absent: Absent::Is(|c| Value::Count(u64::from(c.limits.source.burst))),
            about: "Requests that may come at once before the rate counts.",
            why: RATE_WHY,
        },
        Key {
            name: "max_connections",
            kind: CONNECTIONS_OF_SOURCE,
            absent: Absent::Is(|c| Value::Count(u64::from(c.limits.source.connections))),
            about: "Connections at the same time. No more than `limits.max_connections`.",
            why: CONNECTIONS_OF_SOURCE_WHY,
        },
    ],
};

static WATCH: Section = Section {
    heading: "[watch]",
    about: "When a surge is a surge. A surge alone is never called an attack.",
    keys: &[
        Key {
            name: "surge_factor",
            kind: Kind::Times(15, 1_000),
            absent: Absent::Is(|c| Value::Times(c.watch.surge_factor_tenths)),
            about: "How many times its baseline an activity must have.",
            why: "ordinary days differ by half; at a hundred times nothing would be noticed in \
                  time",
        },
        Key {
            name: "surge_min_rate",
            kind: Kind::Count(1, 1_000_000),
            absent: Absent::Is(|c| Value::Count(u64::from(c.watch.surge_min_rate))),
            about: "Requests per second of one activity under which nothing is called a surge.",
            why: "with zero, two visitors at night would be a surge",
        },
        Key {
            name: "warm_up",
            kind: Kind::Time(secs(1), DAY),
            absent: Absent::Is(|c| Value::Time(c.watch.warm_up)),
            about: "How long the watch learns before it calls anything a surge. Evidence of \
                    hostility counts from the first second.",
            why: "a baseline needs some traffic; a day shows every hour once",
        },
    ],
};

static POSTURE: Section = Section {
    heading: "[posture]",
    about: "How fast the gate is lowered and raised.",
    keys: &[
        Key {
            name: "quiet_period",
            kind: Kind::Time(secs(1), HOUR),
            absent: Absent::Is(|c| Value::Time(c.posture.quiet_period)),
            about: "No hostile traffic for this long ends a wave.",
            why: "attackers pause for seconds; after an hour it is another wave",
        },
        Key {
            name: "step_down_interval",
            kind: Kind::Time(Duration::from_millis(250), HOUR),
            absent: Absent::Is(|c| Value::Time(c.posture.step_down_interval)),
            about: "After a wave ended, procedures are released one by one, this far apart.",
            why: "the watch looks every 250 ms, and sees the effect of each release before the next; people should not \
                  wait longer than an hour",
        },
        Key {
            name: "full_speed_after",
            kind: Kind::Time(secs(1), DAY),
            absent: Absent::Is(|c| Value::Time(c.posture.full_speed_after)),
            about: "Full speed is recorded once it has held for this long.",
            why: "it is a claim about a stretch of time, not about a moment",
        },
        Key {
            name: "procedure_ttl",
            kind: Kind::Time(secs(10), DAY),
            absent: Absent::Is(|c| Value::Time(c.posture.procedure_ttl)),
            about: "A procedure that nobody renews ends after this.",
            why: "shorter ones would end between two renewals; no procedure outlives a day unseen",
        },
        Key {
            name: "collateral_per_million",
            kind: Kind::Count(1, 100_000),
            absent: Absent::Is(|c| Value::Count(u64::from(c.posture.collateral_per_million))),
            about: "How many in a million ordinary requests a signature may hit, by an upper \
                    estimate.",
            why: "an estimate is never zero; one in ten is no longer narrow",
        },
        Key {
            name: "wait_challenge_delay",
            kind: Kind::Time(secs(1), secs(30)),
            absent: Absent::Is(|c| Value::Time(c.posture.wait_challenge_delay)),
            about: "How long the page of a wait challenge waits.",
            why: "people leave a page that makes them wait for half a minute",
        },
        Key {
            name: "tightened",
            kind: Kind::Table(&TIGHTENED),
            absent: Absent::Means("every default"),
            about: "Limits on each source while they are tightened.",
            why: "",
        },
        Key {
            name: "token",
            kind: Kind::Table(&TOKEN),
            absent: Absent::Means("every default"),
            about: "What passing a challenge buys.",
            why: "",
        },
    ],
};

static TIGHTENED: Section = Section {
    heading: "[posture.tightened]",
    about: "Limits on each source while they are tightened. Visitors who hold a token are bound \
            by its budget instead of their address's rate. None may be looser than its namesake \
            in `[limits]` and `[limits.source]`.",
    keys: &[
        Key {
            name: "requests_per_second",
            kind: RATE,
            absent: Absent::Is(|c| {
                Value::Count(u64::from(c.posture.tightened.requests_per_second))
            }),
            about: "Requests per second in the long run.",
            why: RATE_WHY,
        },
        Key {
            name: "burst",
            kind: RATE,
            absent: Absent::Is(|c| Value::Count(u64::from(c.posture.tightened.burst))),
            about: "Requests that may come at once before the rate counts.",
            why: RATE_WHY,
        },
        Key {
            name: "max_connections",
            kind: CONNECTIONS_OF_SOURCE,
            absent: Absent::Is(|c| Value::Count(u64::from(c.posture.tightened.connections))),
            about: "Connections at the same time.",
            why: CONNECTIONS_OF_SOURCE_WHY,
        },
        Key {
            name: "header_timeout",
            kind: Kind::Time(Duration::from_millis(500), MINUTE),
            absent: Absent::Is(|c| Value::Time(c.posture.tightened_header_timeout)),
            about: "From the first byte of a request to the end of its headers.",
            why: "half a second is one slow round trip; less would refuse people",
        },
    ],
};

static TOKEN: Section = Section {
    heading: "[posture.token]",
    about: "What passing a challenge buys: a budget of requests, not a pass. A part of a page (a \
            picture, a script) counts for a quarter. While visitors are asked to wait, half of the \
            rate and three quarters of the burst.",
    keys: &[
        Key {
            name: "requests_per_second",
            kind: RATE,
            absent: Absent::Is(|c| Value::Count(u64::from(c.posture.token.requests_per_second))),
            about: "Requests per second in the long run.",
            why: RATE_WHY,
        },
        Key {
            name: "burst",
            kind: RATE,
            absent: Absent::Is(|c| Value::Count(u64::from(c.posture.token.burst))),
            about: "Requests that may come at once: a page with all its parts, a few times over.",
            why: RATE_WHY,
        },
        Key {
            name: "lifetime",
            kind: Kind::Time(MINUTE, DAY),
            absent: Absent::Is(|c| Value::Time(c.posture.token.lifetime)),
            about: "How long a token is good for.",
            why: "nobody should be asked twice on one page; a token is not for keeping",
        },
    ],
};

static PLATFORM: Section = Section {
    heading: "[[platforms]]",
    about: "A site that is protected. At least one.",
    keys: &[
        Key {
            name: "name",
            kind: Kind::Text,
            absent: Absent::Required("name = \"campaign\""),
            about: "Its name in reports and in the ledger; no other platform has it.",
            why: "",
        },
        Key {
            name: "hosts",
            kind: Kind::List(1, 256),
            absent: Absent::Required("hosts = [\"example.org\", \"www.example.org\"]"),
            about: "Its host names, without port. `[\"*\"]` takes every host that no other platform \
                    names; that platform comes last.",
            why: "a platform without hosts would never be reached",
        },
        Key {
            name: "origin",
            kind: Kind::Origin(&ORIGIN),
            absent: Absent::Required("origin = \"http://127.0.0.1:3000\""),
            about: "The server that requests are forwarded to: its address, or a table.",
            why: "",
        },
        Key {
            name: "activities",
            kind: Kind::Tables(&ACTIVITY, ACTIVITIES),
            absent: Absent::Means("everything is one activity"),
            about: "What people do on it, first match first. Whatever matches none belongs to an \
                    activity called `everything else`.",
            why: "counters and baselines are kept for each; fewer are easier to explain",
        },
    ],
};

static ORIGIN: Section = Section {
    heading: "[platforms.origin]",
    about: "The server that a platform's requests are forwarded to. \
            `origin = \"http://127.0.0.1:3000\"` is short for a table with `url` alone.",
    keys: &[
        Key {
            name: "url",
            kind: Kind::Text,
            absent: Absent::Required("url = \"http://127.0.0.1:3000\""),
            about: "Its address: `http://`, a host name or address, and a port (80 if left out). \
                    No path. `https` is not spoken to the origin yet.",
            why: "",
        },
        Key {
            name: "max_connections",
            kind: Kind::Count(1, 65_535),
            absent: Absent::Is(|c| Value::Count(u64::from(defaults(c).max_connections))),
            about: "Connections to it at the same time, over all workers: how many requests the \
                    origin can work on at once.",
            why: "zero would forward nothing; one address has no more ports than 65535",
        },
        Key {
            name: "connect_timeout",
            kind: Kind::Time(Duration::from_millis(100), MINUTE),
            absent: Absent::Is(|c| Value::Time(defaults(c).connect_timeout)),
            about: "How long a connection may take to open.",
            why: "a request that waits a minute for a connection has lost its visitor",
        },
        Key {
            name: "response_timeout",
            kind: Kind::Time(Duration::from_millis(100), HOUR),
            absent: Absent::Is(|c| Value::Time(defaults(c).response_timeout)),
            about: "How long a response may take to begin.",
            why: "reports may take minutes; an hour is a lost connection",
        },
        Key {
            name: "queue_timeout",
            kind: Kind::Time(Duration::ZERO, secs(300)),
            absent: Absent::Is(|c| Value::Time(defaults(c).queue_timeout)),
            about: "How long a request may wait for a free connection.",
            why: "waiting requests hold memory, and people do not wait for five minutes",
        },
    ],
};

static ACTIVITY: Section = Section {
    heading: "[[platforms.activities]]",
    about: "Something people do on a platform, matched by method and path.",
    keys: &[
        Key {
            name: "name",
            kind: Kind::Text,
            absent: Absent::Required("name = \"donate\""),
            about: "Its name in reports and in the ledger; no other activity of the platform has \
                    it. `everything else` is taken.",
            why: "",
        },
        Key {
            name: "tier",
            kind: Kind::Word(&["essential", "important", "optional"]),
            absent: Absent::Is(|c| {
                Value::Text(c.platforms[0].activities[0].tier.word().to_owned())
            }),
            about: "Who is served first when not all can be. Essential activities are never shed; \
                    optional ones are shed first.",
            why: "",
        },
        Key {
            name: "paths",
            kind: Kind::List(1, 64),
            absent: Absent::Required("paths = [\"/donate\", \"/donate/*\"]"),
            about: "Paths, without query. A `*` at the end stands for whatever follows; a method \
                    and a space may come before: `POST /donate/*`.",
            why: "an activity without paths would never be reached",
        },
        Key {
            name: "challenge",
            kind: Kind::Flag,
            absent: Absent::Is(|c| Value::Flag(c.platforms[0].activities[0].challenge)),
            about: "Whether visitors may be challenged here. Say `false` for payment webhooks, \
                    feeds and other programs that cannot follow a redirect.",
            why: "",
        },
        Key {
            name: "response_idle_timeout",
            kind: Kind::Time(secs(1), DAY),
            absent: Absent::Means("`limits.response_idle_timeout`"),
            about: "Longest silence of the origin within an answer. A stream of events may need \
                    hours.",
            why: RESPONSE_IDLE_WHY,
        },
        Key {
            name: "tunnel_idle_timeout",
            kind: Kind::Time(secs(1), DAY),
            absent: Absent::Means("`limits.tunnel_idle_timeout`"),
            about: "Longest silence on a WebSocket.",
            why: TUNNEL_IDLE_WHY,
        },
        Key {
            name: "max_tunnel_age",
            kind: Kind::Time(secs(1), TUNNEL_AGE),
            absent: Absent::Means("`limits.max_tunnel_age`"),
            about: "How long a WebSocket may last. A chat may need hours.",
            why: TUNNEL_AGE_WHY,
        },
    ],
};

/// The origin of a configuration that is all defaults: it has one platform.
fn defaults(config: &super::Config) -> &super::OriginConfig {
    &config.platforms[0].origin
}
