//! Certificate authorities that ask over HTTP whether a host is ours.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Answer, Gate, Origin, config};
use portcullis_model::{Reason, SourceLimits};

const ASKED: &str = "/.well-known/acme-challenge/the-token";

fn ask(gate: &Gate, method: &str, path: &str) -> Answer {
    let host = "unknown.example";
    let mut visitor = gate.connect();
    visitor.send(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    visitor.answer_to(method)
}

#[test]
fn a_pending_acme_token_is_answered_before_any_limit_and_for_every_host() {
    let origin = Origin::hello();
    let mut settings = config(origin.address);
    settings.platforms[0].hosts = vec!["site.example".into()];
    settings.limits.source = SourceLimits { requests_per_second: 1, burst: 1, connections: 256 };
    let gate = Gate::start(settings);
    gate.answers.set("the-token", "the-token.thumbprint");
    for _ in 0..5 {
        let reply = ask(&gate, "GET", ASKED);
        assert_eq!((reply.status, reply.text()), (200, "the-token.thumbprint"));
        assert_eq!(reply.field("content-type"), Some("application/octet-stream"));
    }
    let head = ask(&gate, "HEAD", ASKED);
    assert_eq!((head.status, head.field("content-length")), (200, Some("20")));
    assert_eq!(gate.reason(Reason::Acme), 6);
    assert_eq!(origin.requests(), 0, "nothing of it reached the origin");
}

#[test]
fn other_paths_below_the_acme_path_are_forwarded() {
    let origin = Origin::hello();
    let gate = Gate::start(config(origin.address));
    let others = [
        ("GET", "/.well-known/acme-challenge/another"),
        ("GET", "/.well-known/acme-challenge/the-token/more"),
        ("GET", "/.well-known/acme-challenge/"),
        ("GET", "/the-token"),
        ("POST", ASKED),
    ];
    gate.answers.set("the-token", "the-token.thumbprint");
    for (method, path) in others {
        assert_eq!(ask(&gate, method, path).text(), "hello", "{method} {path}");
    }
    gate.answers.remove("the-token");
    assert_eq!(ask(&gate, "GET", ASKED).text(), "hello", "it is over");
    assert_eq!((gate.reason(Reason::Acme), gate.reason(Reason::Allowed)), (0, 6));
}
