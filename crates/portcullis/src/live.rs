//! Checks that try things: origins, ports, certificates, and who may read and write which file.

use std::fs::{self, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use portcullis_admin::CertRow;
use portcullis_doctor::{CheckResult, CheckStatus};
use portcullis_edge::{CertStatus, Clock, ProbeError, probe_origin};
use portcullis_model::{Config, OriginConfig, PlatformConfig, WallTime};

/// An origin that takes longer to answer is reported as silent.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Tries everything that `config` names. Sends one request to each origin; changes nothing.
pub fn try_everything(config: &Config, clock: Clock) -> Vec<CheckResult> {
    let mut results: Vec<CheckResult> =
        config.platforms.iter().map(|platform| origin(platform, clock)).collect();
    let listeners = config.listeners.iter().map(|listener| ("listener", listener.address));
    for (what, address) in listeners.chain([("admin listener", config.admin)]) {
        results.push(port(&format!("{what} {address}"), address));
    }
    results.extend(certificates(config, clock.wall()));
    results.push(folder("ledger folder", &config.ledger));
    if let Some(acme) = &config.acme {
        results.push(folder("ACME folder", &acme.folder));
    }
    for files in config.tls_files() {
        results.push(private_file(&files.key));
    }
    results
}

fn result(
    name: String,
    status: CheckStatus,
    observed: String,
    why: &'static str,
    advice: Option<&str>,
) -> CheckResult {
    CheckResult { name, status, observed, why, advice: advice.map(Into::into), sysctl: None }
}

fn ok(name: String, observed: impl Into<String>) -> CheckResult {
    result(name, CheckStatus::Ok, observed.into(), "", None)
}

fn origin(platform: &PlatformConfig, clock: Clock) -> CheckResult {
    let name = format!("answer of {}", platform.name);
    let origin = &platform.origin;
    let asked = format!("GET http://{}{}", origin.authority(), origin.probe_path);
    let why =
        "Visitors would get an error page: the gate can only forward what the origin answers.";
    match probe(origin, &platform.probe_host(), clock) {
        Ok(Ok(status)) if status < 500 => ok(name, format!("{asked}: {status}")),
        Ok(Ok(status)) => {
            let advice = "Look at the origin's own log, or set probe_path to a page that works.";
            let observed = format!("{asked}: {status}");
            result(name, CheckStatus::Fail, observed, why, Some(advice))
        }
        Ok(Err(error)) => {
            let advice = advice_for(&error);
            let observed = format!("{asked}: {error}");
            result(name, CheckStatus::Fail, observed, why, Some(advice))
        }
        Err(error) => {
            let observed = format!("no request could be sent: {error}");
            result(name, CheckStatus::Unknown, observed, why, None)
        }
    }
}

fn probe(origin: &OriginConfig, host: &str, clock: Clock) -> io::Result<Result<u16, ProbeError>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    Ok(local.block_on(&runtime, probe_origin(origin, host, MAX_WAIT, clock)))
}

fn advice_for(error: &ProbeError) -> &'static str {
    match error {
        ProbeError::Refused => "Nothing listens there: is the origin running, and on this port?",
        ProbeError::ConnectTimeout => {
            "Something swallows the connection: look at firewalls and routes."
        }
        ProbeError::Unreachable(_) => "Check the name and the address in the configuration.",
        ProbeError::Timeout => "It accepts connections and does not answer: look at its workers.",
        ProbeError::Closed => "It closes the connection: does it expect https, or another Host?",
        ProbeError::NotHttp => "Another program listens there, or it expects https.",
    }
}

/// Whether the gate could listen there. A port in use is right where the gate runs.
fn port(name: &str, address: SocketAddr) -> CheckResult {
    let name = name.to_owned();
    match TcpListener::bind(address) {
        Ok(_) => ok(name, "free"),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let wait = Duration::from_secs(1);
            let observed = match TcpStream::connect_timeout(&reachable(address), wait) {
                Ok(_) => "in use, and accepts connections",
                Err(_) => "in use",
            };
            let why = "Right if the gate runs already; else another program has the port.";
            result(name, CheckStatus::Info, observed.into(), why, None)
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let why = "The gate could not start.";
            let advice = "Ports below 1024 need the capability CAP_NET_BIND_SERVICE; see \
                          docs/operations.md.";
            result(name, CheckStatus::Fail, "not permitted".into(), why, Some(advice))
        }
        Err(error) => {
            let why = "The gate could not start.";
            let advice = "Is the address one of this machine's?";
            result(name, CheckStatus::Fail, error.to_string(), why, Some(advice))
        }
    }
}

/// The address to connect to for what listens at `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => ([127, 0, 0, 1], v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            (std::net::Ipv6Addr::LOCALHOST, v6.port()).into()
        }
        other => other,
    }
}

/// Validity of each certificate, and whether one covers each host.
fn certificates(config: &Config, now: WallTime) -> Vec<CheckResult> {
    let mut results = Vec::new();
    let mut names = Vec::new();
    for files in config.tls_files() {
        let name = format!("certificate {}", files.certificate.display());
        let why = "Browsers would show a warning instead of the site.";
        results.push(match portcullis_edge::inspect(files) {
            Err(error) => result(name, CheckStatus::Fail, error.to_string(), why, None),
            Ok(facts) => {
                let observed = CertRow::new(&facts, now).summary();
                let (status, advice) = match facts.status(now) {
                    CertStatus::Valid => (CheckStatus::Ok, None),
                    CertStatus::EndsSoon => (CheckStatus::Warn, Some("Is it being renewed?")),
                    CertStatus::Expired => (CheckStatus::Fail, Some("Renew it.")),
                    CertStatus::NotYet => (CheckStatus::Fail, Some("Check this machine's clock.")),
                };
                names.extend(facts.names);
                let why = if status == CheckStatus::Ok { "" } else { why };
                result(name, status, observed, why, advice)
            }
        });
    }
    let by_acme = config.acme.iter().flat_map(|acme| acme.hosts.iter().cloned());
    names.extend(by_acme);
    if config.listeners.iter().any(|listener| listener.tls.is_some()) {
        let hosts = config.platforms.iter().flat_map(|platform| &platform.hosts);
        for host in hosts.filter(|host| *host != "*" && !is_covered(host, &names)) {
            results.push(result(
                format!("certificate for {host}"),
                CheckStatus::Warn,
                "no certificate names it".into(),
                "Browsers would show a warning instead of the site.",
                Some("Add a certificate in [[certificates]], or the name to hosts in [acme]."),
            ));
        }
    }
    results
}

/// Whether one of the names of certificates is `host`, or covers it by a wildcard (RFC 6125).
fn is_covered(host: &str, names: &[String]) -> bool {
    let parent = host.split_once('.').map(|(_, parent)| parent);
    names.iter().any(|name| {
        name == host || name.strip_prefix("*.").is_some_and(|domain| Some(domain) == parent)
    })
}

/// Whether a folder can be written, or made, and is closed to others.
fn folder(name: &str, path: &Path) -> CheckResult {
    let name = format!("{name} {}", path.display());
    let why = "The gate could not start.";
    let Ok(facts) = fs::metadata(path) else {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        return match can_write(parent) {
            true => ok(name, "does not exist yet; it can be made"),
            false => {
                let observed = format!("does not exist, and {} is not writable", parent.display());
                let advice = "Make it, and give it to the user that runs the gate.";
                result(name, CheckStatus::Fail, observed, why, Some(advice))
            }
        };
    };
    if !facts.is_dir() {
        return result(name, CheckStatus::Fail, "is not a folder".into(), why, None);
    }
    if !can_write(path) {
        let advice = "Give it to the user that runs the gate.";
        return result(name, CheckStatus::Fail, "is not writable".into(), why, Some(advice));
    }
    let mode = facts.permissions().mode() & 0o777;
    if mode & 0o022 != 0 {
        let observed = format!("mode {mode:03o}: others may write in it");
        let why = "Anyone who writes there can remove what the gate recorded.";
        return result(name, CheckStatus::Warn, observed, why, Some("chmod go-w on it."));
    }
    ok(name, format!("writable, mode {mode:03o}"))
}

fn can_write(folder: &Path) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok()
}

/// A private key that its owner alone, or its group at most, can read.
fn private_file(path: &Path) -> CheckResult {
    let name = format!("private key {}", path.display());
    let why = "Anyone who reads the key can pose as the site.";
    match fs::metadata(path).map(|facts| Permissions::mode(&facts.permissions()) & 0o777) {
        Err(error) => {
            let observed = format!("cannot be read: {error}");
            result(name, CheckStatus::Fail, observed, "The gate could not start.", None)
        }
        Ok(mode) if mode & 0o007 != 0 => {
            let observed = format!("mode {mode:03o}: every user of this machine may read it");
            result(name, CheckStatus::Warn, observed, why, Some("chmod o= on it."))
        }
        Ok(mode) => ok(name, format!("mode {mode:03o}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_one_label() {
        let names = ["example.org".to_owned(), "*.example.org".to_owned()];
        for (host, covered) in [
            ("example.org", true),
            ("www.example.org", true),
            ("a.b.example.org", false),
            ("example.com", false),
        ] {
            assert_eq!(is_covered(host, &names), covered, "{host}");
        }
    }

    #[test]
    fn files_are_judged_by_who_may_do_what() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key.pem");
        fs::write(&key, "").unwrap();
        let status = |mode| {
            fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
            private_file(&key).status
        };
        assert_eq!(status(0o600), CheckStatus::Ok);
        assert_eq!(status(0o640), CheckStatus::Ok);
        assert_eq!(status(0o644), CheckStatus::Warn);
        assert_eq!(private_file(&folder.path().join("none")).status, CheckStatus::Fail);
        let check = |path: &Path| super::folder("ledger folder", path).status;
        assert_eq!(check(folder.path()), CheckStatus::Ok);
        assert_eq!(check(&folder.path().join("new")), CheckStatus::Ok);
        assert_eq!(check(&folder.path().join("no/new")), CheckStatus::Fail);
        assert_eq!(check(&key), CheckStatus::Fail);
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        assert_eq!(check(folder.path()), CheckStatus::Warn);
    }

    #[test]
    fn a_port_is_free_or_in_use() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(port("listener", address).status, CheckStatus::Info);
        drop(listener);
        assert_eq!(port("listener", address).status, CheckStatus::Ok);
        let elsewhere = SocketAddr::from(([203, 0, 113, 1], 80));
        assert_eq!(port("listener", elsewhere).status, CheckStatus::Fail);
    }
}
