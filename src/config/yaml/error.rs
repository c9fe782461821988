//! Errors of the configuration file, as `path:line:column: message`.
//!
//! # Secrets
//! A message may quote a key of the file, and a file with swapped keys and values has a hash of a
//! password there. So the constructor of a problem replaces hashes in every message.

use std::fmt;
use std::path::PathBuf;

/// Minimum length of a text that is taken for a hash, bytes.
const MIN_HASH_BYTES: usize = 20;

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

impl ConfigProblem {
    /// Returns a problem. Hashes of passwords in the message are replaced.
    pub(crate) fn new(position: Option<Position>, message: &str) -> Self {
        Self { position, message: hide_hashes(message) }
    }
}

/// Replaces hashes such as `$2y$10$…`, `$apr1$…` and `$6$…`.
fn hide_hashes(text: &str) -> String {
    let is_of_hash = |c: char| c.is_ascii_alphanumeric() || matches!(c, '$' | '.' | '/' | '=');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.find('$').map(|start| rest.split_at(start)) {
        let end = from.find(|c| !is_of_hash(c)).unwrap_or(from.len());
        let (found, behind) = from.split_at(end);
        shown.push_str(before);
        shown.push_str(if found.len() < MIN_HASH_BYTES { found } else { "<hash>" });
        rest = behind;
    }
    shown.push_str(rest);
    shown
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

/// Problem of one of several files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    /// Path of the file.
    pub path: PathBuf,
    /// Position and description.
    pub problem: ConfigProblem,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.problem.position.is_some() { "" } else { " " };
        write!(f, "{}:{space}{}", self.path.display(), self.problem)
    }
}

/// Error of loading the web configuration file.
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

#[cfg(test)]
mod tests {
    use super::hide_hashes;

    #[test]
    fn hashes_are_replaced_and_other_text_is_not() {
        let bcrypt = "$2y$04$T02wZkT1MUrKaDDx/uaF/uToYWN01dHiPr/.1K1UlZGu7JUL5zzKu";
        let sha512 = "$6$rounds=5000$abcdefgh$0123456789abcdefghij./ABCDEFG";
        for (text, expected) in [
            (format!("user {bcrypt:?} is unknown"), "user \"<hash>\" is unknown"),
            (format!("user \"alice:{bcrypt}\""), "user \"alice:<hash>\""),
            (format!("{sha512}, {}", &bcrypt[..40]), "<hash>, <hash>"),
            ("begin with $2a$, $2b$ or $2y$".to_owned(), "begin with $2a$, $2b$ or $2y$"),
            ("${HOME} and $USER: é$é $".to_owned(), "${HOME} and $USER: é$é $"),
            (String::new(), ""),
        ] {
            assert_eq!(hide_hashes(&text), expected);
        }
    }
}
