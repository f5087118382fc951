//! Public tools that attack web servers, against the real binary, with the drill's visitors at the same time.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use portcullis_testkit::peers::has_peer;

use crate::case::{Case, CaseResult};
use crate::site::LARGE;

/// Lets `tool` loose on a gate and has people visit it meanwhile; the drill's own attack is one
/// silent socket.
fn with_visitors(
    tool: &'static str,
    over_tls: bool,
    arguments: &[&str],
    path: &str,
) -> Option<CaseResult> {
    if !has_peer(tool) {
        return None;
    }
    // The attack's 200 connections come on top of what the drill opens.
    let case = Case::new("idle-sockets").sized(1, 7).max_hold(6).with_kib_per_connection(200 * 192);
    let case = if over_tls { case.over_tls() } else { case };
    let done = case.with_descriptors(200).run_alongside(|url| {
        let mut attack = Command::new(tool);
        attack.args(arguments).arg(format!("{url}{path}"));
        attack.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let attack = attack.spawn().unwrap();
        // A head start, so that the people meet it at its height.
        sleep(Duration::from_millis(500));
        attack
    });
    Some(done)
}

/// 200 concurrent connections, a few bytes every second, for six seconds.
const SLOWLY: [&str; 8] = ["-c", "200", "-r", "200", "-i", "1", "-l", "6"];

fn slowhttptest(mode: &[&str], path: &str) -> Option<CaseResult> {
    let arguments = [mode, &SLOWLY, &["-p", "3", "-u"]].concat();
    with_visitors("slowhttptest", false, &arguments, path)
}

#[test]
fn slowhttptest_with_slow_headers_is_cut_off() {
    let Some(done) = slowhttptest(&["-H"], "/") else { return };
    done.counted("header-timeout", done.reason("header-timeout"), 100);
}

#[test]
fn slowhttptest_with_slow_bodies_is_cut_off() {
    let Some(done) = slowhttptest(&["-B", "-s", "8192"], "/") else { return };
    // Under the attack the gate may send a challenge instead, which this tool does not pass.
    let ended = done.cut("slow-body") + done.reason("challenge-issued");
    done.counted("bodies that were ended", ended, 100);
}

#[test]
fn slowhttptest_with_slow_reads_is_cut_off() {
    let mode = ["-X", "-k", "4", "-w", "512", "-y", "1024", "-n", "1", "-z", "32"];
    let Some(done) = slowhttptest(&mode, LARGE) else { return };
    done.counted("slow-read", done.cut("slow-read") + done.reason("challenge-issued"), 60);
}

#[test]
fn h2load_is_bound_by_its_address_s_limit() {
    let arguments = ["-c", "20", "-m", "50", "-D", "5"];
    let Some(done) = with_visitors("h2load", true, &arguments, "/") else { return };
    done.counted("source-rate", done.reason("source-rate"), 1000);
}
