//! How long a vector may hold one connection: sums of the timeouts in the gate's configuration, so
//! that a gate with other timeouts is measured by those.

use std::time::Duration;

use portcullis_model::{Config, Limits, OriginConfig};

/// The limits of a gate's configuration on slow clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateLimits {
    limits: Limits,
    /// The longest wait for a place at an origin.
    queue_wait: Duration,
    /// The longest silence on an upgraded connection, by any activity.
    tunnel_idle: Duration,
}

impl Default for GateLimits {
    fn default() -> Self {
        let limits = Limits::default();
        let queue_wait = OriginConfig::new(String::new(), 0).queue_timeout;
        Self { tunnel_idle: limits.tunnel_idle_timeout, limits, queue_wait }
    }
}

impl GateLimits {
    /// Of this configuration: where its platforms and activities differ, the most that any grants.
    pub fn from_config(config: &Config) -> Self {
        let limits = config.limits.clone();
        let queue_waits = config.platforms.iter().map(|platform| platform.origin.queue_timeout);
        let activities = config.platforms.iter().flat_map(|platform| &platform.activities);
        let tunnels = activities.filter_map(|activity| activity.timeouts.tunnel_idle_timeout);
        Self {
            queue_wait: queue_waits.max().unwrap_or_default(),
            tunnel_idle: tunnels.fold(limits.tunnel_idle_timeout, Duration::max),
            limits,
        }
    }

    /// The most that one request's body may have.
    pub(super) const fn body_bytes(&self) -> u64 {
        self.limits.max_body_bytes
    }
}

/// For how long a connection may be held, by what is granted.
pub(super) type HoldLimit = fn(&GateLimits) -> Duration;

/// How many requests a connection may make, by what is granted.
pub(super) type RequestLimit = fn(&GateLimits) -> u64;

/// On top of the timeouts: until the connection is open, with some hundred others at the same
/// moment (up to a second or two on a busy machine; our clock starts before it), until the gate
/// checks its deadlines again (a quarter of a second), and until an attacker notices the end (those
/// who drip look once a second).
const DETECTION_SLACK: Duration = Duration::from_secs(5);

/// A client that is refused while it still sends is read for this long, so that it can read the
/// response; a client that gets a GOAWAY over HTTP/2 has two seconds to close.
const LINGER: Duration = Duration::from_secs(1);
const GOAWAY_GRACE: Duration = Duration::from_secs(2);

/// A connection that never sends anything: over TLS it owes a handshake, else a head.
pub(super) fn silence(gate_limits: &GateLimits) -> Duration {
    gate_limits.limits.header_timeout.max(gate_limits.limits.handshake_timeout) + DETECTION_SLACK
}

/// A handshake that never ends.
pub(super) fn handshake(gate_limits: &GateLimits) -> Duration {
    gate_limits.limits.handshake_timeout + DETECTION_SLACK
}

/// A head that never ends, or an HTTP/2 connection that never begins: both owe a head from the end
/// of the handshake on, which our attackers do not draw out here. Then the answer.
pub(super) fn head(gate_limits: &GateLimits) -> Duration {
    gate_limits.limits.header_timeout + LINGER + DETECTION_SLACK
}

/// What is refused as soon as it is seen.
pub(super) fn refused(_: &GateLimits) -> Duration {
    LINGER + DETECTION_SLACK
}

/// A connection that is idle after its first request, which may have waited for a place, and over
/// HTTP/2 is asked to go before it is cut.
pub(super) fn idle(gate_limits: &GateLimits) -> Duration {
    gate_limits.queue_wait + gate_limits.limits.idle_timeout + GOAWAY_GRACE + DETECTION_SLACK
}

/// A body that is too slow. The origin's place is waited for after its first byte; from then on
/// each byte makes up for its share of the least rate, and one a second is next to nothing.
pub(super) fn body(gate_limits: &GateLimits) -> Duration {
    gate_limits.queue_wait
        + time_to_fall_behind(gate_limits, gate_limits.limits.min_upload_rate)
        + LINGER
        + DETECTION_SLACK
}

/// An answer that is not taken: the place, and then the same the other way round. An answer that is
/// small enough for the kernel to accept whole is over; a client with nothing else leaves.
pub(super) fn response(gate_limits: &GateLimits) -> Duration {
    gate_limits.queue_wait
        + time_to_fall_behind(gate_limits, gate_limits.limits.min_download_rate)
        + DETECTION_SLACK
}

/// A tunnel on which nothing moves, behind the question for it.
pub(super) fn tunnel(gate_limits: &GateLimits) -> Duration {
    gate_limits.queue_wait + gate_limits.tunnel_idle + DETECTION_SLACK
}

/// A connection that is used for longer than any is meant to live: over HTTP/1.1 the response to
/// its next request closes it, which our attackers send a second later; over HTTP/2 a GOAWAY comes
/// immediately.
pub(super) fn age(gate_limits: &GateLimits) -> Duration {
    gate_limits.limits.max_connection_age
        + Duration::from_secs(1)
        + gate_limits.queue_wait
        + DETECTION_SLACK
}

/// How many requests one connection may make.
pub(super) mod request_limits {
    use super::GateLimits;

    /// Over HTTP/1.1 the last response announces that it is the last, and closes.
    pub(in super::super) fn http_1(gate_limits: &GateLimits) -> u64 {
        u64::from(gate_limits.limits.max_requests_per_connection)
    }

    /// Over HTTP/2 the visitor gets a GOAWAY, and may not have read it yet: it may send the same number
    /// of requests again, or ten times all concurrent streams if those are more. A visitor that
    /// continues after that is cut, while some of its streams are in progress and get no response.
    pub(in super::super) fn http_2(gate_limits: &GateLimits) -> u64 {
        let streams = gate_limits.limits.max_streams_per_connection;
        let requests = gate_limits.limits.max_requests_per_connection;
        u64::from(requests) + u64::from(requests.max(streams * 10)) + u64::from(streams)
    }
}

/// How long a client that moves four bytes a second (the fastest of our slow attackers) takes to
/// fall too far behind `rate` bytes a second: each second of waiting is short of a whole one by
/// what the bytes make up for. At a rate of four or less no client falls behind; the result is
/// longer than any run.
fn time_to_fall_behind(gate_limits: &GateLimits, rate: u32) -> Duration {
    const MOVES: u32 = 4;
    match rate.checked_sub(MOVES) {
        Some(short @ 1..) => gate_limits.limits.body_idle_timeout * rate / short,
        _ => Duration::from_secs(3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_follow_the_configuration() {
        let text = |extra: &str| {
            format!(
                "{extra}\n[[listeners]]\naddress = \"127.0.0.1:8080\"\n\n[[platforms]]\n\
                 name = \"a\"\nhosts = [\"*\"]\norigin = \"http://127.0.0.1:3000\"\n"
            )
        };
        let config = |extra: &str| Config::read(&text(extra), "a.toml").unwrap();
        let defaults = GateLimits::from_config(&config(""));
        assert_eq!(defaults, GateLimits::default());
        assert_eq!(head(&defaults), Duration::from_secs(10 + 1 + 5));
        assert_eq!(idle(&defaults), Duration::from_secs(3 + 60 + 2 + 5));
        let own = GateLimits::from_config(&config(
            "[limits]\nidle_timeout = \"20s\"\nbody_idle_timeout = \"10s\"\n",
        ));
        assert_eq!(idle(&own), Duration::from_secs(3 + 20 + 2 + 5));
        assert_eq!(head(&own), head(&defaults));
        // Four in five hundred are made up for.
        assert_eq!(response(&own).as_millis(), 3_000 + 10_080 + 5_000);
    }
}
