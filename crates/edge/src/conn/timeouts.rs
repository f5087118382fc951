//! What a connection owes by when: checked by its worker four times a second.

use core::time::Duration;

use portcullis_model::{Cut, Limits, Reason, Time};

use super::connection::{Connection, Phase};

/// From here on a connection that owes a request header counts as stalled.
const STALLED: Duration = Duration::from_secs(1);

/// An idle connection that was asked to end politely is given this long.
const POLITE: Duration = Duration::from_secs(2);

impl Connection {
    /// Asks a connection that is too old to end, where that can be said without a request; and cuts
    /// it when what was under way has had its time. Returns whether it was cut.
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

    /// Cuts the connection if it is over a deadline. Returns whether it owes a request header for
    /// longer than it should. `idle` is what is granted now.
    pub(crate) fn check(
        &self,
        limits: &Limits,
        idle: Duration,
        header_deadline: Duration,
        now: Time,
    ) -> bool {
        if self.is_cut() {
            return false;
        }
        let patience = match self.phase() {
            Phase::Busy => self.context.stall_timeout(limits.body_idle_timeout),
            _ => limits.body_idle_timeout,
        };
        if self.write_lag.get().behind(now) >= patience
            && matches!(self.phase(), Phase::Busy | Phase::Idle | Phase::Header)
        {
            self.abort_with(Cut::SlowRead);
            return false;
        }
        if self.check_age(limits, now) {
            return false;
        }
        let mut age = now.since(self.since.get());
        if let Some(guard) = self.http_2_guard.get() {
            let guard = guard.borrow();
            let windows = guard.windows();
            if windows.is_stalled(patience, now) {
                self.abort_with(Cut::FlowControlStall);
                return false;
            }
            if self.phase() == Phase::Idle {
                // The library may still have answers to send.
                if windows.is_blocked() {
                    return false;
                }
                age = age.min(now.since(windows.last_sent()));
            }
        }
        let head = self.head_open_since();
        if let Some(since) = head.filter(|_| self.phase() == Phase::Header) {
            age = now.since(since);
        }
        if self.phase() == Phase::AwaitingFirstRequest && self.is_multiplexed() {
            if age >= header_deadline {
                self.abort_with(Cut::MissingPreface);
            }
            return false;
        }
        let overdue = match self.phase() {
            Phase::Proxy => (age >= header_deadline).then_some(Reason::ProxyHeader),
            Phase::Handshake => {
                (age >= limits.handshake_timeout).then_some(Reason::HandshakeFailed)
            }
            Phase::AwaitingFirstRequest | Phase::Header => {
                (age >= header_deadline).then_some(Reason::HeaderTimeout)
            }
            // Whoever still takes the last answer is not silent.
            Phase::Idle if self.is_backed_up() => return false,
            Phase::Idle => {
                if age >= idle {
                    let late = age >= limits.idle_timeout;
                    self.begin_graceful_close(if late { Cut::Idle } else { Cut::Evicted });
                }
                if age >= idle + POLITE {
                    self.cut();
                }
                return false;
            }
            Phase::Tunnel => {
                if let Some((began, terms)) = self.tunnel_timeouts.get().map(|terms| &**terms) {
                    if age >= terms.idle {
                        self.abort_with(Cut::TunnelIdle);
                    } else if now.since(*began) >= terms.age {
                        self.abort_with(Cut::TunnelAge);
                    }
                }
                return false;
            }
            Phase::Busy => {
                // Nothing else can come on an HTTP/2 connection before the block has ended.
                let block =
                    self.http_2_guard.get().and_then(|guard| guard.borrow().block_open_since());
                let open = block.or(head);
                if open.is_some_and(|since| now.since(since) >= header_deadline) {
                    self.context.count_refused_connection(Reason::HeaderTimeout);
                    self.cut();
                }
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
}
