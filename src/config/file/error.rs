//! Error of loading the configuration file.

use crate::config::yaml::error::FileProblem;
use std::fmt;
use std::path::PathBuf;

/// Error of loading the configuration file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// The file cannot be read.
    #[error("cannot read configuration file {path}: {source}")]
    Read {
        /// Path of the configuration file.
        path: PathBuf,
        /// Error of reading the file.
        source: std::io::Error,
    },
    /// The file, or one that it includes, has problems; never empty.
    #[error("{}", FirstProblem(.0))]
    Invalid(Vec<FileProblem>),
}

/// Formats the first problem and the number of the others.
struct FirstProblem<'a>(&'a [FileProblem]);

impl fmt::Display for FirstProblem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, others)) = self.0.split_first() else { return Ok(()) };
        write!(f, "{first}")?;
        match others.len() {
            0 => Ok(()),
            1 => f.write_str(" (and 1 more problem; narthex check config lists all)"),
            n => write!(f, " (and {n} more problems; narthex check config lists all)"),
        }
    }
}
