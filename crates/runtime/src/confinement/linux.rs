//! What Linux enforces: the user, Landlock and seccomp.

use std::collections::BTreeMap;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, BitFlags, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus, path_beneath_rules,
};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

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

/// Changes this thread, and those that it starts, to the user for good.
pub(super) fn become_user(uid: u32, gid: u32) -> Result<(), String> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&[gid])
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, uid))
        .map_err(|error| error.to_string())
}

/// Files: reading stays; writing is left for the folders in `writable`, and nothing is executed.
pub(super) fn restrict_files(writable: Vec<PathBuf>) -> Result<String, landlock::RulesetError> {
    let all = AccessFs::from_all(LANDLOCK_ABI);
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
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

/// System calls: those in [`DENIED_CALLS`] fail with `EPERM`.
pub(super) fn restrict_calls() -> Result<(), String> {
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
