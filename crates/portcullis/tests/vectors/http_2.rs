//! Vectors of HTTP/2, frame by frame.

use crate::case::Case;
use crate::site::LARGE;

/// Carries a flood of frames out; each connection of it must be told to calm down, and be counted.
#[track_caller]
fn assert_enhance_your_calm(vector: &'static str, cause: &str) {
    let done = Case::new(vector).over_http_2().run();
    let told = done.ended("GOAWAY ENHANCE_YOUR_CALM");
    done.counted("told to calm down", told, 4);
    // Those that were under way when the attackers let go may be counted without having read it.
    let counted = done.cut(cause);
    assert!((told..=told + 4).contains(&counted), "{counted} of {told}: {}", done.describe());
    assert_eq!(done.ended("closed by the gate"), 0, "{}", done.describe());
}

#[test]
fn rapid_resets_end_in_enhance_your_calm() {
    assert_enhance_your_calm("rapid-reset", "reset-flood");
}

#[test]
fn header_blocks_without_end_end_in_enhance_your_calm() {
    assert_enhance_your_calm("continuation-flood", "continuation-flood");
}

#[test]
fn ping_floods_end_in_enhance_your_calm() {
    assert_enhance_your_calm("ping-flood", "ping-flood");
}

#[test]
fn settings_floods_end_in_enhance_your_calm() {
    assert_enhance_your_calm("settings-flood", "settings-flood");
}

#[test]
fn priority_floods_end_in_enhance_your_calm() {
    assert_enhance_your_calm("priority-flood", "priority-flood");
}

#[test]
fn window_update_floods_end_in_enhance_your_calm() {
    assert_enhance_your_calm("window-update-flood", "window-update-flood");
}

#[test]
fn data_without_content_end_in_enhance_your_calm() {
    assert_enhance_your_calm("empty-data", "empty-data-flood");
}

#[test]
fn data_in_crumbs_end_in_enhance_your_calm() {
    assert_enhance_your_calm("tiny-data", "small-data-flood");
}

#[test]
fn header_bombs_end_in_enhance_your_calm() {
    assert_enhance_your_calm("hpack-bomb", "header-list");
}

#[test]
fn who_makes_the_gate_reset_streams_is_ended() {
    // Five ways, one by each connection.
    let done = Case::new("made-you-reset").over_http_2().sized(10, 4).run();
    let counted = done.cut("server-reset-flood") + done.cut("protocol-error");
    done.counted("refused-streams or protocol-error", counted, 10);
    done.counted("server-reset-flood", done.cut("server-reset-flood"), 4);
}

#[test]
fn cookies_in_crumbs_count_as_the_header_that_they_are() {
    let done = Case::new("cookie-crumbs").over_http_2().run();
    done.counted("header-too-large", done.reason("header-too-large"), 20);
    done.counted("431", done.answers("431"), 20);
}

#[test]
fn connections_without_streams_are_ended() {
    let done = Case::new("held-without-streams").over_tls().max_hold(5).run();
    done.counted("idle", done.cut("idle"), 60);
}

#[test]
fn streams_that_give_no_room_are_reset() {
    for vector in ["zero-window", "window-drip"] {
        let done = Case::new(vector).over_http_2().sized(3, 7).with_path(LARGE).run();
        done.counted("flow-control-stall or slow-read", done.cut("flow-control-stall") + done.cut("slow-read"), 12);
    }
}

#[test]
fn streams_of_which_nothing_comes_are_ended() {
    let done = Case::new("idle-streams").over_http_2().sized(4, 7).run();
    done.counted("slow-body", done.cut("slow-body"), 100);
}
