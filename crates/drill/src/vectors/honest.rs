//! The people beside the attack: a few dozen, who only want their page.

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

use super::dial::{self, Stream};
use super::rehearsal::{Rehearsal, Served};
use super::result::Service;
use crate::traffic::ANNOUNCED_PATIENCE;
use crate::traffic::caller::{Jar, onward};
use crate::wire::{Response, Wire};

/// How many people; with TLS every other one speaks HTTP/2. Together they ask for ten pages a second,
/// so that in ten seconds of a rehearsal one in a hundred is seen.
const PEOPLE: u32 = 30;
/// How long they look at a page before they ask for the next: somebody in a hurry. Nobody goes on for
/// a minute at three pages a second, and a gate may say so to whoever does.
const LOOKS: Duration = Duration::from_secs(3);
/// Pages on one connection before it is left for a new one: new visitors matter too.
const PAGES: u32 = 2;
/// Redirects and announced waits that a person follows for a page.
const HOPS_MAX: u32 = 6;
/// The longest page that is read.
const BODY_MAX: usize = 16 * 1024 * 1024;

/// Where the person with this number comes from.
pub(super) fn source(person: u32) -> Ipv4Addr {
    Ipv4Addr::new(127, 77, 0, 1 + person as u8)
}

/// Everybody, until the end.
pub(super) async fn visit(rehearsal: Rehearsal, end: Instant) -> Served {
    let client = |protocol: &[u8]| dial::client(&[protocol]).map(Arc::new);
    let (http_1, http_2) = match (client(b"http/1.1"), client(b"h2")) {
        (Ok(http_1), Ok(http_2)) => (http_1, http_2),
        (Err(error), _) | (_, Err(error)) => return Some(Err(error.to_string())),
    };
    let rehearsal = Rc::new(rehearsal);
    let mut people = JoinSet::new();
    for number in 0..PEOPLE {
        let speaks_http_2 = rehearsal.target.is_tls() && number % 2 == 1;
        let person = Person {
            rehearsal: rehearsal.clone(),
            number,
            tls: if speaks_http_2 { http_2.clone() } else { http_1.clone() },
            speaks_http_2,
            jar: Jar::default(),
            line: None,
            // Not all leave their connections at the same time.
            pages: number / 2,
        };
        people.spawn_local(person.browse(end));
    }
    let mut service = Service::default();
    while let Some(seen) = people.join_next().await {
        match seen {
            Ok(seen) => service.add(seen),
            Err(error) => return Some(Err(error.to_string())),
        }
    }
    service.settle();
    Some(Ok(service))
}

/// A connection of a person's.
enum Line {
    Http1(Wire<Stream>),
    Http2(SendRequest<Bytes>),
}

struct Person {
    rehearsal: Rc<Rehearsal>,
    number: u32,
    tls: Arc<ClientConfig>,
    speaks_http_2: bool,
    jar: Jar,
    line: Option<Line>,
    pages: u32,
}

impl Person {
    async fn browse(mut self, end: Instant) -> Service {
        let mut seen = Service::default();
        // Not all at the same moment.
        sleep(LOOKS / PEOPLE * self.number).await;
        while Instant::now() < end {
            let asked = Instant::now();
            let answer = self.page().await;
            let wait = asked.elapsed();
            seen.saw(answer, wait);
            sleep_until((asked + LOOKS).min(end)).await;
        }
        seen
    }

    /// One page, wherever it leads: its status, or none within a person's patience.
    async fn page(&mut self) -> Result<u16, &'static str> {
        let host = self.rehearsal.host.clone();
        let mut path = self.rehearsal.visitors_path.clone();
        let mut deadline = Instant::now() + self.rehearsal.patience;
        let announced = Instant::now() + ANNOUNCED_PATIENCE + self.rehearsal.patience;
        for _ in 0..HOPS_MAX {
            let response = match timeout_at(deadline, self.ask(&path)).await {
                Ok(Some(response)) => response,
                Ok(None) => return Err("broken off"),
                Err(_) => {
                    self.line = None;
                    return Err("no answer in time");
                }
            };
            self.jar.keep(&response);
            let Some(next) = onward(&response, &host, &path) else { return Ok(response.status) };
            let wait = Duration::from_secs(u64::from(next.wait_seconds));
            sleep(wait.min(ANNOUNCED_PATIENCE)).await;
            deadline = (deadline + wait).min(announced);
            path = next.path;
        }
        Err("led in circles")
    }

    /// One request. A kept connection that turns out to be closed is replaced once, as browsers do.
    async fn ask(&mut self, path: &str) -> Option<Response> {
        self.pages += 1;
        if self.pages.is_multiple_of(PAGES) {
            self.line = None;
        }
        if let Some(line) = self.line.take()
            && let Some(response) = self.exchange(line, path).await
        {
            return Some(response);
        }
        let line = self.connect().await?;
        self.exchange(line, path).await
    }

    async fn connect(&self) -> Option<Line> {
        let target = self.rehearsal.target;
        let tcp = dial::tcp(target, source(self.number), None).await.ok()?;
        let stream = if target.is_tls() {
            dial::tls(tcp, self.tls.clone(), &self.rehearsal.host).await.ok()?
        } else {
            Stream::Plain(tcp)
        };
        if !self.speaks_http_2 {
            return Some(Line::Http1(Wire::new(stream)));
        }
        let (sender, connection) = h2::client::handshake(stream).await.ok()?;
        tokio::task::spawn_local(async move {
            // How it ends is seen where an answer is missing.
            let _ = connection.await;
        });
        Some(Line::Http2(sender))
    }

    async fn exchange(&mut self, line: Line, path: &str) -> Option<Response> {
        match line {
            Line::Http1(mut wire) => {
                let cookie = self.jar.field().map(|value| format!("Cookie: {value}\r\n"));
                let head = format!(
                    "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n{}\r\n",
                    self.rehearsal.host,
                    cookie.unwrap_or_default()
                );
                wire.write(head.as_bytes()).await.ok()?;
                let response = wire.response().await.ok()??;
                if response.keep_alive {
                    self.line = Some(Line::Http1(wire));
                }
                Some(response)
            }
            Line::Http2(sender) => {
                let mut sender = sender.ready().await.ok()?;
                let uri = format!("https://{}{path}", self.rehearsal.host);
                let mut request = Request::get(uri).header("accept", "text/html");
                if let Some(cookie) = self.jar.field() {
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
                self.line = Some(Line::Http2(sender));
                let text = |name| {
                    let value = head.headers.get(name)?;
                    value.to_str().ok().map(str::to_owned)
                };
                Some(Response {
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
