//! The tables of the file, each key with its words.

use core::time::Duration;

use super::keys::{DefaultValue, KeySpec, TableSpec, ValueType};
use super::ranges::{DAY, HOUR, KIB, MINUTE, PLATFORMS, RATE, RATE_WHY, secs};
use super::value::Value;

mod access_log;
mod acme;
mod platforms;
mod protocols;

use access_log::ACCESS_LOG;
use acme::ACME;
use platforms::PLATFORM;
use protocols::{
    HANDSHAKES, HTTP_2, HTTP_3, NETWORK, RESPONSE_IDLE_WHY, TUNNEL_AGE, TUNNEL_AGE_WHY,
    TUNNEL_IDLE_WHY, TUNNELS,
};

pub(super) static ROOT: TableSpec = TableSpec {
    heading: "",
    about: "Keys before the first table.",
    keys: &[
        KeySpec {
            name: "ledger",
            kind: ValueType::Text,
            absent: DefaultValue::Value(|c| Value::Text(c.ledger.display().to_string())),
            about: "The folder of the ledger.",
            why: "",
        },
        KeySpec {
            name: "workers",
            kind: ValueType::Count(1, 256),
            absent: DefaultValue::Described("one per core"),
            about: "Workers, each with its own listeners, connections and counters.",
            why: "without one nothing is served; more than cores only compete for them",
        },
        KeySpec {
            name: "user",
            kind: ValueType::Text,
            absent: DefaultValue::Described("the user that started it"),
            about: "The user that the gate runs as if root starts it: a name in `/etc/passwd`, or a number. It \
                    changes to it once it has its ports and certificates.",
            why: "",
        },
        KeySpec {
            name: "sandbox",
            kind: ValueType::Flag,
            absent: DefaultValue::Value(|c| Value::Flag(c.sandbox)),
            about: "Whether the gate drops what it does not need, where the kernel can enforce it: writing \
                    outside its own folders, starting programs, and system calls for administration.",
            why: "",
        },
        KeySpec {
            name: "trusted_proxies",
            kind: ValueType::List(0, 1_024),
            absent: DefaultValue::Described("none"),
            about: "Addresses and ranges of your load balancer or CDN. Only from them does the gate accept \
                    a visitor's address (`X-Forwarded-For`, `Forwarded`, PROXY \
                    protocol).",
            why: "every connection is compared with each",
        },
        KeySpec {
            name: "admin",
            kind: ValueType::Table(&ADMIN),
            absent: DefaultValue::Described("every default"),
            about: "The listener for operators and monitoring.",
            why: "",
        },
        KeySpec {
            name: "listeners",
            kind: ValueType::Tables(&LISTEN, 16),
            absent: DefaultValue::Required("[[listeners]] with address = \"0.0.0.0:80\""),
            about: "Where visitors connect.",
            why: "every worker opens each of them",
        },
        KeySpec {
            name: "certificates",
            kind: ValueType::Tables(&CERTIFICATE, 256),
            absent: DefaultValue::Described("those of the listeners alone"),
            about: "Certificates for every listener with TLS, chosen by the requested name.",
            why: "each is read into memory, a few KiB",
        },
        KeySpec {
            name: "acme",
            kind: ValueType::Table(&ACME),
            absent: DefaultValue::Described("certificates from files alone"),
            about: "Certificates that the gate obtains and renews automatically.",
            why: "",
        },
        KeySpec {
            name: "access_log",
            kind: ValueType::Table(&ACCESS_LOG),
            absent: DefaultValue::Described("no access log"),
            about: "One line for each request, in a file.",
            why: "",
        },
        KeySpec {
            name: "limits",
            kind: ValueType::Table(&LIMITS),
            absent: DefaultValue::Described("every default"),
            about: "Bounds on what visitors may take.",
            why: "",
        },
        KeySpec {
            name: "watch",
            kind: ValueType::Table(&WATCH),
            absent: DefaultValue::Described("every default"),
            about: "When a surge is a surge.",
            why: "",
        },
        KeySpec {
            name: "posture",
            kind: ValueType::Table(&POSTURE),
            absent: DefaultValue::Described("every default"),
            about: "How fast the gate is lowered and raised.",
            why: "",
        },
        KeySpec {
            name: "platforms",
            kind: ValueType::Tables(&PLATFORM, PLATFORMS),
            absent: DefaultValue::Required(
                "[[platforms]] with name = \"site\", hosts = [\"*\"] and origin = \
                 \"http://127.0.0.1:3000\"",
            ),
            about: "The sites that are protected.",
            why: "each has counters and baselines",
        },
    ],
};

static ADMIN: TableSpec = TableSpec {
    heading: "[admin]",
    about: "The listener for operators and monitoring: `/healthz`, `/metrics` and `/status.json`. It \
            asks for no password.",
    keys: &[
        KeySpec {
            name: "listen",
            kind: ValueType::Address,
            absent: DefaultValue::Value(|c| Value::Address(c.admin)),
            about: "Address and port of the admin listener.",
            why: "",
        },
        KeySpec {
            name: "allow_remote",
            kind: ValueType::Flag,
            absent: DefaultValue::Value(|_| Value::Flag(false)),
            about: "Allows `listen` to be an address that other machines can reach. Set it to `true` \
                    only where a firewall restricts access.",
            why: "",
        },
        KeySpec {
            name: "hosts",
            kind: ValueType::List(0, 64),
            absent: DefaultValue::Described("none"),
            about: "Host names, without port, by which the listener may be requested besides its address \
                    and `localhost`. Others are refused, because a web page could otherwise read the \
                    listener through the browser of an administrator.",
            why: "every request is compared with each",
        },
    ],
};

static LISTEN: TableSpec = TableSpec {
    heading: "[[listeners]]",
    about: "An address that visitors connect to. At least one. Over TLS, HTTP/2 and HTTP/1.1, \
            and HTTP/3 with `http_3`; without TLS, HTTP/1.1.",
    keys: &[
        KeySpec {
            name: "address",
            kind: ValueType::Address,
            absent: DefaultValue::Required("address = \"0.0.0.0:443\""),
            about: "Address and port. `0.0.0.0:443` is every IPv4 address of this machine, \
                    `[::]:443` every IPv6 address.",
            why: "",
        },
        KeySpec {
            name: "tls",
            kind: ValueType::Flag,
            absent: DefaultValue::Described("TLS if `certificate` and `key` are set"),
            about: "Uses TLS with the `[[certificates]]`. Visitors that request a name without a \
                    certificate get the first one, or the one of this listener.",
            why: "",
        },
        KeySpec {
            name: "certificate",
            kind: ValueType::Text,
            absent: DefaultValue::Described("no TLS, unless `tls` is true"),
            about: "File of the certificate chain (PEM), leaf first. Together with `key`.",
            why: "",
        },
        KeySpec {
            name: "key",
            kind: ValueType::Text,
            absent: DefaultValue::Described("no TLS, unless `tls` is true"),
            about: "File of the private key (PEM).",
            why: "",
        },
        KeySpec {
            name: "proxy_protocol",
            kind: ValueType::Flag,
            absent: DefaultValue::Value(|_| Value::Flag(false)),
            about: "Every connection from a trusted proxy begins with a PROXY protocol header \
                    (v1 or v2).",
            why: "",
        },
        KeySpec {
            name: "http_3",
            kind: ValueType::Flag,
            absent: DefaultValue::Value(|_| Value::Flag(false)),
            about: "Serves HTTP/3 too, on the UDP port of the same number, and announces it in responses \
                    over TLS (`Alt-Svc`). Open that port in the firewall: see docs/http-3.md.",
            why: "",
        },
    ],
};

static CERTIFICATE: TableSpec = TableSpec {
    heading: "[[certificates]]",
    about: "A certificate and its key. The names it is for are read from the certificate; \
            `*.example.org` is for one label more.",
    keys: &[
        KeySpec {
            name: "certificate",
            kind: ValueType::Text,
            absent: DefaultValue::Required("certificate = \"site.pem\""),
            about: "File of the certificate chain (PEM), leaf first.",
            why: "",
        },
        KeySpec {
            name: "key",
            kind: ValueType::Text,
            absent: DefaultValue::Required("key = \"site.key\""),
            about: "File of the private key (PEM).",
            why: "",
        },
    ],
};

/// The range of the least rates of bodies.
const LEAST_RATE: ValueType = ValueType::Bytes(64, 64 * KIB);
const LEAST_RATE_WHY: &str = "a phone whose plan is used up has 4 kB a second, and less for each of its connections; below \
     64 bytes a second the limit has no effect, and above 64 KiB people on ordinary mobile \
     networks would be cut";

static LIMITS: TableSpec = TableSpec {
    heading: "[limits]",
    about: "Bounds on what visitors may take, at any time. The defaults suit a site of any size \
            on a small server.",
    keys: &[
        KeySpec {
            name: "header_timeout",
            kind: ValueType::Time(secs(1), MINUTE),
            absent: DefaultValue::Value(|c| Value::Time(c.limits.header_timeout)),
            about: "From the first byte of a request to the end of its headers.",
            why: "a phone on a poor network needs a few seconds for its kilobyte; a client that needs a \
                  minute blocks a slot",
        },
        KeySpec {
            name: "handshake_timeout",
            kind: ValueType::Time(secs(1), MINUTE),
            absent: DefaultValue::Value(|c| Value::Time(c.limits.handshake_timeout)),
            about: "The TLS handshake, from accept.",
            why: "a handshake is two round trips; a client that needs a minute blocks a slot",
        },
        KeySpec {
            name: "body_idle_timeout",
            kind: ValueType::Time(secs(1), secs(600)),
            absent: DefaultValue::Value(|c| Value::Time(c.limits.body_idle_timeout)),
            about: "Longest silence within the body of a request; and how far a \
                    visitor may fall behind `min_upload_rate` and `min_download_rate`, which every byte \
                    makes up for.",
            why: "a train in a tunnel is silent for seconds; ten minutes of silence is not a \
                  transfer",
        },
        KeySpec {
            name: "min_upload_rate",
            kind: LEAST_RATE,
            absent: DefaultValue::Value(|c| Value::Bytes(u64::from(c.limits.min_upload_rate))),
            about: "Bytes per second at which a visitor must at least send a body, while the gate \
                    waits for it. A visitor that falls behind by more than `body_idle_timeout` gets \
                    408. A body of N bytes takes at most `body_idle_timeout` and N / `min_upload_rate`: at \
                    500 bytes a second, 64 MiB may take 37 hours.",
            why: LEAST_RATE_WHY,
        },
        KeySpec {
            name: "min_download_rate",
            kind: LEAST_RATE,
            absent: DefaultValue::Value(|c| Value::Bytes(u64::from(c.limits.min_download_rate))),
            about: "Bytes per second at which a visitor must at least read the data that waits \
                    on its connection. A visitor that falls behind by more than `body_idle_timeout` is cut. A \
                    response that has nothing to send for a while is exempt.",
            why: LEAST_RATE_WHY,
        },
        KeySpec {
            name: "idle_timeout",
            kind: ValueType::Time(secs(1), HOUR),
            absent: DefaultValue::Value(|c| Value::Time(c.limits.idle_timeout)),
            about: "Longest silence between two requests of a connection.",
            why: "an idle connection holds a slot that another visitor may need",
        },
        KeySpec {
            name: "response_idle_timeout",
            kind: ValueType::Time(secs(1), DAY),
            absent: DefaultValue::Value(|c| Value::Time(c.limits.response_idle_timeout)),
            about: "Longest silence of the origin within a response. An activity may set another value: \
                    a stream of events without keep-alives may need hours.",
            why: RESPONSE_IDLE_WHY,
        },
        KeySpec {
            name: "tunnel_idle_timeout",
            kind: ValueType::Time(secs(1), DAY),
            absent: DefaultValue::Value(|c| Value::Time(c.limits.tunnel_idle_timeout)),
            about: "Longest silence on a WebSocket, after which it is cut (`tunnel-idle`). An \
                    activity may have its own.",
            why: TUNNEL_IDLE_WHY,
        },
        KeySpec {
            name: "max_tunnel_age",
            kind: ValueType::Time(secs(1), TUNNEL_AGE),
            absent: DefaultValue::Value(|c| Value::Time(c.limits.max_tunnel_age)),
            about: "How long a WebSocket may last before it is cut (`tunnel-age`). An activity may \
                    have its own.",
            why: TUNNEL_AGE_WHY,
        },
        KeySpec {
            name: "max_connection_age",
            kind: ValueType::Time(secs(10), DAY),
            absent: DefaultValue::Value(|c| Value::Time(c.limits.max_connection_age)),
            about: "How old a connection may become. Then it is asked to end: HTTP/1.1 by \
                    `Connection: close` on the next answer, HTTP/2 and HTTP/3 by GOAWAY. Requests in flight \
                    have as long again before they are cut (`max-age`). WebSockets are exempt.",
            why: "a returning visitor pays a handshake, which below ten seconds costs more than it \
                  frees; a connection that lives for days keeps rules that were changed since",
        },
        KeySpec {
            name: "max_requests_per_connection",
            kind: ValueType::Count(10, 100_000_000),
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.max_requests_per_connection))
            }),
            about: "Requests on one connection, after which it is asked to end as above. A visitor \
                    over HTTP/2 or HTTP/3 that continues is cut (`max-age`).",
            why: "a page asks for some dozens; a hundred million is no limit",
        },
        KeySpec {
            name: "max_header_bytes",
            kind: ValueType::Bytes(8 * KIB, 256 * KIB),
            absent: DefaultValue::Value(|c| Value::Bytes(u64::from(c.limits.max_header_bytes))),
            about: "Request line and header fields of one request.",
            why: "cookies of an ordinary site come to a few KiB; each connection may hold this \
                  much memory",
        },
        KeySpec {
            name: "max_header_fields",
            kind: ValueType::Count(32, 1_000),
            absent: DefaultValue::Value(|c| Value::Count(u64::from(c.limits.max_header_fields))),
            about: "Header fields of one request. Over HTTP/2, where browsers may send a cookie \
                    in crumbs, each crumb counts.",
            why: "browsers and proxies together send about thirty",
        },
        KeySpec {
            name: "max_target_bytes",
            kind: ValueType::Bytes(KIB, 60 * KIB),
            absent: DefaultValue::Value(|c| Value::Bytes(u64::from(c.limits.max_target_bytes))),
            about: "The target of one request: its path and query. Longer ones are answered with \
                    414.",
            why: "forms that search send a few hundred bytes; origins accept 8 KiB as a rule, and \
                  no more than 64 KiB can be read",
        },
        KeySpec {
            name: "max_ranges",
            kind: ValueType::Count(1, 200),
            absent: DefaultValue::Value(|c| Value::Count(u64::from(c.limits.max_ranges))),
            about: "Parts of a document that one request may ask for (`Range`). More of them, or \
                    overlapping ones, are answered with 416.",
            why: "browsers, players and downloads ask for one part and readers of documents for a \
                  few; each part costs the origin, and none of them saves anything beyond 200",
        },
        KeySpec {
            name: "max_body_bytes",
            kind: ValueType::Bytes(KIB, 1 << 40),
            absent: DefaultValue::Value(|c| Value::Bytes(c.limits.max_body_bytes)),
            about: "The body of one request. It is passed on as it comes, not held in memory.",
            why: "a form needs a KiB; the origin has to take whatever is allowed here",
        },
        KeySpec {
            name: "max_connections",
            kind: ValueType::Count(16, 1 << 20),
            absent: DefaultValue::Value(|c| Value::Count(u64::from(c.limits.max_connections))),
            about: "Connections of visitors at the same time, over all workers. Above three \
                    quarters of it idle ones are granted less than `idle_timeout`, down to 5 seconds; at \
                    the bound the one that has been idle for longest (for a second at least) ends \
                    for each new one (`pressure`), and only where none is idle the new one is \
                    refused.",
            why: "one browser opens six; each connection costs a file descriptor and up to \
                  `max_header_bytes` of memory",
        },
        KeySpec {
            name: "max_streams_per_connection",
            kind: ValueType::Count(1, 1_000),
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.max_streams_per_connection))
            }),
            about: "Requests at the same time on one HTTP/2 or HTTP/3 connection.",
            why: "a page asks for some dozens; each stream costs memory",
        },
        KeySpec {
            name: "source_table_size",
            kind: ValueType::Count(1_024, 1 << 24),
            absent: DefaultValue::Value(|c| Value::Count(u64::from(c.limits.source_table_size))),
            about: "Sources that are remembered at the same time.",
            why: "the table is of fixed size, some dozens of bytes for each",
        },
        KeySpec {
            name: "shutdown_grace",
            kind: ValueType::Time(Duration::ZERO, secs(600)),
            absent: DefaultValue::Value(|c| Value::Time(c.limits.shutdown_grace)),
            about: "How long requests in flight may take to finish after SIGTERM.",
            why: "a machine that is to be restarted should not wait for longer",
        },
        KeySpec {
            name: "drain_time",
            kind: ValueType::Time(Duration::ZERO, secs(86_400)),
            absent: DefaultValue::Value(|c| Value::Time(c.limits.drain_time)),
            about: "How long connections may stay with a process after another one has taken over; \
                    WebSockets stay as long.",
            why: "the old process holds its memory, and decides by the old configuration",
        },
        KeySpec {
            name: "source",
            kind: ValueType::Table(&SOURCE),
            absent: DefaultValue::Described("every default"),
            about: "Limits on each source on an ordinary day.",
            why: "",
        },
        KeySpec {
            name: "network",
            kind: ValueType::Table(&NETWORK),
            absent: DefaultValue::Described("every default"),
            about: "Limits on each network.",
            why: "",
        },
        KeySpec {
            name: "tunnels",
            kind: ValueType::Table(&TUNNELS),
            absent: DefaultValue::Described("every default"),
            about: "How many WebSockets may be open.",
            why: "",
        },
        KeySpec {
            name: "http_2",
            kind: ValueType::Table(&HTTP_2),
            absent: DefaultValue::Described("every default"),
            about: "What one HTTP/2 connection may do besides asking.",
            why: "",
        },
        KeySpec {
            name: "handshakes",
            kind: ValueType::Table(&HANDSHAKES),
            absent: DefaultValue::Described("every default"),
            about: "How many TLS handshakes may be begun.",
            why: "",
        },
        KeySpec {
            name: "http_3",
            kind: ValueType::Table(&HTTP_3),
            absent: DefaultValue::Described("every default"),
            about: "HTTP/3 connections that are not yet established.",
            why: "",
        },
    ],
};

/// The range of connections of one source.
const CONNECTIONS_OF_SOURCE: ValueType = ValueType::Count(1, 65_535);
const CONNECTIONS_OF_SOURCE_WHY: &str =
    "zero would refuse all visitors; one address has no more ports than 65535";

static SOURCE: TableSpec = TableSpec {
    heading: "[limits.source]",
    about: "Limits on each source (an IPv4 address, or an IPv6 /64) on an ordinary day. A mobile \
            carrier or an office may hide hundreds of people behind one address: leave a margin.",
    keys: &[
        KeySpec {
            name: "requests_per_second",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.source.requests_per_second))
            }),
            about: "Requests per second in the long run.",
            why: RATE_WHY,
        },
        KeySpec {
            name: "burst",
            kind: RATE,
            absent: DefaultValue::Value(|c| Value::Count(u64::from(c.limits.source.burst))),
            about: "Requests that may come together before the rate applies.",
            why: RATE_WHY,
        },
        KeySpec {
            name: "max_connections",
            kind: CONNECTIONS_OF_SOURCE,
            absent: DefaultValue::Value(|c| Value::Count(u64::from(c.limits.source.connections))),
            about: "Connections at the same time. No more than `limits.max_connections`.",
            why: CONNECTIONS_OF_SOURCE_WHY,
        },
    ],
};

static WATCH: TableSpec = TableSpec {
    heading: "[watch]",
    about: "When a surge is a surge. A surge alone is never called an attack.",
    keys: &[
        KeySpec {
            name: "surge_factor",
            kind: ValueType::Times(15, 1_000),
            absent: DefaultValue::Value(|c| Value::Times(c.watch.surge_factor_tenths)),
            about: "How many times its baseline an activity must have. It must also be improbable for \
                    this site, by how uneven its traffic is.",
            why: "ordinary days differ by half; at a hundred times nothing would be noticed in \
                  time",
        },
        KeySpec {
            name: "surge_min_rate",
            kind: ValueType::Count(1, 1_000_000),
            absent: DefaultValue::Value(|c| Value::Count(u64::from(c.watch.surge_min_rate))),
            about: "Requests per second of one activity over which it is called a surge while nothing \
                    is known of it yet: within `warm_up`.",
            why: "with zero, two visitors after a start would be a surge",
        },
        KeySpec {
            name: "warm_up",
            kind: ValueType::Time(secs(1), DAY),
            absent: DefaultValue::Value(|c| Value::Time(c.watch.warm_up)),
            about: "How long the watch learns before it uses what it has learnt. Evidence of \
                    hostility counts from the first second.",
            why: "a baseline needs some traffic; a day shows every hour once",
        },
    ],
};

static POSTURE: TableSpec = TableSpec {
    heading: "[posture]",
    about: "How fast the gate is lowered and raised.",
    keys: &[
        KeySpec {
            name: "quiet_period",
            kind: ValueType::Time(secs(1), HOUR),
            absent: DefaultValue::Value(|c| Value::Time(c.posture.quiet_period)),
            about: "No hostile traffic for this long ends a wave.",
            why: "attackers pause for seconds; after an hour it is another wave",
        },
        KeySpec {
            name: "step_down_interval",
            kind: ValueType::Time(Duration::from_millis(250), HOUR),
            absent: DefaultValue::Value(|c| Value::Time(c.posture.step_down_interval)),
            about: "After a wave ended, procedures are released one by one, this far apart.",
            why: "the watch evaluates every 250 ms, and sees the effect of each release before the next; people should not \
                  wait longer than an hour",
        },
        KeySpec {
            name: "full_speed_after",
            kind: ValueType::Time(secs(1), DAY),
            absent: DefaultValue::Value(|c| Value::Time(c.posture.full_speed_after)),
            about: "Full speed is recorded once it has held for this long.",
            why: "it is a claim about a stretch of time, not about a moment",
        },
        KeySpec {
            name: "procedure_ttl",
            kind: ValueType::Time(secs(10), DAY),
            absent: DefaultValue::Value(|c| Value::Time(c.posture.procedure_ttl)),
            about: "A procedure that is not renewed ends after this.",
            why: "shorter ones would end between two renewals; no procedure outlives a day unseen",
        },
        KeySpec {
            name: "collateral_per_million",
            kind: ValueType::Count(1, 100_000),
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.posture.collateral_per_million))
            }),
            about: "How many in a million ordinary requests a signature may hit, by an upper \
                    estimate.",
            why: "an estimate is never zero; one in ten is no longer narrow",
        },
        KeySpec {
            name: "wait_challenge_delay",
            kind: ValueType::Time(secs(1), secs(30)),
            absent: DefaultValue::Value(|c| Value::Time(c.posture.wait_challenge_delay)),
            about: "How long the page of a wait challenge waits.",
            why: "people leave a page that makes them wait for half a minute",
        },
        KeySpec {
            name: "tightened",
            kind: ValueType::Table(&TIGHTENED),
            absent: DefaultValue::Described("every default"),
            about: "Limits on each source while they are tightened.",
            why: "",
        },
        KeySpec {
            name: "token",
            kind: ValueType::Table(&TOKEN),
            absent: DefaultValue::Described("every default"),
            about: "What passing a challenge buys.",
            why: "",
        },
    ],
};

static TIGHTENED: TableSpec = TableSpec {
    heading: "[posture.tightened]",
    about: "Limits on each source while they are tightened. Visitors who hold a token are bound \
            by its budget instead of their address's rate. None may be looser than its namesake \
            in `[limits]` and `[limits.source]`.",
    keys: &[
        KeySpec {
            name: "requests_per_second",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.posture.tightened.requests_per_second))
            }),
            about: "Requests per second in the long run.",
            why: RATE_WHY,
        },
        KeySpec {
            name: "burst",
            kind: RATE,
            absent: DefaultValue::Value(|c| Value::Count(u64::from(c.posture.tightened.burst))),
            about: "Requests that may come together before the rate applies.",
            why: RATE_WHY,
        },
        KeySpec {
            name: "max_connections",
            kind: CONNECTIONS_OF_SOURCE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.posture.tightened.connections))
            }),
            about: "Connections at the same time.",
            why: CONNECTIONS_OF_SOURCE_WHY,
        },
        KeySpec {
            name: "header_timeout",
            kind: ValueType::Time(Duration::from_millis(500), MINUTE),
            absent: DefaultValue::Value(|c| Value::Time(c.posture.tightened_header_timeout)),
            about: "From the first byte of a request to the end of its headers.",
            why: "half a second is one slow round trip; less would refuse people",
        },
    ],
};

static TOKEN: TableSpec = TableSpec {
    heading: "[posture.token]",
    about: "What passing a challenge buys: a budget of requests, not a pass. A part of a page (a \
            picture, a script) counts for a quarter. While visitors are asked to wait, half of the \
            rate and three quarters of the burst.",
    keys: &[
        KeySpec {
            name: "requests_per_second",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.posture.token.requests_per_second))
            }),
            about: "Requests per second in the long run.",
            why: RATE_WHY,
        },
        KeySpec {
            name: "burst",
            kind: RATE,
            absent: DefaultValue::Value(|c| Value::Count(u64::from(c.posture.token.burst))),
            about: "Requests that may come together: a page with all its parts, a few times over.",
            why: RATE_WHY,
        },
        KeySpec {
            name: "lifetime",
            kind: ValueType::Time(MINUTE, DAY),
            absent: DefaultValue::Value(|c| Value::Time(c.posture.token.lifetime)),
            about: "How long a token is good for.",
            why: "a visitor should not be challenged twice on one page; a token is not permanent",
        },
    ],
};
