//! Cursor on a mapping: known keys by name, arbitrary keys, unknown keys.

use crate::config::units::ByteSize;
use crate::config::yaml::error::Position;
use crate::config::yaml::tree::{Entry, NodeKind};
use crate::config::yaml::value::{Value, finding};
use std::fmt;
use std::time::Duration;

/// Cursor on a mapping.
///
/// Every read names a key, which makes it a known one. [`Mapping::finish`] reports the keys that
/// nothing has read, so all readers of a mapping share one cursor.
#[derive(Debug)]
pub(crate) struct Mapping<'a> {
    value: Value<'a>,
    entries: &'a [Entry],
    known: Vec<&'static str>,
}

impl<'a> Value<'a> {
    /// Reads a mapping; `None` if the value is null.
    pub(crate) fn mapping(&self) -> Option<Mapping<'a>> {
        match &self.node().kind {
            NodeKind::Mapping(entries) => {
                Some(Mapping { value: self.clone(), entries, known: Vec::new() })
            }
            _ => {
                if !self.is_null() {
                    self.problem("must be a mapping");
                }
                None
            }
        }
    }
}

impl<'a> Mapping<'a> {
    /// Returns the mapping as a value, for problems that concern all of it.
    pub(crate) fn value(&self) -> &Value<'a> {
        &self.value
    }

    /// Returns the value of a key, null included, and makes the key known.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(self.value.child(&entry.value, key))
    }

    /// Reads a string; `None` if the key is missing.
    pub(crate) fn string(&mut self, key: &'static str) -> Option<String> {
        self.get(key)?.string()
    }

    /// Reads a boolean; `None` if the key is missing.
    pub(crate) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        self.get(key)?.boolean()
    }

    /// Reads an integer of at least 0; `None` if the key is missing.
    pub(crate) fn unsigned(&mut self, key: &'static str) -> Option<u64> {
        self.get(key)?.unsigned()
    }

    /// Reads a duration; `None` if the key is missing.
    pub(crate) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.get(key)?.duration()
    }

    /// Reads a size with a unit; `None` if the key is missing.
    pub(crate) fn size(&mut self, key: &'static str) -> Option<ByteSize> {
        self.get(key)?.size()
    }

    /// Reads a list; empty if the key is missing.
    pub(crate) fn list(&mut self, key: &'static str) -> Vec<Value<'a>> {
        self.get(key).map(|value| value.list()).unwrap_or_default()
    }

    /// Reads a list of mappings; empty if the key is missing. A null item is a problem.
    pub(crate) fn mappings(&mut self, key: &'static str) -> Vec<Mapping<'a>> {
        let items = self.list(key);
        for item in items.iter().filter(|item| item.is_null()) {
            item.problem("must be a mapping, not null");
        }
        items.iter().filter_map(Value::mapping).collect()
    }

    /// Reads a mapping; `None` if the key is missing or its value is null.
    pub(crate) fn mapping(&mut self, key: &'static str) -> Option<Mapping<'a>> {
        self.get(key)?.mapping()
    }

    /// Returns all keys and values, in the order of the file, for a mapping with arbitrary keys.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Key<'a>, Value<'a>)> {
        self.entries.iter().map(|entry| {
            let value = self.value.child(&entry.value, &entry.key);
            (Key { name: &entry.key, position: entry.key_position, value: value.clone() }, value)
        })
    }

    /// Returns the keys that have not been read, in the order of the file.
    pub(crate) fn unread(&self) -> impl Iterator<Item = Key<'a>> {
        #[cfg(feature = "testing")]
        self.value.source().record_known_keys(self.value.key(), &self.known);
        self.entries().map(|(key, _)| key).filter(|key| !self.known.contains(&key.name))
    }

    /// Reports every key that has not been read as unknown.
    pub(crate) fn finish(self) {
        self.finish_except(|_| false);
    }

    /// Reports every key that has not been read and that `handle` returns `false` for as unknown.
    pub(crate) fn finish_except(self, handle: impl Fn(&Key<'_>) -> bool) {
        for key in self.unread().filter(|key| !handle(key)) {
            key.problem(format_args!("unknown key {:?}{}", key.name, self.suggestion(key.name)));
        }
    }

    /// Returns the known key that is similar to an unknown one, as the end of a message.
    fn suggestion(&self, unknown: &str) -> String {
        let similar = |known: &&&str| edit_distance_at_most_2(known, unknown);
        match self.known.iter().find(similar) {
            Some(known) => format!("; did you mean {known:?}?"),
            None => String::new(),
        }
    }
}

/// Key of a mapping.
#[derive(Debug)]
pub(crate) struct Key<'a> {
    /// Name as written.
    pub(crate) name: &'a str,
    position: Position,
    value: Value<'a>,
}

impl Key<'_> {
    /// Returns `true` if the value of the key is null.
    pub(crate) fn has_null_value(&self) -> bool {
        self.value.is_null()
    }

    /// Reports a problem at the position of the key.
    pub(crate) fn problem(&self, reason: impl fmt::Display) {
        let finding = finding(self.position, self.value.key(), reason);
        self.value.source().add_problem(finding);
    }

    /// Reports a key that narthex does not support, at its position.
    pub(crate) fn unsupported(&self, reason: impl fmt::Display) {
        let finding = finding(self.position, self.value.key(), reason);
        self.value.source().add_unsupported(finding);
    }
}

/// Maximum length of keys that are compared, bytes.
const MAX_COMPARED_BYTES: usize = 64;

/// Returns `true` if at most two inserted, removed or replaced bytes separate the texts.
fn edit_distance_at_most_2(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len().abs_diff(b.len()) > 2 || a.len().max(b.len()) > MAX_COMPARED_BYTES || b.len() < 4 {
        return false;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()] <= 2
}
