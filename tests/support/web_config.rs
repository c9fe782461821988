//! Web configuration files of `tests/golden/webconfig`, and the verdicts of programs that check
//! such files.

use super::dir;
use super::markdown::repository_path;
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Verdicts by the name of the file: `None` for a valid file, otherwise the reason.
pub(crate) type Verdicts = BTreeMap<String, Option<String>>;

/// Directory with web configuration files and the certificates that they name.
pub(crate) struct WebConfigFiles {
    dir: TempDir,
}

impl WebConfigFiles {
    /// Copies the golden files.
    pub(crate) fn golden() -> Self {
        let files = Self { dir: dir::copy_to_temp(&golden_dir().join("files")) };
        for name in files.names() {
            let path = files.path().join(name);
            let text = std::fs::read_to_string(&path).expect("a golden file can be read");
            if text.contains("{DIR}") {
                let text = text.replace("{DIR}", &files.path().display().to_string());
                std::fs::write(&path, text).expect("a golden file can be written");
            }
        }
        files
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn add(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        assert!(!path.exists(), "{name} exists");
        std::fs::write(path, text).expect("a file can be written");
    }

    /// Returns the names of the web configuration files, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).expect("the directory can be listed");
        let names = entries.map(|entry| entry.expect("an entry can be read").file_name());
        let names = names.map(|name| name.into_string().expect("names are UTF-8"));
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".yml")).collect();
        names.sort();
        names
    }

    /// Runs `PROGRAM check web-config` once with all files. Asserts that it has a verdict for each
    /// file, in the order of the arguments, and that its exit code reports the bad ones.
    pub(crate) fn check(&self, program: &str) -> Verdicts {
        let names = self.names();
        let output = Command::new(program)
            .args(["check", "web-config"])
            .args(&names)
            .current_dir(self.path())
            .output()
            .unwrap_or_else(|error| panic!("{program} runs: {error}"));
        let verdicts = parse_verdicts(&output);
        assert!(verdicts.keys().eq(names.iter()), "{program}: {output:?}");
        let is_any_bad = verdicts.values().any(Option::is_some);
        assert_eq!(output.status.code(), Some(i32::from(is_any_bad)), "{program}: {output:?}");
        verdicts
    }
}

/// Parses the lines `FILE SUCCESS` and `FILE FAILED: reason`. A reason may have several lines.
fn parse_verdicts(output: &Output) -> Verdicts {
    let text = String::from_utf8_lossy(&output.stderr);
    let mut verdicts = Verdicts::new();
    let mut failed = None;
    for line in text.lines() {
        if let Some(name) = line.strip_suffix(" SUCCESS") {
            assert_eq!(verdicts.insert(name.to_owned(), None), None, "{text}");
        } else if let Some((name, reason)) = line.split_once(" FAILED: ") {
            let previous = verdicts.insert(name.to_owned(), Some(reason.to_owned()));
            assert_eq!(previous, None, "{text}");
            failed = Some(name);
        } else if line.starts_with("  ") {
            let reason = failed.and_then(|name| verdicts.get_mut(name)?.as_mut());
            let reason = reason.unwrap_or_else(|| panic!("{line:?} follows no failure in {text}"));
            reason.push_str(line);
        } else {
            assert!(line.contains(" WARNING: "), "unknown line {line:?} in {text}");
        }
    }
    verdicts
}

/// Copies certificate and key of a server, and its CA, to a directory.
pub(crate) fn copy_certificates(dir: &Path) {
    for name in ["server.crt", "server.key", "ca.crt"] {
        let from = golden_dir().join("files/certs").join(name);
        std::fs::copy(from, dir.join(name)).expect("a golden file can be copied");
    }
}

pub(crate) fn golden_dir() -> PathBuf {
    repository_path("tests/golden/webconfig")
}

/// Returns `true` by the name of a golden file if Prometheus 3.14 starts with it.
pub(crate) fn prometheus_verdicts() -> BTreeMap<String, bool> {
    let file = File::open(golden_dir().join("verdicts.json.gz")).expect("there are verdicts");
    let verdicts: serde_json::Value =
        serde_json::from_reader(GzDecoder::new(file)).expect("the verdicts are JSON");
    let files = verdicts["files"].as_object().expect("files by name");
    files
        .iter()
        .map(|(name, verdict)| (name.clone(), verdict["ok"].as_bool().expect("a verdict")))
        .collect()
}
