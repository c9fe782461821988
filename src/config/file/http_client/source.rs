//! Text in the configuration file, or the file that contains it.

use std::path::{Path, PathBuf};

/// Text, or the file that contains it. A file is read at each request, so that a rotated one is
/// used at once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source<T> {
    /// Text in the configuration file, not empty.
    Inline(T),
    /// Path of a file; a relative one is already resolved.
    File(PathBuf),
}

impl<T> Source<T> {
    /// Returns the text of the configuration file.
    #[must_use]
    pub fn inline(&self) -> Option<&T> {
        match self {
            Self::Inline(text) => Some(text),
            Self::File(_) => None,
        }
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Inline(_) => None,
            Self::File(path) => Some(path),
        }
    }
}
