//! YAML document of a configuration file.
//!
//! The parser of a section reads its node into a type of its own (`Section::read`). A field of
//! type [`Spanned`] keeps the position of its value, for errors that YAML alone does not find.
//! Every read parses the whole document again, because an alias may refer to any earlier section.
//!
//! # Limits
//! The size of the text, the depth, the number of nodes and the expansion of aliases are limited.
//! A file with duplicate keys or more than one document is invalid.

use crate::config::yaml::error::{ConfigProblem, LoadConfigError, Position};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::options::NonFiniteFloatPolicy;
use serde_saphyr::{Error, Location, MessageFormatter, Options, Spanned, UserMessageFormatter};
use std::fs::File;
use std::io::Read;
use std::marker::PhantomData;
use std::path::Path;
use std::{fmt, io};

/// Maximum number of nodes that aliases add to the document.
const MAX_ALIAS_NODES: usize = 50_000;

/// Reads a configuration file and parses its text.
///
/// # Errors
/// [`LoadConfigError`] names the file and, if known, line and column.
pub fn load<T>(
    path: &Path,
    max_size: usize,
    parse: impl FnOnce(&str) -> Result<T, ConfigProblem>,
) -> Result<T, LoadConfigError> {
    let text = read(path, max_size)
        .map_err(|source| LoadConfigError::Read { path: path.to_owned(), source })?;
    parse(&text).map_err(|problem| LoadConfigError::Invalid { path: path.to_owned(), problem })
}

/// Reads a text file: one byte beyond the limit at most, so that the parser rejects a larger file.
pub(crate) fn read(path: &Path, max_size: usize) -> io::Result<String> {
    // A FIFO would block the open.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(max_size as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// Text of a configuration file.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    text: &'a str,
}

/// Key of a mapping and its position.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) position: Option<Position>,
}

impl<'a> Document<'a> {
    /// Returns the document of a text of at most `max_size` bytes.
    pub(crate) fn new(text: &'a str, max_size: usize) -> Result<Self, ConfigProblem> {
        if text.len() > max_size {
            let message = format!("file exceeds {max_size} bytes");
            return Err(ConfigProblem::new(None, &message));
        }
        Ok(Self { text })
    }

    /// Returns the names of the sections, in the order of the file.
    pub(crate) fn keys(&self) -> Result<Vec<Key>, ConfigProblem> {
        let pairs: Result<Option<Pairs<IgnoredAny>>, Error> =
            serde_saphyr::from_str_with_options(self.text, options());
        pairs.map(keys).map_err(|error| problem(&error))
    }
}

/// Node of a section in the document.
pub(crate) struct Section<'a> {
    pub(crate) document: &'a Document<'a>,
    pub(crate) name: &'a str,
}

impl Section<'_> {
    /// Returns the keys of the section, in the order of the file.
    pub(crate) fn keys(&self) -> Result<Vec<Key>, ConfigProblem> {
        self.read().map(keys)
    }

    /// Reads the section; `None` if it is empty.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<Option<T>, ConfigProblem> {
        let visitor = SectionVisitor { name: self.name, section: PhantomData };
        serde_saphyr::with_deserializer_from_str_with_options(
            self.document.text,
            options(),
            |document| document.deserialize_map(visitor),
        )
        .map_err(|error| problem(&error))
    }
}

fn keys(pairs: Option<Pairs<IgnoredAny>>) -> Vec<Key> {
    let pairs = pairs.into_iter().flat_map(|pairs| pairs.0);
    pairs.map(|(key, _)| Key { position: position(key.referenced), name: key.value }).collect()
}

/// Returns a problem at the position of a value.
pub(crate) fn invalid<T>(value: &Spanned<T>, message: String) -> ConfigProblem {
    ConfigProblem::new(position(value.referenced), &message)
}

fn options() -> Options {
    serde_saphyr::options! {
        with_snippet: false,
        // Skipped values belong to the parsers of other sections.
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIAS_NODES },
    }
}

/// Pairs of a mapping with arbitrary keys, in the order of the file.
pub(crate) struct Pairs<V>(pub(crate) Vec<(Spanned<String>, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

struct PairsVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<V> {
    type Value = Pairs<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<V>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

/// Visitor of the document that reads one section and skips the others.
struct SectionVisitor<'a, T> {
    name: &'a str,
    section: PhantomData<T>,
}

impl<'de, T: DeserializeOwned> Visitor<'de> for SectionVisitor<'_, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<T>, A::Error> {
        let mut section = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.name {
                section = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(section)
    }
}

fn position(location: Location) -> Option<Position> {
    (location != Location::UNKNOWN)
        .then(|| Position { line: location.line(), column: location.column() })
}

fn problem(error: &Error) -> ConfigProblem {
    ConfigProblem::new(error.location().and_then(position), &message(error))
}

/// Returns the message without a position, in the terms of a configuration file.
fn message(error: &Error) -> String {
    match error {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => message(error),
        Error::SerdeUnknownField { field, expected, .. } => {
            format!("unknown key {field:?}, expected one of {}", expected.join(", "))
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("duplicate key {key:?}"),
        Error::MultipleDocuments { .. } => "file has more than one YAML document".to_owned(),
        Error::Unexpected { expected: "mapping start", .. } => "expected a mapping".to_owned(),
        Error::Unexpected { expected: "string scalar", .. } => "expected a string".to_owned(),
        Error::InvalidScalar { ty, .. } => format!("value is not a valid {ty}"),
        Error::NullIntoString { .. } => "expected a string, not null".to_owned(),
        Error::Budget { .. } => "file has too many or too deeply nested nodes".to_owned(),
        Error::AliasReplayLimitExceeded { .. } => {
            format!("aliases expand to more than {MAX_ALIAS_NODES} nodes")
        }
        other => UserMessageFormatter.format_message(other).escape_debug().to_string(),
    }
}
