//! Certificates that the gate obtains automatically, from Pebble: the authority that Let's Encrypt's people
//! wrote to test clients with. It refuses good nonces now and then, and checks challenges by
//! connecting to the gate.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use common::{Gate, free_address, origin};
use portcullis_testkit::peers::has_peers;
use portcullis_testkit::tls::{TestCert, client_trusting};
use portcullis_testkit::wait::wait_for;
use rustix::process::Signal;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Pebble, its DNS server, and the client of its management interface.
const PEBBLE: &[&str] = &["pebble", "pebble-challtestsrv", "curl"];

/// Addresses and a folder for a gate and an authority that checks it.
struct AcmeSetup {
    folder: tempfile::TempDir,
    plain: SocketAddr,
    secure: SocketAddr,
    admin: SocketAddr,
    authority: SocketAddr,
    management: SocketAddr,
    /// Seconds that certificates live.
    life: u32,
}

impl AcmeSetup {
    fn new(life: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        TestCert::new("localhost").write(folder.path(), "authority");
        Self {
            folder,
            plain: free_address(),
            secure: free_address(),
            admin: free_address(),
            authority: free_address(),
            management: free_address(),
            life,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn gate(&self, origin: SocketAddr, challenge: &str) -> Gate {
        let file = self.configure(origin, &["site.example"], &self.acme(challenge));
        Gate::start_with(file, self.plain, self.admin)
    }

    /// The configuration's part about this authority.
    fn acme(&self, challenge: &str) -> String {
        format!(
            "[acme]\nterms_accepted = true\ncontact = \"admin@site.example\"\n\
             directory = \"https://localhost:{}/dir\"\nroot = \"authority.crt\"\n\
             challenge = \"{challenge}\"\nretry = \"1s\"\n",
            self.authority.port()
        )
    }

    fn configure(&self, origin: SocketAddr, hosts: &[&str], acme: &str) -> PathBuf {
        let file = self.path().join("portcullis.toml");
        let text = format!(
            "workers = 2\n[admin]\nlisten = \"{}\"\n[[listeners]]\naddress = \"{}\"\n[[listeners]]\n\
             address = \"{}\"\ntls = true\n{acme}[[platforms]]\nname = \"site\"\n\
             hosts = {hosts:?}\norigin = \"http://{origin}\"\n",
            self.admin, self.plain, self.secure,
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    fn authority(&self) -> Authority {
        let (names, manage) = (free_address().to_string(), free_address().to_string());
        let mut dns = Command::new("pebble-challtestsrv");
        dns.args(["-dns01", &names, "-management", &manage, "-defaultIPv6", ""]);
        dns.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        let mut pebble = Command::new("pebble");
        let settings = serde_json::json!({ "pebble": {
            "listenAddress": self.authority.to_string(),
            "managementListenAddress": self.management.to_string(),
            "certificate": self.path().join("authority.crt"),
            "privateKey": self.path().join("authority.key"),
            "httpPort": self.plain.port(),
            "tlsPort": self.secure.port(),
            "ocspResponderURL": "",
            "certificateValidityPeriod": self.life,
        }});
        let file = self.path().join("pebble.json");
        std::fs::write(&file, settings.to_string()).unwrap();
        pebble.args(["-strict", "-dnsserver", &names, "-config"]).arg(&file);
        // One good nonce in five is refused, and no proof is remembered.
        pebble.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "20");
        pebble.env("PEBBLE_AUTHZREUSE", "0");
        let both = [dns, pebble].map(|mut program| {
            program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        });
        let authority = Authority(both);
        wait_for("the authority is up", || TcpStream::connect(self.authority).ok());
        authority
    }

    /// Trusts what the authority issues, and nothing else.
    fn browser(&self) -> Arc<ClientConfig> {
        let root = Command::new("curl")
            .args(["--silent", "--insecure", &format!("https://{}/roots/0", self.management)])
            .output()
            .unwrap();
        let root = CertificateDer::from_pem_slice(&root.stdout).unwrap();
        Arc::new(client_trusting([root]))
    }

    /// Opens a connection, if the gate shows a certificate that a browser accepts.
    fn visit(&self, browser: &Arc<ClientConfig>) -> Option<TlsVisit> {
        self.visit_as("site.example", browser)
    }

    fn visit_as(&self, host: &'static str, browser: &Arc<ClientConfig>) -> Option<TlsVisit> {
        let name = host.try_into().unwrap();
        let mut client = ClientConnection::new(browser.clone(), name).unwrap();
        let mut socket = TcpStream::connect(self.secure).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        while client.is_handshaking() {
            client.complete_io(&mut socket).ok()?;
        }
        Some(TlsVisit(StreamOwned::new(client, socket)))
    }

    /// The folder of this authority: the account, and the certificates.
    fn stored_path(&self, file: &str) -> PathBuf {
        self.path().join(format!("acme/localhost_{}_dir/{file}", self.authority.port()))
    }
}

/// The authority and its DNS; killed when dropped.
struct Authority([Child; 2]);

impl Drop for Authority {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

struct TlsVisit(StreamOwned<ClientConnection, TcpStream>);

impl TlsVisit {
    fn get(&mut self) -> String {
        self.0.write_all(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n").unwrap();
        let mut answer = [0; 4096];
        let read = self.0.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or("").to_owned()
    }

    fn certificate(&self) -> Vec<u8> {
        self.0.conn.peer_certificates().unwrap()[0].to_vec()
    }
}

fn acme_status(gate: &Gate) -> serde_json::Value {
    let status: serde_json::Value = serde_json::from_str(&gate.admin_get("/status.json")).unwrap();
    status["acme"][0].clone()
}

fn metric(gate: &Gate, line: &str) -> u64 {
    let metrics = gate.admin_get("/metrics");
    let found = metrics.lines().find(|found| found.contains(line));
    found.map_or(0, |found| found.rsplit(' ').next().unwrap().parse().unwrap())
}

#[test]
fn a_host_gets_its_certificate_over_http_and_a_restart_orders_no_other() {
    if !has_peers(PEBBLE) {
        return;
    }
    let ground = AcmeSetup::new(86_400 * 90);
    let authority = ground.authority();
    let browser = ground.browser();
    let origin = origin();
    let gate = ground.gate(origin, "http-01");
    let mut visit = wait_for("a certificate is shown", || ground.visit(&browser));
    assert_eq!(visit.get(), "HTTP/1.1 200 OK");
    let first = visit.certificate();
    let status = acme_status(&gate);
    assert_eq!((&status["host"], &status["days_left"]), (&"site.example".into(), &89.into()));
    assert_eq!((&status["failures"], &status["last_failure"]), (&0.into(), &().into()));
    let next = status["next_attempt"].as_str().unwrap();
    assert!(next < status["expires"].as_str().unwrap(), "{status}");
    assert!(metric(&gate, "reason=\"acme\"}") >= 1);
    let path = "/.well-known/acme-challenge/another";
    let request = format!("GET {path} HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n");
    let answer = common::send(gate.listen, request.as_bytes()).unwrap();
    assert!(answer.contains(&format!("\r\n\r\nGET {path} ")), "the origin's: {answer}");
    for secret in ["account.json", "site.example.pem"] {
        let mode = std::fs::metadata(ground.stored_path(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }

    gate.stop();
    drop(authority);
    let gate = ground.gate(origin, "http-01");
    let visit = wait_for("the certificate is shown again", || ground.visit(&browser));
    assert_eq!(visit.certificate(), first);
    let attempts = ["obtained", "failed"].map(|result| {
        metric(&gate, &format!("portcullis_acme_attempts_total{{result=\"{result}\"}}"))
    });
    assert_eq!(attempts, [0, 0], "no order was made, and no authority could have answered");
}

#[test]
fn a_certificate_shown_by_tls_is_renewed_before_it_ends_and_connections_stay_open() {
    if !has_peers(PEBBLE) {
        return;
    }
    let ground = AcmeSetup::new(15);
    let _authority = ground.authority();
    let browser = ground.browser();
    let gate = ground.gate(origin(), "tls-alpn-01");
    let mut open = wait_for("a certificate is shown", || ground.visit(&browser));
    assert_eq!(open.get(), "HTTP/1.1 200 OK");
    let first = open.certificate();
    let second = wait_for("another certificate is shown", || {
        let visit = ground.visit(&browser).expect("there is a good one at every moment");
        Some(visit).filter(|visit| visit.certificate() != first)
    });
    assert_ne!(second.certificate(), first);
    assert_eq!(open.get(), "HTTP/1.1 200 OK", "the connection from before");
    assert_eq!(metric(&gate, "reason=\"acme\"}"), 0, "nothing was asked over HTTP");
}

#[test]
fn without_its_authority_the_gate_serves_and_retries_with_growing_delays() {
    if !has_peers(PEBBLE) {
        return;
    }
    let ground = AcmeSetup::new(86_400);
    let gate = ground.gate(origin(), "http-01");
    let request = b"GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n";
    assert!(common::send(gate.listen, request).unwrap().starts_with("HTTP/1.1 200"));
    let failed = |times: u64| {
        wait_for("it was tried", || {
            let status = acme_status(&gate);
            (status["failures"].as_u64()? >= times).then_some(status)
        })
    };
    let status = failed(3);
    let words = status["last_failure"].as_str().unwrap();
    assert!(words.contains("Connection refused"), "{words}");
    assert_eq!(status["expires"], serde_json::Value::Null);
    // Failures after 1 s, 2 s, 4 s, each a quarter shorter at most: three take three waits.
    assert!(metric(&gate, "portcullis_acme_consecutive_failures{") <= 6);

    let _authority = ground.authority();
    let browser = ground.browser();
    let mut visit = wait_for("a certificate is shown", || ground.visit(&browser));
    assert_eq!(visit.get(), "HTTP/1.1 200 OK");
    assert_eq!(acme_status(&gate)["failures"], 0);
}

#[test]
fn a_failed_challenge_is_reported_in_the_authoritys_words() {
    if !has_peers(PEBBLE) {
        return;
    }
    let mut ground = AcmeSetup::new(86_400);
    let right = ground.plain;
    ground.plain = free_address();
    // The authority connects to a port where nothing listens.
    let _authority = ground.authority();
    ground.plain = right;
    let gate = ground.gate(origin(), "http-01");
    // An attempt may also fail because this authority refuses good nonces; the gate tries again.
    let words = wait_for("the challenge failed", || {
        let words = acme_status(&gate)["last_failure"].as_str()?.to_owned();
        words.starts_with("the authority could not validate the challenge:").then_some(words)
    });
    assert!(words.contains("connection refused"), "{words}");
    let found = std::fs::read_dir(ground.stored_path("")).unwrap().flatten();
    let names: Vec<_> = found.map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["account.json"], "nothing but the account is stored");
}

/// The certificate's end, as the metric of all certificates has it for a file.
fn expires(gate: &Gate, file: &Path) -> u64 {
    let file = file.display();
    metric(gate, &format!("portcullis_certificate_expires_timestamp_seconds{{file=\"{file}\"}}"))
}

#[test]
fn a_reload_changes_hosts_immediately_and_leaves_the_certificates_of_the_others() {
    if !has_peers(PEBBLE) {
        return;
    }
    let ground = AcmeSetup::new(86_400 * 90);
    let _authority = ground.authority();
    let browser = ground.browser();
    let origin = origin();
    let gate = ground.gate(origin, "http-01");
    let mut open = wait_for("a certificate is shown", || ground.visit(&browser));
    let first = open.certificate();
    assert!(
        ground.visit_as("other.example", &browser).is_none(),
        "no certificate was ordered for it"
    );

    let acme = ground.acme("http-01");
    ground.configure(origin, &["site.example", "other.example"], &acme);
    gate.signal(Signal::HUP);
    let other = wait_for("the new host has one", || ground.visit_as("other.example", &browser));
    let second = other.certificate();
    assert_eq!(ground.visit(&browser).unwrap().certificate(), first, "the old one is as it was");
    assert_eq!(open.get(), "HTTP/1.1 200 OK", "the connection from before");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for host in ["site.example", "other.example"] {
        let days = (expires(&gate, &ground.stored_path(&format!("{host}.pem"))) - now) / 86_400;
        assert_eq!(days, 89, "{host}");
    }

    let fewer = format!("{acme}hosts = [\"other.example\"]\n");
    ground.configure(origin, &["site.example", "other.example"], &fewer);
    gate.signal(Signal::HUP);
    wait_for("the old host goes", || ground.visit(&browser).is_none().then_some(()));
    let other = ground.visit_as("other.example", &browser).expect("the other stays");
    assert_eq!(other.certificate(), second);
    assert!(ground.stored_path("site.example.pem").exists(), "its file stays");
    assert_eq!(expires(&gate, &ground.stored_path("site.example.pem")), 0, "and is not reported");
    let obtained = metric(&gate, "portcullis_acme_attempts_total{result=\"obtained\"}");
    assert_eq!(obtained, 2, "one for each");
}

#[test]
fn a_reload_without_the_table_is_refused_and_certificates_stay_the_same() {
    if !has_peers(PEBBLE) {
        return;
    }
    let ground = AcmeSetup::new(86_400 * 90);
    let _authority = ground.authority();
    let browser = ground.browser();
    let origin = origin();
    let gate = ground.gate(origin, "http-01");
    let first = wait_for("a certificate is shown", || ground.visit(&browser)).certificate();
    TestCert::new("site.example").write(ground.path(), "own");
    let own = "[[certificates]]\ncertificate = \"own.crt\"\nkey = \"own.key\"\n";
    ground.configure(origin, &["site.example"], own);
    gate.signal(Signal::HUP);
    wait_for("it is refused", || {
        let reader = portcullis_ledger::Ledger::read(&ground.path().join("ledger")).ok()?;
        let mut leaves = reader.entries().flatten().map(|(_, leaf)| common::text(&leaf));
        leaves.find(|leaf| leaf.contains("\"event\":\"reload-refused\""))
    });
    assert_eq!(ground.visit(&browser).expect("as before").certificate(), first);
}

#[test]
fn a_reload_with_another_authority_orders_immediately_and_serves_the_old_certificate_until_then() {
    if !has_peers(PEBBLE) {
        return;
    }
    let ground = AcmeSetup::new(86_400 * 90);
    let _authority = ground.authority();
    let browser = ground.browser();
    let origin = origin();
    let gate = ground.gate(origin, "http-01");
    let first = wait_for("a certificate is shown", || ground.visit(&browser)).certificate();

    // Another authority, which checks the same gate and has not started yet.
    let mut elsewhere = AcmeSetup::new(86_400 * 30);
    (elsewhere.plain, elsewhere.secure) = (ground.plain, ground.secure);
    for file in ["authority.crt", "authority.key"] {
        std::fs::copy(ground.path().join(file), elsewhere.path().join(file)).unwrap();
    }
    ground.configure(origin, &["site.example"], &elsewhere.acme("http-01"));
    gate.signal(Signal::HUP);
    wait_for("the other authority was tried without success", || {
        let failures = acme_status(&gate)["failures"].as_u64()?;
        (failures > 0).then_some(())
    });
    assert_eq!(ground.visit(&browser).expect("the old one").certificate(), first);
    assert_eq!(
        acme_status(&gate)["days_left"],
        89,
        "the status reports the certificate that is served"
    );

    let _another = elsewhere.authority();
    let other_browser = elsewhere.browser();
    let visit = wait_for("the other's certificate is shown", || ground.visit(&other_browser));
    assert_ne!(visit.certificate(), first);
    wait_for("the status reports it", || (acme_status(&gate)["days_left"] == 29).then_some(()));
    assert!(ground.stored_path("site.example.pem").exists(), "each authority has its own folder");
}
