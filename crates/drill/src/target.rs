//! The loopback guard: a target that is not this machine cannot be expressed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An address on this machine, and the only thing that a drill sends traffic to.
///
/// The one constructor checks that the address is a loopback address, so no function of this crate
/// can be pointed at anybody else's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopbackTarget {
    address: SocketAddr,
    tls: bool,
}

impl LoopbackTarget {
    /// Reads `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`, with or without `http://` before
    /// it and `/` after it. With `https://` before it, TLS is used.
    ///
    /// `localhost` is taken to be `127.0.0.1` without asking a name server; no other name is
    /// accepted, because the address of a name can change between the check and the attack.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let refused = |why: TargetProblem| TargetError {
            text: text.chars().take(80).collect(),
            problem: why,
        };
        let trimmed = text.trim();
        let tls = trimmed.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
        let rest = match trimmed.get(..7) {
            _ if tls => &trimmed[8..],
            Some(scheme) if scheme.eq_ignore_ascii_case("http://") => &trimmed[7..],
            _ => trimmed,
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let address = match authority.split_once(':') {
            Some((name, port)) if name.eq_ignore_ascii_case("localhost") => {
                let port = port.parse().map_err(|_| refused(TargetProblem::Unparsable))?;
                SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
            }
            _ => authority.parse().map_err(|_| refused(TargetProblem::Unparsable))?,
        };
        if address.port() == 0 {
            return Err(refused(TargetProblem::NoPort));
        }
        let target = Self::from_address(address)
            .ok_or_else(|| refused(TargetProblem::NotLoopback(address.ip())))?;
        Ok(if tls { target.with_tls() } else { target })
    }

    /// The address, if it is a loopback address.
    pub(crate) fn from_address(address: SocketAddr) -> Option<Self> {
        // `::ffff:127.0.0.1` is loopback as well, and `::ffff:192.0.2.1` is not.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        address.ip().is_loopback().then_some(LoopbackTarget { address, tls: false })
    }

    /// The same address, over TLS. Certificates are not verified: a rehearsal on loopback
    /// may well meet one that names the public site.
    #[must_use]
    pub fn with_tls(self) -> Self {
        LoopbackTarget { tls: true, ..self }
    }

    /// Whether TLS is used.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The address itself.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl fmt::Display for LoopbackTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.address)
    }
}

/// Why a text is not a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` cannot be the target of a drill: {problem}")]
pub struct TargetError {
    text: String,
    problem: TargetProblem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TargetProblem {
    NotLoopback(IpAddr),
    NoPort,
    Unparsable,
}

impl fmt::Display for TargetProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetProblem::NotLoopback(ip) => write!(
                f,
                "{ip} is not a loopback address. A drill only ever attacks this machine: give an \
                 address within 127.0.0.0/8, or [::1]"
            ),
            TargetProblem::NoPort => {
                f.write_str("its port is 0. Give the port that the gate listens on")
            }
            TargetProblem::Unparsable => f.write_str(
                "expected a literal loopback address and a port, such as http://127.0.0.1:8080 \
                 (names other than localhost are not looked up)",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn loopback_addresses_are_targets() {
        for text in [
            "127.0.0.1:8080",
            "http://127.0.0.1:8080",
            "HTTP://127.0.0.1:8080/",
            "127.9.8.7:1",
            "[::1]:8080",
            "http://[::1]:8080/",
            "localhost:8080",
            "[::ffff:127.0.0.1]:80",
        ] {
            let target = LoopbackTarget::parse(text).unwrap_or_else(|error| panic!("{error}"));
            assert!(target.address().ip().is_loopback());
        }
    }

    #[test]
    fn everything_else_is_refused_with_a_reason() {
        for (text, reason) in [
            ("192.0.2.1:80", "not a loopback address"),
            ("http://10.0.0.1:80", "not a loopback address"),
            ("0.0.0.0:80", "not a loopback address"),
            ("[::]:80", "not a loopback address"),
            ("[::ffff:192.0.2.1]:80", "not a loopback address"),
            ("[fe80::1]:80", "not a loopback address"),
            ("128.0.0.1:80", "not a loopback address"),
            ("127.0.0.1:0", "port is 0"),
            ("127.0.0.1", "expected a literal"),
            ("localhost", "expected a literal"),
            ("localhost.example:80", "expected a literal"),
            ("example.org:80", "expected a literal"),
            ("127.0.0.1:80@example.org:80", "expected a literal"),
            ("http://127.0.0.1:80/path", "expected a literal"),
            ("2130706433:80", "expected a literal"),
            ("https://192.0.2.1:443", "not a loopback address"),
            ("https://example.org:443", "expected a literal"),
            ("https://http://127.0.0.1:80", "expected a literal"),
            ("", "expected a literal"),
            ("£££££££££", "expected a literal"),
        ] {
            let error = LoopbackTarget::parse(text).expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn tls_is_used_only_where_it_was_requested() {
        let plain = LoopbackTarget::parse("http://127.0.0.1:8443").unwrap();
        let secure = LoopbackTarget::parse("HTTPS://127.0.0.1:8443/").unwrap();
        assert!(!plain.is_tls() && secure.is_tls());
        assert_eq!(plain.with_tls(), secure);
        assert_eq!(secure.to_string(), "https://127.0.0.1:8443");
    }

    proptest! {
        #[test]
        fn no_text_gives_a_target_elsewhere(text in "\\PC{0,40}") {
            if let Ok(target) = LoopbackTarget::parse(&text) {
                prop_assert!(target.address().ip().is_loopback());
            }
        }

        #[test]
        fn an_address_is_a_target_exactly_if_it_is_loopback(ip: [u8; 4], port in 1_u16..) {
            let address = SocketAddr::from((ip, port));
            prop_assert_eq!(LoopbackTarget::parse(&address.to_string()).is_ok(), ip[0] == 127);
        }
    }
}
