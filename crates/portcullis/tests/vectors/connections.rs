//! Vectors that only hold connections, or have many of them.

use crate::rehearsed::Case;

#[test]
fn sockets_that_say_nothing_are_closed_when_a_header_is_due() {
    let done = Case::new("idle-sockets").held_at_most(5).run();
    done.counted("header-deadline", done.reason("header-deadline"), 60);
}

#[test]
fn sockets_beyond_the_source_s_share_are_closed_at_once() {
    // 60 connections from eight addresses are seven or eight from each.
    let limits = "[limits.source]\nconnections = 4";
    let done = Case::new("idle-sockets").held_at_most(5).with_limits(limits).run();
    done.counted("source-connections", done.reason("source-connections"), 60);
}

#[test]
fn kept_connections_that_ask_for_nothing_more_are_closed() {
    let done = Case::new("keep-alive-hoarding").held_at_most(5).run();
    done.counted("idle", done.cut("idle"), 60);
}

#[test]
fn a_crowd_of_addresses_fills_no_table_that_could_refuse_anybody() {
    let limits = "sources_tracked = 1024";
    let done = Case::new("many-sources").sized(800, 5).with_limits(limits).run();
    done.counted("ordinary", done.reason("ordinary"), 800);
    assert_eq!(done.reason("source-rate"), 0, "{}", done.told());
}

#[test]
fn whoever_invents_addresses_is_bound_by_their_own() {
    let limits = "[limits.source]\nrequests_per_second = 50\nburst = 200";
    let done = Case::new("forged-addresses").with_limits(limits).run();
    done.counted("source-rate", done.reason("source-rate"), 100);
}
