//! What a machine should be like, and how this one compares.

use core::net::{IpAddr, SocketAddr};

use portcullis_model::{Config, OriginConfig};

use crate::finding::{Finding, Report, Standing};
use crate::machine::{Machine, Tracking};

/// What the gate asks the kernel to keep for it while it is busy (`listen(2)`).
const BACKLOG: u64 = 4_096;
/// Retransmissions of a SYN-ACK: 3 forget a half-open connection after 15 s, the kernel's default
/// of 5 after 63 s (`tcp_synack_retries` in the kernel's ip-sysctl.rst).
const SYNACK_RETRIES: u64 = 3;
/// A tracked connection that is silent for longer than this is remembered for nobody.
const DAY: u64 = 86_400;
/// Bytes that the kernel holds for one connection, beside the header that the gate may hold: two
/// socket buffers of 16 KiB.
const SOCKET_BUFFERS: u64 = 32 * 1024;
/// A burst of QUIC's datagrams while a worker is busy: 2 MiB is some 1,400 of them.
const QUIC_BUFFER: u64 = 2 * 1024 * 1024;

/// Holds `machine` against what `config` wants of it. `descriptors`: how many open files the gate
/// needs at most.
pub fn examine(machine: &Machine, config: &Config, descriptors: u64) -> Report {
    let mut findings = vec![
        syn_cookies(machine),
        timestamps(machine),
        backlog(machine),
        syn_backlog(machine),
        synack_retries(machine),
        rp_filter(machine),
        synproxy(machine),
        tracking(machine, u64::from(config.limits.connections)),
        open_files(machine, descriptors),
        memory(machine, config),
        overflows(machine),
    ];
    if config.listeners.iter().any(|listener| listener.http_3) {
        findings.push(quic_buffer(machine));
    }
    findings.extend(config.platforms.iter().map(|platform| {
        let name = format!("the origin of {}", platform.name);
        origin(&name, &platform.origin, &machine.listeners)
    }));
    Report { findings }
}

fn finding(name: &str, standing: Standing, seen: String, why: &'static str) -> Finding {
    Finding { name: name.to_owned(), standing, seen, why, advice: None, sysctl: None }
}

impl Finding {
    fn by(self, sysctl: &'static str) -> Self {
        Self { sysctl: Some(sysctl), ..self }
    }

    fn advised(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

/// A kernel setting: as it should be, or not, or not to be seen.
fn setting(
    name: &str,
    value: Option<u64>,
    is_sound: impl FnOnce(u64) -> bool,
    otherwise: Standing,
    why: &'static str,
    sysctl: &'static str,
) -> Finding {
    let key = sysctl.split(' ').next().unwrap_or_default();
    match value {
        None => finding(name, Standing::Unknown, format!("{key} is not to be seen here"), why)
            .advised("In a container, look on the host."),
        Some(value) if is_sound(value) => {
            finding(name, Standing::Sound, format!("{key} = {value}"), "")
        }
        Some(value) => finding(name, otherwise, format!("{key} = {value}"), why).by(sysctl),
    }
}

fn syn_cookies(machine: &Machine) -> Finding {
    setting(
        "SYN cookies",
        machine.syn_cookies,
        |value| value > 0,
        Standing::Lacking,
        "A few thousand half-open connections from made-up addresses would keep everybody out.",
        "net.ipv4.tcp_syncookies = 1",
    )
}

fn timestamps(machine: &Machine) -> Finding {
    setting(
        "TCP timestamps",
        machine.timestamps,
        |value| value > 0,
        Standing::Advisable,
        "A SYN cookie has room for window scaling and selective acknowledgement only in the \
         timestamp: without it, people who come in during a SYN flood get slow connections.",
        "net.ipv4.tcp_timestamps = 1",
    )
}

fn backlog(machine: &Machine) -> Finding {
    setting(
        "accept backlog",
        machine.somaxconn,
        |value| value >= BACKLOG,
        Standing::Lacking,
        "The kernel would keep fewer connections for the gate than it asks for, and drop people in \
         every burst.",
        "net.core.somaxconn = 4096",
    )
}

fn syn_backlog(machine: &Machine) -> Finding {
    setting(
        "SYN backlog",
        machine.syn_backlog,
        |value| value >= BACKLOG,
        Standing::Advisable,
        "Beyond it the kernel answers with cookies, which do without some options of TCP.",
        "net.ipv4.tcp_max_syn_backlog = 4096",
    )
}

fn synack_retries(machine: &Machine) -> Finding {
    setting(
        "SYN-ACK retries",
        machine.synack_retries,
        |value| value <= SYNACK_RETRIES,
        Standing::Advisable,
        "Each half-open connection holds its place for as long as its answer is repeated: 15 \
         seconds with 3, 63 seconds with 5. Each repetition also hits whoever owns the address.",
        "net.ipv4.tcp_synack_retries = 3",
    )
}

fn rp_filter(machine: &Machine) -> Finding {
    setting(
        "source validation",
        machine.rp_filter,
        |value| value > 0,
        Standing::Advisable,
        "Packets whose source address could not be reached the way they came are let in. (2, the \
         loose mode, also suits machines with several ways out. IPv6 wants a rule in nftables.)",
        "net.ipv4.conf.all.rp_filter = 2",
    )
}

fn synproxy(machine: &Machine) -> Finding {
    const NAME: &str = "synproxy";
    if machine.synproxy {
        return finding(NAME, Standing::Sound, "the kernel's module is loaded".into(), "");
    }
    let cookies = machine.cookies_sent.unwrap_or(0);
    let seen = format!("not in use; {} SYN cookies sent since the start", grouped(cookies));
    let why = "With it, connections from made-up addresses end in the firewall and never reach the \
               gate's sockets. Worth its trouble where SYN floods have used up a machine in spite \
               of cookies.";
    finding(NAME, Standing::Optional, seen, why).advised("docs/kernel.md has the rules.")
}

fn tracking(machine: &Machine, connections: u64) -> Finding {
    const NAME: &str = "connection tracking";
    let Some(Tracking { most, now, established_timeout, loose }) = machine.tracking else {
        return finding(NAME, Standing::Sound, "not loaded: it cannot fill up".into(), "");
    };
    let seen = format!("{} of {} entries in use", grouped(now), grouped(most));
    // Each connection of a visitor has an entry, and so has the one to the origin.
    let needed = connections * 4;
    if most < needed {
        let why = "When the table is full, the kernel drops everybody's packets, and neither the \
                   gate nor its log sees any of it.";
        let advice = format!(
            "net.netfilter.nf_conntrack_max wants {} at least (four entries for each of \
             limits.connections), or `notrack` rules for the gate's ports.",
            grouped(needed)
        );
        return finding(NAME, Standing::Lacking, seen, why).advised(advice);
    }
    if machine.synproxy && loose != Some(0) {
        let why = "With synproxy, packets that belong to no connection must not open one.";
        return finding(NAME, Standing::Lacking, seen, why)
            .by("net.netfilter.nf_conntrack_tcp_loose = 0");
    }
    if established_timeout.is_some_and(|seconds| seconds > DAY) {
        let why = "A connection that fell silent is remembered for days, so that the table fills \
                   with the dead of past attacks.";
        return finding(NAME, Standing::Advisable, seen, why)
            .by("net.netfilter.nf_conntrack_tcp_timeout_established = 86400");
    }
    finding(NAME, Standing::Sound, seen, "")
}

fn open_files(machine: &Machine, needed: u64) -> Finding {
    const NAME: &str = "open files";
    let why = "Every connection is an open file. Beyond the limit the gate has to end connections \
               that it could have kept.";
    let Some(most) = machine.open_files else {
        return finding(NAME, Standing::Unknown, "no limit was found".into(), why);
    };
    let allowed = if most == u64::MAX { "no limit".into() } else { grouped(most) };
    let seen = format!("{allowed} allowed, {} may be needed", grouped(needed));
    if most >= needed {
        return finding(NAME, Standing::Sound, seen, "");
    }
    finding(NAME, Standing::Lacking, seen, why).advised(format!(
        "LimitNOFILE={} in the service's unit, or `ulimit -n`; or a smaller limits.connections. \
         The limit is that of this shell, unless --pid names the gate's process.",
        needed.next_power_of_two()
    ))
}

fn memory(machine: &Machine, config: &Config) -> Finding {
    const NAME: &str = "memory";
    let why = "If visitors take all that the limits grant them, the machine runs out of memory, \
               and the kernel picks what it ends.";
    let limits = &config.limits;
    let each = u64::from(limits.header_bytes) + SOCKET_BUFFERS;
    let needed = u64::from(limits.connections) * each;
    let Some(most) = machine.memory else {
        return finding(NAME, Standing::Unknown, "its size was not found".into(), why);
    };
    let seen = format!("{} MiB, of which connections may take {} MiB", most >> 20, needed >> 20);
    if needed <= most / 4 * 3 {
        return finding(NAME, Standing::Sound, seen, "");
    }
    finding(NAME, Standing::Lacking, seen, why)
        .advised("Lower limits.connections or limits.header_bytes, or get more memory.")
}

fn overflows(machine: &Machine) -> Finding {
    const NAME: &str = "dropped until now";
    match machine.overflows {
        None => {
            finding(NAME, Standing::Unknown, "the kernel's counters are not to be seen".into(), "")
        }
        Some(0) => finding(NAME, Standing::Sound, "no connection since the start".into(), ""),
        Some(count) => finding(
            NAME,
            Standing::Optional,
            format!("{} connections since the start", grouped(count)),
            "Some program here, the gate or another, did not accept them soon enough.",
        ),
    }
}

fn quic_buffer(machine: &Machine) -> Finding {
    setting(
        "buffer for HTTP/3",
        machine.receive_buffer,
        |value| value >= QUIC_BUFFER,
        Standing::Advisable,
        "Datagrams that come while a worker is busy are dropped beyond it, and sent again later.",
        "net.core.rmem_max = 2097152",
    )
}

/// An origin on this machine that listens where others can reach it is no longer behind the gate.
fn origin(name: &str, origin: &OriginConfig, listeners: &[SocketAddr]) -> Finding {
    let authority = origin.authority();
    let is_here = origin.host == "localhost"
        || origin.host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !is_here {
        let why = "The gate protects nothing that can be reached around it.";
        let seen = format!("{authority}, which is not this machine");
        return finding(name, Standing::Unknown, seen, why)
            .advised("Let its firewall admit this machine alone.");
    }
    let open: Vec<_> = listeners
        .iter()
        .filter(|listener| listener.port() == origin.port && !listener.ip().is_loopback())
        .map(ToString::to_string)
        .collect();
    if open.is_empty() {
        let seen = format!("{authority}, on this machine alone");
        return finding(name, Standing::Sound, seen, "");
    }
    let why = "Whoever finds that port goes around the gate, unless a firewall stands before it.";
    let seen = format!("{authority} also listens on {}", open.join(" and "));
    finding(name, Standing::Lacking, seen, why)
        .advised(format!("Have it listen on 127.0.0.1:{} only.", origin.port))
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let listen = SocketAddr::from(([0, 0, 0, 0], 443));
        Config::for_origin(listen, OriginConfig::new("127.0.0.1".into(), 3_000))
    }

    fn sound() -> Machine {
        Machine {
            syn_cookies: Some(1),
            timestamps: Some(1),
            somaxconn: Some(4_096),
            syn_backlog: Some(8_192),
            synack_retries: Some(3),
            rp_filter: Some(2),
            receive_buffer: Some(4 << 20),
            tracking: None,
            synproxy: true,
            open_files: Some(65_536),
            memory: Some(4 << 30),
            cookies_sent: Some(0),
            overflows: Some(0),
            listeners: vec![([127, 0, 0, 1], 3_000).into()],
        }
    }

    fn standings(machine: &Machine) -> Vec<(String, Standing)> {
        examine(machine, &config(), 20_000)
            .findings
            .into_iter()
            .filter(|finding| finding.standing != Standing::Sound)
            .map(|finding| (finding.name, finding.standing))
            .collect()
    }

    fn flaw(change: impl FnOnce(&mut Machine)) -> Vec<(String, Standing)> {
        let mut machine = sound();
        change(&mut machine);
        standings(&machine)
    }

    #[test]
    fn a_machine_that_is_as_it_should_be_lacks_nothing() {
        assert_eq!(standings(&sound()), []);
    }

    #[test]
    fn each_flaw_is_found_alone() {
        use Standing::{Advisable, Lacking, Optional};
        let one = |name: &str, standing| vec![(name.to_owned(), standing)];
        assert_eq!(flaw(|m| m.syn_cookies = Some(0)), one("SYN cookies", Lacking));
        assert_eq!(flaw(|m| m.timestamps = Some(0)), one("TCP timestamps", Advisable));
        assert_eq!(flaw(|m| m.somaxconn = Some(128)), one("accept backlog", Lacking));
        assert_eq!(flaw(|m| m.syn_backlog = Some(512)), one("SYN backlog", Advisable));
        assert_eq!(flaw(|m| m.synack_retries = Some(5)), one("SYN-ACK retries", Advisable));
        assert_eq!(flaw(|m| m.rp_filter = Some(0)), one("source validation", Advisable));
        assert_eq!(flaw(|m| m.synproxy = false), one("synproxy", Optional));
        assert_eq!(flaw(|m| m.open_files = Some(1_024)), one("open files", Lacking));
        assert_eq!(flaw(|m| m.memory = Some(1 << 29)), one("memory", Lacking));
        assert_eq!(flaw(|m| m.overflows = Some(7)), one("dropped until now", Optional));
        let everywhere = SocketAddr::from(([0, 0, 0, 0], 3_000));
        assert_eq!(flaw(|m| m.listeners.push(everywhere)), one("the origin of site", Lacking));
    }

    #[test]
    fn tracking_is_judged_by_its_size_its_memory_and_its_looseness() {
        let with = |tracking| {
            flaw(|machine| machine.tracking = Some(tracking)).pop().map(|(_, standing)| standing)
        };
        let good =
            Tracking { most: 262_144, now: 10, established_timeout: Some(86_400), loose: Some(0) };
        assert_eq!(with(good), None);
        assert_eq!(with(Tracking { most: 1_000, ..good }), Some(Standing::Lacking));
        assert_eq!(with(Tracking { loose: Some(1), ..good }), Some(Standing::Lacking));
        let days = Tracking { established_timeout: Some(432_000), ..good };
        assert_eq!(with(days), Some(Standing::Advisable));
    }

    #[test]
    fn what_cannot_be_seen_is_said_to_be_unknown_and_not_taken_for_sound() {
        let found = standings(&Machine::default());
        let unknown = found.iter().filter(|(_, standing)| *standing == Standing::Unknown).count();
        assert_eq!(unknown, 9, "{found:?}");
    }

    #[test]
    fn the_report_says_what_to_do_and_ends_with_the_settings() {
        let mut machine = sound();
        machine.syn_cookies = Some(0);
        machine.synack_retries = Some(5);
        machine.open_files = Some(1_024);
        machine.listeners.push(([0, 0, 0, 0], 3_000).into());
        insta::assert_snapshot!(examine(&machine, &config(), 20_000));
    }
}
