//! Visitors of every kind, who notice a request that is not answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use portcullis_testkit::wait::eventually;

use crate::Site;
use crate::http_1::KeepAlive;
use crate::http_2::Http2;
use crate::http_3::Http3;
use crate::websocket::WebSocket;

/// Between two requests of a visitor.
const PAUSE: Duration = Duration::from_millis(5);
/// Visitors over HTTP/1.1.
const KEEP_ALIVE: usize = 3;
/// Requests that the visitor over HTTP/2 sends together.
const TOGETHER: u32 = 4;

/// What visitors saw.
#[derive(Default)]
struct Tally {
    stop: AtomicBool,
    answered: Mutex<BTreeMap<&'static str, u64>>,
    lost: Mutex<Vec<String>>,
}

impl Tally {
    fn add(&self, kind: &'static str, count: u32) {
        *self.answered.lock().unwrap().entry(kind).or_default() += u64::from(count);
    }

    fn lose(&self, kind: &str, why: &dyn std::fmt::Display) {
        self.lost.lock().unwrap().push(format!("{kind}: {why}"));
    }

    fn continues(&self) -> bool {
        std::thread::sleep(PAUSE);
        !self.stop.load(Relaxed)
    }
}

pub struct Load {
    tally: Arc<Tally>,
    visitors: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(site: &Site, drain_time: Duration) -> Self {
        let tally = Arc::<Tally>::default();
        let mut visitors = Vec::new();
        let (plain, secure) = (site.plain, site.secure);
        let mut begin = |visit: Box<dyn FnOnce(&Tally) + Send>| {
            let tally = tally.clone();
            visitors.push(std::thread::spawn(move || visit(&tally)));
        };
        for _ in 0..KEEP_ALIVE {
            begin(Box::new(move |tally| keep_alive(tally, plain)));
        }
        begin(Box::new(move |tally| new_connections(tally, plain)));
        let client = Arc::new(site.certificate.client(&[b"h2"]));
        begin(Box::new(move |tally| http_2(tally, secure, &client)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let visitor = runtime.block_on(async { Http3::new(secure, &site.certificate) });
        begin(Box::new(move |tally| runtime.block_on(http_3(tally, visitor))));
        begin(Box::new(move |tally| websocket(tally, plain, drain_time)));
        Self { tally, visitors }
    }

    pub fn losses(&self) -> Vec<String> {
        self.tally.lost.lock().unwrap().clone()
    }

    fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.tally.answered.lock().unwrap().clone()
    }

    /// Waits until visitors of every kind have been answered again.
    pub fn wait_for_some(&self) {
        let before = self.counts();
        eventually("every kind of visitor is answered", || {
            let now = self.counts();
            let more = |kind| now.get(kind) > before.get(kind);
            !self.losses().is_empty()
                || ["h1", "new", "h2", "h3", "websocket"].into_iter().all(more)
        });
    }

    /// Ends the visits; returns how many requests were answered.
    pub fn stop(self) -> BTreeMap<&'static str, u64> {
        self.tally.stop.store(true, Relaxed);
        for visitor in self.visitors {
            visitor.join().unwrap();
        }
        assert_eq!(*self.tally.lost.lock().unwrap(), Vec::<String>::new());
        self.tally.answered.lock().unwrap().clone()
    }
}

fn keep_alive(tally: &Tally, address: SocketAddr) {
    let mut connection = None;
    while tally.continues() {
        let mut visit = || {
            let open = match connection.take() {
                Some(open) => open,
                None => KeepAlive::connect(address)?,
            };
            let open = connection.insert(open);
            let answer = open.get("/page")?;
            if answer.last {
                connection = None;
            }
            Ok::<_, std::io::Error>(answer)
        };
        match visit() {
            Ok(answer) if answer.status == 200 && answer.body == "/page" => tally.add("h1", 1),
            Ok(answer) => tally.lose("h1", &format!("{} {}", answer.status, answer.body)),
            Err(error) => {
                tally.lose("h1", &error);
                connection = None;
            }
        }
    }
}

fn new_connections(tally: &Tally, address: SocketAddr) {
    while tally.continues() {
        match crate::http_1::get_once(address, "/new") {
            Ok((200, body)) if body == "/new" => tally.add("new", 1),
            Ok(answer) => tally.lose("new", &format!("{answer:?}")),
            Err(error) => tally.lose("new", &error),
        }
    }
}

fn http_2(tally: &Tally, address: SocketAddr, client: &Arc<rustls::ClientConfig>) {
    let mut connection = None;
    while tally.continues() {
        let mut visit = || {
            let open = match connection.take() {
                Some(open) => open,
                None => Http2::connect(address, client)?,
            };
            let open = connection.insert(open);
            let answered = open.get_all("/page", TOGETHER)?;
            if open.is_leaving() {
                connection = None;
            }
            Ok::<_, std::io::Error>(answered)
        };
        match visit() {
            Ok(answered) if answered == TOGETHER => tally.add("h2", answered),
            Ok(answered) => tally.lose("h2", &format!("{answered} of {TOGETHER} were answered")),
            Err(error) => {
                tally.lose("h2", &error);
                connection = None;
            }
        }
    }
}

async fn http_3(tally: &Tally, mut visitor: Http3) {
    while !tally.stop.load(Relaxed) {
        tokio::time::sleep(PAUSE).await;
        match visitor.get("/page").await {
            Ok(_) => tally.add("h3", 1),
            Err(why) => tally.lose("h3", &why),
        }
    }
    visitor.leave();
}

fn websocket(tally: &Tally, address: SocketAddr, drain_time: Duration) {
    let mut open = None;
    while tally.continues() {
        let Some(socket) = &mut open else {
            match WebSocket::open(address) {
                Ok(socket) => {
                    tally.add("upgrades", 1);
                    open = Some(socket);
                }
                Err(error) => tally.lose("websocket", &error),
            }
            continue;
        };
        match socket.echo(b"a message") {
            Some(()) => tally.add("websocket", 1),
            None => {
                if socket.age() < drain_time {
                    tally.lose("websocket", &format!("cut after {:?}", socket.age()));
                }
                open = None;
            }
        }
    }
}

/// Twenty senders that ask for one path, again and again, from as many addresses.
pub struct Attack {
    stop: Arc<AtomicBool>,
    senders: Vec<JoinHandle<()>>,
}

impl Attack {
    pub fn start(address: SocketAddr) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let sender = |number: u8| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                while !stop.load(Relaxed) {
                    // What a refusal or a takeover closes is opened again.
                    if let Ok(mut sender) = KeepAlive::connect_from([127, 66, 6, number], address) {
                        while !stop.load(Relaxed)
                            && sender.get("/search").is_ok_and(|answer| !answer.last)
                        {
                            std::thread::sleep(PAUSE * 4);
                        }
                    }
                    std::thread::sleep(PAUSE);
                }
            })
        };
        Self { senders: (1..=20).map(sender).collect(), stop }
    }

    pub fn stop(self) {
        self.stop.store(true, Relaxed);
        for sender in self.senders {
            sender.join().unwrap();
        }
    }
}
