//! Drops privileges once the process has its sockets: root, and what it never needs.
//!
//! All of it is inherited by threads, so it is done before the first thread starts. What the kernel
//! cannot do is reported and left out: a gate that does not start protects nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use portcullis_model::Config;
use rustix::fs::Mode;
use rustix::process::{geteuid, umask};
use tracing::{info, warn};

use crate::error::RuntimeError;
use crate::state_files::{STATE_FILES, path_next_to};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as system;

/// Systems without Landlock and seccomp.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::path::PathBuf;

    pub(super) fn become_user(_: u32, _: u32) -> Result<(), String> {
        Err("it is possible on Linux only".into())
    }

    pub(super) fn restrict_files(_: Vec<PathBuf>) -> Result<String, String> {
        Err("this system has no Landlock".into())
    }

    pub(super) fn restrict_calls() -> Result<(), String> {
        Err("this system has no seccomp".into())
    }
}

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
    let failed =
        |path: &Path, error: std::io::Error| refused(format!("{}: {error}", path.display()));
    for folder in written_folders(config) {
        fs::create_dir_all(&folder)
            .and_then(|()| hand_over(&folder, user))
            .map_err(|error| failed(&folder, error))?;
    }
    // Those that an earlier run of root left.
    let state = STATE_FILES.map(|what| path_next_to(&config.ledger, what));
    let log = config.access_log.iter().map(|log| log.file.clone());
    for file in state.into_iter().chain(log).filter(|file| file.exists()) {
        hand_over(&file, user).map_err(|error| failed(&file, error))?;
    }
    system::become_user(user.uid, user.gid).map_err(refused)?;
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

/// Gives a file, or a folder and what is in it, to the user.
fn hand_over(path: &Path, user: UserId) -> std::io::Result<()> {
    let mut left = vec![path.to_owned()];
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
    let files = system::restrict_files(writable_folders(config))
        .unwrap_or_else(|problem| format!("no: {problem}"));
    let calls = match system::restrict_calls() {
        Ok(()) => "yes".to_owned(),
        Err(problem) => format!("no: {problem}"),
    };
    info!(landlock = files, seccomp = calls, "sandbox");
}

/// The folders in which files are made and written: those of [`written_folders`], the one around the
/// ledger's, where state files are, and the access log's.
fn writable_folders(config: &Config) -> Vec<PathBuf> {
    let mut writable = written_folders(config);
    writable.push(parent(&config.ledger));
    writable.extend(config.access_log.iter().map(|log| parent(&log.file)));
    writable
}

fn parent(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
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
