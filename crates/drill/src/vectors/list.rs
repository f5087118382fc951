//! The vectors by name.

use super::hold_limits::{self, RequestLimit, request_limits};
use super::vector::{Vector, VectorTransport};
use super::{bodies, connections, handshakes, heads, http_2, quic, tunnels};

/// The vector of this name.
pub fn by_name(name: &str) -> Option<&'static Vector> {
    VECTORS.iter().find(|vector| vector.name == name)
}

macro_rules! vectors {
    ($($name:literal, $known:literal, $over:ident, $connections:literal for $seconds:literal s,
       held $held:expr, $(asked $asked:expr,)? $(with $limits:literal,)? from $sources:literal:
       $attack:path => $about:literal;)+) => {
        &[$(Vector {
            name: $name,
            about: $about,
            known_as: $known,
            transport: VectorTransport::$over,
            connections: $connections,
            seconds: $seconds,
            limits: concat!($($limits)?),
            hold_limit: $held,
            request_limit: [$(Some($asked as RequestLimit),)? None][0],
            sources: $sources,
            attack: |attacker| Box::pin($attack(attacker)),
        },)+]
    };
}

/// Every vector, from the first byte of a connection upwards.
pub static VECTORS: &[Vector] = vectors! {
    "idle-sockets", "connection flood", Either, 400 for 20 s, held Some(hold_limits::silence), from 8:
        connections::idle => "opens connections and sends nothing";
    "keep-alive-hoarding", "RFC 9112, section 9.3", Either, 400 for 75 s, held Some(hold_limits::idle), from 8:
        connections::keep_alive => "asks for one page on each connection and keeps it";
    "long-lived", "RFC 9112, section 9.6", Either, 40 for 40 s, held Some(hold_limits::age),
        with "max_connection_age = \"20s\"", from 4:
        connections::long_lived => "asks for a page a second on connections that it never leaves";
    "endless-requests", "RFC 9112, section 9.6", Either, 4 for 20 s, held None, asked request_limits::http_1, from 4:
        connections::endless => "asks on one connection as often as it can";
    "ignored-goaway", "RFC 9113, section 6.8", Tls, 4 for 20 s, held None, asked request_limits::http_2, from 4:
        http_2::ignore_goaway => "asks on one connection, also behind the GOAWAY";
    "many-sources", "state-table flood", Either, 800 for 10 s, held None, from 800:
        connections::many_sources => "comes from hundreds of addresses, each page another";
    "forged-addresses", "RFC 7239, section 8.1", Either, 40 for 10 s, held None, from 4:
        connections::forged_addresses => "invents a visitor's address in front of each request";
    "handshake-flood", "RFC 8446; THC-SSL-DOS", Tls, 60 for 10 s, held None, from 8:
        handshakes::flood => "shakes hands in full and goes away, again and again";
    "slow-client-hello", "RFC 8446, section 4.1.2", Tls, 200 for 20 s, held Some(hold_limits::handshake), from 8:
        handshakes::slow_hello => "sends a ClientHello in drips, or half of it";
    "odd-client-hello", "RFC 8446, section 5.1", Tls, 80 for 20 s, held Some(hold_limits::handshake), from 8:
        handshakes::odd_hello => "sends a ClientHello in shreds, padded, or with a huge name";
    "slow-headers", "Slowloris; CVE-2007-6750", Either, 400 for 20 s, held Some(hold_limits::head), from 8:
        heads::slow => "sends a header field every second and never ends";
    "header-drip", "quadratic parsing", Either, 20 for 10 s, held None, from 4:
        heads::fast_drip => "sends a large header byte by byte, as fast as it goes";
    "huge-headers", "RFC 6585, section 5", Either, 40 for 10 s, held Some(hold_limits::refused), from 4:
        heads::huge => "sends megabytes of header, ten thousand fields, a cookie bomb";
    "colliding-headers", "HashDoS; CVE-2011-4885", Either, 40 for 10 s, held None, from 4:
        heads::colliding => "sends names that meet in one place of a hash table";
    "pipelining", "RFC 9112, section 9.3.2", Either, 20 for 10 s, held None, from 4:
        heads::pipelining => "sends a hundred requests together and waits for none";
    "smuggling", "RFC 9112, section 11.2", Either, 16 for 10 s, held Some(hold_limits::refused), from 4:
        heads::smuggling => "sends requests that two servers could read differently";
    "path-confusion", "CVE-2021-41773 and kin", Either, 16 for 10 s, held None, from 4:
        heads::path_confusion => "asks for paths that two servers could read differently";
    "slow-body", "R-U-Dead-Yet", Either, 100 for 45 s, held Some(hold_limits::body), from 4:
        bodies::slow_body => "announces a megabyte and sends a byte a second";
    "large-body", "RFC 9110, section 15.5.14", Either, 16 for 45 s, held Some(hold_limits::body), from 4:
        bodies::large_body => "uploads more than the limit allows";
    "gzip-bomb", "CVE-2003-1564 and kin", Either, 20 for 10 s, held None, from 4:
        bodies::gzip_bomb => "sends ten megabytes in ten kilobytes";
    "slow-read", "Sockstress; CVE-2008-4609", Either, 100 for 45 s, held Some(hold_limits::response), from 4:
        bodies::slow_read => "asks for pages and reads a byte of them a second";
    "many-ranges", "CVE-2011-3192", Either, 20 for 10 s, held None, from 4:
        bodies::many_ranges => "asks for thirteen hundred ranges of one page";
    "get-flood", "HTTP flood", Either, 100 for 10 s, held None, from 20:
        bodies::get_flood => "asks for one page as fast as it comes";
    "cache-busting", "HTTP flood", Either, 100 for 10 s, held None, from 20:
        bodies::cache_busting => "asks for one page under ever new addresses";
    "expensive-pages", "HTTP flood", Either, 100 for 10 s, held None, from 20:
        bodies::expensive_pages => "searches for something else each time";
    "tunnel-hoarding", "RFC 6455", Either, 100 for 135 s, held Some(hold_limits::tunnel), from 4:
        tunnels::hoarding => "opens WebSockets and sends nothing";
    "tunnel-drip", "RFC 6455, section 5.2", Either, 100 for 20 s, held None, from 4:
        tunnels::slow_frames => "sends a WebSocket frame a byte a second";
    "connect", "RFC 9110, section 9.3.6", Either, 20 for 10 s, held Some(hold_limits::refused), from 4:
        tunnels::connect => "asks for a tunnel to somewhere else";
    "preface-silence", "RFC 9113, section 3.4", Tls, 200 for 20 s, held Some(hold_limits::head), from 8:
        http_2::preface_silence => "agrees on HTTP/2 and never begins";
    "held-without-streams", "RFC 9113, section 5.1", Tls, 200 for 75 s, held Some(hold_limits::idle), from 8:
        http_2::without_streams => "begins HTTP/2 and never asks";
    "idle-streams", "RFC 9113, section 10.5", Tls, 8 for 45 s, held Some(hold_limits::body), from 4:
        http_2::idle_streams => "opens a hundred streams of which nothing comes";
    "rapid-reset", "CVE-2023-44487", Tls, 8 for 10 s, held None, from 4:
        http_2::rapid_reset => "opens streams and resets them immediately, thousands of times";
    "made-you-reset", "CVE-2025-8671", Tls, 10 for 10 s, held None, from 4:
        http_2::made_you_reset => "breaks the rules of streams so that the gate resets them";
    "continuation-flood", "CVE-2024-27316", Tls, 8 for 10 s, held None, from 4:
        http_2::continuations => "sends a header block that never ends";
    "ping-flood", "CVE-2019-9512", Tls, 8 for 10 s, held None, from 4:
        http_2::pings => "pings thousands of times";
    "settings-flood", "CVE-2019-9515", Tls, 8 for 10 s, held None, from 4:
        http_2::settings => "changes its settings thousands of times";
    "empty-data", "CVE-2019-9518", Tls, 8 for 10 s, held None, from 4:
        http_2::empty_data => "sends frames of data with nothing in them";
    "tiny-data", "CVE-2019-9511", Tls, 8 for 10 s, held None, from 4:
        http_2::tiny_data => "sends a byte of data in each frame";
    "priority-flood", "CVE-2019-9513", Tls, 8 for 10 s, held None, from 4:
        http_2::priorities => "shuffles priorities thousands of times";
    "window-update-flood", "CVE-2019-9517", Tls, 8 for 10 s, held None, from 4:
        http_2::window_flood => "grants a window of a byte thousands of times";
    "window-drip", "CVE-2019-9511", Tls, 8 for 45 s, held Some(hold_limits::response), from 4:
        http_2::window_drip => "asks for pages and grants them a few bytes a second";
    "zero-window", "CVE-2019-9517", Tls, 8 for 45 s, held Some(hold_limits::response), from 4:
        http_2::zero_window => "requests pages and never opens its window for them";
    "hpack-bomb", "CVE-2016-6581", Tls, 8 for 10 s, held None, from 4:
        http_2::hpack_bomb => "means one large header field ten thousand times";
    "cookie-crumbs", "RFC 9113, section 8.2.3", Tls, 8 for 10 s, held None, from 4:
        http_2::cookie_crumbs => "sends a cookie in three thousand crumbs";
    "quic-initials", "RFC 9000, section 21.3", Udp, 20 for 5 s, held None, from 20:
        quic::initials => "begins QUIC handshakes and never completes one";
};

#[cfg(test)]
mod tests {
    use portcullis_model::Config;

    use super::*;
    use crate::vectors::{CONNECTIONS_MAX, SECONDS_MAX};

    #[test]
    fn every_vector_has_a_unique_name_and_stays_within_bounds() {
        let mut names: Vec<_> = VECTORS.iter().map(|vector| vector.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), VECTORS.len());
        for vector in VECTORS {
            assert!(vector.connections <= CONNECTIONS_MAX && vector.seconds <= SECONDS_MAX);
            assert!(vector.about.len() <= 70, "{}", vector.name);
        }
    }

    /// Else its verdict would say nothing of how long connections are held.
    #[test]
    fn a_vector_that_holds_connections_lasts_longer_than_defaults_allow() {
        for vector in VECTORS {
            let text = format!(
                "[limits]\n{}\n[[listeners]]\naddress = \"127.0.0.1:8080\"\n[[platforms]]\n\
                 name = \"a\"\nhosts = [\"*\"]\norigin = \"http://127.0.0.1:3000\"\n",
                vector.limits
            );
            let gate_limits =
                hold_limits::GateLimits::from_config(&Config::read(&text, "a.toml").unwrap());
            if let Some(held) = vector.max_hold(&gate_limits) {
                let lasts = std::time::Duration::from_secs(u64::from(vector.seconds));
                assert!(lasts > held, "{}: {lasts:?} of {held:?}", vector.name);
            }
        }
    }
}
