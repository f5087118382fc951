//! The settings and limits of a machine, from its files.

use core::fmt;
use core::net::SocketAddr;
use std::io;
use std::path::{Path, PathBuf};

use crate::parse::{self, ProcessFacts};

/// What was read; `None` where there was nothing to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// `net.ipv4.tcp_syncookies`.
    pub syn_cookies: Option<u64>,
    /// `net.ipv4.tcp_timestamps`.
    pub timestamps: Option<u64>,
    /// `net.core.somaxconn`, in connections.
    pub somaxconn: Option<u64>,
    /// `net.ipv4.tcp_max_syn_backlog`, in connections.
    pub syn_backlog: Option<u64>,
    /// `net.ipv4.tcp_synack_retries`.
    pub synack_retries: Option<u64>,
    /// The stricter of `net.ipv4.conf.all.rp_filter` and `.default.rp_filter`.
    pub rp_filter: Option<u64>,
    /// `net.core.rmem_max`, in bytes.
    pub receive_buffer: Option<u64>,
    /// Connection tracking, where it is loaded.
    pub conntrack: Option<Conntrack>,
    /// Whether the kernel's `synproxy` is loaded.
    pub synproxy: bool,
    /// Most open files that the process may have.
    pub open_files: Option<u64>,
    /// Bytes of memory there are for it.
    pub memory: Option<u64>,
    /// SYN cookies sent since the machine started.
    pub cookies_sent: Option<u64>,
    /// Connections dropped since then because a program did not accept them soon enough.
    pub listen_overflows: Option<u64>,
    /// Where something listens.
    pub listeners: Vec<SocketAddr>,
    /// The gate's process, if it was named.
    pub process: Option<ProcessFacts>,
}

/// `net.netfilter.nf_conntrack_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conntrack {
    /// Most connections that are tracked. At this number new ones are dropped.
    pub max_entries: u64,
    /// Tracked now.
    pub entries: u64,
    /// For how many seconds a silent connection is remembered.
    pub established_timeout: Option<u64>,
    /// Whether a connection may be picked up in its middle.
    pub loose: Option<u64>,
}

/// There is no Linux to be read here.
#[derive(Debug)]
pub struct MachineError {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for MachineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}; this command reads the settings of Linux from /proc, which is not mounted here",
            self.path.display(),
            self.source
        )
    }
}

impl core::error::Error for MachineError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl Machine {
    /// Reads `proc` and `sys` below `root` (which is `/`). Limits are those of process `pid`, or
    /// of this one.
    ///
    /// # Errors
    ///
    /// If the limits of the process cannot be read: then this is not Linux, or there is no such
    /// process.
    pub fn read(root: &Path, pid: Option<u32>) -> Result<Self, MachineError> {
        let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let setting = |path: &str| text(&format!("proc/sys/net/{path}"))?.trim().parse().ok();
        let whose = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
        let path = root.join(format!("proc/{whose}/limits"));
        let limits =
            std::fs::read_to_string(&path).map_err(|source| MachineError { path, source })?;
        let netstat = text("proc/net/netstat").unwrap_or_default();
        let filter = |of: &str| setting(&format!("ipv4/conf/{of}/rp_filter"));
        let listeners = ["proc/net/tcp", "proc/net/tcp6"];
        let process = pid.and_then(|pid| parse::process(&text(&format!("proc/{pid}/status"))?));
        Ok(Self {
            process,
            syn_cookies: setting("ipv4/tcp_syncookies"),
            timestamps: setting("ipv4/tcp_timestamps"),
            somaxconn: setting("core/somaxconn"),
            syn_backlog: setting("ipv4/tcp_max_syn_backlog"),
            synack_retries: setting("ipv4/tcp_synack_retries"),
            rp_filter: filter("all").max(filter("default")),
            receive_buffer: setting("core/rmem_max"),
            conntrack: setting("netfilter/nf_conntrack_max").map(|most| Conntrack {
                max_entries: most,
                entries: setting("netfilter/nf_conntrack_count").unwrap_or(0),
                established_timeout: setting("netfilter/nf_conntrack_tcp_timeout_established"),
                loose: setting("netfilter/nf_conntrack_tcp_loose"),
            }),
            synproxy: root.join("proc/net/stat/synproxy").exists(),
            open_files: parse::open_files(&limits),
            memory: available_memory(text("proc/meminfo"), text("sys/fs/cgroup/memory.max")),
            cookies_sent: parse::counter(&netstat, "TcpExt", "SyncookiesSent"),
            listen_overflows: parse::counter(&netstat, "TcpExt", "ListenOverflows"),
            listeners: listeners
                .into_iter()
                .filter_map(text)
                .flat_map(|table| parse::listeners(&table))
                .collect(),
        })
    }
}

/// What the machine has, or what the control group that a container sees may use of it.
fn available_memory(meminfo: Option<String>, bound: Option<String>) -> Option<u64> {
    let all = parse::memory(&meminfo?)?;
    // Without a bound the file contains `max`.
    let bound = bound.and_then(|text| text.trim().parse().ok());
    Some(bound.map_or(all, |bound: u64| bound.min(all)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_machine_is_read_from_its_files_and_what_is_missing_is_missing() {
        let root = tempfile::tempdir().expect("a folder");
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        };
        put(
            "proc/self/limits",
            "Max open files            1024                 4096                 files\n",
        );
        put("proc/sys/net/ipv4/tcp_syncookies", "1\n");
        put("proc/sys/net/ipv4/conf/all/rp_filter", "0\n");
        put("proc/sys/net/ipv4/conf/default/rp_filter", "2\n");
        put("proc/sys/net/netfilter/nf_conntrack_max", "65536\n");
        put("proc/meminfo", "MemTotal:       4096 kB\n");
        put("sys/fs/cgroup/memory.max", "1048576\n");
        let machine = Machine::read(root.path(), None).expect("readable");
        let expected = Machine {
            syn_cookies: Some(1),
            rp_filter: Some(2),
            conntrack: Some(Conntrack { max_entries: 65_536, ..Conntrack::default() }),
            open_files: Some(4_096),
            memory: Some(1 << 20),
            ..Machine::default()
        };
        assert_eq!(machine, expected);
    }

    #[test]
    fn without_linux_the_error_names_the_cause() {
        let root = tempfile::tempdir().expect("a folder");
        let error = Machine::read(root.path(), None).expect_err("nothing is there");
        assert!(error.to_string().contains("/proc"), "{error}");
    }
}
