//! `[acme]`: certificates that the gate obtains automatically.

use core::net::IpAddr;
use core::time::Duration;

use super::acme_settings::{AcmeChallenge, AcmeConfig};
use super::host::parse_host;
use super::problem::{ProblemCollector, ValueError, quoted};
use super::ranges::ACME_HOSTS;
use super::settings::{Listener, PlatformConfig};
use super::table::{Placed, Table};
use super::tls_files::TlsFiles;

/// `[acme]` as far as it could be read.
pub(super) struct PlacedAcme {
    config: AcmeConfig,
    heading: Option<core::ops::Range<usize>>,
    challenge: Placed<String>,
    hosts: Vec<Placed<String>>,
    named: bool,
}

pub(super) fn acme(report: &mut ProblemCollector, root: &Table) -> Option<PlacedAcme> {
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
        let error = ValueError::new(
            format!("{} is not the address of a directory", quoted(&directory.value)),
            format!("an address such as {}, or \"staging\"", AcmeConfig::LETS_ENCRYPT),
        );
        let plain = directory.value.starts_with("http://");
        let error = if plain { error.hint("write https://: ACME uses TLS") } else { error };
        report.add(directory.place.as_ref(), &directory.key, error);
    }
    let contact: Option<Placed<String>> = table.find(report, "contact");
    if let Some(contact) = &contact
        && !is_mail(&contact.value)
    {
        let error = ValueError::new(
            format!("{} is not an address of e-mail", quoted(&contact.value)),
            "an address such as admin@example.org",
        );
        let error = match contact.value.strip_prefix("mailto:") {
            Some(rest) => error.hint(format!("write the address alone: {rest}")),
            None => error,
        };
        report.add(contact.place.as_ref(), &contact.key, error);
    }
    let accepted: Option<Placed<bool>> = table.find(report, "terms_accepted");
    if let Some(accepted) = accepted.filter(|accepted| !accepted.value) {
        let error = ValueError::new(
            "the authority's terms of service are not accepted",
            "true, once you have read them: without, it issues no certificate",
        )
        .hint("to have no certificates from an authority, leave out [acme]");
        report.add(accepted.place.as_ref(), &accepted.key, error);
    }
    let folder: Placed<String> = table.get(report, "folder");
    let challenge: Placed<String> = table.get(report, "challenge");
    let hosts = table.list(report, "hosts", name_for_certificate);
    let root_file: Option<Placed<String>> = table.find(report, "root");
    let retry: Placed<Duration> = table.get(report, "retry");
    let kind = if challenge.value == AcmeChallenge::TlsAlpn01.as_str() {
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
    /// The certificate of listeners that have no other yet.
    pub(super) fn placeholder_certificate(&self) -> TlsFiles {
        self.config.placeholder_certificate()
    }

    /// What has to agree with the rest of the file.
    pub(super) fn resolve(
        mut self,
        report: &mut ProblemCollector,
        listeners: &[Listener],
        platforms: &[PlatformConfig],
    ) -> AcmeConfig {
        if !listeners.is_empty() && listeners.iter().all(|listener| listener.tls.is_none()) {
            let error = ValueError::new(
                "no listener would show the certificates",
                "a [[listeners]] with address = \"0.0.0.0:443\" and tls = true",
            );
            report.add(self.heading.as_ref(), "acme", error);
        }
        let plain = listeners.iter().any(|listener| listener.tls.is_none());
        let by_http = self.challenge.sound && self.config.challenge == AcmeChallenge::Http01;
        if !listeners.is_empty() && !plain && by_http {
            let error = ValueError::new(
                "with http-01 the authority asks over plain HTTP, and every listener uses TLS",
                "a [[listeners]] with address = \"0.0.0.0:80\"",
            )
            .hint("or challenge = \"tls-alpn-01\", which comes to port 443");
            report.add(
                self.challenge.place.as_ref().or(self.heading.as_ref()),
                &self.challenge.key,
                error,
            );
        }
        let served = || platforms.iter().flat_map(|platform| &platform.hosts);
        if self.named {
            for host in &self.hosts {
                if !platforms.is_empty() && !served().any(|ours| ours == "*" || *ours == host.value)
                {
                    let found = format!("no platform has the host {}", quoted(&host.value));
                    let error = ValueError::new(found, "hosts of [[platforms]]");
                    report.add(host.place.as_ref(), &host.key, error);
                }
            }
        } else {
            let names = served().filter(|host| name_for_certificate(host).is_ok());
            self.config.hosts = names.cloned().collect();
            if self.config.hosts.is_empty() && !platforms.is_empty() {
                let error = ValueError::new(
                    "no platform names a host that a certificate could be for",
                    "hosts = [\"example.org\"] here, or on the platform",
                );
                report.add(self.heading.as_ref(), "acme", error);
            } else if self.config.hosts.len() > ACME_HOSTS {
                let found = format!("the platforms have {} hosts", self.config.hosts.len());
                let error = ValueError::new(
                    found,
                    format!("at most {ACME_HOSTS}: name them as hosts here"),
                );
                report.add(self.heading.as_ref(), "acme", error);
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
fn name_for_certificate(text: &str) -> Result<String, ValueError> {
    let host = parse_host(text)?;
    let error = |why: &str| {
        let expected = "a host name such as example.org";
        Err(ValueError::new(format!("there is no certificate for {}", quoted(text)), expected)
            .hint(why))
    };
    if host == "*" {
        return error("name each host: only a challenge in the DNS could show that all are yours");
    }
    if host.starts_with('[') || host.parse::<IpAddr>().is_ok() {
        return error(
            "no certificate is requested for an address: write the name that visitors use",
        );
    }
    Ok(host)
}
