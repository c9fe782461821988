//! Configuration file in Prometheus's YAML, parsed strictly.
//!
//! Each section has a parser in its own file, which the registry lists. Any section or key without
//! a parser is an error that names it: no setting is ignored.
//!
//! | module | contents |
//! |---|---|
//! | [`contents`] | the parsed file |
//! | [`error`] | errors with file, line and column |
//! | [`global`] | section `global` |
//! | `registry` | parsers of the sections; names of unsupported sections |
//! | [`storage`] | section `storage` |
//! | `yaml` | the document: sections, keys, positions and limits |

pub mod contents;
pub mod error;
pub mod global;
mod registry;
pub mod storage;
mod yaml;

use crate::config::file::contents::ConfigFile;
use crate::config::file::error::{ConfigProblem, LoadConfigError};
use crate::config::file::yaml::{Document, MAX_SIZE};
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;

/// Reads and parses a configuration file.
///
/// # Errors
/// [`LoadConfigError`] names the file and, if known, line and column.
pub fn load(path: &Path) -> Result<ConfigFile, LoadConfigError> {
    let text =
        read(path).map_err(|source| LoadConfigError::Read { path: path.to_owned(), source })?;
    parse(&text, &|name| std::env::var(name).ok())
        .map_err(|problem| LoadConfigError::Invalid { path: path.to_owned(), problem })
}

/// Reads one byte beyond the limit at most, so that the parser rejects a larger file.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_SIZE as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// Parses the text of a configuration file. `variable` returns the value of an environment
/// variable.
///
/// # Errors
/// The first problem, with its position.
pub fn parse(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<ConfigFile, ConfigProblem> {
    registry::parse_sections(&Document::new(text)?, variable)
}

/// Parses a valid configuration file for tests of other modules.
#[cfg(test)]
pub(crate) fn parse_for_tests(text: &str) -> ConfigFile {
    parse(text, &|_| None).unwrap_or_else(|problem| panic!("{problem:?} in {text}"))
}

#[cfg(test)]
mod tests;
