//! One visitor's or bot's connection to the target, with its cookies.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};

use crate::http1::{Http1Stream, ParsedResponse};
use crate::target::LoopbackTarget;

/// The most cookies that a jar holds: what a visitor of one site needs.
const COOKIES_MAX: usize = 4;

/// Why there was no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientError {
    /// The timeout ended.
    TimedOut,
    /// No connection, or one that ended before the response did.
    ConnectionLost,
}

/// Sends requests from one address, keeping the connection while the other end does.
pub(crate) struct HttpClient {
    target: LoopbackTarget,
    source: Ipv4Addr,
    idle_conn: Option<Http1Stream>,
}

impl HttpClient {
    pub(crate) fn new(target: LoopbackTarget, source: Ipv4Addr) -> Self {
        HttpClient { target, source, idle_conn: None }
    }

    /// Sends a request and reads the response to its end.
    ///
    /// A persistent connection that was closed meanwhile is replaced once, as browsers
    /// do it.
    pub(crate) async fn send(
        &mut self,
        request: &[u8],
        deadline: Instant,
    ) -> Result<ParsedResponse, ClientError> {
        if let Some(wire) = self.idle_conn.take() {
            match timeout_at(deadline, self.exchange(wire, request)).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(())) => {}
                Err(_) => return Err(ClientError::TimedOut),
            }
        }
        let new_connection = async {
            let stream = connect(self.target, self.source).await.map_err(|_| ())?;
            self.exchange(Http1Stream::new(stream), request).await
        };
        match timeout_at(deadline, new_connection).await {
            Ok(answer) => answer.map_err(|()| ClientError::ConnectionLost),
            Err(_) => Err(ClientError::TimedOut),
        }
    }

    async fn exchange(
        &mut self,
        mut conn: Http1Stream,
        request: &[u8],
    ) -> Result<ParsedResponse, ()> {
        conn.write(request).await.map_err(|_| ())?;
        let response = conn.read_response().await.map_err(|_| ())?.ok_or(())?;
        if response.keep_alive {
            self.idle_conn = Some(conn);
        }
        Ok(response)
    }
}

/// Connects from a separate source address where the target allows it: a target on `[::1]` sees
/// all clients at `::1`.
pub(crate) async fn connect(
    target: LoopbackTarget,
    source: Ipv4Addr,
) -> std::io::Result<TcpStream> {
    let stream = match target.address().ip() {
        IpAddr::V4(_) => {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from((source, 0)))?;
            socket.connect(target.address()).await?
        }
        IpAddr::V6(_) => TcpStream::connect(target.address()).await?,
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A browser's cookies for one site.
#[derive(Debug, Default)]
pub(crate) struct BrowserCookies {
    cookies: Vec<(String, String)>,
}

impl BrowserCookies {
    /// Takes in a response's `Set-Cookie` fields; whether anything changed.
    pub(crate) fn store(&mut self, response: &ParsedResponse) -> bool {
        let mut changed = false;
        for field in &response.set_cookies {
            let mut attributes = field.split(';').map(str::trim);
            let Some((name, value)) = attributes.next().and_then(|pair| pair.split_once('='))
            else {
                continue;
            };
            let expired = attributes.any(|attribute| attribute.eq_ignore_ascii_case("max-age=0"));
            let before = self.cookies.len();
            self.cookies.retain(|(known, _)| known != name);
            changed |= self.cookies.len() != before;
            if !expired && self.cookies.len() < COOKIES_MAX {
                self.cookies.push((name.to_owned(), value.to_owned()));
                changed = true;
            }
        }
        changed
    }

    /// The `Cookie` field's value, if there are cookies.
    pub(crate) fn header_value(&self) -> Option<String> {
        let pairs: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// Where a response sends its reader, if it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedirectTarget {
    /// The path and query, on the same site.
    pub path: String,
    /// Seconds to wait first.
    pub wait_seconds: u32,
    /// Whether a form is sent again, rather than a page fetched.
    pub repeats_form: bool,
    /// Whether it is a page that asks its reader to wait, rather than a redirect.
    pub is_refresh: bool,
}

/// Where the response to a request for `path` leads: a redirect, or a page with a `Refresh` field.
/// Other sites are not followed.
pub(crate) fn redirect_target(
    response: &ParsedResponse,
    host: &str,
    path: &str,
) -> Option<RedirectTarget> {
    if matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return Some(RedirectTarget {
            path: same_site_path(response.location.as_deref()?, host, path)?,
            wait_seconds: 0,
            repeats_form: matches!(response.status, 307 | 308),
            is_refresh: false,
        });
    }
    let refresh = response.refresh.as_deref()?;
    let (wait, rest) = refresh.split_once([';', ',']).unwrap_or((refresh, ""));
    let wait_seconds = wait.trim().split('.').next()?.parse().ok()?;
    let rest = rest.trim();
    let address = match rest.split_once('=') {
        Some((key, value)) if key.trim().eq_ignore_ascii_case("url") => value.trim(),
        _ => rest,
    };
    let address = address.trim_matches(['"', '\'']);
    Some(RedirectTarget {
        path: same_site_path(if address.is_empty() { path } else { address }, host, path)?,
        wait_seconds,
        repeats_form: false,
        is_refresh: true,
    })
}

/// The path and query of an address on this site, relative to `path`.
fn same_site_path(address: &str, host: &str, path: &str) -> Option<String> {
    let address = address.split('#').next().unwrap_or_default();
    if address.chars().any(|c| c.is_control() || c == ' ') || address.len() > 2_048 {
        return None;
    }
    let absolute = address.strip_prefix("http://").or_else(|| address.strip_prefix("//"));
    if let Some(rest) = absolute {
        let rest = rest.strip_prefix(host)?;
        return match rest.chars().next() {
            None => Some("/".to_owned()),
            Some('/') => Some(rest.to_owned()),
            Some('?') => Some(format!("/{rest}")),
            Some(_) => None,
        };
    }
    match address.chars().next() {
        Some('/') => Some(address.to_owned()),
        Some('?') => Some(format!("{}{address}", path.split('?').next()?)),
        None => Some(path.to_owned()),
        Some(_) if address.contains(':') => None,
        Some(_) => {
            let folder = path.split('?').next()?.rsplit_once('/')?.0;
            Some(format!("{folder}/{address}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, location: Option<&str>, refresh: Option<&str>) -> ParsedResponse {
        ParsedResponse {
            status,
            location: location.map(str::to_owned),
            refresh: refresh.map(str::to_owned),
            ..ParsedResponse::default()
        }
    }

    #[test]
    fn redirects_are_followed_on_the_same_site_only() {
        for (location, leads_to) in [
            ("/thank-you", Some("/thank-you")),
            ("http://localhost/x?y=1#z", Some("/x?y=1")),
            ("//localhost", Some("/")),
            ("?retry=1", Some("/news/a?retry=1")),
            ("b", Some("/news/b")),
            ("http://example.org/x", None),
            ("http://localhost.example.org/x", None),
            ("https://localhost/x", None),
            ("javascript:alert(1)", None),
            ("/a\r\nHost: b", None),
        ] {
            let answer =
                redirect_target(&response(303, Some(location), None), "localhost", "/news/a?b=c");
            assert_eq!(answer.map(|onward| onward.path).as_deref(), leads_to, "{location}");
        }
        assert_eq!(redirect_target(&response(200, Some("/x"), None), "localhost", "/"), None);
    }

    #[test]
    fn a_page_that_asks_to_wait_is_followed_after_the_wait() {
        for (refresh, wait_seconds, path) in [
            ("2; url=/next?a=b", 2, "/next?a=b"),
            ("1;URL='/x'", 1, "/x"),
            ("0", 0, "/here"),
            ("3, url=\"/x\"", 3, "/x"),
            ("1.5; url=/x", 1, "/x"),
        ] {
            let answer =
                redirect_target(&response(403, None, Some(refresh)), "localhost", "/here").unwrap();
            assert_eq!((answer.wait_seconds, answer.path.as_str()), (wait_seconds, path));
            assert!(answer.is_refresh);
        }
        assert_eq!(redirect_target(&response(200, None, Some("soon")), "localhost", "/"), None);
    }

    #[test]
    fn only_some_redirects_repeat_a_form() {
        for (status, repeats) in [(302, false), (303, false), (307, true), (308, true)] {
            let answer =
                redirect_target(&response(status, Some("/x"), None), "localhost", "/").unwrap();
            assert_eq!(answer.repeats_form, repeats);
        }
    }

    #[test]
    fn a_jar_keeps_replaces_and_forgets() {
        let mut browser_cookies = BrowserCookies::default();
        let set = |fields: &[&str]| ParsedResponse {
            set_cookies: fields.iter().map(|&field| field.to_owned()).collect(),
            ..ParsedResponse::default()
        };
        assert!(browser_cookies.store(&set(&["a=1; Path=/; HttpOnly", "b=x=y"])));
        assert_eq!(browser_cookies.header_value().as_deref(), Some("a=1; b=x=y"));
        assert!(browser_cookies.store(&set(&["a=2"])));
        assert_eq!(browser_cookies.header_value().as_deref(), Some("b=x=y; a=2"));
        assert!(browser_cookies.store(&set(&["b=; Max-Age=0", "nonsense"])));
        assert_eq!(browser_cookies.header_value().as_deref(), Some("a=2"));
        assert!(!browser_cookies.store(&set(&[])));
        assert!(browser_cookies.store(&set(&["c=1", "d=1", "e=1", "f=1", "g=1"])));
        assert_eq!(browser_cookies.cookies.len(), COOKIES_MAX);
    }
}
