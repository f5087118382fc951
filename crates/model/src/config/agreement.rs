//! What has to agree between keys. Each check names both sides and one way out.

use core::fmt::Display;
use core::net::{IpAddr, SocketAddr};
use core::ops::Range;
use core::time::Duration;
use std::collections::BTreeMap;

use crate::{RequestPattern, Tier};

use super::pattern::{covers, format_pattern};
use super::problem::{ProblemCollector, ValueError, quoted};
use super::ranges::ALL_ACTIVITIES;
use super::settings::{ActivityConfig, ActivityTimeouts, OriginConfig};
use super::table::Placed;
use super::value::{format_bytes, format_count, format_time};

/// Memory that the headers of all connections together may come to. A small server has this
/// much; a large one raises neither limit so far.
const ALL_HEADERS: u64 = 16 << 30;

/// An activity as far as it could be read.
pub(super) struct PlacedActivity {
    pub name: Option<Placed<String>>,
    pub place: Option<Range<usize>>,
    pub tier: Tier,
    pub patterns: Vec<Placed<RequestPattern>>,
    pub challenge: bool,
    pub timeouts: ActivityTimeouts,
}

/// The admin listener asks for no password, so it must not be reachable by accident.
pub(super) fn admin_is_private(
    report: &mut ProblemCollector,
    admin: &Placed<SocketAddr>,
    open: &Placed<bool>,
) {
    let private = admin.value.ip().to_canonical().is_loopback();
    if private || open.value || !admin.sound || !open.sound {
        return;
    }
    let error = ValueError::new(
        format!("other machines can reach `{}`", admin.value),
        "an address of this machine alone, such as 127.0.0.1:9919: these pages ask for no \
         password",
    )
    .hint("if a firewall decides who can reach it, add allow_remote = true");
    report.add(admin.place.as_ref(), &admin.key, error);
}

/// Whether two listening addresses take the same connections.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let (one, other) = (a.ip().to_canonical(), b.ip().to_canonical());
    let everything =
        |all: IpAddr, of: IpAddr| all.is_unspecified() && (all.is_ipv6() || of.is_ipv4());
    a.port() == b.port() && (one == other || everything(one, other) || everything(other, one))
}

/// Each address once, and the operators' own.
pub(super) fn listeners_apart(
    report: &mut ProblemCollector,
    listeners: &[&Placed<SocketAddr>],
    admin: &Placed<SocketAddr>,
) {
    let mut first: BTreeMap<SocketAddr, &str> = BTreeMap::new();
    for listener in listeners {
        let address = listener.value;
        if let Some(earlier) = first.get(&address) {
            let error = ValueError::new(
                format!("`{address}` is already taken by {earlier}"),
                "each address once",
            );
            report.add(listener.place.as_ref(), &listener.key, error);
        } else {
            first.insert(address, &listener.key);
        }
        if admin.sound && overlap(address, admin.value) {
            let error = ValueError::new(
                format!("`{address}` is the admin listener's address (`{}`)", admin.value),
                "an address and port that `admin.listen` does not use",
            );
            report.add(listener.place.as_ref(), &listener.key, error);
        }
    }
}

/// A PROXY header is only believed from trusted proxies, and here there are none.
pub(super) fn proxies_named<'p>(
    report: &mut ProblemCollector,
    expected: impl Iterator<Item = &'p Placed<bool>>,
) {
    for flag in expected.filter(|flag| flag.value) {
        let error = ValueError::new(
            "PROXY headers are expected, but no proxy is trusted",
            "trusted_proxies with the addresses of your load balancer",
        )
        .hint("for a load balancer on this machine: trusted_proxies = [\"127.0.0.1\"]");
        report.add(flag.place.as_ref(), &flag.key, error);
    }
}

/// HTTP/3 is always encrypted, and its packets have no place for a PROXY header.
pub(super) fn http_3_possible(
    report: &mut ProblemCollector,
    http_3: &Placed<bool>,
    secure: bool,
    proxy_protocol: &Placed<bool>,
) {
    let error = if !http_3.value {
        return;
    } else if !secure {
        ValueError::new("there is no HTTP/3 without TLS", "a certificate for this listener too")
            .hint("add certificate and key, or tls = true with [[certificates]]")
    } else if proxy_protocol.value {
        ValueError::new(
            "HTTP/3 cannot be behind a proxy that sends PROXY headers",
            "either http_3 or proxy_protocol",
        )
        .hint("HTTP/3 has to reach this gate directly: give it a separate [[listeners]]")
    } else {
        return;
    };
    report.add(http_3.place.as_ref(), &http_3.key, error);
}

/// Connections and what each may hold, multiplied.
pub(super) fn headers_fit_memory(
    report: &mut ProblemCollector,
    connections: &Placed<u32>,
    header_bytes: &Placed<u32>,
) {
    let all = u64::from(connections.value) * u64::from(header_bytes.value);
    if all <= ALL_HEADERS || !connections.sound || !header_bytes.sound {
        return;
    }
    let error = ValueError::new(
        format!(
            "{} connections may hold {} of headers each, about {} in all",
            format_count(u64::from(connections.value)),
            format_bytes(u64::from(header_bytes.value)),
            format_bytes((all >> 30) << 30),
        ),
        format!(
            "limits.max_connections × limits.max_header_bytes of at most {}",
            format_bytes(ALL_HEADERS)
        ),
    );
    let place = connections.place.as_ref().or(header_bytes.place.as_ref());
    report.add(place, &connections.key, error);
}

/// `inner` is no more than `outer`.
pub(super) fn no_more(report: &mut ProblemCollector, inner: &Placed<u32>, outer: &Placed<u32>) {
    bounded(report, inner, outer, |n| format_count(u64::from(*n)));
}

/// `inner` is no longer than `outer`.
pub(super) fn no_longer(
    report: &mut ProblemCollector,
    inner: &Placed<Duration>,
    outer: &Placed<Duration>,
) {
    bounded(report, inner, outer, |time| format_time(*time));
}

fn bounded<T: PartialOrd>(
    report: &mut ProblemCollector,
    inner: &Placed<T>,
    outer: &Placed<T>,
    show: impl Fn(&T) -> String,
) {
    if inner.value <= outer.value || !inner.sound || !outer.sound {
        return;
    }
    let by_default = match (&inner.place, &outer.place) {
        (Some(_), Some(_)) => "",
        _ => " by default",
    };
    let (less, more) = (show(&outer.value), show(&inner.value));
    let (inner_key, outer_key) = (&inner.key, &outer.key);
    // The problem is reported at the key that the file contains.
    if inner.place.is_some() {
        let error = ValueError::new(
            format!("`{more}` is more than {outer_key}, which is `{less}`{by_default}"),
            format!("at most {less}"),
        )
        .hint(format!("lower this or raise {outer_key}"));
        report.add(inner.place.as_ref(), inner_key, error);
    } else {
        let error = ValueError::new(
            format!("`{less}` is less than {inner_key}, which is `{more}`{by_default}"),
            format!("at least {more}"),
        )
        .hint(format!("raise this or lower {inner_key} too"));
        report.add(outer.place.as_ref(), outer_key, error);
    }
}

/// No two of `names` are the same, whatever their case: people could not tell them apart.
pub(super) fn names_differ(report: &mut ProblemCollector, names: &[&Placed<String>], what: &str) {
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    for name in names {
        if let Some(earlier) = first.get(&name.value.to_lowercase()) {
            taken(report, name, earlier, format!("a different name for each {what}"));
        } else {
            first.insert(name.value.to_lowercase(), &name.key);
        }
    }
}

/// The name of the catch-all is ours.
pub(super) fn name_not_reserved(report: &mut ProblemCollector, names: &[&Placed<String>]) {
    let ours = ActivityConfig::everything_else().name;
    for name in names.iter().filter(|n| n.value.to_lowercase() == ours) {
        let error = ValueError::new(
            format!("{} is the name of what no activity matches", quoted(&name.value)),
            "another name",
        )
        .hint("it is added automatically; an activity with paths = [\"/*\"] takes its place");
        report.add(name.place.as_ref(), &name.key, error);
    }
}

/// Each host once over all platforms; `*` alone, once, and last: the first platform that takes
/// a host serves it.
pub(super) fn hosts_apart(report: &mut ProblemCollector, platforms: &[&[Placed<String>]]) {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    for (at, hosts) in platforms.iter().enumerate() {
        for host in *hosts {
            let everything = host.value == "*";
            if let Some(earlier) = first.get(host.value.as_str()) {
                let expected = if everything {
                    "`*` on one platform only"
                } else {
                    "each host on one platform, once"
                };
                taken(report, host, earlier, expected);
                continue;
            }
            first.insert(&host.value, &host.key);
            if everything && hosts.len() > 1 {
                let error = ValueError::new(
                    "`*` is listed with other hosts",
                    "`*` alone: it takes every host that no other platform names",
                );
                report.add(host.place.as_ref(), &host.key, error);
            } else if everything && at + 1 < platforms.len() {
                let error = ValueError::new(
                    "`*` takes every host, so the platforms after it are never reached",
                    "the platform with `*` last",
                )
                .hint("move this [[platforms]] with all that belongs to it to the end");
                report.add(host.place.as_ref(), &host.key, error);
            }
        }
    }
}

fn taken<T: Display>(
    report: &mut ProblemCollector,
    later: &Placed<T>,
    earlier: &str,
    expected: impl Into<String>,
) {
    let found = format!("{} is already taken by {earlier}", quoted(&later.value.to_string()));
    report.add(later.place.as_ref(), &later.key, ValueError::new(found, expected));
}

/// A gate that forwards to itself would serve no visitor. Only addresses are compared: names are
/// not resolved here.
pub(super) fn no_loop<'p>(
    report: &mut ProblemCollector,
    origins: impl Iterator<Item = &'p Placed<OriginConfig>>,
    listeners: &[&Placed<SocketAddr>],
    admin: &Placed<SocketAddr>,
) {
    for origin in origins {
        let host = match origin.value.host.as_str() {
            "localhost" => "127.0.0.1",
            host => host,
        };
        let Ok(address) = host.parse::<IpAddr>() else {
            continue;
        };
        let address = SocketAddr::new(address, origin.value.port);
        let ours = listeners
            .iter()
            .map(|listener| (listener.value, listener.key.as_str()))
            .chain([(admin.value, admin.key.as_str())]);
        // `0.0.0.0` also listens on loopback, but not on the addresses of other machines, and
        // which others are this machine's is not known here.
        let same = |ours: SocketAddr| {
            ours == address || (address.ip().is_loopback() && overlap(ours, address))
        };
        if let Some((_, key)) = ours.into_iter().find(|(ours, _)| same(*ours)) {
            let error = ValueError::new(
                format!("`{}` is this gate itself ({key})", origin.value.authority()),
                "the address of the server that answers requests",
            )
            .hint("give the origin a different port");
            report.add(origin.place.as_ref(), &origin.key, error);
        }
    }
}

/// Every pattern can be reached: none lies wholly behind one of an earlier activity, none is
/// written twice.
pub(super) fn nothing_shadowed(report: &mut ProblemCollector, activities: &[PlacedActivity]) {
    let mut earlier: Vec<(&Placed<RequestPattern>, usize)> = Vec::new();
    for (at, activity) in activities.iter().enumerate() {
        for pattern in &activity.patterns {
            let before = earlier.iter().find(|(earlier, owner)| {
                covers(&earlier.value, &pattern.value)
                    && (*owner != at || earlier.value == pattern.value)
            });
            if let Some((before, owner)) = before {
                let error = shadowed(&before.value, activities[*owner].name.as_ref(), pattern);
                report.add(pattern.place.as_ref(), &pattern.key, error);
            } else {
                earlier.push((pattern, at));
            }
        }
    }
}

fn shadowed(
    before: &RequestPattern,
    owner: Option<&Placed<String>>,
    pattern: &Placed<RequestPattern>,
) -> ValueError {
    let owner = owner.map_or_else(|| "an earlier activity".into(), |name| quoted(&name.value));
    let (shown, taken) = (format_pattern(&pattern.value), format_pattern(before));
    let found = format!("{} is never reached", quoted(&shown));
    if shown == taken {
        ValueError::new(found, "each path once")
            .hint(format!("{owner} already has it: leave it out"))
    } else {
        let expected = format!("narrow paths before wide ones: {} comes first", quoted(&taken));
        ValueError::new(found, expected).hint(format!("move this activity before {owner}"))
    }
}

/// Memory grows with activities.
pub(super) fn activities_bounded<'p>(
    report: &mut ProblemCollector,
    platforms: impl Iterator<Item = &'p Vec<PlacedActivity>>,
) {
    let mut count = 0;
    for (at, activities) in platforms.enumerate() {
        // The catch-all counts too.
        count += activities.len() + 1;
        if count > ALL_ACTIVITIES {
            let place = activities.first().and_then(|activity| activity.place.as_ref());
            let error = ValueError::new(
                format!("up to here there are {count} activities"),
                format!(
                    "at most {ALL_ACTIVITIES} over all platforms, with one for everything else of \
                     each: each has counters and baselines"
                ),
            );
            report.add(place, &format!("platforms[{at}].activities"), error);
            return;
        }
    }
}
