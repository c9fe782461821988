//! File for failed exchanges (`scrape_failure_log_file`): a JSON object per line, with the keys of
//! Prometheus.
//!
//! A file is opened at its first line, and again after [`FailureLog::reopen`], so that it can be
//! rotated. Failures of parsing, limits and storage are not logged, as in Prometheus.
//!
//! # Locking
//! A mutex guards the open files and is held while a line is written. Only threads that store a
//! scrape take it.

use crate::model::time::format_rfc3339;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Maximum time to wait for the line of another scrape. The line is dropped after it.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// Open files by path.
#[derive(Debug, Default)]
pub struct FailureLog {
    files: Mutex<HashMap<PathBuf, OpenLog>>,
}

#[derive(Debug)]
enum OpenLog {
    Open(File),
    /// Opening or writing failed, which was logged.
    Failed,
}

/// Failed exchange; the order of the fields is that of the line.
#[derive(Debug, Serialize)]
struct FailureLine<'a> {
    time: String,
    level: &'static str,
    source: &'static str,
    msg: &'a str,
    job_name: &'a str,
    target: &'a str,
}

impl FailureLog {
    /// Closes all files. The next line of each opens it again.
    pub fn reopen(&self) {
        if let Some(mut files) = self.files.try_lock_for(MAX_WAIT) {
            files.clear();
        }
    }

    /// Writes a line. An error is logged once until the files are reopened.
    pub fn record(&self, path: &Path, job: &str, target: &str, error: &str, now_ms: i64) {
        let line = FailureLine {
            time: format_rfc3339(now_ms),
            level: "ERROR",
            source: "scrape",
            msg: error,
            job_name: job,
            target,
        };
        // Serializing strings cannot fail.
        let Ok(mut line) = serde_json::to_vec(&line) else { return };
        line.push(b'\n');
        // A file on a disk that hangs costs one thread, not one for each failed scrape.
        let Some(mut files) = self.files.try_lock_for(MAX_WAIT) else { return };
        let file = files.entry(path.to_owned()).or_insert_with(|| open(path));
        let OpenLog::Open(open) = file else { return };
        if let Err(error) = open.write_all(&line) {
            report(path, &error);
            *file = OpenLog::Failed;
        }
    }
}

fn open(path: &Path) -> OpenLog {
    match OpenOptions::new().create(true).append(true).open(path) {
        Ok(file) => OpenLog::Open(file),
        Err(error) => {
            report(path, &error);
            OpenLog::Failed
        }
    }
}

fn report(path: &Path, error: &io::Error) {
    tracing::warn!(%error, path = %path.display(), "cannot write scrape failure log");
}

#[cfg(test)]
mod tests {
    use super::FailureLog;

    #[test]
    fn failures_are_lines_of_json_and_the_file_can_be_rotated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("failures.log");
        let log = FailureLog::default();
        log.record(&path, "j", "http://a/metrics", "server \"x\"", 1_762_300_800_000);
        let line = "{\"time\":\"2025-11-05T00:00:00.000Z\",\"level\":\"ERROR\",\
                    \"source\":\"scrape\",\"msg\":\"server \\\"x\\\"\",\"job_name\":\"j\",\
                    \"target\":\"http://a/metrics\"}\n";
        assert_eq!(std::fs::read_to_string(&path).unwrap(), line);
        std::fs::rename(&path, dir.path().join("old.log")).unwrap();
        log.reopen();
        log.record(&path, "j", "http://a/metrics", "server \"x\"", 1_762_300_800_000);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), line);
    }

    #[test]
    fn unwritable_file_loses_lines_without_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let log = FailureLog::default();
        for _ in 0..2 {
            log.record(&dir.path().join("missing/failures.log"), "j", "t", "e", 0);
        }
    }
}
