//! Legitimate visitors during an attack: a few dozen, each requests pages.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use http::header::{COOKIE, LOCATION, REFRESH, SET_COOKIE};
use rustls::ClientConfig;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::dial::{self, ClientStream};
use super::result::VisitorStats;
use super::settings::VectorRun;
use crate::http1::{Http1Stream, ParsedResponse};
use crate::traffic::ANNOUNCED_WAIT_LIMIT;
use crate::traffic::client::{BrowserCookies, redirect_target};

/// How many people; with TLS every other one uses HTTP/2. Together they ask for ten pages a
/// second, so that in ten seconds of a rehearsal one in a hundred is seen.
const VISITORS: u32 = 30;
/// How long they look at a page before they request the next: visitors in a hurry. No person
/// requests three pages a second for a minute, and a gate may refuse a client that does.
const VIEW_TIME: Duration = Duration::from_secs(3);
/// Pages on one connection before it is left for a new one: new visitors matter too.
const PAGES_PER_CONNECTION: u32 = 2;
/// Redirects and announced waits that a person follows for a page.
const HOPS_MAX: u32 = 6;
/// The longest page that is read.
const BODY_MAX: usize = 16 * 1024 * 1024;

/// The source address of the visitor with this number.
pub(super) fn source(visitor: u32) -> Ipv4Addr {
    Ipv4Addr::new(127, 77, 0, 1 + visitor as u8)
}

/// Runs all visitors until the end.
pub(super) async fn run_visitors(
    run: VectorRun,
    end: Instant,
) -> Option<Result<VisitorStats, String>> {
    let client = |protocol: &[u8]| dial::client_config(&[protocol]).map(Arc::new);
    let (http_1, http_2) = match (client(b"http/1.1"), client(b"h2")) {
        (Ok(http_1), Ok(http_2)) => (http_1, http_2),
        (Err(error), _) | (_, Err(error)) => return Some(Err(error.to_string())),
    };
    let run = Rc::new(run);
    let mut people = JoinSet::new();
    for number in 0..VISITORS {
        let uses_http_2 = run.target.is_tls() && number % 2 == 1;
        let visitor = LegitVisitor {
            run: run.clone(),
            number,
            tls: if uses_http_2 { http_2.clone() } else { http_1.clone() },
            uses_http_2,
            cookies: BrowserCookies::default(),
            conn: None,
            // Not all leave their connections at the same time.
            pages: number / 2,
        };
        people.spawn_local(visitor.browse(end));
    }
    let mut service = VisitorStats::default();
    while let Some(seen) = people.join_next().await {
        match seen {
            Ok(seen) => service.merge(seen),
            Err(error) => return Some(Err(error.to_string())),
        }
    }
    service.finish();
    Some(Ok(service))
}

/// A connection of a person's.
enum VisitorConn {
    Http1(Http1Stream<ClientStream>),
    Http2(SendRequest<Bytes>),
}

struct LegitVisitor {
    run: Rc<VectorRun>,
    number: u32,
    tls: Arc<ClientConfig>,
    uses_http_2: bool,
    cookies: BrowserCookies,
    conn: Option<VisitorConn>,
    pages: u32,
}

impl LegitVisitor {
    async fn browse(mut self, end: Instant) -> VisitorStats {
        let mut stats = VisitorStats::default();
        // Not all at the same moment.
        sleep(VIEW_TIME / VISITORS * self.number).await;
        while Instant::now() < end {
            let asked = Instant::now();
            let answer = self.fetch_page().await;
            let wait = asked.elapsed();
            stats.record(answer, wait);
            sleep_until((asked + VIEW_TIME).min(end)).await;
        }
        stats
    }

    /// One page, wherever it leads: its status, or why none came within the page timeout.
    async fn fetch_page(&mut self) -> Result<u16, &'static str> {
        let host = self.run.host.clone();
        let mut path = self.run.visitor_path.clone();
        let mut deadline = Instant::now() + self.run.page_timeout;
        let announced = Instant::now() + ANNOUNCED_WAIT_LIMIT + self.run.page_timeout;
        for _ in 0..HOPS_MAX {
            let response = match timeout_at(deadline, self.send_request(&path)).await {
                Ok(Some(response)) => response,
                Ok(None) => return Err("connection lost"),
                Err(_) => {
                    self.conn = None;
                    return Err("timeout");
                }
            };
            self.cookies.store(&response);
            let Some(next) = redirect_target(&response, &host, &path) else {
                return Ok(response.status);
            };
            let wait = Duration::from_secs(u64::from(next.wait_seconds));
            sleep(wait.min(ANNOUNCED_WAIT_LIMIT)).await;
            deadline = (deadline + wait).min(announced);
            path = next.path;
        }
        Err("redirect loop")
    }

    /// One request. A persistent connection that was closed is replaced once, as browsers do.
    async fn send_request(&mut self, path: &str) -> Option<ParsedResponse> {
        self.pages += 1;
        if self.pages.is_multiple_of(PAGES_PER_CONNECTION) {
            self.conn = None;
        }
        if let Some(line) = self.conn.take()
            && let Some(response) = self.exchange(line, path).await
        {
            return Some(response);
        }
        let conn = self.connect().await?;
        self.exchange(conn, path).await
    }

    async fn connect(&self) -> Option<VisitorConn> {
        let target = self.run.target;
        let tcp = dial::connect_tcp(target, source(self.number), None).await.ok()?;
        let stream = if target.is_tls() {
            dial::connect_tls(tcp, self.tls.clone(), &self.run.host).await.ok()?
        } else {
            ClientStream::Plain(tcp)
        };
        if !self.uses_http_2 {
            return Some(VisitorConn::Http1(Http1Stream::new(stream)));
        }
        let (sender, connection) = h2::client::handshake(stream).await.ok()?;
        tokio::task::spawn_local(async move {
            // How it ends is seen where an answer is missing.
            let _ = connection.await;
        });
        Some(VisitorConn::Http2(sender))
    }

    async fn exchange(&mut self, conn: VisitorConn, path: &str) -> Option<ParsedResponse> {
        match conn {
            VisitorConn::Http1(mut wire) => {
                let cookie =
                    self.cookies.header_value().map(|value| format!("Cookie: {value}\r\n"));
                let head = format!(
                    "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n{}\r\n",
                    self.run.host,
                    cookie.unwrap_or_default()
                );
                wire.write(head.as_bytes()).await.ok()?;
                let response = wire.read_response().await.ok()??;
                if response.keep_alive {
                    self.conn = Some(VisitorConn::Http1(wire));
                }
                Some(response)
            }
            VisitorConn::Http2(sender) => {
                let mut sender = sender.ready().await.ok()?;
                let uri = format!("https://{}{path}", self.run.host);
                let mut request = Request::get(uri).header("accept", "text/html");
                if let Some(cookie) = self.cookies.header_value() {
                    request = request.header(COOKIE, cookie);
                }
                let (response, _) = sender.send_request(request.body(()).ok()?, true).ok()?;
                let (head, mut body) = response.await.ok()?.into_parts();
                let mut read = 0;
                while let Some(piece) = body.data().await {
                    let length = piece.ok()?.len();
                    read += length;
                    if read > BODY_MAX {
                        return None;
                    }
                    let _ = body.flow_control().release_capacity(length);
                }
                self.conn = Some(VisitorConn::Http2(sender));
                let text = |name| {
                    let value = head.headers.get(name)?;
                    value.to_str().ok().map(str::to_owned)
                };
                Some(ParsedResponse {
                    status: head.status.as_u16(),
                    location: text(LOCATION).map(|to| to.replacen("https://", "http://", 1)),
                    refresh: text(REFRESH),
                    set_cookies: head
                        .headers
                        .get_all(SET_COOKIE)
                        .iter()
                        .filter_map(|value| value.to_str().ok().map(str::to_owned))
                        .collect(),
                    keep_alive: true,
                })
            }
        }
    }
}
