//! Public clients, and visitors and origins written byte by byte, on both sides of the real binary: what HTTP/1.1
//! promises to either is kept in between. What is read here is read strictly, so that a byte too many or too few on
//! either side is a failure.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod message;
mod origin;
mod visitor;

mod answers;
mod events;
mod keep_alive;
mod large;
mod mixed;
mod odd_answers;
mod programs;
mod sizes;
mod uploads;
mod visitors;
mod websocket;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Gate, free_address};
use portcullis_testkit::tls::TestCert;
use sha2::{Digest, Sha256};

/// Then the machine is not merely busy.
const LIMIT: Duration = Duration::from_secs(20);

/// Content in which no part equals another nearby.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n % 251) as u8).collect()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Lets what was sent arrive before more is sent. In real time, because nothing in the gate, which is
/// another process, reports that half a message has arrived.
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

/// A Python program in this folder.
fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// A gate with a second listener, for TLS. It takes nothing for an attack: some of these visitors
/// behave like one, and what a challenge would do to them is tested elsewhere.
fn gate(folder: &Path, origin: SocketAddr, more: &str) -> (Gate, SocketAddr) {
    TestCert::new("example.org").write(folder, "site");
    let secure = free_address();
    let listener = format!(
        "[[listeners]]\naddress = \"{secure}\"\ncertificate = \"site.crt\"\nkey = \"site.key\"\n\n{more}\n\
         [watch]\nsurge_min_rate = 1_000_000\n"
    );
    (Gate::start(folder, origin, &listener), secure)
}
