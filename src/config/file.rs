//! The configuration file: Prometheus's YAML, read strictly.
//!
//! So far the section `storage` is known. Any other section, and any field whose feature is not built yet, is an error
//! that names it: a setting is never ignored.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Sections of Prometheus's configuration, to tell "not yet" from "no such thing".
const PROMETHEUS_SECTIONS: [&str; 11] = [
    "global",
    "runtime",
    "rule_files",
    "scrape_config_files",
    "scrape_configs",
    "alerting",
    "storage",
    "tracing",
    "otlp",
    "remote_write",
    "remote_read",
];

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigFile {
    /// Nothing can be set in this version: what is accepted equals the default.
    _private: (),
}

/// Why a configuration file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It can't be read.
    #[error("can't read configuration file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It says something that is not understood.
    #[error("{path}{}: {message}", line.map(|line| format!(":{line}")).unwrap_or_default())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, from 1, where it is known.
        line: Option<usize>,
        /// What is wrong.
        message: String,
    },
}

/// Reads a configuration file.
///
/// # Errors
/// [`FileError`] names the file and, where it can, the line.
pub fn load(path: &Path) -> Result<ConfigFile, FileError> {
    let text = std::fs::read_to_string(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    parse(&text).map_err(|Problem { line, message }| FileError::Invalid { path: path.to_owned(), line, message })
}

/// Something wrong in the text.
#[derive(Debug, PartialEq)]
struct Problem {
    line: Option<usize>,
    message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    storage: Option<Storage>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Storage {
    tsdb: Option<Tsdb>,
    exemplars: Option<Exemplars>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tsdb {
    out_of_order_time_window: Option<String>,
    stale_series_compaction_threshold: Option<f64>,
    chunk_encoding: Option<ChunkEncoding>,
    retention: Option<serde_yaml_ng::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChunkEncoding {
    floats: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exemplars {
    max_exemplars: Option<i64>,
}

fn parse(text: &str) -> Result<ConfigFile, Problem> {
    if let Some(problem) = unknown_section(text)? {
        return Err(problem);
    }
    let file: Option<File> = serde_yaml_ng::from_str(text).map_err(|error| yaml_problem(&error))?;
    if let Some(field) = file.unwrap_or_default().storage.and_then(|storage| unbuilt_field(&storage)) {
        let name = field.rsplit('.').next().unwrap_or(field);
        return Err(Problem {
            line: line_of(text, name),
            message: format!("{field} is not supported by this version of narthex; leave it out"),
        });
    }
    Ok(ConfigFile::default())
}

/// A top-level name other than `storage`.
fn unknown_section(text: &str) -> Result<Option<Problem>, Problem> {
    let value: serde_yaml_ng::Value = serde_yaml_ng::from_str(text).map_err(|error| yaml_problem(&error))?;
    let Some(sections) = value.as_mapping() else {
        return Ok(None);
    };
    let unknown = sections.keys().find_map(|key| match key.as_str() {
        Some("storage") => None,
        Some(name) => Some(name.to_owned()),
        None => Some(format!("{key:?}")),
    });
    Ok(unknown.map(|name| Problem {
        line: line_of(text, &name),
        message: if PROMETHEUS_SECTIONS.contains(&name.as_str()) {
            format!("section {name} is not supported by this version of narthex; leave it out")
        } else {
            format!("unknown section {name}")
        },
    }))
}

/// The first field that asks for something this version does not do.
fn unbuilt_field(storage: &Storage) -> Option<&'static str> {
    if let Some(tsdb) = &storage.tsdb {
        if tsdb.out_of_order_time_window.as_deref().is_some_and(|window| !is_zero_duration(window)) {
            return Some("storage.tsdb.out_of_order_time_window");
        }
        if tsdb.stale_series_compaction_threshold.is_some_and(|threshold| threshold != 0.0) {
            return Some("storage.tsdb.stale_series_compaction_threshold");
        }
        if tsdb.chunk_encoding.as_ref().and_then(|encoding| encoding.floats.as_deref()).is_some_and(|e| e != "xor") {
            return Some("storage.tsdb.chunk_encoding.floats");
        }
        if tsdb.retention.is_some() {
            return Some("storage.tsdb.retention");
        }
    }
    let exemplars = storage.exemplars.as_ref().and_then(|exemplars| exemplars.max_exemplars);
    exemplars.is_some_and(|max| max > 0).then_some("storage.exemplars.max_exemplars")
}

fn is_zero_duration(text: &str) -> bool {
    crate::config::units::duration(text).is_ok_and(|duration| duration.is_zero())
}

fn yaml_problem(error: &serde_yaml_ng::Error) -> Problem {
    let line = error.location().map(|location| location.line());
    Problem { line, message: error.to_string() }
}

/// The line on which a field is first named.
fn line_of(text: &str, name: &str) -> Option<usize> {
    text.lines()
        .position(|line| line.trim_start().strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(':')))
        .map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::{Problem, parse};

    fn problem(text: &str) -> Problem {
        parse(text).unwrap_err()
    }

    #[test]
    fn a_file_that_sets_nothing_is_fine() {
        for text in
            ["", "# nothing\n", "storage:\n", "storage: {}\n", "storage:\n  tsdb:\n    out_of_order_time_window: 0s\n"]
        {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_not_built_yet_is_named_with_its_line() {
        let global = problem("storage:\nglobal:\n  scrape_interval: 1s\n");
        assert_eq!(global.line, Some(2));
        assert!(global.message.contains("section global is not supported"), "{global:?}");
        let window = problem("storage:\n  tsdb:\n    out_of_order_time_window: 30m\n");
        assert_eq!(window.line, Some(3));
        assert!(window.message.contains("storage.tsdb.out_of_order_time_window"), "{window:?}");
    }

    #[test]
    fn what_does_not_exist_is_refused_with_its_line() {
        assert_eq!(problem("storge: {}\n").message, "unknown section storge");
        let field = problem("storage:\n  tsdb:\n    out_of_order_window: 30m\n");
        assert_eq!(field.line, Some(3));
        assert!(field.message.contains("out_of_order_window"), "{field:?}");
        assert!(problem("storage: [1, 2]\n").line.is_some());
        assert!(parse("just text").is_err());
        assert!(parse("storage: {}\nstorage: {}\n").is_err());
        assert!(parse("a: b: c").is_err());
    }
}
