//! Vectors of HTTP/1.1: heads, bodies, answers, tunnels, floods.

use crate::case::Case;
use crate::site::LARGE;

#[test]
fn headers_that_never_end_are_cut_at_the_timeout() {
    let done = Case::new("slow-headers").max_hold(5).run();
    done.counted("header-timeout", done.reason("header-timeout"), 60);
}

#[test]
fn headers_byte_by_byte_are_cut_at_the_timeout() {
    let done = Case::new("header-drip").sized(20, 5).run();
    done.counted("header-timeout", done.reason("header-timeout"), 20);
}

#[test]
fn headers_beyond_the_limit_are_refused_and_not_stored() {
    let done = Case::new("huge-headers").sized(16, 5).run();
    done.counted("header-too-large", done.reason("header-too-large"), 12);
    done.counted("target-too-long", done.reason("target-too-long"), 4);
    done.counted("414", done.answers("414"), 4);
    done.counted("431", done.answers("431"), 12);
}

#[test]
fn names_that_collide_cost_no_more_than_others() {
    let done = Case::new("colliding-headers").sized(40, 4).run();
    let answered = done.answers("200") + done.answers("307") + done.answers("429");
    done.counted("answered", answered, 40);
}

#[test]
fn pipelined_requests_are_handled_in_order_and_each_is_counted() {
    let limits = "[limits.source]\nrequests_per_second = 50\nburst = 200";
    let done = Case::new("pipelining").sized(20, 5).with_limits(limits).run();
    done.counted("source-rate", done.reason("source-rate"), 1000);
}

#[test]
fn ambiguous_requests_are_refused_and_no_request_inside_them_arrives() {
    let done = Case::new("smuggling").sized(16, 5).max_hold(5).run();
    done.counted("malformed", done.reason("malformed"), 16);
    assert_eq!(done.site.smuggled(), 0, "{}", done.describe());
}

#[test]
fn paths_that_two_servers_could_read_differently_are_refused() {
    let done = Case::new("path-confusion").sized(16, 4).run();
    done.counted("ambiguous-path", done.reason("ambiguous-path"), 160);
    done.counted("400", done.answers("400"), 160);
    assert_eq!(done.answers("200"), 0, "{}", done.describe());
}

#[test]
fn bodies_a_byte_a_second_are_ended() {
    let done = Case::new("slow-body").sized(40, 7).max_hold(6).run();
    done.counted("slow-body or idle", done.cut("slow-body") + done.cut("idle"), 20);
}

#[test]
fn bodies_beyond_the_limit_are_refused() {
    let done = Case::new("large-body")
        .sized(16, 5)
        .max_hold(6)
        .with_limits("max_body_bytes = \"1 MiB\"")
        .run();
    done.counted("body-too-large", done.reason("body-too-large"), 8);
    done.counted("413", done.answers("413"), 8);
}

#[test]
fn compressed_bodies_are_not_decompressed() {
    let done = Case::new("gzip-bomb").sized(20, 4).with_kib_per_connection(192).run();
    assert!(done.requests() >= 20, "{}", done.describe());
}

#[test]
fn unread_responses_are_aborted() {
    let done = Case::new("slow-read").sized(40, 8).with_path(LARGE).max_hold(7).run();
    done.counted("slow-read", done.cut("slow-read"), 40);
}

#[test]
fn a_thousand_ranges_of_one_page_are_refused() {
    let done = Case::new("many-ranges").sized(20, 4).run();
    done.counted("too-many-ranges", done.reason("too-many-ranges"), 20);
    done.counted("416", done.answers("416"), 20);
}

#[test]
fn a_flood_from_few_addresses_is_bound_by_their_limits() {
    for vector in ["get-flood", "cache-busting", "expensive-pages"] {
        let limits = "[limits.source]\nrequests_per_second = 20\nburst = 60";
        let done = Case::new(vector).sized(40, 4).with_limits(limits).run();
        done.counted("source-rate", done.reason("source-rate"), 1000);
        // At most the burst and the rate of each of twenty addresses reaches the site, and the visitors.
        let visitors = done.result["visitors"]["requested"].as_u64().unwrap();
        let allowed = 20 * (60 + 20 * 8) + visitors + 60;
        assert!(done.site.requests() <= allowed, "{} of {allowed}", done.site.requests());
    }
}

#[test]
fn silent_tunnels_are_closed() {
    let done = Case::new("tunnel-hoarding").sized(30, 7).max_hold(5).run();
    done.counted("tunnel-idle", done.cut("tunnel-idle"), 30);
}

#[test]
fn tunnels_that_drip_do_not_affect_others() {
    let done = Case::new("tunnel-drip").sized(30, 5).run();
    assert_eq!(done.answers("101") + done.answers("307"), done.requests(), "{}", done.describe());
}

#[test]
fn connect_requests_are_refused() {
    let done = Case::new("connect").sized(20, 5).max_hold(5).run();
    done.counted("not-supported", done.reason("not-supported"), 20);
    done.counted("405", done.answers("405"), 20);
}
