//! Vectors of HTTP/2, frame by frame.

use crate::case::Case;
use crate::site::LARGE;

/// Carries a flood of frames out; each connection of it must end in `ENHANCE_YOUR_CALM`, and be counted.
#[track_caller]
fn assert_enhance_your_calm(vector: &'static str, cause: &str) {
    let done = Case::new(vector).over_http_2().run();
    let calmed = done.ended("GOAWAY ENHANCE_YOUR_CALM");
    done.counted("ENHANCE_YOUR_CALM", calmed, 4);
    // Those in flight when the attackers let go may be counted without having read it.
    let counted = done.cut(cause);
    assert!((calmed..=calmed + 4).contains(&counted), "{counted} of {calmed}: {}", done.describe());
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
fn empty_data_frames_end_in_enhance_your_calm() {
    assert_enhance_your_calm("empty-data", "empty-data-flood");
}

#[test]
fn tiny_data_frames_end_in_enhance_your_calm() {
    assert_enhance_your_calm("tiny-data", "small-data-flood");
}

#[test]
fn header_bombs_end_in_enhance_your_calm() {
    assert_enhance_your_calm("hpack-bomb", "header-list");
}

#[test]
fn a_client_that_makes_the_gate_reset_streams_is_cut() {
    // Five ways, one by each connection.
    let done = Case::new("made-you-reset").over_http_2().sized(10, 4).run();
    let counted = done.cut("server-reset-flood") + done.cut("protocol-error");
    done.counted("refused-streams or protocol-error", counted, 10);
    done.counted("server-reset-flood", done.cut("server-reset-flood"), 4);
}

#[test]
fn cookie_crumbs_count_as_one_header() {
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
fn streams_without_a_window_are_reset() {
    for vector in ["zero-window", "window-drip"] {
        let done = Case::new(vector).over_http_2().sized(3, 7).with_path(LARGE).run();
        done.counted(
            "flow-control-stall or slow-read",
            done.cut("flow-control-stall") + done.cut("slow-read"),
            12,
        );
    }
}

#[test]
fn streams_without_data_are_ended() {
    let done = Case::new("idle-streams").over_http_2().sized(4, 7).run();
    done.counted("slow-body", done.cut("slow-body"), 100);
}
