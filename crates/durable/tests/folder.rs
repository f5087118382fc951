//! The real file system.

use std::fs;
use std::io::ErrorKind;

use portcullis_durable::{Disk, FileAccess, Folder, ReadDisk, write_file};

#[test]
fn one_process_holds_the_lock_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = Folder::locked(folder.path(), "lock").unwrap();
    let error = Folder::locked(folder.path(), "lock").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    drop(first);
    assert!(Folder::locked(folder.path(), "lock").is_ok());
}

#[test]
fn a_written_file_replaces_the_old_one_and_leaves_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    fs::write(folder.path().join("state.json.new"), "left by a crash").unwrap();
    for content in ["old", "new"] {
        write_file(&path, content.as_bytes(), FileAccess::Default).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(write_file(folder.path().join("..").as_path(), b"", FileAccess::Default).is_err());
}

#[cfg(unix)]
#[test]
fn a_secret_file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let spare = folder.path().join("key.new");
    fs::write(&spare, "left by a crash").unwrap();
    fs::set_permissions(&spare, fs::Permissions::from_mode(0o644)).unwrap();
    write_file(&path, b"secret", FileAccess::OwnerOnly).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"secret");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_larger_than_its_limit_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Folder::new(folder.path());
    disk.write("below/a", b"12345", FileAccess::Default).unwrap();
    disk.write_at("below/a", 5, b"67").unwrap();
    assert_eq!(disk.read("below/a", 7).unwrap(), b"1234567");
    assert_eq!(disk.read("below/a", 6).unwrap_err().kind(), ErrorKind::InvalidData);
}
