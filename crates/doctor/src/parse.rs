//! Parsers for files under `/proc` (`proc(5)`).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses that something listens on, out of `/proc/net/tcp` or `/proc/net/tcp6`.
pub(crate) fn listeners(table: &str) -> Vec<SocketAddr> {
    // TCP_LISTEN in include/net/tcp_states.h.
    const LISTEN: &str = "0A";
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.get(3) == Some(&LISTEN)).filter_map(|row| address(row.get(1)?)).collect()
}

/// `0100007F:1F90`: words of the address in the machine's byte order, the port in the network's.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::new();
    for word in address.as_bytes().chunks(8) {
        let word = u32::from_str_radix(core::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    let ip: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// One counter out of `/proc/net/netstat`, where a line of names precedes a line of values.
pub(crate) fn counter(netstat: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix(group)?.strip_prefix(':'));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|found| found == name)?;
    values.split_whitespace().nth(at)?.parse().ok()
}

/// The hard limit on open files, out of `/proc/PID/limits`.
pub(crate) fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Bytes of memory, out of `/proc/meminfo`.
pub(crate) fn memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// What a process may do (`proc_pid_status(5)`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Its effective user id.
    pub uid: u32,
    /// Whether a filter restricts its system calls.
    pub seccomp: bool,
    /// Whether it can gain no privileges by a program that it starts.
    pub no_new_privileges: bool,
}

/// The facts in `proc/PID/status`.
pub(crate) fn process(status: &str) -> Option<ProcessFacts> {
    let field = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.split_whitespace().collect::<Vec<_>>())
    };
    let number = |key, place: usize| field(key)?.get(place)?.parse::<u32>().ok();
    Some(ProcessFacts {
        // Real, effective, saved, file system.
        uid: number("Uid:", 1)?,
        seccomp: number("Seccomp:", 0) == Some(2),
        no_new_privileges: number("NoNewPrivs:", 0) == Some(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn listeners_differ_from_connections_in_both_families() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
                        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n\
                        1: 00000000:0050 00000000:0000 0A 00000000:00000000\n\
                        2: 0100007F:1F90 0100007F:C000 01 00000000:00000000\n";
        let found: Vec<_> = listeners(table).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["127.0.0.1:8080", "0.0.0.0:80"]);
        let table = "  sl  local_address remote_address st\n\
                        0: 00000000000000000000000000000000:0BB8 00000000000000000000000000000000:0000 0A\n\
                        1: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0000 0A\n\
                        2: 0000000000000000FFFF00000100007F:0BB8 00000000000000000000000000000000:0000 0A\n";
        let found: Vec<_> = listeners(table).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["[::]:3000", "[::1]:3000", "127.0.0.1:3000"]);
    }

    #[test]
    fn a_counter_is_found_by_its_name_within_its_group() {
        let text =
            "TcpExt: SyncookiesSent ListenOverflows\nTcpExt: 7 9\nIpExt: InNoRoutes\nIpExt: 3\n";
        assert_eq!(counter(text, "TcpExt", "ListenOverflows"), Some(9));
        assert_eq!(counter(text, "IpExt", "InNoRoutes"), Some(3));
        assert_eq!(counter(text, "TcpExt", "InNoRoutes"), None);
    }

    #[test]
    fn limits_and_memory_are_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(open_files(limits), Some(524_288));
        assert_eq!(memory("MemTotal:       2048 kB\nMemFree: 1 kB\n"), Some(2_097_152));
        assert_eq!(open_files(""), None);
    }
}
