//! What a machine should be like, and how this one compares.

use core::net::{IpAddr, SocketAddr};

use portcullis_model::{Config, OriginConfig};

use crate::machine::{Conntrack, Machine};
use crate::parse::ProcessFacts;
use crate::report::{CheckResult, CheckStatus, DoctorReport};

/// What the gate asks the kernel to keep for it while it is busy (`listen(2)`).
const BACKLOG: u64 = 4_096;
/// Retransmissions of a SYN-ACK: 3 forget a half-open connection after 15 s, the kernel's default
/// of 5 after 63 s (`tcp_synack_retries` in the kernel's ip-sysctl.rst).
const SYNACK_RETRIES: u64 = 3;
/// A tracked connection that is silent for longer than this needs no entry in the table.
const DAY: u64 = 86_400;
/// Bytes that the kernel holds for one connection, in addition to the header that the gate holds: two
/// socket buffers of 16 KiB.
const SOCKET_BUFFERS: u64 = 32 * 1024;
/// A burst of QUIC's datagrams while a worker is busy: 2 MiB is some 1,400 of them.
const QUIC_BUFFER: u64 = 2 * 1024 * 1024;

/// Holds `machine` against what `config` wants of it. `descriptors`: how many open files the gate
/// needs at most.
pub fn examine(machine: &Machine, config: &Config, descriptors: u64) -> DoctorReport {
    let mut checks = vec![
        syn_cookies(machine),
        timestamps(machine),
        backlog(machine),
        syn_backlog(machine),
        synack_retries(machine),
        rp_filter(machine),
        synproxy(machine),
        tracking(machine, u64::from(config.limits.max_connections)),
        open_files(machine, descriptors),
        memory(machine, config),
        overflows(machine),
    ];
    checks.extend(machine.process.map(privileges));
    if config.listeners.iter().any(|listener| listener.http_3) {
        checks.push(quic_buffer(machine));
    }
    checks.extend(config.platforms.iter().map(|platform| {
        let name = format!("the origin of {}", platform.name);
        origin(&name, &platform.origin, &machine.listeners)
    }));
    DoctorReport { checks }
}

fn check_result(
    name: &str,
    status: CheckStatus,
    observed: String,
    why: &'static str,
) -> CheckResult {
    CheckResult { name: name.to_owned(), status, observed, why, advice: None, sysctl: None }
}

impl CheckResult {
    fn with_sysctl(self, sysctl: &'static str) -> Self {
        Self { sysctl: Some(sysctl), ..self }
    }

    fn with_advice(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

/// A kernel setting: as it should be, or not, or not to be seen.
fn check_sysctl(
    name: &str,
    value: Option<u64>,
    is_ok: impl FnOnce(u64) -> bool,
    otherwise: CheckStatus,
    why: &'static str,
    sysctl: &'static str,
) -> CheckResult {
    let key = sysctl.split(' ').next().unwrap_or_default();
    match value {
        None => {
            check_result(name, CheckStatus::Unknown, format!("{key} is not to be seen here"), why)
                .with_advice("In a container, look on the host.")
        }
        Some(value) if is_ok(value) => {
            check_result(name, CheckStatus::Ok, format!("{key} = {value}"), "")
        }
        Some(value) => {
            check_result(name, otherwise, format!("{key} = {value}"), why).with_sysctl(sysctl)
        }
    }
}

fn syn_cookies(machine: &Machine) -> CheckResult {
    check_sysctl(
        "SYN cookies",
        machine.syn_cookies,
        |value| value > 0,
        CheckStatus::Fail,
        "A few thousand half-open connections from spoofed addresses would block all new connections.",
        "net.ipv4.tcp_syncookies = 1",
    )
}

fn timestamps(machine: &Machine) -> CheckResult {
    check_sysctl(
        "TCP timestamps",
        machine.timestamps,
        |value| value > 0,
        CheckStatus::Warn,
        "A SYN cookie has space for window scaling and selective acknowledgement only in the \
         timestamp: without it, people who come in during a SYN flood get slow connections.",
        "net.ipv4.tcp_timestamps = 1",
    )
}

fn backlog(machine: &Machine) -> CheckResult {
    check_sysctl(
        "accept backlog",
        machine.somaxconn,
        |value| value >= BACKLOG,
        CheckStatus::Fail,
        "The kernel would keep fewer connections for the gate than it asks for, and drop people in \
         every burst.",
        "net.core.somaxconn = 4096",
    )
}

fn syn_backlog(machine: &Machine) -> CheckResult {
    check_sysctl(
        "SYN backlog",
        machine.syn_backlog,
        |value| value >= BACKLOG,
        CheckStatus::Warn,
        "Beyond it the kernel answers with cookies, which do without some options of TCP.",
        "net.ipv4.tcp_max_syn_backlog = 4096",
    )
}

fn synack_retries(machine: &Machine) -> CheckResult {
    check_sysctl(
        "SYN-ACK retries",
        machine.synack_retries,
        |value| value <= SYNACK_RETRIES,
        CheckStatus::Warn,
        "Each half-open connection uses a backlog entry while its SYN-ACK is retransmitted: 15 s \
         with 3 retries, 63 s with 5. Retransmissions also hit the owner of a spoofed address.",
        "net.ipv4.tcp_synack_retries = 3",
    )
}

fn rp_filter(machine: &Machine) -> CheckResult {
    check_sysctl(
        "source validation",
        machine.rp_filter,
        |value| value > 0,
        CheckStatus::Warn,
        "Packets with a spoofed source address are accepted. (2, loose mode, also works with \
         several uplinks. IPv6 needs an nftables rule.)",
        "net.ipv4.conf.all.rp_filter = 2",
    )
}

fn synproxy(machine: &Machine) -> CheckResult {
    const NAME: &str = "synproxy";
    if machine.synproxy {
        return check_result(NAME, CheckStatus::Ok, "the kernel's module is loaded".into(), "");
    }
    let cookies = machine.cookies_sent.unwrap_or(0);
    let observed =
        format!("not in use; {} SYN cookies sent since the start", group_digits(cookies));
    let why = "With it, connections from spoofed addresses end in the firewall and never reach the \
               gate's sockets. Worth the effort where SYN floods have used up a machine in spite \
               of cookies.";
    check_result(NAME, CheckStatus::Info, observed, why)
        .with_advice("docs/kernel.md has the rules.")
}

fn tracking(machine: &Machine, connections: u64) -> CheckResult {
    const NAME: &str = "connection tracking";
    let Some(Conntrack { max_entries: most, entries: now, established_timeout, loose }) =
        machine.conntrack
    else {
        return check_result(NAME, CheckStatus::Ok, "not loaded: it cannot fill up".into(), "");
    };
    let observed = format!("{} of {} entries in use", group_digits(now), group_digits(most));
    // Each connection of a visitor has an entry, and so has the one to the origin.
    let needed = connections * 4;
    if most < needed {
        let why = "When the table is full, the kernel drops packets of all clients, and the gate \
                   cannot see it.";
        let advice = format!(
            "net.netfilter.nf_conntrack_max wants {} at least (four entries for each of \
             limits.max_connections), or `notrack` rules for the gate's ports.",
            group_digits(needed)
        );
        return check_result(NAME, CheckStatus::Fail, observed, why).with_advice(advice);
    }
    if machine.synproxy && loose != Some(0) {
        let why = "With synproxy, packets that belong to no connection must not open one.";
        return check_result(NAME, CheckStatus::Fail, observed, why)
            .with_sysctl("net.netfilter.nf_conntrack_tcp_loose = 0");
    }
    if established_timeout.is_some_and(|seconds| seconds > DAY) {
        let why = "A connection that fell silent is remembered for days, so that the table fills \
                   with the dead of past attacks.";
        return check_result(NAME, CheckStatus::Warn, observed, why)
            .with_sysctl("net.netfilter.nf_conntrack_tcp_timeout_established = 86400");
    }
    check_result(NAME, CheckStatus::Ok, observed, "")
}

fn open_files(machine: &Machine, needed: u64) -> CheckResult {
    const NAME: &str = "open files";
    let why = "Every connection is an open file. Beyond the limit the gate has to end connections \
               that it could have kept.";
    let Some(most) = machine.open_files else {
        return check_result(NAME, CheckStatus::Unknown, "no limit was found".into(), why);
    };
    let allowed = if most == u64::MAX { "no limit".into() } else { group_digits(most) };
    let observed = format!("{allowed} allowed, {} may be needed", group_digits(needed));
    if most >= needed {
        return check_result(NAME, CheckStatus::Ok, observed, "");
    }
    check_result(NAME, CheckStatus::Fail, observed, why).with_advice(format!(
        "LimitNOFILE={} in the service's unit, or `ulimit -n`; or a smaller limits.max_connections. \
         The limit is that of this shell, unless --pid names the gate's process.",
        needed.next_power_of_two()
    ))
}

fn memory(machine: &Machine, config: &Config) -> CheckResult {
    const NAME: &str = "memory";
    let why = "If visitors take all that the limits grant them, the machine runs out of memory, \
               and the kernel picks what it ends.";
    let limits = &config.limits;
    let each = u64::from(limits.max_header_bytes) + SOCKET_BUFFERS;
    let needed = u64::from(limits.max_connections) * each;
    let Some(most) = machine.memory else {
        return check_result(NAME, CheckStatus::Unknown, "its size was not found".into(), why);
    };
    let observed =
        format!("{} MiB, of which connections may take {} MiB", most >> 20, needed >> 20);
    if needed <= most / 4 * 3 {
        return check_result(NAME, CheckStatus::Ok, observed, "");
    }
    check_result(NAME, CheckStatus::Fail, observed, why)
        .with_advice("Lower limits.max_connections or limits.max_header_bytes, or get more memory.")
}

fn overflows(machine: &Machine) -> CheckResult {
    const NAME: &str = "dropped until now";
    match machine.listen_overflows {
        None => check_result(
            NAME,
            CheckStatus::Unknown,
            "the kernel's counters are not to be seen".into(),
            "",
        ),
        Some(0) => check_result(NAME, CheckStatus::Ok, "no connection since the start".into(), ""),
        Some(count) => check_result(
            NAME,
            CheckStatus::Info,
            format!("{} connections since the start", group_digits(count)),
            "Some program here, the gate or another, did not accept them soon enough.",
        ),
    }
}

/// The privileges that the running gate has left (docs/operations.md, Privileges).
fn privileges(process: ProcessFacts) -> CheckResult {
    const NAME: &str = "privileges";
    let ProcessFacts { uid, seccomp, no_new_privileges } = process;
    let yes = |has| if has { "yes" } else { "no" };
    let observed = format!(
        "user {uid}; system calls restricted: {}; no new privileges: {}",
        yes(seccomp),
        yes(no_new_privileges)
    );
    if uid == 0 {
        let why = "A fault in the gate would give away the whole machine.";
        return check_result(NAME, CheckStatus::Fail, observed, why)
            .with_advice("Set `user` in the configuration, or User= in the service unit.");
    }
    if !(seccomp && no_new_privileges) {
        let why = "A fault in the gate could start other programs.";
        return check_result(NAME, CheckStatus::Warn, observed, why).with_advice(
            "Leave `sandbox` on; the log says at the start what the kernel enforces.",
        );
    }
    check_result(NAME, CheckStatus::Ok, observed, "")
}

fn quic_buffer(machine: &Machine) -> CheckResult {
    check_sysctl(
        "buffer for HTTP/3",
        machine.receive_buffer,
        |value| value >= QUIC_BUFFER,
        CheckStatus::Warn,
        "Datagrams that come while a worker is busy are dropped beyond it, and sent again later.",
        "net.core.rmem_max = 2097152",
    )
}

/// An origin on this machine that listens where others can reach it is no longer behind the gate.
fn origin(name: &str, origin: &OriginConfig, listeners: &[SocketAddr]) -> CheckResult {
    let authority = origin.authority();
    let is_here = origin.host == "localhost"
        || origin.host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !is_here {
        let why = "The gate protects nothing that can be reached around it.";
        let observed = format!("{authority}, which is not this machine");
        return check_result(name, CheckStatus::Unknown, observed, why)
            .with_advice("Let its firewall admit this machine alone.");
    }
    let open: Vec<_> = listeners
        .iter()
        .filter(|listener| listener.port() == origin.port && !listener.ip().is_loopback())
        .map(ToString::to_string)
        .collect();
    if open.is_empty() {
        let observed = format!("{authority}, on this machine alone");
        return check_result(name, CheckStatus::Ok, observed, "");
    }
    let why = "Clients can bypass the gate through this port unless a firewall blocks it.";
    let observed = format!("{authority} also listens on {}", open.join(" and "));
    check_result(name, CheckStatus::Fail, observed, why)
        .with_advice(format!("Have it listen on 127.0.0.1:{} only.", origin.port))
}

/// `1234567` as `1,234,567`.
fn group_digits(number: u64) -> String {
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
            conntrack: None,
            synproxy: true,
            open_files: Some(65_536),
            memory: Some(4 << 30),
            cookies_sent: Some(0),
            listen_overflows: Some(0),
            listeners: vec![([127, 0, 0, 1], 3_000).into()],
            process: Some(ProcessFacts { uid: 998, seccomp: true, no_new_privileges: true }),
        }
    }

    fn statuses(machine: &Machine) -> Vec<(String, CheckStatus)> {
        examine(machine, &config(), 20_000)
            .checks
            .into_iter()
            .filter(|finding| finding.status != CheckStatus::Ok)
            .map(|finding| (finding.name, finding.status))
            .collect()
    }

    fn flaw(change: impl FnOnce(&mut Machine)) -> Vec<(String, CheckStatus)> {
        let mut machine = sound();
        change(&mut machine);
        statuses(&machine)
    }

    #[test]
    fn a_machine_that_is_as_it_should_be_lacks_nothing() {
        assert_eq!(statuses(&sound()), []);
    }

    #[test]
    fn each_flaw_is_found_alone() {
        use CheckStatus::{Fail, Info, Warn};
        let one = |name: &str, status| vec![(name.to_owned(), status)];
        assert_eq!(flaw(|m| m.syn_cookies = Some(0)), one("SYN cookies", Fail));
        assert_eq!(flaw(|m| m.timestamps = Some(0)), one("TCP timestamps", Warn));
        assert_eq!(flaw(|m| m.somaxconn = Some(128)), one("accept backlog", Fail));
        assert_eq!(flaw(|m| m.syn_backlog = Some(512)), one("SYN backlog", Warn));
        assert_eq!(flaw(|m| m.synack_retries = Some(5)), one("SYN-ACK retries", Warn));
        assert_eq!(flaw(|m| m.rp_filter = Some(0)), one("source validation", Warn));
        assert_eq!(flaw(|m| m.synproxy = false), one("synproxy", Info));
        assert_eq!(flaw(|m| m.open_files = Some(1_024)), one("open files", Fail));
        assert_eq!(flaw(|m| m.memory = Some(1 << 29)), one("memory", Fail));
        assert_eq!(flaw(|m| m.listen_overflows = Some(7)), one("dropped until now", Info));
        let process = ProcessFacts { uid: 998, seccomp: true, no_new_privileges: true };
        let root = ProcessFacts { uid: 0, ..process };
        assert_eq!(flaw(|m| m.process = Some(root)), one("privileges", Fail));
        let open = ProcessFacts { seccomp: false, ..process };
        assert_eq!(flaw(|m| m.process = Some(open)), one("privileges", Warn));
        let everywhere = SocketAddr::from(([0, 0, 0, 0], 3_000));
        assert_eq!(flaw(|m| m.listeners.push(everywhere)), one("the origin of site", Fail));
    }

    #[test]
    fn tracking_is_judged_by_its_size_its_memory_and_its_looseness() {
        let with = |tracking| {
            flaw(|machine| machine.conntrack = Some(tracking)).pop().map(|(_, status)| status)
        };
        let good = Conntrack {
            max_entries: 262_144,
            entries: 10,
            established_timeout: Some(86_400),
            loose: Some(0),
        };
        assert_eq!(with(good), None);
        assert_eq!(with(Conntrack { max_entries: 1_000, ..good }), Some(CheckStatus::Fail));
        assert_eq!(with(Conntrack { loose: Some(1), ..good }), Some(CheckStatus::Fail));
        let days = Conntrack { established_timeout: Some(432_000), ..good };
        assert_eq!(with(days), Some(CheckStatus::Warn));
    }

    #[test]
    fn what_cannot_be_read_is_unknown_and_not_ok() {
        let found = statuses(&Machine::default());
        let unknown = found.iter().filter(|(_, status)| *status == CheckStatus::Unknown).count();
        assert_eq!(unknown, 9, "{found:?}");
    }

    #[test]
    fn the_report_advises_and_ends_with_the_settings() {
        let mut machine = sound();
        machine.syn_cookies = Some(0);
        machine.synack_retries = Some(5);
        machine.open_files = Some(1_024);
        machine.listeners.push(([0, 0, 0, 0], 3_000).into());
        insta::assert_snapshot!(examine(&machine, &config(), 20_000));
    }
}
