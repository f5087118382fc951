//! `[acme]`: certificates that the gate gets by itself.

use core::net::IpAddr;
use core::time::Duration;
use std::path::{Path, PathBuf};

use super::host::parse_host;
use super::keys::{Absent, Key, Kind, Section};
use super::problem::{Flaw, Report, quoted};
use super::table::{Placed, Table};
use super::value::Value;
use super::{Listener, PlatformConfig, TlsFiles};

/// Certificates from an authority that speaks ACME (RFC 8555), one for each host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeConfig {
    /// The URL of the authority's directory. Begins with `https://`.
    pub directory: String,
    /// Where the authority writes to when something is wrong; an address of e-mail.
    pub contact: Option<String>,
    /// The folder in which the account and the certificates are kept.
    pub folder: PathBuf,
    /// How the authority sees that a host is ours.
    pub challenge: AcmeChallenge,
    /// What certificates are for. Never empty; names in lower case, no addresses.
    pub hosts: Vec<String>,
    /// A file with more root certificates (PEM), for a private authority.
    pub root: Option<PathBuf>,
    /// How long to wait after a first failure; doubled with each one more.
    pub retry: Duration,
}

/// How an authority sees that a host is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// It asks for a page over plain HTTP, on port 80 (RFC 8555 section 8.3).
    Http01,
    /// It looks at a certificate, on port 443 (RFC 8737).
    TlsAlpn01,
}

impl AcmeChallenge {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }
}

/// The most hosts: Let's Encrypt issues 50 certificates a week for one registered domain, and
/// each is a few KiB of memory.
const HOSTS: usize = 256;

impl AcmeConfig {
    /// The directory of Let's Encrypt.
    pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
    /// The directory of its trial: certificates that browsers refuse, with far wider limits.
    pub const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";
    /// The folder unless configuration says otherwise.
    pub const FOLDER: &str = "acme";
    /// Let's Encrypt counts five failures an hour for one host; with this, doubled each time, there
    /// are four in the first hour, and fewer after.
    pub const RETRY: Duration = Duration::from_secs(300);

    /// What visitors are shown as long as there is nothing better: a certificate that names no
    /// host. Whoever reads the configuration makes it when it is not there; one file has both.
    pub fn stand_in(&self) -> TlsFiles {
        stand_in(&self.folder)
    }

    pub(super) fn root_at(&mut self, folder: &Path) {
        self.folder = folder.join(&self.folder);
        if let Some(root) = &mut self.root {
            *root = folder.join(&*root);
        }
    }
}

fn stand_in(folder: &Path) -> TlsFiles {
    let file = folder.join("stand-in.pem");
    TlsFiles { certificate: file.clone(), key: file }
}

/// `[acme]` as far as it could be read.
pub(super) struct PlacedAcme {
    config: AcmeConfig,
    heading: Option<core::ops::Range<usize>>,
    challenge: Placed<String>,
    hosts: Vec<Placed<String>>,
    named: bool,
}

pub(super) fn acme(report: &mut Report, root: &Table) -> Option<PlacedAcme> {
    if !root.has("acme") {
        return None;
    }
    let table = root.table(report, "acme");
    let directory: Placed<String> = table.get(report, "directory");
    let directory = directory.map(|text| match text.as_str() {
        "staging" => AcmeConfig::STAGING.to_owned(),
        _ => text,
    });
    if directory.sound && !is_directory(&directory.value) {
        let flaw = Flaw::new(
            format!("{} is not the address of a directory", quoted(&directory.value)),
            format!("an address such as {}, or \"staging\"", AcmeConfig::LETS_ENCRYPT),
        );
        let plain = directory.value.starts_with("http://");
        let flaw = if plain { flaw.hint("write https://: ACME is spoken over TLS") } else { flaw };
        report.add(directory.place.as_ref(), &directory.key, flaw);
    }
    let contact: Option<Placed<String>> = table.find(report, "contact");
    if let Some(contact) = &contact
        && !is_mail(&contact.value)
    {
        let flaw = Flaw::new(
            format!("{} is not an address of e-mail", quoted(&contact.value)),
            "an address such as admin@example.org",
        );
        let flaw = match contact.value.strip_prefix("mailto:") {
            Some(rest) => flaw.hint(format!("write the address alone: {rest}")),
            None => flaw,
        };
        report.add(contact.place.as_ref(), &contact.key, flaw);
    }
    let accepted: Option<Placed<bool>> = table.find(report, "terms_accepted");
    if let Some(accepted) = accepted.filter(|accepted| !accepted.value) {
        let flaw = Flaw::new(
            "the authority's terms of service are not accepted",
            "true, once you have read them: without, it gives nobody a certificate",
        )
        .hint("to have no certificates from an authority, leave out [acme]");
        report.add(accepted.place.as_ref(), &accepted.key, flaw);
    }
    let folder: Placed<String> = table.get(report, "folder");
    let challenge: Placed<String> = table.get(report, "challenge");
    let hosts = table.list(report, "hosts", name_for_certificate);
    let root_file: Option<Placed<String>> = table.find(report, "root");
    let retry: Placed<Duration> = table.get(report, "retry");
    let kind = if challenge.value == AcmeChallenge::TlsAlpn01.word() {
        AcmeChallenge::TlsAlpn01
    } else {
        AcmeChallenge::Http01
    };
    Some(PlacedAcme {
        config: AcmeConfig {
            directory: directory.value,
            contact: contact.map(|contact| contact.value),
            folder: folder.value.into(),
            challenge: kind,
            hosts: hosts.iter().map(|host| host.value.clone()).collect(),
            root: root_file.map(|file| file.value.into()),
            retry: retry.value,
        },
        heading: table.place().cloned(),
        challenge,
        named: table.has("hosts"),
        hosts,
    })
}

impl PlacedAcme {
    /// What listeners without a certificate of their own show.
    pub(super) fn stand_in(&self) -> TlsFiles {
        self.config.stand_in()
    }

    /// What has to agree with the rest of the file.
    pub(super) fn resolve(
        mut self,
        report: &mut Report,
        listeners: &[Listener],
        platforms: &[PlatformConfig],
    ) -> AcmeConfig {
        if !listeners.is_empty() && listeners.iter().all(|listener| listener.tls.is_none()) {
            let flaw = Flaw::new(
                "no listener would show the certificates",
                "a [[listeners]] with address = \"0.0.0.0:443\" and tls = true",
            );
            report.add(self.heading.as_ref(), "acme", flaw);
        }
        let plain = listeners.iter().any(|listener| listener.tls.is_none());
        let by_http = self.challenge.sound && self.config.challenge == AcmeChallenge::Http01;
        if !listeners.is_empty() && !plain && by_http {
            let flaw = Flaw::new(
                "with http-01 the authority asks over plain HTTP, and every listener speaks TLS",
                "a [[listeners]] with address = \"0.0.0.0:80\"",
            )
            .hint("or challenge = \"tls-alpn-01\", which comes to port 443");
            report.add(
                self.challenge.place.as_ref().or(self.heading.as_ref()),
                &self.challenge.key,
                flaw,
            );
        }
        let served = || platforms.iter().flat_map(|platform| &platform.hosts);
        if self.named {
            for host in &self.hosts {
                if !platforms.is_empty() && !served().any(|ours| ours == "*" || *ours == host.value)
                {
                    let found = format!("no platform has the host {}", quoted(&host.value));
                    let flaw = Flaw::new(found, "hosts of [[platforms]]");
                    report.add(host.place.as_ref(), &host.key, flaw);
                }
            }
        } else {
            let names = served().filter(|host| name_for_certificate(host).is_ok());
            self.config.hosts = names.cloned().collect();
            if self.config.hosts.is_empty() && !platforms.is_empty() {
                let flaw = Flaw::new(
                    "no platform names a host that a certificate could be for",
                    "hosts = [\"example.org\"] here, or on the platform",
                );
                report.add(self.heading.as_ref(), "acme", flaw);
            } else if self.config.hosts.len() > HOSTS {
                let found = format!("the platforms have {} hosts", self.config.hosts.len());
                let flaw = Flaw::new(found, format!("at most {HOSTS}: name them as hosts here"));
                report.add(self.heading.as_ref(), "acme", flaw);
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        self.config.hosts.retain(|host| seen.insert(host.clone()));
        self.config
    }
}

fn is_directory(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'<' | b'>' | b'\\' | b'@');
    let rest = text.strip_prefix("https://");
    rest.is_some_and(|rest| !rest.starts_with('/') && !rest.is_empty() && rest.bytes().all(plain))
}

fn is_mail(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b':' | b',' | b'<' | b'>' | b'?');
    text.bytes().all(plain)
        && text.split_once('@').is_some_and(|(who, host)| {
            !who.is_empty() && !host.contains('@') && parse_host(host).is_ok_and(|h| h != "*")
        })
}

/// A host name that an authority gives certificates for by the challenges that the gate can answer.
fn name_for_certificate(text: &str) -> Result<String, Flaw> {
    let host = parse_host(text)?;
    let flaw = |why: &str| {
        let expected = "a host name such as example.org";
        Err(Flaw::new(format!("there is no certificate for {}", quoted(text)), expected).hint(why))
    };
    if host == "*" {
        return flaw("name each host: only a challenge in the DNS could show that all are yours");
    }
    if host.starts_with('[') || host.parse::<IpAddr>().is_ok() {
        return flaw("addresses are not asked for: write the name that visitors use");
    }
    Ok(host)
}

pub(super) static ACME: Section = Section {
    heading: "[acme]",
    about: "Certificates from an authority that speaks ACME (RFC 8555), such as Let's Encrypt: one \
            for each host, got when it is missing and renewed at two thirds of its life. Every \
            listener with `tls = true` shows them. See [acme.md](acme.md).",
    keys: &[
        Key {
            name: "terms_accepted",
            kind: Kind::Flag,
            absent: Absent::Required("terms_accepted = true, once you have read its terms"),
            about: "Whether you accept the authority's terms of service; only `true` is of use.",
            why: "",
        },
        Key {
            name: "contact",
            kind: Kind::Text,
            absent: Absent::Means("the authority cannot write to you"),
            about: "Your address of e-mail. The authority learns it, nobody else.",
            why: "",
        },
        Key {
            name: "directory",
            kind: Kind::Text,
            absent: Absent::Is(|_| Value::Text(AcmeConfig::LETS_ENCRYPT.into())),
            about: "The address of the authority's directory. `\"staging\"` is the trial of Let's \
                    Encrypt: its certificates are refused by browsers, and its limits are wide, so \
                    that you can try whether all is well.",
            why: "",
        },
        Key {
            name: "hosts",
            kind: Kind::List(1, HOSTS),
            absent: Absent::Means("every host that a platform names"),
            about: "What certificates are for.",
            why: "a certificate for no host is none; Let's Encrypt issues 50 a week for one domain",
        },
        Key {
            name: "challenge",
            kind: Kind::Word(&[AcmeChallenge::Http01.word(), AcmeChallenge::TlsAlpn01.word()]),
            absent: Absent::Is(|_| Value::Text(AcmeChallenge::Http01.word().into())),
            about: "How the authority sees that a host is yours: `http-01` asks for a page on port \
                    80, `tls-alpn-01` looks at a certificate on port 443.",
            why: "",
        },
        Key {
            name: "folder",
            kind: Kind::Text,
            absent: Absent::Is(|_| Value::Text(AcmeConfig::FOLDER.into())),
            about: "The folder in which the account and the certificates are kept. It holds private \
                    keys: nobody but the gate needs to read it.",
            why: "",
        },
        Key {
            name: "root",
            kind: Kind::Text,
            absent: Absent::Means("the roots that browsers know"),
            about: "File with more root certificates (PEM), to recognise a private authority by.",
            why: "",
        },
        Key {
            name: "retry",
            kind: Kind::Time(Duration::from_secs(1), Duration::from_secs(86_400)),
            absent: Absent::Is(|_| Value::Time(AcmeConfig::RETRY)),
            about: "How long to wait after a failure before the next attempt for the same host. It \
                    doubles with each failure in a row, up to a day, and is spread by a quarter \
                    each way.",
            why: "Let's Encrypt allows five failures an hour for one host, which the default keeps \
                  to; with a day between attempts a certificate may end first",
        },
    ],
};
