//! Requests that two readers may take for different requests (`desync/corpus.txt`), sent to the
//! real binary with nginx, Apache and gunicorn behind it. Gate and origin must see the same
//! requests: the number of responses of the origin equals the number of requests in its log, and
//! no smuggled request is in the log.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{Gate, free_address, text};
use portcullis_testkit::http_2::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, frame, header_block,
};
use portcullis_testkit::peers::has_peer;
use portcullis_testkit::tls::TestCert;
use rustix::process::{Pid, Signal, kill_process};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

const CORPUS: &str = include_str!("desync/corpus.txt");

/// Visitors at the same time. Each waits most of its time.
const VISITORS: usize = 24;
/// After this long without a byte a response is complete, if it agrees with the log.
const SILENCE: Duration = Duration::from_millis(400);
/// Then the machine is not merely busy.
const LIMIT: Duration = Duration::from_secs(20);

// --- the corpus ----------------------------------------------------------------------------------

struct Payload {
    name: &'static str,
    expected: Expected,
    sent: Sent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Forwards(usize),
    Aborts,
}

impl Expected {
    fn is_met_by(self, requests: usize) -> bool {
        match self {
            Self::Forwards(count) => requests == count,
            Self::Aborts => requests <= 1,
        }
    }
}

enum Sent {
    Bytes(String),
    Http2 { fields: Vec<(String, String)>, data: Option<String> },
}

fn corpus() -> Vec<Payload> {
    let mut payloads: Vec<Payload> = Vec::new();
    for (number, line) in CORPUS.lines().enumerate() {
        let at = || format!("corpus.txt:{}: {line}", number + 1);
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some(bytes) = line.strip_prefix('|') {
            match &mut payloads.last_mut().unwrap().sent {
                Sent::Bytes(all) => all.push_str(bytes),
                Sent::Http2 { .. } => panic!("{}", at()),
            }
            continue;
        }
        match word {
            "" | "#" => {}
            "==" => payloads.push(Payload {
                name: rest,
                expected: Expected::Forwards(0),
                sent: Sent::Bytes(String::new()),
            }),
            "forwards" => {
                payloads.last_mut().unwrap().expected = Expected::Forwards(rest.parse().unwrap());
            }
            "aborts" => payloads.last_mut().unwrap().expected = Expected::Aborts,
            "h2" => {
                let (name, value) = rest.split_once(" = ").unwrap_or_else(|| panic!("{}", at()));
                let sent = &mut payloads.last_mut().unwrap().sent;
                match sent {
                    Sent::Http2 { fields, .. } => fields.push((name.into(), value.into())),
                    Sent::Bytes(_) => {
                        let fields = vec![(name.into(), value.into())];
                        *sent = Sent::Http2 { fields, data: None };
                    }
                }
            }
            "h2data" => match &mut payloads.last_mut().unwrap().sent {
                Sent::Http2 { data, .. } => *data = Some(rest.into()),
                Sent::Bytes(_) => panic!("{}", at()),
            },
            _ => panic!("{}", at()),
        }
    }
    payloads
}

/// The bytes behind a line of the corpus.
fn bytes_of(line: &str, host: &str, tag: &str) -> Vec<u8> {
    let smuggled = format!("GET /{tag}/smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n").len();
    let line = line
        .replace("{host}", host)
        .replace("{tag}", tag)
        .replace("{smuggled}", &smuggled.to_string())
        .replace("{smuggled-hex}", &format!("{smuggled:x}"));
    let mut bytes = Vec::new();
    let mut letters = line.bytes();
    while let Some(letter) = letters.next() {
        if letter != b'\\' {
            bytes.push(letter);
            continue;
        }
        bytes.push(match letters.next().unwrap() {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'"' => b'"',
            b'x' => {
                let digits = [letters.next().unwrap(), letters.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => panic!("\\{} is no escape", char::from(other)),
        });
    }
    bytes
}

// --- the origins ---------------------------------------------------------------------------------

/// A real server with a log of its request lines.
struct Origin {
    name: &'static str,
    /// How its `Server` field begins; the gate's own pages have none.
    server: &'static str,
    address: SocketAddr,
    log: PathBuf,
    process: Child,
}

impl Drop for Origin {
    fn drop(&mut self) {
        // Asked, it takes its workers along.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let began = Instant::now();
        while self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            if began.elapsed() > Duration::from_secs(5) {
                let _ = self.process.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Origin {
    fn start(
        name: &'static str,
        server: &'static str,
        folder: &Path,
        command: impl FnOnce(&Path, SocketAddr) -> Command,
    ) -> Self {
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        let address = free_address();
        let log = folder.join("access.log");
        fs::write(&log, "").unwrap();
        let errors = fs::File::create(folder.join("errors.txt")).unwrap();
        let process = command(&folder, address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .unwrap();
        let origin = Self { name, server, address, log, process };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            let said = fs::read_to_string(folder.join("errors.txt")).unwrap();
            assert!(began.elapsed() < LIMIT, "{name} does not come up: {said}");
            std::thread::sleep(Duration::from_millis(50));
        }
        origin
    }

    /// The request lines that it logged and that contain `tag`.
    fn logged(&self, tag: &str) -> Vec<String> {
        let log = fs::read(&self.log).unwrap();
        let marker = format!("/{tag}/");
        text(&log).lines().filter(|line| line.contains(&marker)).map(str::to_owned).collect()
    }
}

fn nginx(folder: &Path, address: SocketAddr) -> Command {
    let file = folder.join("nginx.conf");
    let place = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {place}/{name};\n"))
        .concat();
    // Its workers would otherwise run as a user that may not read this folder.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let settings = format!(
        "{user} daemon off; master_process on; worker_processes 1; pid {place}/pid;\n\
         error_log {place}/error.log;\nevents {{}}\nhttp {{\n{temporary}\
         log_format line '$request';\naccess_log {place}/access.log line;\n\
         server {{ listen {address}; location / {{ return 200 'seen'; }} }} }}\n"
    );
    fs::write(&file, settings).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).arg("-c").arg(file).arg("-e").arg(folder.join("error.log"));
    command
}

fn apache(folder: &Path, address: SocketAddr) -> Command {
    let file = folder.join("apache.conf");
    let place = folder.display();
    let user =
        if rustix::process::geteuid().is_root() { "User www-data\nGroup www-data\n" } else { "" };
    let settings = format!(
        "ServerRoot {place}\nDefaultRuntimeDir {place}\nServerName localhost\nListen {address}\n\
         LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n\
         LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n{user}\
         PidFile {place}/pid\nErrorLog {place}/error.log\nLogFormat \"%r\" line\n\
         CustomLog {place}/access.log line\nDocumentRoot {place}\nMaxKeepAliveRequests 0\n\
         ServerTokens Prod\n"
    );
    fs::write(&file, settings).unwrap();
    let mut command = Command::new("apache2");
    command.args(["-D", "FOREGROUND", "-f"]).arg(file);
    command
}

fn gunicorn(folder: &Path, address: SocketAddr) -> Command {
    // Reads the body as the request frames it, as an application does.
    let application = "def application(environ, start_response):\n    \
                       environ['wsgi.input'].read()\n    \
                       start_response('200 OK', [('Content-Length', '4')])\n    \
                       return [b'seen']\n";
    fs::write(folder.join("application.py"), application).unwrap();
    let mut command = Command::new("gunicorn");
    command
        .current_dir(folder)
        .args(["--worker-class", "gthread", "--threads", "8", "--keep-alive", "30"])
        .args(["--access-logformat", "%(r)s", "--access-logfile", "access.log"])
        .args(["--bind", &address.to_string(), "application"]);
    command
}

// --- the gate ------------------------------------------------------------------------------------

struct SecureGate {
    gate: Gate,
    secure: SocketAddr,
    tls: Arc<ClientConfig>,
}

/// One gate in front of all origins, each a platform with its own name.
fn gate(folder: &Path, origins: &[Origin]) -> SecureGate {
    let certificate = TestCert::new("site.example");
    certificate.write(folder, "site");
    let (plain, secure, operator) = (free_address(), free_address(), free_address());
    let platforms: String = origins
        .iter()
        .map(|origin| {
            format!(
                "[[platforms]]\nname = \"{0}\"\nhosts = [\"{0}.example\"]\n\
                 origin = {{ url = \"http://{1}\", probe = false }}\n",
                origin.name, origin.address
            )
        })
        .collect();
    // The whole corpus comes from one address in a few seconds, which is no ordinary visitor.
    let settings = format!(
        "ledger = \"ledger\"\nworkers = 2\n[admin]\nlisten = \"{operator}\"\n\
         [[listeners]]\naddress = \"{plain}\"\n\
         [[listeners]]\naddress = \"{secure}\"\ncertificate = \"site.crt\"\nkey = \"site.key\"\n\
         [limits.source]\nrequests_per_second = 10_000\nburst = 100_000\n\
         [watch]\nsurge_min_rate = 100_000\n{platforms}"
    );
    let file = folder.join("portcullis.toml");
    fs::write(&file, settings).unwrap();
    let gate = Gate::start_with(file, plain, operator);
    SecureGate { gate, secure, tls: Arc::new(certificate.client(&[b"h2"])) }
}

// --- one visitor ---------------------------------------------------------------------------------

/// Sends one payload; an error describes a wrong outcome.
fn visit(gate: &SecureGate, origin: &Origin, payload: &Payload, tag: &str) -> Result<(), String> {
    let host = format!("{}.example", origin.name);
    let answers = match &payload.sent {
        Sent::Bytes(line) => {
            let mut stream =
                TcpStream::connect(gate.gate.listen).map_err(|error| error.to_string())?;
            // A client that is refused halfway may be unable to send the rest.
            let _ = stream.write_all(&bytes_of(line, &host, tag));
            stream.set_read_timeout(Some(SILENCE)).unwrap();
            let aborts = payload.expected == Expected::Aborts;
            listen(&mut stream, aborts, |all| {
                let answers = text(all).matches(&format!("server: {}", origin.server)).count();
                let enough = payload.expected.is_met_by(answers);
                let agreed = aborts || answers == origin.logged(tag).len();
                (enough && agreed).then_some(answers)
            })
        }
        Sent::Http2 { fields, data } => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (bytes_of(name, &host, tag), bytes_of(value, &host, tag)))
                .collect();
            let data = data.as_ref().map(|data| bytes_of(data, &host, tag));
            let stream = TcpStream::connect(gate.secure).map_err(|error| error.to_string())?;
            stream.set_read_timeout(Some(SILENCE)).unwrap();
            let name = "site.example".try_into().unwrap();
            let session = ClientConnection::new(gate.tls.clone(), name).unwrap();
            let mut stream = StreamOwned::new(session, stream);
            let _ = stream.write_all(&http_2_request(&fields, data.as_deref()));
            // One request: its answer is as good as its trace in the log.
            listen(&mut stream, false, |_| {
                let logged = origin.logged(tag).len();
                payload.expected.is_met_by(logged).then_some(logged)
            })
        }
    };
    let logged = origin.logged(tag);
    let outcome = format!("{answers:?} answers from the origin, whose log has {logged:?}");
    if logged.iter().any(|line| line.contains("smuggled")) {
        return Err(format!("smuggled: {outcome}"));
    }
    if answers.is_some() && payload.expected.is_met_by(logged.len()) {
        Ok(())
    } else {
        Err(format!("{:?} expected, {outcome}", payload.expected))
    }
}

/// Reads until the gate has answered or closed, then falls silent, and what came satisfies
/// `agreed`. Of who `aborts` the gate may still expect something.
fn listen(
    stream: &mut impl Read,
    aborts: bool,
    mut agreed: impl FnMut(&[u8]) -> Option<usize>,
) -> Option<usize> {
    let began = Instant::now();
    let (mut all, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    let mut closed = false;
    loop {
        match stream.read(&mut buffer) {
            Ok(read) if read > 0 && !closed => {
                all.extend_from_slice(&buffer[..read]);
                continue;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => {
                closed = true;
                std::thread::sleep(SILENCE / 4);
            }
        }
        let answer = if all.is_empty() && !closed && !aborts { None } else { agreed(&all) };
        if answer.is_some() || began.elapsed() > LIMIT {
            return answer;
        }
    }
}

/// Preface, settings, and one HTTP/2 request on stream 1.
fn http_2_request(fields: &[(Vec<u8>, Vec<u8>)], data: Option<&[u8]>) -> Vec<u8> {
    let block = header_block(fields);
    let end = if data.is_none() { END_STREAM } else { 0 };
    let mut frames = vec![PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])];
    frames.push(frame(HEADERS, END_HEADERS | end, 1, &block));
    frames.extend(data.map(|data| frame(DATA, END_STREAM, 1, data)));
    frames.concat()
}

// --- the test ------------------------------------------------------------------------------------

#[test]
fn gate_and_origin_read_every_payload_as_the_same_requests() {
    let payloads = corpus();
    assert!(payloads.len() >= 100, "the corpus has {} payloads", payloads.len());
    let folder = tempfile::tempdir().unwrap();
    let mut origins = Vec::new();
    if has_peer("nginx") {
        origins.push(Origin::start("nginx", "nginx", folder.path(), nginx));
    }
    if has_peer("apache2") {
        origins.push(Origin::start("apache", "Apache", folder.path(), apache));
    }
    if has_peer("gunicorn") {
        origins.push(Origin::start("gunicorn", "gunicorn", folder.path(), gunicorn));
    }
    if origins.is_empty() {
        return;
    }
    let gate = gate(folder.path(), &origins);

    let all: Vec<_> = origins
        .iter()
        .flat_map(|origin| payloads.iter().map(move |payload| (origin, payload)))
        .collect();
    let next = AtomicUsize::new(0);
    let wrong: BTreeMap<String, String> = std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..VISITORS)
            .map(|_| {
                scope.spawn(|| {
                    let mut wrong = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some((origin, payload)) = all.get(number) else { return wrong };
                        let tag = format!("t{number}");
                        if let Err(what) = visit(&gate, origin, payload, &tag) {
                            wrong.push((format!("{} at {}", payload.name, origin.name), what));
                        }
                    }
                })
            })
            .collect();
        visitors.into_iter().flat_map(|visitor| visitor.join().unwrap()).collect()
    });
    let list: String = wrong.iter().map(|(which, what)| format!("  {which}: {what}\n")).collect();
    assert!(wrong.is_empty(), "{} of {} went wrong:\n{list}", wrong.len(), all.len());

    // Every line in the logs belongs to a payload, and the gate forwarded no more than there are.
    let lines: usize = origins
        .iter()
        .map(|origin| {
            let log = text(&fs::read(&origin.log).unwrap());
            let stray = |line: &&str| !line.contains("/t") || line.contains("smuggled");
            let strays: Vec<_> = log.lines().filter(stray).collect();
            assert!(strays.is_empty(), "{} logged {strays:?}", origin.name);
            log.lines().count()
        })
        .sum();
    let metrics =
        common::send(gate.gate.admin, b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let forwarded: usize = metrics
        .lines()
        .filter(|line| line.starts_with("portcullis_origin_requests_total{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap())
        .sum();
    assert!(lines <= forwarded, "{lines} requests in the logs, {forwarded} forwarded");
}
