//! Vectors of the TLS handshake.

use crate::case::Case;

#[test]
fn client_hellos_that_drip_are_dropped_at_the_timeout() {
    let done = Case::new("slow-client-hello").over_tls().max_hold(5).run();
    done.counted("handshake-failed", done.reason("handshake-failed"), 60);
}

#[test]
fn client_hellos_in_many_records_or_of_absurd_size_are_refused() {
    let done = Case::new("odd-client-hello").over_tls().max_hold(5).sized(16, 5).run();
    done.counted("handshake-failed", done.reason("handshake-failed"), 16);
}

#[test]
fn repeated_full_handshakes_leave_capacity_for_visitors() {
    let done = Case::new("handshake-flood").over_tls().sized(40, 5).run();
    // Every connection was answered for: with a handshake, or with the reason why there is none.
    assert!(done.connections() >= 40, "{}", done.describe());
    let without = done.ended("not opened");
    assert_eq!(done.answers("handshake") + without, done.connections(), "{}", done.describe());
}

#[test]
fn handshakes_beyond_a_source_s_budget_are_refused_before_they_cost_anything() {
    let limits = "[limits.handshakes]\nsource_per_second = 5\nsource_burst = 10";
    let done = Case::new("handshake-flood").over_tls().sized(40, 5).with_limits(limits).run();
    done.counted("handshake-rate", done.reason("handshake-rate"), 100);
    // Eight addresses, each with its burst and its rate, and a busy machine's delay.
    let allowed = 8 * (10 + 5 * 10);
    assert!(done.answers("handshake") <= allowed, "{}", done.describe());
}

#[test]
fn http_2_without_a_preface_is_ended() {
    let done = Case::new("preface-silence").over_tls().max_hold(5).run();
    done.counted("missing-preface", done.cut("missing-preface"), 60);
}

#[test]
fn quic_initials_get_retry_packets_and_keep_no_visitor_out() {
    let done = Case::new("quic-initials").over_http_3().sized(20, 4).run();
    assert!(done.answers("retry") > 100, "{}", done.describe());
    // Those who were believed at first, until the limit was reached: their handshakes had no
    // second message.
    done.counted("handshake-failed", done.reason("handshake-failed"), 10);
}

#[test]
fn quic_initials_reach_nothing_where_http_3_is_off() {
    let done = Case::new("quic-initials").over_tls().sized(20, 3).run();
    assert_eq!(done.connections(), 0);
    assert_eq!(done.answers("initial") + done.answers("retry"), 0, "{}", done.describe());
}
