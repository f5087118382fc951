//! The formats of access logs, by name or by pattern.

use core::str::FromStr;
use std::sync::Arc;

use super::log_line::{LogLine, ParseError};
use super::pattern::{LogPattern, PatternError};
use super::timestamp::TimestampParser;
use super::w3c::W3cColumns;
use super::{combined, elb, envoy, haproxy, json, w3c};

/// A format of access logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// Common and combined, with or without a virtual host in front: nginx, Apache, Traefik.
    Combined,
    /// JSON: Caddy, Traefik, ECS, Cloudflare, Envoy, nginx.
    Json,
    /// `HAProxy`'s HTTP log.
    Haproxy,
    /// AWS load balancers.
    LoadBalancer,
    /// The W3C extended format: IIS, `CloudFront`.
    W3c,
    /// Envoy's default text format, and Istio's.
    Envoy,
    /// What a pattern says.
    Pattern(Arc<LogPattern>),
}

/// What a format remembers from line to line.
#[derive(Clone, Debug, Default)]
pub(super) struct FormatState {
    pub(super) stamps: TimestampParser,
    columns: W3cColumns,
}

impl LineFormat {
    /// The formats that are recognised, the most common first.
    pub(super) const KNOWN: [Self; 6] =
        [Self::Combined, Self::Json, Self::Haproxy, Self::LoadBalancer, Self::W3c, Self::Envoy];

    /// What it is called.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Combined => "combined",
            Self::Json => "json",
            Self::Haproxy => "haproxy",
            Self::LoadBalancer => "alb",
            Self::W3c => "w3c",
            Self::Envoy => "envoy",
            Self::Pattern(_) => "pattern",
        }
    }

    /// Reads a line; `None` for a directive, which is no request.
    pub(super) fn parse<'a>(
        &self,
        line: &'a [u8],
        state: &mut FormatState,
    ) -> Result<Option<LogLine<'a>>, ParseError> {
        let FormatState { stamps, columns } = state;
        match self {
            Self::Combined => combined::parse(line, stamps),
            Self::Json => json::parse(line, stamps),
            Self::Haproxy => haproxy::parse(line, stamps),
            Self::LoadBalancer => elb::parse(line, stamps),
            Self::W3c if line.first() == Some(&b'#') => {
                columns.directive(line);
                return Ok(None);
            }
            Self::W3c => w3c::parse(line, columns, stamps),
            Self::Envoy => envoy::parse(line, stamps),
            Self::Pattern(pattern) => pattern.parse(line, stamps),
        }
        .map(Some)
    }
}

/// A name such as `combined`, or a pattern of nginx or Apache.
impl FromStr for LineFormat {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "combined" | "common" | "vhost" | "clf" | "nginx" | "apache" | "traefik-clf" => {
                Self::Combined
            }
            "json" | "caddy" | "traefik" | "ecs" | "cloudflare" | "nginx-json" => Self::Json,
            "haproxy" => Self::Haproxy,
            "alb" | "elb" => Self::LoadBalancer,
            "w3c" | "iis" | "cloudfront" => Self::W3c,
            "envoy" | "istio" => Self::Envoy,
            _ => Self::Pattern(Arc::new(LogPattern::compile(text)?)),
        })
    }
}
