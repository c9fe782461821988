//! Text in the configuration file, or the file that contains it.

use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::output::YamlMapping;
use crate::config::yaml::value::Value;
use crate::model::secret::{HIDDEN, Secret};
use std::path::{Path, PathBuf};

/// Beginning of a PEM section.
const PEM_BEGIN: &str = "-----BEGIN ";

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

/// Keys of a text, such as `password`, `password_file` and `password_ref`.
#[derive(Clone, Copy)]
pub(super) struct SourceKeys {
    pub(super) inline: &'static str,
    pub(super) file: &'static str,
    /// Name in a secret manager; empty if there is no such key.
    pub(super) reference: &'static str,
}

impl SourceKeys {
    /// Reads the text and its value; `None` if no key has one.
    pub(super) fn read<'a, T>(
        self,
        mapping: &mut Mapping<'a>,
        make: impl FnOnce(String) -> T,
    ) -> Option<(Source<T>, Value<'a>)> {
        let inline = text(mapping.get(self.inline));
        let file = text(mapping.get(self.file));
        if !self.reference.is_empty()
            && let Some((_, value)) = text(mapping.get(self.reference))
        {
            value.problem(format_args!("narthex has no secret manager; use {}", self.file));
        }
        if let (Some(_), Some((_, value))) = (&inline, &file) {
            value.problem(format_args!("excludes {}; set one of them", self.inline));
        }
        if let Some((path, value)) = file {
            // The error of opening the file would contain the text.
            if path.contains(PEM_BEGIN) {
                let inline = self.inline;
                value.problem(format_args!("is PEM text, not a path; {inline} takes the text"));
                return Some((Source::Inline(make(path)), value));
            }
            let path = value.source().resolve(&path);
            return Some((Source::File(path), value));
        }
        inline.map(|(text, value)| (Source::Inline(make(text)), value))
    }
}

/// Returns a text that is not empty.
fn text(value: Option<Value<'_>>) -> Option<(String, Value<'_>)> {
    let value = value?;
    let text = value.string().filter(|text| !text.is_empty())?;
    Some((text, value))
}

/// Adds a secret to the effective configuration, hidden, or the path of its file.
pub(super) fn add_secret(
    source: Option<&Source<Secret>>,
    keys: SourceKeys,
    yaml: &mut YamlMapping,
) {
    if source.is_some_and(|source| source.inline().is_some()) {
        yaml.set(keys.inline, HIDDEN);
    }
    add_file(source, keys, yaml);
}

/// Adds a text to the effective configuration, or the path of its file.
pub(super) fn add_text(source: Option<&Source<String>>, keys: SourceKeys, yaml: &mut YamlMapping) {
    if let Some(text) = source.and_then(Source::inline) {
        yaml.set(keys.inline, text.as_str());
    }
    add_file(source, keys, yaml);
}

fn add_file<T>(source: Option<&Source<T>>, keys: SourceKeys, yaml: &mut YamlMapping) {
    if let Some(path) = source.and_then(Source::file) {
        yaml.set(keys.file, path.display().to_string());
    }
}
