//! What a connection owes by when: checked by its worker four times a second.

use core::time::Duration;

use portcullis_model::{ConnReason, Cut, Limits, Time};

use super::connection::{Connection, Phase};

/// From here on a connection that owes a request header counts as stalled.
const STALLED: Duration = Duration::from_secs(1);

/// An idle connection that was asked to end politely is given this long.
const POLITE: Duration = Duration::from_secs(2);

impl Connection {
    /// Asks a connection that is too old to end, where the protocol allows that without a request;
    /// and cuts it when its requests in flight have had their time. Returns whether it was cut.
    fn check_age(&self, limits: &Limits, now: Time) -> bool {
        let age = now.since(self.born);
        if age < limits.max_connection_age || !matches!(self.phase(), Phase::Busy | Phase::Idle) {
            return false;
        }
        // Over HTTP/1.1 only an answer can say so: closed while it is idle, the connection may meet
        // the visitor's next request half way.
        if self.is_multiplexed() || self.phase() == Phase::Busy {
            self.drain();
        }
        let over = age >= limits.max_connection_age * 2;
        if over {
            self.abort_with(Cut::MaxAge);
        }
        over
    }

    /// Ends the connection if it is over a deadline. Returns whether it has owed a request header
    /// for longer than [`STALLED`]. `idle` is the timeout of idle connections at this load.
    pub(crate) fn check(
        &self,
        limits: &Limits,
        idle: Duration,
        header_timeout: Duration,
        now: Time,
    ) -> bool {
        if self.is_cut()
            || self.check_reading(limits, now)
            || self.check_age(limits, now)
            || self.check_windows(limits, now)
        {
            return false;
        }
        let Some(age) = self.silence(now) else { return false };
        let overdue = match self.phase() {
            Phase::AwaitingFirstRequest if self.is_multiplexed() => {
                if age >= header_timeout {
                    self.abort_with(Cut::MissingPreface);
                }
                return false;
            }
            Phase::Proxy => (age >= header_timeout).then_some(ConnReason::ProxyHeader),
            Phase::Handshake => {
                (age >= limits.handshake_timeout).then_some(ConnReason::HandshakeFailed)
            }
            Phase::AwaitingFirstRequest | Phase::Header => {
                (age >= header_timeout).then_some(ConnReason::HeaderTimeout)
            }
            Phase::Idle => {
                self.check_idle(limits, idle, age);
                return false;
            }
            Phase::Tunnel => {
                self.check_tunnel(age, now);
                return false;
            }
            Phase::Busy => {
                self.check_open_header(header_timeout, now);
                return false;
            }
        };
        if let Some(reason) = overdue {
            self.reject(reason);
            return false;
        }
        // Browsers open connections ahead of need: only one that has begun a header stalls in it.
        age >= STALLED && (self.phase() == Phase::Header || self.header_begun.get())
    }

    /// How long a visitor may keep a response waiting.
    fn stall_timeout(&self, limits: &Limits) -> Duration {
        match self.phase() {
            Phase::Busy => self.context.stall_timeout(limits.body_idle_timeout),
            _ => limits.body_idle_timeout,
        }
    }

    /// Ends the connection of a visitor that reads too slowly. Returns whether it did.
    fn check_reading(&self, limits: &Limits, now: Time) -> bool {
        let slow = self.write_lag.get().behind(now) >= self.stall_timeout(limits)
            && matches!(self.phase(), Phase::Busy | Phase::Idle | Phase::Header);
        if slow {
            self.abort_with(Cut::SlowRead);
        }
        slow
    }

    /// Ends an HTTP/2 connection whose visitor opens no flow control window. Returns whether it did.
    fn check_windows(&self, limits: &Limits, now: Time) -> bool {
        let Some(guard) = self.http_2_guard.get() else { return false };
        let stalled = guard.borrow().windows().is_stalled(self.stall_timeout(limits), now);
        if stalled {
            self.abort_with(Cut::FlowControlStall);
        }
        stalled
    }

    /// How long the visitor has owed the next step. `None`: it owes none, because hyper still has
    /// responses to send on an idle HTTP/2 connection.
    fn silence(&self, now: Time) -> Option<Duration> {
        let age = now.since(self.since.get());
        match self.phase() {
            Phase::Idle => {
                let Some(guard) = self.http_2_guard.get() else { return Some(age) };
                let guard = guard.borrow();
                let windows = guard.windows();
                (!windows.is_blocked()).then(|| age.min(now.since(windows.last_sent())))
            }
            Phase::Header => Some(self.head_open_since().map_or(age, |since| now.since(since))),
            _ => Some(age),
        }
    }

    fn check_idle(&self, limits: &Limits, idle: Duration, age: Duration) {
        // A visitor that still reads the last response is not silent.
        if self.is_backed_up() {
            return;
        }
        if age >= idle {
            let late = age >= limits.idle_timeout;
            self.begin_graceful_close(if late { Cut::Idle } else { Cut::Evicted });
        }
        if age >= idle + POLITE {
            self.cut();
        }
    }

    fn check_tunnel(&self, age: Duration, now: Time) {
        let Some((began, timeouts)) = self.tunnel_timeouts.get().map(|timeouts| &**timeouts) else {
            return;
        };
        if age >= timeouts.idle {
            self.abort_with(Cut::TunnelIdle);
        } else if now.since(*began) >= timeouts.age {
            self.abort_with(Cut::TunnelAge);
        }
    }

    /// Ends a connection whose other requests are being answered, if a header is open for too long.
    fn check_open_header(&self, header_timeout: Duration, now: Time) {
        // Nothing else can come on an HTTP/2 connection before the block has ended.
        let block = self.http_2_guard.get().and_then(|guard| guard.borrow().block_open_since());
        let open = block.or_else(|| self.head_open_since());
        if open.is_some_and(|since| now.since(since) >= header_timeout) {
            self.context.count_refused_connection(ConnReason::HeaderTimeout);
            self.cut();
        }
    }
}
