//! Data directories of tests: temporary, copied, listed.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A fresh temporary directory, removed when dropped.
pub(crate) fn temp() -> TempDir {
    tempfile::Builder::new()
        .prefix("narthex-test-")
        .tempdir()
        .expect("a temporary directory can be made")
}

/// Copies a data directory to a temporary directory.
pub(crate) fn copy_to_temp(from: &Path) -> TempDir {
    let place = temp();
    copy(from, place.path());
    place
}

/// Copies a data directory, without the files `lock` and `queries.active` of its process.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory can be made");
    for entry in
        std::fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()))
    {
        let entry = entry.expect("an entry can be read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("an entry has a type").is_dir() {
            copy(&entry.path(), &target);
        } else if entry.file_name() != "lock" && entry.file_name() != "queries.active" {
            std::fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

/// Returns the WAL segments in order.
pub(crate) fn segments(data: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data.join("wal")).expect("there is a WAL");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_number))
        .collect();
    files.sort();
    files
}

fn is_number(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}
