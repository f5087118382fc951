//! A gate with real worker threads, an origin and visitors, all on loopback.

#![allow(dead_code, unused_imports, clippy::unwrap_used)]

pub mod wire;

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use portcullis_edge::{
    ChallengeAnswers, Clock, InternalErrors, SocketSet, TlsConfigs, TlsShared, Worker, WorkerStage,
    bind, load_all,
};
use portcullis_gate::{Policy, Secret, Tables};
use portcullis_model::{
    Config, ConnReason, FeatureName, Meter, OriginConfig, Outcome, Reason, Record, Snapshot, TICK,
    TlsFiles, WorkerId,
};
use portcullis_testkit::tls::TestCert;
pub use portcullis_testkit::wait::{LIMIT, eventually};
use tokio::sync::watch;

/// A running gate.
pub struct Gate {
    pub address: SocketAddr,
    pub policy: Arc<ArcSwap<Policy>>,
    pub clock: Clock,
    pub internal_errors: Arc<InternalErrors>,
    pub open: Arc<AtomicU64>,
    tls: Arc<ArcSwap<TlsConfigs>>,
    pub tls_keep: TlsShared,
    pub answers: Arc<ChallengeAnswers>,
    meters: Vec<Arc<Meter>>,
    records: Mutex<Vec<rtrb::Consumer<Record>>>,
    sightings: Mutex<Vec<rtrb::Consumer<FeatureName>>>,
    stage: watch::Sender<WorkerStage>,
    threads: Vec<JoinHandle<()>>,
}

impl Gate {
    pub fn start(config: Config) -> Self {
        Self::start_with(config, 1)
    }

    pub fn start_with(config: Config, workers: u16) -> Self {
        Self::start_on(Clock::new(), config, workers)
    }

    /// A gate with one worker, whose clock moves by [`pass`](Self::pass) only.
    pub fn manual(config: Config) -> Self {
        Self::manual_with(config, 1)
    }

    pub fn manual_with(config: Config, workers: u16) -> Self {
        let gate = Self::start_on(Clock::manual(), config, workers);
        eventually("every worker waits", || gate.clock.sleeps() >= u64::from(workers));
        gate
    }

    fn start_on(clock: Clock, config: Config, workers: u16) -> Self {
        let secret = Secret::new(&[7; 32]);
        let tls_keep = TlsShared::new().unwrap();
        let tls: TlsConfigs = load_all(&config, &tls_keep).unwrap();
        let tls = Arc::new(ArcSwap::from_pointee(tls));
        let bound = bind(&config, workers, SocketSet::default()).unwrap().by_worker;
        let address = bound[0][0].address();
        let tables = Arc::new(Tables::new(config.limits.source_table_size, secret.clone()));
        let policy = Policy::new(Arc::new(config), secret);
        let activities = policy.ids().activity_count();
        let policy = Arc::new(ArcSwap::from_pointee(policy));
        let (stage, stages) = watch::channel(WorkerStage::Serve);
        let mut gate = Self {
            address,
            policy: policy.clone(),
            clock,
            internal_errors: Arc::default(),
            open: Arc::default(),
            tls: tls.clone(),
            tls_keep,
            answers: Arc::default(),
            meters: Vec::new(),
            records: Mutex::default(),
            sightings: Mutex::default(),
            stage,
            threads: Vec::new(),
        };
        for (id, listeners) in bound.into_iter().enumerate() {
            let (record_in, record_out) = rtrb::RingBuffer::new(4096);
            let (sighting_in, sighting_out) = rtrb::RingBuffer::new(4096);
            let meter = Arc::new(Meter::new(activities));
            gate.meters.push(meter.clone());
            gate.records.get_mut().unwrap().push(record_out);
            gate.sightings.get_mut().unwrap().push(sighting_out);
            let worker = Worker {
                id: WorkerId(id as u16),
                workers,
                listeners,
                policy: policy.clone(),
                tables: tables.clone(),
                tls: tls.clone(),
                answers: gate.answers.clone(),
                meter,
                records: record_in,
                sightings: sighting_in,
                access_log: None,
                open: gate.open.clone(),
                internal_errors: gate.internal_errors.clone(),
                clock: gate.clock,
                stage: stages.clone(),
            };
            gate.threads.push(std::thread::spawn(move || worker.run().unwrap()));
        }
        gate
    }

    /// Reads the certificates again, as a reload does.
    pub fn reload_certificates(&self, config: &Config) {
        self.tls.store(Arc::new(load_all(config, &self.tls_keep).unwrap()));
    }

    pub fn snapshot(&self) -> Snapshot {
        let mut total = Snapshot::default();
        for meter in &self.meters {
            meter.add_to(&mut total);
        }
        total
    }

    pub fn reason(&self, reason: Reason) -> u64 {
        let total = self.snapshot();
        let assigned: u64 = total.activities.iter().map(|a| a.reason(reason)).sum();
        assigned + total.unassigned.reason(reason)
    }

    pub fn refused(&self, reason: ConnReason) -> u64 {
        self.snapshot().unassigned.conn_reason(reason)
    }

    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.snapshot().activities.iter().map(|a| a.outcome(outcome)).sum()
    }

    pub fn offered(&self) -> u64 {
        let total = self.snapshot();
        let assigned: u64 =
            total.activities.iter().map(portcullis_model::ActivityCounts::offered).sum();
        assigned + total.unassigned.by_name().map(|(_, n)| n).sum::<u64>()
    }

    /// Every record written since the last call.
    pub fn records(&self) -> Vec<Record> {
        let mut all = Vec::new();
        for ring in self.records.lock().unwrap().iter_mut() {
            while let Ok(record) = ring.pop() {
                all.push(record);
            }
        }
        all
    }

    /// Every feature name that was recorded since the last call.
    pub fn sightings(&self) -> Vec<FeatureName> {
        let mut all = Vec::new();
        for ring in self.sightings.lock().unwrap().iter_mut() {
            while let Ok(sighting) = ring.pop() {
                all.push(sighting);
            }
        }
        all
    }

    pub fn connect(&self) -> Visitor {
        self.connect_from(1)
    }

    /// A visitor from 127.0.0.`last`.
    pub fn connect_from(&self, last: u8) -> Visitor {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let from = SocketAddr::new(Ipv4Addr::new(127, 0, 0, last).into(), 0);
        socket.bind(&from.into()).unwrap();
        socket.connect(&self.address.into()).unwrap();
        socket.set_tcp_nodelay(true).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Visitor { stream, ahead: Vec::new() }
    }

    /// Lets `time` pass on a manual clock. After each [`TICK`] every worker has checked its deadlines.
    pub fn pass(&self, time: Duration) {
        let mut passed = Duration::ZERO;
        while passed < time {
            let begun = self.clock.sleeps();
            self.clock.advance(TICK);
            passed += TICK;
            let all = begun + self.threads.len() as u64;
            eventually("every worker has checked its deadlines", || self.clock.sleeps() >= all);
        }
    }

    /// Lets time pass on a manual clock until `condition` holds, and returns how much. Each of the
    /// tasks that a deadline wakes has a moment to run before more time passes.
    pub fn pass_until(&self, what: &str, mut condition: impl FnMut() -> bool) -> Duration {
        let begun = Instant::now();
        let mut passed = Duration::ZERO;
        while !condition() {
            assert!(begun.elapsed() < LIMIT, "waited {passed:?} of the gate's time for: {what}");
            self.pass(TICK);
            passed += TICK;
            std::thread::sleep(Duration::from_millis(2));
        }
        passed
    }

    /// Lets time pass on a manual clock until `future` is ready.
    pub async fn while_time_passes<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        loop {
            match tokio::time::timeout(Duration::from_millis(2), &mut future).await {
                Ok(output) => return output,
                Err(_) => self.pass(TICK),
            }
        }
    }

    pub fn start_draining(&self) {
        self.stage.send(WorkerStage::Stop).unwrap();
    }

    pub fn hand_over(&self) {
        self.stage.send(WorkerStage::HandedOver).unwrap();
    }

    /// Waits for the workers to end, while time passes on a manual clock.
    pub fn join(&mut self) {
        for thread in self.threads.drain(..) {
            eventually("the worker ends", || {
                self.clock.advance(TICK);
                thread.is_finished()
            });
            thread.join().unwrap();
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.stage.send(WorkerStage::Stop);
        // A test that fails leaves connections open; waiting for those would never end.
        if !std::thread::panicking() {
            self.join();
        }
    }
}

/// Configuration for one origin, with short deadlines.
pub fn config(origin: SocketAddr) -> Config {
    let listen = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    let mut settings = OriginConfig::new(origin.ip().to_string(), origin.port());
    settings.connect_timeout = Duration::from_secs(1);
    settings.response_timeout = Duration::from_secs(1);
    settings.queue_timeout = Duration::from_millis(500);
    let mut config = Config::for_origin(listen, settings);
    config.limits.shutdown_grace = Duration::from_secs(2);
    config
}

/// A visitor's connection, byte by byte.
pub struct Visitor {
    pub stream: TcpStream,
    ahead: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    pub trailers: String,
}

impl Answer {
    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

impl Visitor {
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: example.org\r\n\r\n"));
        self.answer()
    }

    /// Like [`get`](Self::get), unless the gate closes the connection instead.
    pub fn try_get(&mut self, path: &str) -> Option<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: example.org\r\n\r\n");
        self.stream.write_all(request.as_bytes()).ok()?;
        let begins = self.stream.peek(&mut [0; 1]).is_ok_and(|read| read > 0);
        begins.then(|| self.answer())
    }

    pub fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    /// The next answer, with its body unless it is the answer to HEAD.
    pub fn answer_to(&mut self, method: &str) -> Answer {
        let head = self.until(b"\r\n\r\n");
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let bodiless = method == "HEAD" || matches!(status, 101 | 204 | 304);
        let mut trailers = String::new();
        let body = if bodiless {
            Vec::new()
        } else if field(&head, "transfer-encoding").is_some() {
            let mut body = Vec::new();
            loop {
                let size = self.until(b"\r\n");
                let size = std::str::from_utf8(&size).unwrap().trim();
                let size = usize::from_str_radix(size, 16).unwrap();
                if size == 0 {
                    break;
                }
                body.extend(self.exactly(size));
                self.exactly(2);
            }
            loop {
                let line = self.until(b"\r\n");
                if line == b"\r\n" {
                    break;
                }
                trailers.push_str(std::str::from_utf8(&line).unwrap());
            }
            body
        } else if let Some(length) = field(&head, "content-length") {
            self.exactly(length.parse().unwrap())
        } else {
            let mut rest = std::mem::take(&mut self.ahead);
            self.stream.read_to_end(&mut rest).unwrap();
            rest
        };
        Answer { status, head, body, trailers }
    }

    pub fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.ahead.windows(end.len()).position(|w| w == end) {
                let rest = self.ahead.split_off(at + end.len());
                return std::mem::replace(&mut self.ahead, rest);
            }
            self.read_more();
        }
    }

    pub fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.ahead.len() < length {
            self.read_more();
        }
        let rest = self.ahead.split_off(length);
        std::mem::replace(&mut self.ahead, rest)
    }

    fn read_more(&mut self) {
        let mut buffer = [0; 16 * 1024];
        let read = self.stream.read(&mut buffer).unwrap();
        assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&self.ahead));
        self.ahead.extend_from_slice(&buffer[..read]);
    }

    /// Reads until the gate closes the connection, which it must within [`LIMIT`].
    #[track_caller]
    pub fn expect_close(&mut self) {
        self.stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "not closed: {error}");
                    return;
                }
            }
        }
    }

    /// Reads what has arrived; has the gate closed the connection?
    pub fn has_closed(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        self.stream.set_nonblocking(true).unwrap();
        let closed = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => break error.kind() != ErrorKind::WouldBlock,
            }
        };
        self.stream.set_nonblocking(false).unwrap();
        closed
    }
}

/// A request that an origin received.
#[derive(Clone, Debug)]
pub struct Received {
    pub head: String,
    pub body: Vec<u8>,
    /// Which connection of the origin it came on, from zero.
    pub connection: usize,
}

impl Received {
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or("")
    }

    pub fn path(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or("")
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

/// What an origin does with a request.
pub enum Reply {
    /// Sends these bytes and stays.
    Bytes(Vec<u8>),
    /// Sends these bytes and closes.
    Last(Vec<u8>),
    /// Hands the connection to this closure.
    Takes(Box<dyn FnOnce(TcpStream) + Send>),
}

impl Reply {
    pub fn ok(body: &str) -> Self {
        let length = body.len();
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        Self::Bytes(text.into_bytes())
    }

    pub fn raw(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

/// Waits until `condition` holds, and lets tasks of this thread run meanwhile.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.expect(what);
}

/// Waits until `value` stays the same, and returns it. No event reports that buffers are full, so this
/// waits in real time: for a quarter of a second without a change.
pub fn settled(what: &str, mut value: impl FnMut() -> usize) -> usize {
    let mut last = (value(), Instant::now());
    eventually(what, || {
        let now = value();
        if now != last.0 {
            last = (now, Instant::now());
        }
        last.1.elapsed() >= Duration::from_millis(250)
    });
    last.0
}

/// Holds responses of an origin back until the test releases them, or ends.
pub fn hold() -> (Release, Hold) {
    let (release, hold) = mpsc::channel();
    (Release(release), Hold(Arc::new(Mutex::new(hold))))
}

/// Dropped, it releases everything that waits at its [`Hold`].
pub struct Release(mpsc::Sender<()>);

impl Release {
    /// Releases one response that waits, or the next one to wait.
    pub fn one(&self) {
        let _ = self.0.send(());
    }
}

/// Where responses of an origin wait.
#[derive(Clone)]
pub struct Hold(Arc<Mutex<mpsc::Receiver<()>>>);

impl Hold {
    pub fn wait(&self) {
        let _ = self.0.lock().unwrap().recv();
    }
}

/// An origin: a thread for each connection, a closure for each request.
pub struct Origin {
    pub address: SocketAddr,
    pub received: Arc<Mutex<Vec<Received>>>,
    pub connections: Arc<AtomicUsize>,
    /// Bytes of chunked bodies that have arrived, of complete requests and others.
    chunked: Arc<AtomicUsize>,
}

impl Origin {
    pub fn start(handler: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((IpAddr::from([127, 0, 0, 1]), 0)).unwrap();
        let origin = Self {
            address: listener.local_addr().unwrap(),
            received: Arc::default(),
            connections: Arc::default(),
            chunked: Arc::default(),
        };
        let chunked = origin.chunked.clone();
        let handler = Arc::new(handler);
        let (received, connections) = (origin.received.clone(), origin.connections.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let (handler, received, chunked) =
                    (handler.clone(), received.clone(), chunked.clone());
                std::thread::spawn(move || attend(stream, number, &*handler, &received, &chunked));
            }
        });
        origin
    }

    /// Answers `hello` to everything.
    pub fn hello() -> Self {
        Self::start(|_| Reply::ok("hello"))
    }

    pub fn last(&self) -> Received {
        self.received.lock().unwrap().last().unwrap().clone()
    }

    pub fn requests(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// Bytes of chunked bodies that have arrived.
    pub fn chunked_bytes(&self) -> usize {
        self.chunked.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn attend(
    stream: TcpStream,
    connection: usize,
    handler: &(dyn Fn(&Received) -> Reply + Send + Sync),
    all: &Mutex<Vec<Received>>,
    chunked: &AtomicUsize,
) {
    let mut visitor = Visitor { stream, ahead: Vec::new() };
    while let Some(received) = receive(&mut visitor, connection, chunked) {
        all.lock().unwrap().push(received.clone());
        match handler(&received) {
            Reply::Bytes(bytes) => {
                if visitor.stream.write_all(&bytes).is_err() {
                    return;
                }
            }
            Reply::Last(bytes) => {
                let _ = visitor.stream.write_all(&bytes);
                return;
            }
            Reply::Takes(take) => return take(visitor.stream),
        }
    }
}

fn receive(from: &mut Visitor, connection: usize, chunked: &AtomicUsize) -> Option<Received> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if from.stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let mut body = Vec::new();
    if let Some(length) = field(&head, "content-length") {
        body.resize(length.parse().ok()?, 0);
        from.stream.read_exact(&mut body).ok()?;
    } else if field(&head, "transfer-encoding").is_some() {
        let mut byte = [0];
        let ended = |body: &[u8]| {
            body.ends_with(b"0\r\n\r\n")
                || body.ends_with(b"\r\n\r\n") && body.windows(5).any(|w| w == b"\r\n0\r\n")
        };
        while !ended(&body) {
            if from.stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            body.push(byte[0]);
            chunked.fetch_add(1, Ordering::SeqCst);
        }
    }
    Some(Received { head, body, connection })
}

/// Writes the certificate and its key into `folder`, as a listener's TLS files.
pub fn tls_files(certificate: &TestCert, folder: &Path) -> TlsFiles {
    let [certificate, key] = certificate.write(folder, "site");
    TlsFiles { certificate, key }
}

/// Gives the first listener of `config` TLS. The folder holds the files.
pub fn secure(config: &mut Config) -> (tempfile::TempDir, TestCert) {
    let folder = tempfile::tempdir().unwrap();
    let certificate = TestCert::new("example.org");
    config.listeners[0].tls = Some(tls_files(&certificate, folder.path()));
    (folder, certificate)
}
