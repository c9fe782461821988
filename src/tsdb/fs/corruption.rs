//! Corruption of a file: path, offset and cause.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// Corruption of a stored file. `C` is the error enum of the file's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corruption<C> {
    /// Path of the file.
    pub path: PathBuf,
    /// Offset of the corrupted part in the file, bytes; `None` if the whole file is affected.
    pub offset: Option<u64>,
    /// Defect that was found first.
    pub cause: C,
}

impl<C> Corruption<C> {
    /// Corruption of the part at `offset`, bytes.
    pub fn at(path: impl Into<PathBuf>, offset: u64, cause: C) -> Self {
        Self { path: path.into(), offset: Some(offset), cause }
    }

    /// Corruption of a file as a whole.
    pub fn of_file(path: impl Into<PathBuf>, cause: C) -> Self {
        Self { path: path.into(), offset: None, cause }
    }

    /// Converts the cause to that of a higher layer.
    #[must_use]
    pub fn into_layer<D: From<C>>(self) -> Corruption<D> {
        Corruption { path: self.path, offset: self.offset, cause: self.cause.into() }
    }
}

impl<C: fmt::Display> fmt::Display for Corruption<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, offset, cause } = self;
        match offset {
            Some(offset) => write!(f, "{} at offset {offset}: {cause}", path.display()),
            None => write!(f, "{}: {cause}", path.display()),
        }
    }
}

/// The text includes the cause, so the source is that of the cause.
impl<C: Error> Error for Corruption<C> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}

#[cfg(test)]
mod tests {
    use super::Corruption;

    #[test]
    fn text_has_path_and_known_offset() {
        let part = Corruption::<&str>::at("/d/index", 8, "bad magic");
        assert_eq!(part.to_string(), "/d/index at offset 8: bad magic");
        let whole: Corruption<String> =
            Corruption::<&str>::of_file("/d/index", "file is missing").into_layer();
        assert_eq!(whole.to_string(), "/d/index: file is missing");
    }
}
