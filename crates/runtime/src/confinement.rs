//! Drops privileges once the process has its sockets: root, and what it never needs.
//!
//! All of it is inherited by threads, so it is done before the first thread starts. What the kernel
//! cannot do is reported and left out: a gate that does not start protects nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus, path_beneath_rules,
};
use portcullis_model::Config;
use rustix::fs::Mode;
use rustix::process::{Gid, Uid, geteuid, umask};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tracing::{info, warn};

use crate::error::RuntimeError;

/// The newest version of Landlock whose rights are used; older kernels get fewer.
const LANDLOCK_ABI: ABI = ABI::V5;

/// System calls that a gate never makes, and that an attacker in its process would.
const DENIED_CALLS: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_open_by_handle_at,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
];

/// New files are closed to others, and cannot be written by the group.
pub fn restrict_new_files() {
    umask(Mode::WGRP | Mode::RWXO);
}

/// The user that the gate runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct UserId {
    uid: u32,
    gid: u32,
}

/// Changes to the configured user if the gate was started as root, and gives it the folders that it
/// writes to. Without `user` a gate of root stays root, with a warning.
pub fn drop_root(config: &Config) -> Result<(), RuntimeError> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let Some(name) = &config.user else {
        warn!(
            "the gate runs as root: set `user` in the configuration, or User= in the service unit"
        );
        return Ok(());
    };
    let refused = |problem: String| RuntimeError::User { name: name.clone(), problem };
    let accounts = fs::read_to_string("/etc/passwd");
    let accounts = accounts.map_err(|error| refused(format!("/etc/passwd: {error}")))?;
    let user = find_user(&accounts, name)
        .ok_or_else(|| refused("there is no such user in /etc/passwd".into()))?;
    for folder in written_folders(config) {
        hand_over(&folder, user)
            .map_err(|error| refused(format!("{}: {error}", folder.display())))?;
    }
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_groups(&[gid])
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, uid))
        .map_err(|error| refused(error.to_string()))?;
    info!(user = name, uid = user.uid, "root was dropped");
    Ok(())
}

/// The user's line of `passwd(5)`; a number is a user id with a group of the same number.
fn find_user(accounts: &str, name: &str) -> Option<UserId> {
    let listed = accounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (uid, gid) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        (fields[0] == name).then_some(UserId { uid, gid })
    });
    listed.or_else(|| name.parse().ok().map(|id| UserId { uid: id, gid: id }))
}

/// Gives a folder, which is made if it is missing, and what is in it to the user.
fn hand_over(folder: &Path, user: UserId) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        let facts = fs::symlink_metadata(&path)?;
        // A link may lead anywhere.
        if facts.is_symlink() {
            continue;
        }
        if (facts.uid(), facts.gid()) != (user.uid, user.gid) {
            chown(&path, Some(user.uid), Some(user.gid))?;
        }
        if facts.is_dir() {
            for item in fs::read_dir(&path)? {
                left.push(item?.path());
            }
        }
    }
    Ok(())
}

/// The folders of the gate's own that it writes to. They contain nothing else.
fn written_folders(config: &Config) -> Vec<PathBuf> {
    let acme = config.acme.iter().map(|acme| acme.folder.clone());
    std::iter::once(config.ledger.clone()).chain(acme).collect()
}

/// Takes from the process what it does not need, as far as the kernel can.
pub fn confine(config: &Config) {
    if !config.sandbox {
        info!("sandbox = false: files and system calls are not restricted");
        return;
    }
    let files = restrict_files(config).unwrap_or_else(|problem| format!("no: {problem}"));
    let calls = match restrict_calls() {
        Ok(()) => "yes".to_owned(),
        Err(problem) => format!("no: {problem}"),
    };
    info!(landlock = files, seccomp = calls, "sandbox");
}

/// Files: reading stays; writing is left for the folders of state, and nothing is executed.
fn restrict_files(config: &Config) -> Result<String, landlock::RulesetError> {
    let all = AccessFs::from_all(LANDLOCK_ABI);
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    // State files lie next to the ledger's folder.
    let mut writable: Vec<PathBuf> = written_folders(config);
    writable.push(parent(&config.ledger));
    writable.extend(config.access_log.iter().map(|log| parent(&log.file)));
    let existing = writable.into_iter().filter_map(|path| path.canonicalize().ok());
    let writing = all & !AccessFs::Execute;
    let status = Ruleset::default()
        .set_compatibility(landlock::CompatLevel::BestEffort)
        .handle_access(all)?
        .create()?
        .add_rules(path_beneath_rules(["/"], read))?
        .add_rules(path_beneath_rules(["/dev/null", "/dev/tty"], read | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(existing, writing))?
        .restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => "yes",
        RulesetStatus::PartiallyEnforced => "in part: the kernel is older",
        RulesetStatus::NotEnforced => "no: the kernel has none",
    }
    .to_owned())
}

fn parent(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

/// System calls: those in [`DENIED_CALLS`] fail with `EPERM`.
fn restrict_calls() -> Result<(), String> {
    let arch = std::env::consts::ARCH.try_into().map_err(|_| "unknown processor".to_owned())?;
    let rules: BTreeMap<i64, Vec<_>> = DENIED_CALLS.iter().map(|call| (*call, vec![])).collect();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.cast_unsigned()),
        arch,
    );
    let program: BpfProgram =
        filter.and_then(TryInto::try_into).map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_or_number() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nportcullis:x:998:997::/:/bin/false\nbad\n";
        let id = |name| find_user(accounts, name).map(|user| (user.uid, user.gid));
        assert_eq!(id("portcullis"), Some((998, 997)));
        assert_eq!(id("1234"), Some((1_234, 1_234)));
        assert_eq!(id("no-such-user"), None);
    }
}
