//! The address of an origin: `http://127.0.0.1:3000`.

use core::net::IpAddr;

use crate::OriginConfig;

use super::host::{bracketed, host_name};
use super::problem::{ValueError, quoted};

const EXPECTED: &str = "something like http://127.0.0.1:3000";

/// Reads the address of an origin, such as `http://127.0.0.1:3000`, `http://[::1]:3000` or
/// `http://app.internal` (port 80), for the command line. Every limit is at its default.
///
/// The error is one sentence for the person who typed it. `https` is refused (the connection to
/// the origin is plain HTTP/1.1), and so are a path, a query and a user name: requests are
/// forwarded with the path that they came with.
pub fn parse_origin(text: &str) -> Result<OriginConfig, String> {
    origin(text).map_err(ValueError::sentence)
}

/// [`parse_origin`] with the error still in parts.
pub(super) fn origin(text: &str) -> Result<OriginConfig, ValueError> {
    let error = || ValueError::new(format!("{} is not an origin address", quoted(text)), EXPECTED);
    let Some((scheme, rest)) = text.split_once("://") else {
        let with_scheme = format!("http://{text}");
        return Err(match authority(text) {
            Ok(_) => error().hint(format!("did you mean {with_scheme}?")),
            Err(_) => error(),
        });
    };
    if scheme.eq_ignore_ascii_case("https") {
        return Err(ValueError::new(
            format!("{} asks for https to the origin", quoted(text)),
            format!("{EXPECTED}: https to the origin is not supported yet"),
        )
        .hint(
            "let the origin listen on loopback or a private network, and write its http address",
        ));
    }
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(error());
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err(error().hint("leave out the path: requests are forwarded with their own"));
    }
    if rest.contains('@') {
        return Err(error().hint("leave out the user name and password"));
    }
    let (host, port) = authority(rest).map_err(|why| error().hint(why))?;
    Ok(OriginConfig::new(host, port))
}

/// Host and port of `host:port`, or why it is none.
fn authority(text: &str) -> Result<(String, u16), &'static str> {
    let (host, port) = match text.rfind(':') {
        // The last colon of an IPv6 address without port is within its brackets.
        Some(colon) if !text.ends_with(']') => (&text[..colon], Some(&text[colon + 1..])),
        _ => (text, None),
    };
    let port = match port {
        None => 80,
        Some(port) => match port.parse() {
            Ok(port) if port > 0 && !port_has_sign(text) => port,
            _ => return Err("a port is a number from 1 to 65535"),
        },
    };
    let host = match bracketed(host) {
        Some(address) => address.to_string(),
        None if host.contains(':') => {
            return Err("IPv6 addresses need brackets: http://[::1]:3000");
        }
        None => host_name(host)?,
    };
    if host.parse().is_ok_and(|address: IpAddr| address.is_unspecified()) {
        return Err("no client can connect to that address; for this machine, write 127.0.0.1");
    }
    Ok((host, port))
}

/// `str::parse` takes `+80` for a number.
fn port_has_sign(text: &str) -> bool {
    text.contains(":+")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_origin_is_a_host_and_a_port() {
        for (text, authority) in [
            ("http://127.0.0.1:3000", "127.0.0.1:3000"),
            ("http://127.0.0.1:3000/", "127.0.0.1:3000"),
            ("HTTP://App.Internal", "app.internal:80"),
            ("http://[::1]:3000", "[::1]:3000"),
            ("http://[0::1]", "[::1]:80"),
        ] {
            let origin = parse_origin(text).expect(text);
            assert_eq!(origin.authority(), authority);
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_way_out() {
        for (text, part) in [
            ("localhost:3000", "did you mean http://localhost:3000?"),
            ("https://example.org", "https to the origin is not supported yet"),
            ("ftp://example.org", "expected something like http://127.0.0.1:3000"),
            ("http://example.org/site", "leave out the path"),
            ("http://example.org?x", "leave out the path"),
            ("http://user:pass@example.org", "leave out the user name"),
            ("http://::1:3000", "need brackets"),
            ("http://example.org:0", "from 1 to 65535"),
            ("http://example.org:+80", "from 1 to 65535"),
            ("http://example.org:", "from 1 to 65535"),
            ("http://0.0.0.0:3000", "write 127.0.0.1"),
            ("http://", "it is empty"),
            ("", "is not an origin address"),
            ("http://exa mple.org", "only letters"),
        ] {
            let sentence = parse_origin(text).expect_err(text);
            assert!(sentence.contains(part), "{text}: {sentence}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_reads_back_the_same(text in "(http://)?[a-z0-9.:\\[\\]@/+-]{0,30}") {
            if let Ok(origin) = parse_origin(&text) {
                prop_assert_eq!(parse_origin(&format!("http://{}", origin.authority())), Ok(origin));
            }
        }
    }
}
