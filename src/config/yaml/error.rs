//! Errors of the configuration file, as `path:line:column: message`.

use std::fmt;
use std::path::PathBuf;

/// Position in the text of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line number, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

/// Problem in the text of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Position of the key or value; `None` if the problem is the whole file.
    pub position: Option<Position>,
    /// Key and the reason why it is invalid.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    /// Formats position and message as they follow the path of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Error of loading the configuration file.
#[derive(Debug, thiserror::Error)]
pub enum LoadConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration file {path}: {source}")]
    Read {
        /// Path of the configuration file.
        path: PathBuf,
        /// Error of reading the file.
        source: std::io::Error,
    },
    /// The file is not valid YAML, or has an unknown key or an invalid value.
    #[error("{path}:{}{problem}", if problem.position.is_some() { "" } else { " " })]
    Invalid {
        /// Path of the configuration file.
        path: PathBuf,
        /// Position and description of the first problem.
        problem: ConfigProblem,
    },
}
