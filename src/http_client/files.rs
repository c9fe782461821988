//! Files with secrets and certificates, read at each request.
//!
//! Reading blocks, so it runs on the threads for blocking work, all files of a request at once.

use crate::config::file::http_client::source::Source;
use crate::http_client::os_text::os_text;
use crate::model::secret::Secret;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Maximum size of a file, bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Error of reading a file of the settings.
#[derive(Debug, thiserror::Error)]
#[error("unable to read file {}: {}", path.display(), os_text(source))]
pub struct ReadFileError {
    /// Path of the file.
    pub path: PathBuf,
    /// Error of reading it.
    pub source: io::Error,
}

/// Paths that a client reads at each request.
#[derive(Debug, Clone, Default)]
pub(super) struct FileSet(Vec<PathBuf>);

/// Contents of the files of a [`FileSet`] at one time.
#[derive(Default)]
pub(super) struct Files(BTreeMap<PathBuf, io::Result<Vec<u8>>>);

impl FileSet {
    /// Adds the file of a source, if it is one.
    pub(super) fn add<T>(&mut self, source: Option<&Source<T>>) {
        if let Some(path) = source.and_then(Source::file) {
            self.add_path(path);
        }
    }

    /// Adds a file.
    pub(super) fn add_path(&mut self, path: &Path) {
        if !self.0.iter().any(|known| known == path) {
            self.0.push(path.to_owned());
        }
    }

    /// Reads all files. Errors are kept until the contents are used.
    pub(super) fn read_blocking(&self) -> Files {
        Files(self.0.iter().map(|path| (path.clone(), read(path))).collect())
    }

    /// Reads all files on a thread for blocking work.
    pub(super) async fn read(&self) -> Files {
        if self.0.is_empty() {
            return Files::default();
        }
        let set = self.clone();
        let read = tokio::task::spawn_blocking(move || set.read_blocking()).await;
        // It fails only if the runtime is shutting down; then every file is missing.
        read.unwrap_or_default()
    }
}

impl Files {
    /// Returns the contents of a file.
    pub(super) fn bytes(&self, path: &Path) -> Result<&[u8], ReadFileError> {
        let error = |source| ReadFileError { path: path.to_owned(), source };
        match self.0.get(path) {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(cause)) => Err(error(match cause.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(cause.kind(), cause.to_string()),
            })),
            None => Err(error(io::Error::other("not read"))),
        }
    }

    /// Returns the contents of a file without the white space around them, as in Prometheus.
    pub(super) fn text(&self, path: &Path) -> Result<&str, ReadFileError> {
        let text = std::str::from_utf8(self.bytes(path)?).map_err(|_| ReadFileError {
            path: path.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"),
        });
        text.map(str::trim)
    }

    /// Returns the text of a source; a missing source is empty.
    pub(super) fn secret<'a>(
        &'a self,
        source: Option<&'a Source<Secret>>,
    ) -> Result<&'a str, ReadFileError> {
        match source {
            None => Ok(""),
            Some(Source::Inline(secret)) => Ok(secret.expose()),
            Some(Source::File(path)) => self.text(path),
        }
    }

    /// Returns the text of a source that is no secret; a missing source is empty.
    pub(super) fn plain<'a>(
        &'a self,
        source: Option<&'a Source<String>>,
    ) -> Result<&'a str, ReadFileError> {
        match source {
            None => Ok(""),
            Some(Source::Inline(text)) => Ok(text),
            Some(Source::File(path)) => self.text(path),
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // A FIFO would block the open.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("larger than 1 MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::FileSet;
    use crate::config::file::http_client::source::Source;
    use crate::model::secret::Secret;

    #[test]
    fn contents_are_trimmed_and_errors_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (good, large, missing) =
            (dir.path().join("t"), dir.path().join("large"), dir.path().join("missing"));
        std::fs::write(&good, " tok en\r\n\n").unwrap();
        std::fs::write(&large, vec![b'x'; (1 << 20) + 1]).unwrap();
        let mut set = FileSet::default();
        for path in [&good, &large, &missing, &dir.path().to_owned(), &good] {
            set.add(Some(&Source::<Secret>::File(path.clone())));
        }
        let files = set.read_blocking();
        assert_eq!(files.secret(Some(&Source::File(good))).unwrap(), "tok en");
        assert_eq!(files.secret(Some(&Source::Inline(Secret::new(" a ")))).unwrap(), " a ");
        assert_eq!(files.secret(None).unwrap(), "");
        for (path, reason) in [
            (large, "larger than 1 MiB"),
            (missing, "no such file or directory"),
            (dir.path().to_owned(), "not a regular file"),
        ] {
            let error = files.bytes(&path).unwrap_err().to_string();
            assert_eq!(error, format!("unable to read file {}: {reason}", path.display()));
        }
    }
}
