//! Tree of the effective configuration, written as YAML.

use serde::{Serialize, Serializer};
use serde_saphyr::{SerializeError, SingleQuoted};
use std::collections::BTreeMap;

/// Node of the effective configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Yaml {
    Bool(bool),
    Unsigned(u64),
    Float(f64),
    Text(String),
    List(Vec<Yaml>),
    Mapping(YamlMapping),
}

/// Mapping that keeps the order of its keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct YamlMapping(Vec<(String, Yaml)>);

impl YamlMapping {
    /// Returns a mapping with one key.
    pub(crate) fn of(key: &str, value: impl Into<Yaml>) -> Self {
        let mut mapping = Self::default();
        mapping.set(key, value);
        mapping
    }

    /// Returns a mapping of texts.
    pub(crate) fn from_texts(texts: &BTreeMap<String, String>) -> Self {
        let mut mapping = Self::default();
        texts.iter().for_each(|(key, text)| mapping.set(key, text.as_str()));
        mapping
    }

    /// Adds a key.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Yaml>) {
        self.0.push((key.to_owned(), value.into()));
    }

    /// Adds a key unless its value is a zero: `false`, 0, or an empty text, list or mapping.
    pub(crate) fn set_unless_zero(&mut self, key: &str, value: impl Into<Yaml>) {
        let value = value.into();
        if !value.is_zero() {
            self.0.push((key.to_owned(), value));
        }
    }

    /// Adds all keys of another mapping.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns `true` if the mapping has no keys.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes the mapping as a document.
    ///
    /// # Errors
    /// None in practice: every value has a representation in YAML.
    pub(crate) fn to_yaml(&self) -> Result<String, SerializeError> {
        serialize(self)
    }
}

impl Yaml {
    fn is_zero(&self) -> bool {
        match self {
            Self::Bool(value) => !value,
            Self::Unsigned(value) => *value == 0,
            Self::Float(value) => *value == 0.0,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Mapping(mapping) => mapping.is_empty(),
        }
    }
}

impl From<bool> for Yaml {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Yaml {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<f64> for Yaml {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<YamlMapping> for Yaml {
    fn from(mapping: YamlMapping) -> Self {
        Self::Mapping(mapping)
    }
}

impl<T: Into<Yaml>> From<Vec<T>> for Yaml {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Yaml>> FromIterator<T> for Yaml {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl Serialize for YamlMapping {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (YamlText(key), value)))
    }
}

impl Serialize for Yaml {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => YamlText(text).serialize(serializer),
            Self::List(items) => serializer.collect_seq(items),
            Self::Mapping(mapping) => mapping.serialize(serializer),
        }
    }
}

/// String with quotes where it needs them, single ones if possible.
struct YamlText<'a>(&'a str);

impl Serialize for YamlText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A plain merge key would merge.
        let is_quoted =
            self.0 == "<<" || serialize(&self.0).is_ok_and(|yaml| yaml.starts_with('"'));
        let quoted = SingleQuoted(self.0);
        if is_quoted && serialize(&quoted).is_ok() {
            quoted.serialize(serializer)
        } else {
            self.0.serialize(serializer)
        }
    }
}

fn serialize(value: &impl Serialize) -> Result<String, SerializeError> {
    // A block scalar would fold long values.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(value, options)
}
