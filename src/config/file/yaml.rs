//! YAML document of the configuration file.
//!
//! The parser of a section reads its node into a type of its own ([`Section::read`]). A field of
//! type [`Spanned`] keeps the position of its value, for errors that YAML alone does not find.
//! Every read parses the whole document again, because an alias may refer to any earlier section.
//!
//! # Limits
//! The size of the text, the depth, the number of nodes and the expansion of aliases are limited.
//! A file with duplicate keys or more than one document is invalid.

use crate::config::file::error::{ConfigProblem, Position};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::options::NonFiniteFloatPolicy;
use serde_saphyr::{Error, Location, MessageFormatter, Options, Spanned, UserMessageFormatter};
use std::fmt;
use std::marker::PhantomData;

/// Maximum size of a configuration file, bytes.
pub(super) const MAX_SIZE: usize = 16 << 20;
/// Maximum number of nodes that aliases add to the document.
const MAX_ALIAS_NODES: usize = 50_000;

/// Function that returns the value of an environment variable.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Text of a configuration file.
#[derive(Debug)]
pub(super) struct Document<'a> {
    text: &'a str,
}

/// Key of a mapping and its position.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) position: Option<Position>,
}

impl<'a> Document<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, ConfigProblem> {
        if text.len() > MAX_SIZE {
            let message = format!("file exceeds {MAX_SIZE} bytes");
            return Err(ConfigProblem { position: None, message });
        }
        Ok(Self { text })
    }

    /// Returns the names of the sections, in the order of the file.
    pub(super) fn keys(&self) -> Result<Vec<Key>, ConfigProblem> {
        let keys: Result<Option<Keys>, Error> =
            serde_saphyr::from_str_with_options(self.text, options());
        keys.map(|keys| keys.map_or_else(Vec::new, |keys| keys.0)).map_err(|error| problem(&error))
    }
}

/// Node of a section in the document.
pub(super) struct Section<'a> {
    pub(super) document: &'a Document<'a>,
    pub(super) name: &'a str,
    pub(super) variables: Variables<'a>,
}

impl Section<'_> {
    /// Returns the keys of the section, in the order of the file.
    pub(super) fn keys(&self) -> Result<Vec<Key>, ConfigProblem> {
        Ok(self.read::<Keys>()?.map_or_else(Vec::new, |keys| keys.0))
    }

    /// Reads the section; `None` if it is empty.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<Option<T>, ConfigProblem> {
        let visitor = SectionVisitor { name: self.name, section: PhantomData };
        serde_saphyr::with_deserializer_from_str_with_options(
            self.document.text,
            options(),
            |document| document.deserialize_map(visitor),
        )
        .map_err(|error| problem(&error))
    }
}

/// Returns a problem at the position of a value.
pub(super) fn invalid<T>(value: &Spanned<T>, message: String) -> ConfigProblem {
    ConfigProblem { position: position(value.referenced), message }
}

fn options() -> Options {
    serde_saphyr::options! {
        with_snippet: false,
        // Skipped values belong to the parsers of other sections.
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIAS_NODES },
    }
}

/// Keys of a mapping; values are skipped.
struct Keys(Vec<Key>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'de> Visitor<'de> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
        let mut keys = Vec::new();
        while let Some((key, IgnoredAny)) = map.next_entry::<Spanned<String>, IgnoredAny>()? {
            keys.push(Key { position: position(key.referenced), name: key.value });
        }
        Ok(Keys(keys))
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
    ConfigProblem { position: error.location().and_then(position), message: message(error) }
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
