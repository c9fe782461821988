//! Configuration file in Prometheus's YAML, parsed strictly.
//!
//! Each section has a parser in its own file, which the registry lists. Any section or key without
//! a parser is an error that names it: no setting is ignored.
//!
//! | module | contents |
//! |---|---|
//! | [`contents`] | the parsed file |
//! | `discovery` | settings of service discovery |
//! | [`global`] | section `global` |
//! | `registry` | parsers of the sections; names of unsupported sections |
//! | [`storage`] | section `storage` |

pub mod contents;
#[cfg(any(test, feature = "testing"))]
pub mod discovery;
pub mod global;
mod registry;
pub mod storage;

use crate::config::expand::Variables;
use crate::config::file::contents::ConfigFile;
use crate::config::yaml::document;
use crate::config::yaml::document::Document;
use crate::config::yaml::error::{ConfigProblem, LoadConfigError};
use std::path::Path;

/// Maximum size of a configuration file, bytes.
const MAX_SIZE: usize = 16 << 20;

/// Reads and parses a configuration file.
///
/// # Errors
/// [`LoadConfigError`] names the file and, if known, line and column.
pub fn load(path: &Path) -> Result<ConfigFile, LoadConfigError> {
    document::load(path, MAX_SIZE, |text| parse(text, &|name| std::env::var(name).ok()))
}

/// Parses the text of a configuration file. `variables` returns the value of an environment
/// variable.
///
/// # Errors
/// The first problem, with its position.
pub fn parse(text: &str, variables: Variables<'_>) -> Result<ConfigFile, ConfigProblem> {
    registry::parse_sections(&Document::new(text, MAX_SIZE)?, variables)
}

/// Parses a valid configuration file for tests of other modules.
#[cfg(test)]
pub(crate) fn parse_for_tests(text: &str) -> ConfigFile {
    parse(text, &|_| None).unwrap_or_else(|problem| panic!("{problem:?} in {text}"))
}

#[cfg(test)]
mod tests;
