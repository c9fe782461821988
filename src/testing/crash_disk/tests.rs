//! Tests of crashes and failures of the disk.

use super::{CrashDisk, DiskCall};
use crate::tsdb::fs::disk::Disk;

#[test]
fn crash_keeps_synced_bytes_only() {
    let dir = tempfile::tempdir().unwrap();
    let (path, unsynced) = (dir.path().join("kept"), dir.path().join("unsynced"));
    let disk = CrashDisk::new();
    let file = disk.create_new(&path).unwrap();
    disk.sync_dir(dir.path()).unwrap();
    disk.create_new(&unsynced).unwrap().sync().unwrap();
    file.append(b"12345").unwrap();
    file.sync().unwrap();
    file.append(b"67").unwrap();
    file.truncate(4).unwrap();
    file.append(b"xyz").unwrap();
    file.truncate(3).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"123");
    disk.crash().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"12345");
    assert!(!unsynced.exists());
    assert!(file.append(b"x").is_err());
}

#[test]
fn crash_undoes_unsynced_renames_and_removals() {
    let root = tempfile::tempdir().unwrap();
    let (old, new) = (root.path().join("old"), root.path().join("new"));
    for (sync_new, sync_old, expected) in [
        (false, false, (true, false)),
        (true, false, (true, true)),
        (false, true, (false, false)),
        (true, true, (false, true)),
    ] {
        let _ = std::fs::remove_dir_all(&old);
        let _ = std::fs::remove_dir_all(&new);
        std::fs::create_dir(&old).unwrap();
        std::fs::create_dir(&new).unwrap();
        std::fs::write(old.join("f"), b"bytes").unwrap();
        std::fs::write(old.join("removed"), b"more").unwrap();
        let disk = CrashDisk::new();
        disk.rename(&old.join("f"), &new.join("f")).unwrap();
        disk.remove_file(&old.join("removed")).unwrap();
        if sync_new {
            disk.sync_dir(&new).unwrap();
        }
        if sync_old {
            disk.sync_dir(&old).unwrap();
        }
        disk.crash().unwrap();
        assert_eq!((old.join("f").exists(), new.join("f").exists()), expected);
        assert_eq!(old.join("removed").exists(), !sync_old);
    }
}

#[test]
fn crash_undoes_unsynced_directory_changes() {
    for synced in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let (made, renamed, removed) =
            (root.path().join("made"), root.path().join("renamed"), root.path().join("removed"));
        std::fs::create_dir(&removed).unwrap();
        std::fs::write(removed.join("old"), b"old").unwrap();
        let disk = CrashDisk::new();
        disk.create_dir_all(&made).unwrap();
        let file = disk.create_new(&made.join("f")).unwrap();
        file.append(b"1").unwrap();
        file.sync().unwrap();
        file.append(b"2").unwrap();
        disk.sync_dir(&made).unwrap();
        disk.create_new(&made.join("unsynced")).unwrap();
        disk.rename(&made, &renamed).unwrap();
        let lost = disk.create_new(&removed.join("new")).unwrap();
        lost.append(b"x").unwrap();
        disk.remove_dir_all(&removed).unwrap();
        if synced {
            disk.sync_dir(root.path()).unwrap();
        }
        disk.crash().unwrap();
        assert_eq!((made.exists(), renamed.exists(), removed.exists()), (!synced, synced, !synced));
        let survivor = if synced { renamed } else { made };
        assert_eq!(std::fs::read(survivor.join("f")).unwrap(), b"1");
        assert!(!survivor.join("unsynced").exists(), "directory has an undurable name");
        if !synced {
            assert_eq!(std::fs::read(removed.join("old")).unwrap(), b"old");
            assert!(!removed.join("new").exists());
        }
    }
}

#[test]
fn requested_calls_fail() {
    let dir = tempfile::tempdir().unwrap();
    let disk = CrashDisk::new();
    let path = dir.path().join("f");
    let file = disk.create_new(&path).unwrap();
    disk.fail_with_eio(DiskCall::Append, 2);
    file.append(b"1").unwrap();
    assert_eq!(file.append(b"2345").unwrap_err().raw_os_error(), Some(5));
    disk.set_free_bytes(Some(2));
    assert_eq!(file.append(b"678").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    disk.set_free_bytes(None);
    file.append(b"9").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"123679");
    disk.fail_with_eio(DiskCall::Sync, 1);
    assert!(file.sync().is_err());
    file.sync().unwrap();
    assert_eq!((disk.calls(DiskCall::Append), disk.calls(DiskCall::Sync)), (4, 2));
    disk.set_power(1);
    file.append(b"a").unwrap();
    assert!(file.append(b"b").is_err());
}

#[test]
fn crash_undoes_overwrites_links_and_replacements() {
    for synced in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("old"), b"old").unwrap();
        std::fs::write(path("patched"), b"12345").unwrap();
        let disk = CrashDisk::new();
        let file = disk.create_new(&path("new")).unwrap();
        file.append(b"new").unwrap();
        file.sync().unwrap();
        disk.hard_link(&path("new"), &path("link")).unwrap();
        disk.rename(&path("new"), &path("old")).unwrap();
        let patched = disk.open_append(&path("patched")).unwrap();
        patched.write_at(b"xy", 1).unwrap();
        patched.write_at(b"z", 6).unwrap();
        assert_eq!(std::fs::read(path("patched")).unwrap(), b"1xy45\0z");
        if synced {
            disk.sync_dir(dir.path()).unwrap();
            patched.sync().unwrap();
        }
        disk.crash().unwrap();
        assert_eq!(std::fs::read(path("old")).unwrap(), if synced { b"new" } else { b"old" });
        assert_eq!(std::fs::read(path("link")).ok(), synced.then(|| b"new".to_vec()));
        let expected: &[u8] = if synced { b"1xy45\0z" } else { b"12345" };
        assert_eq!(std::fs::read(path("patched")).unwrap(), expected);
        assert!(!path("new").exists());
    }
}

#[test]
fn crash_with_names_loses_unsynced_bytes_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("removed"), b"x").unwrap();
    let disk = CrashDisk::new();
    disk.create_dir(&path("dir")).unwrap();
    for (name, is_synced) in [("dir/synced", true), ("dir/unsynced", false)] {
        let file = disk.create_new(&path(name)).unwrap();
        file.append(b"bytes").unwrap();
        if is_synced {
            file.sync().unwrap();
        }
    }
    disk.rename(&path("dir"), &path("renamed")).unwrap();
    disk.remove_file(&path("removed")).unwrap();
    disk.crash_with_names().unwrap();
    assert_eq!(std::fs::read(path("renamed/synced")).unwrap(), b"bytes");
    assert_eq!(std::fs::read(path("renamed/unsynced")).unwrap(), b"");
    assert!(!path("dir").exists() && !path("removed").exists());
}

#[test]
fn interrupted_removal_leaves_a_part_of_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(path("removed/a")).unwrap();
    std::fs::write(path("removed/a/1"), b"1").unwrap();
    std::fs::write(path("removed/b"), b"2").unwrap();
    let disk = CrashDisk::new();
    disk.set_power(0);
    assert!(!disk.is_off());
    assert!(disk.remove_dir_all(&path("removed")).is_err());
    assert!(disk.is_off());
    assert!(!path("removed/a/1").exists() && path("removed/b").exists());
    disk.crash().unwrap();
    assert!(path("removed/a/1").exists() && path("removed/b").exists());
}
