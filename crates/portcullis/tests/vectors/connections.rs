//! Vectors that only hold connections, or have many of them.

use crate::case::Case;

#[test]
fn silent_sockets_are_closed_at_the_header_timeout() {
    let done = Case::new("idle-sockets").max_hold(5).run();
    done.counted("header-timeout", done.reason("header-timeout"), 60);
}

#[test]
fn sockets_above_the_limit_of_their_source_are_closed_immediately() {
    // 60 connections from eight addresses are seven or eight from each.
    let limits = "[limits.source]\nmax_connections = 4";
    let done = Case::new("idle-sockets").max_hold(5).with_limits(limits).run();
    done.counted("source-connections", done.reason("source-connections"), 60);
}

#[test]
fn idle_connections_are_closed() {
    let done = Case::new("keep-alive-hoarding").max_hold(5).run();
    done.counted("idle", done.cut("idle"), 60);
}

#[test]
fn old_connections_get_connection_close_and_end() {
    let case = Case::new("long-lived").sized(20, 14);
    let done = case.with_limits("max_connection_age = \"10s\"").run();
    done.counted("closed", done.ended("closed by the gate"), 20);
    // They read it, so that nothing had to be cut.
    assert_eq!(done.cut("max-age"), 0, "{}", done.describe());
}

#[test]
fn connections_at_the_request_limit_get_connection_close_and_end() {
    let case = Case::new("endless-requests").sized(4, 4);
    let done = case.with_limits("max_requests_per_connection = 50").run();
    done.counted("closed", done.ended("closed by the gate"), 16);
    assert_eq!(done.result["outcome"]["most_requests"], 50, "{}", done.describe());
    assert_eq!(done.cut("max-age"), 0, "{}", done.describe());
}

#[test]
fn a_client_that_sends_requests_after_goaway_is_cut() {
    let case = Case::new("ignored-goaway").over_http_2();
    let limits = "max_requests_per_connection = 50\nmax_streams_per_connection = 60";
    let done = case.with_limits(limits).run();
    done.counted("max-age", done.cut("max-age"), 4);
    // Fifty, ten times sixty, and the requests in flight.
    let most = done.result["outcome"]["most_requests"].as_u64().unwrap();
    assert!((650..=710).contains(&most), "{most}: {}", done.describe());
}

#[test]
fn many_addresses_fill_no_table_that_could_refuse_visitors() {
    let limits = "source_table_size = 1024";
    let done = Case::new("many-sources").sized(800, 5).with_limits(limits).run();
    done.counted("allowed", done.reason("allowed"), 800);
    assert_eq!(done.reason("source-rate"), 0, "{}", done.describe());
}

#[test]
fn forged_forwarding_headers_do_not_escape_the_limit_of_the_real_address() {
    let limits = "[limits.source]\nrequests_per_second = 50\nburst = 200";
    let done = Case::new("forged-addresses").with_limits(limits).run();
    done.counted("source-rate", done.reason("source-rate"), 100);
}
