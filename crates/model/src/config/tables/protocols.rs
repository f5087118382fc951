//! Protocols: what each may take besides asking.

use core::time::Duration;

use super::super::keys::{DefaultValue, KeySpec, TableSpec, ValueType};
use super::super::value::Value;
use crate::config::ranges::{RATE, RATE_WHY, secs};

pub(super) const RESPONSE_IDLE_WHY: &str = "servers that send events say something twice a minute; an answer that is silent for a day \
     has lost its origin";
pub(super) const TUNNEL_IDLE_WHY: &str = "libraries send a ping twice a minute as a rule; without one it is unknown whether the other end \
     still exists";
pub(super) const TUNNEL_AGE: Duration = secs(7 * 86_400);
pub(super) const TUNNEL_AGE_WHY: &str = "clients of a WebSocket reconnect automatically; one that lasts for a week outlives \
     every rule";

pub(super) static NETWORK: TableSpec = TableSpec {
    heading: "[limits.network]",
    about: "Limits on each network (an IPv4 /24, or an IPv6 /48), in addition to those on each source in \
            it: the tenant of a whole network has hundreds of addresses, or thousands of /64. \
            Visitors behind a trusted proxy are exempt.",
    keys: &[KeySpec {
        name: "max_connections",
        kind: ValueType::Count(1, 1 << 20),
        absent: DefaultValue::Value(|c| Value::Count(u64::from(c.limits.max_network_connections))),
        about: "Connections at the same time; more are closed (`network-connections`).",
        why: "a mobile carrier hides hundreds of people behind one /24; more than \
              `limits.max_connections` is no limit",
    }],
};

pub(super) static TUNNELS: TableSpec = TableSpec {
    heading: "[limits.tunnels]",
    about: "How many WebSockets may be open, from the question for one to its end. More are \
            answered with 503 (`tunnel-limit`). On each platform they may hold three quarters of \
            the origin's connections; the rest is for pages.",
    keys: &[
        KeySpec {
            name: "max_total",
            kind: ValueType::Count(1, 1 << 20),
            absent: DefaultValue::Value(|c| Value::Count(u64::from(c.limits.tunnels.max_total))),
            about: "Of all visitors together, over all workers.",
            why: "each holds a connection to the visitor and one to the origin",
        },
        KeySpec {
            name: "max_per_source",
            kind: ValueType::Count(1, 1 << 20),
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.tunnels.max_per_source))
            }),
            about: "Of each source (an IPv4 address, or an IPv6 /64). No more than `max_total`.",
            why: "an office may have this number of tabs open behind one address",
        },
    ],
};

pub(super) static HTTP_2: TableSpec = TableSpec {
    heading: "[limits.http_2]",
    about: "Budgets of one HTTP/2 connection. A connection that exceeds one gets GOAWAY \
            (ENHANCE_YOUR_CALM) and is closed; each kind is counted separately in \
            `portcullis_cuts_total`.",
    keys: &[
        KeySpec {
            name: "resets_per_second",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.http_2.resets.per_second))
            }),
            about: "Streams that the visitor resets: per second in the long run.",
            why: "a search field that asks at every key cancels ten a second; a million is no limit",
        },
        KeySpec {
            name: "resets_burst",
            kind: RATE,
            absent: DefaultValue::Value(|c| Value::Count(u64::from(c.limits.http_2.resets.burst))),
            about: "Streams that the visitor resets: burst.",
            why: "who leaves a page cancels up to a hundred streams together; a million is no limit",
        },
        KeySpec {
            name: "refused_streams_per_second",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.http_2.refused_streams.per_second))
            }),
            about: "Streams that the gate has to reset because of what the visitor did: per second in the long run.",
            why: "legitimate clients make few errors; a million is no limit",
        },
        KeySpec {
            name: "refused_streams_burst",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.http_2.refused_streams.burst))
            }),
            about: "Streams that the gate has to reset because of what the visitor did: burst.",
            why: "an upload that was answered early may have dozens of frames in flight; a million is no limit",
        },
        KeySpec {
            name: "control_frames_per_second",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.http_2.control_frames.per_second))
            }),
            about: "Pings, settings, priorities and frames of unknown kinds, a separate budget for each: per second in the long run.",
            why: "browsers tell a priority or two for each part of a page; a million is no limit",
        },
        KeySpec {
            name: "control_frames_burst",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.http_2.control_frames.burst))
            }),
            about: "Pings, settings, priorities and frames of unknown kinds, a separate budget for each: burst.",
            why: "browsers tell a priority or two for each part of a page; a million is no limit",
        },
        KeySpec {
            name: "window_updates_per_second",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.http_2.window_updates.per_second))
            }),
            about: "Window updates beyond those that answer what was sent: per second in the long run.",
            why: "downloads earn theirs by what they take; a million is no limit",
        },
        KeySpec {
            name: "window_updates_burst",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.http_2.window_updates.burst))
            }),
            about: "Window updates beyond those that answer what was sent: burst.",
            why: "a hundred streams may each begin with one; a million is no limit",
        },
        KeySpec {
            name: "small_data_frames_per_second",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.http_2.small_data_frames.per_second))
            }),
            about: "Empty DATA frames, and DATA frames under 64 bytes, a separate budget for each: per second in the long run.",
            why: "small messages come some dozens a second; a million is no limit",
        },
        KeySpec {
            name: "small_data_frames_burst",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.http_2.small_data_frames.burst))
            }),
            about: "Empty DATA frames, and DATA frames under 64 bytes, a separate budget for each: burst.",
            why: "small messages come in crowds; a million is no limit",
        },
        KeySpec {
            name: "continuations_per_second",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.http_2.continuations.per_second))
            }),
            about: "CONTINUATION frames: per second in the long run.",
            why: "headers above 16 KiB need two frames; a million is no limit",
        },
        KeySpec {
            name: "continuations_burst",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.http_2.continuations.burst))
            }),
            about: "CONTINUATION frames: burst.",
            why: "headers above 16 KiB need two frames; a million is no limit",
        },
    ],
};

pub(super) static HANDSHAKES: TableSpec = TableSpec {
    heading: "[limits.handshakes]",
    about: "How many TLS handshakes may be begun: they are what costs the gate most. Beyond that \
            the connection is closed before any cryptography. A handshake that resumes a session \
            counts for a quarter. Connections of trusted proxies are bound by the common limits \
            alone.",
    keys: &[
        KeySpec {
            name: "per_second",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.handshakes.total.per_second))
            }),
            about: "By all visitors together: per second in the long run.",
            why: RATE_WHY,
        },
        KeySpec {
            name: "burst",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.handshakes.total.burst))
            }),
            about: "By all visitors together: burst.",
            why: RATE_WHY,
        },
        KeySpec {
            name: "source_per_second",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.handshakes.source.per_second))
            }),
            about: "By each source: per second in the long run. No more than `per_second`.",
            why: RATE_WHY,
        },
        KeySpec {
            name: "source_burst",
            kind: RATE,
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.handshakes.source.burst))
            }),
            about: "By each source: burst. No more than `burst`.",
            why: RATE_WHY,
        },
        KeySpec {
            name: "max_concurrent",
            kind: ValueType::Count(16, 1 << 20),
            absent: DefaultValue::Value(|c| {
                Value::Count(u64::from(c.limits.handshakes.max_concurrent))
            }),
            about: "Concurrent handshakes, over all workers. When it is full, the oldest handshake \
                    is dropped if it is over 1 s old.",
            why: "a handshake takes a round trip or two; each costs about 20 KiB of memory",
        },
    ],
};

pub(super) static HTTP_3: TableSpec = TableSpec {
    heading: "[limits.http_3]",
    about: "HTTP/3 connections that are not yet established: anybody can begin one in the name of \
            any address. They count towards `[limits.handshakes]` like others; once established, \
            the budgets of `[limits.http_2]` for resets, refused streams, control frames and small \
            data hold for them too.",
    keys: &[KeySpec {
        name: "retry_threshold",
        kind: ValueType::Count(0, 65_535),
        absent: DefaultValue::Value(|c| Value::Count(u64::from(c.limits.http_3.retry_threshold))),
        about: "Concurrent handshakes, over all workers, from which on an address must validate \
                itself first (Retry), which costs a round trip. While any procedure is engaged, \
                every address must.",
        why: "with zero every address has to; until then, a forged address costs memory and a \
              signature for each handshake",
    }],
};
