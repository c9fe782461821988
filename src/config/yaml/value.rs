//! Cursor on a value: typed reads that report a problem.
//!
//! As in Prometheus, null is the zero of every type: an empty string, `false`, 0, no duration, an
//! empty list. A number, a boolean or a date without quotes is also a string; a number with quotes
//! is not a number.

use crate::config::units;
use crate::config::units::ByteSize;
use crate::config::yaml::error::{ConfigProblem, Position};
use crate::config::yaml::scalar::{Resolved, resolve};
use crate::config::yaml::source::{Source, Tree};
use crate::config::yaml::tree::{Node, NodeKind, Scalar};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Cursor on a value of a file, with its key.
#[derive(Clone)]
pub(crate) struct Value<'a> {
    source: &'a Source,
    node: &'a Node,
    /// Path of the key, such as `scrape_configs[0].scrape_interval`; empty at the root.
    key: String,
}

impl fmt::Debug for Value<'_> {
    /// Formats the place of the value only: it may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value")
            .field("key", &self.key)
            .field("position", &self.node.position)
            .finish_non_exhaustive()
    }
}

impl<'a> Value<'a> {
    /// Returns a cursor on the root of a file.
    pub(crate) fn root(source: &'a Source, tree: &'a Tree) -> Self {
        Self { source, node: &tree.0, key: String::new() }
    }

    /// Returns the file of the value.
    pub(crate) fn source(&self) -> &'a Source {
        self.source
    }

    /// Returns the path of the key, such as `scrape_configs[0].scrape_interval`.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Returns the position of the value.
    pub(crate) fn position(&self) -> Position {
        self.node.position
    }

    /// Reports a problem of the value. `reason` must not contain a secret.
    pub(crate) fn problem(&self, reason: impl fmt::Display) {
        self.source.add_problem(self.finding(reason));
    }

    /// Reports a setting that is valid but has no effect or a surprising one.
    pub(crate) fn warning(&self, reason: impl fmt::Display) {
        self.source.add_warning(self.finding(reason));
    }

    fn finding(&self, reason: impl fmt::Display) -> ConfigProblem {
        finding(self.node.position, &self.key, reason)
    }

    /// Returns `true` if the value is null or missing after its key.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.node.kind, NodeKind::Scalar(scalar) if resolve(scalar) == Resolved::Null)
    }

    /// Returns `true` if the value is a mapping.
    pub(crate) fn is_mapping(&self) -> bool {
        matches!(self.node.kind, NodeKind::Mapping(_))
    }

    fn scalar(&self, expected: &str) -> Option<&'a Scalar> {
        match &self.node.kind {
            NodeKind::Scalar(scalar) => return Some(scalar),
            NodeKind::Sequence(_) => self.problem(format_args!("must be {expected}, not a list")),
            NodeKind::Mapping(_) => self.problem(format_args!("must be {expected}, not a mapping")),
        }
        None
    }

    /// Reads a string. Null is empty.
    pub(crate) fn string(&self) -> Option<String> {
        let scalar = self.scalar("a string")?;
        let is_null = resolve(scalar) == Resolved::Null;
        Some(if is_null { String::new() } else { scalar.text.clone() })
    }

    /// Reads a boolean. Null is `false`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match resolve(self.scalar("true or false")?) {
            Resolved::Null => Some(false),
            Resolved::Bool(value) => Some(value),
            _ => {
                self.problem("must be true or false");
                None
            }
        }
    }

    /// Reads an integer of at least 0. Null is 0.
    ///
    /// A float with a fraction is a problem; Prometheus cuts it.
    pub(crate) fn unsigned(&self) -> Option<u64> {
        let expected = "an integer of at least 0";
        match resolve(self.scalar(expected)?) {
            Resolved::Null => Some(0),
            Resolved::Unsigned(value) => Some(value),
            // 2^64 is the first float that does not fit.
            Resolved::Float(value)
                if value.fract() == 0.0 && (0.0..18_446_744_073_709_551_616.0).contains(&value) =>
            {
                Some(value as u64)
            }
            _ => {
                self.problem(format_args!("must be {expected}"));
                None
            }
        }
    }

    /// Reads an integer that may be negative. Null is 0.
    pub(crate) fn integer(&self) -> Option<i64> {
        let value = match resolve(self.scalar("an integer")?) {
            Resolved::Null => Some(0),
            Resolved::Unsigned(value) => i64::try_from(value).ok(),
            Resolved::Negative(value) => Some(value),
            Resolved::Float(value)
                if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 =>
            {
                Some(value as i64)
            }
            _ => None,
        };
        if value.is_none() {
            self.problem("must be an integer");
        }
        value
    }

    /// Reads a finite number. Null is 0.
    pub(crate) fn float(&self) -> Option<f64> {
        match resolve(self.scalar("a number")?) {
            Resolved::Null => Some(0.0),
            Resolved::Unsigned(value) => Some(value as f64),
            Resolved::Negative(value) => Some(value as f64),
            Resolved::Float(value) if value.is_finite() => Some(value),
            _ => {
                self.problem("must be a number");
                None
            }
        }
    }

    /// Reads a duration such as `1m30s`. Null is 0.
    pub(crate) fn duration(&self) -> Option<Duration> {
        if self.is_null() {
            return Some(Duration::ZERO);
        }
        let text = self.string()?;
        units::parse_duration(&text).map_err(|reason| self.problem(reason)).ok()
    }

    /// Reads a size with a unit such as `10MB`, at most 8 EB − 1. Null is 0.
    pub(crate) fn size(&self) -> Option<ByteSize> {
        if self.is_null() {
            return Some(ByteSize::default());
        }
        let text = self.string()?;
        units::parse_bytes_with_unit(&text).map_err(|reason| self.problem(reason)).ok()
    }

    /// Reads a path; a relative one is relative to the directory of the file. `None` if the path is
    /// empty.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let text = self.string()?;
        (!text.is_empty()).then(|| self.source.resolve(&text))
    }

    /// Reads a list. Null is an empty one.
    pub(crate) fn list(&self) -> Vec<Value<'a>> {
        match &self.node.kind {
            NodeKind::Sequence(items) => items
                .iter()
                .enumerate()
                .map(|(i, node)| Value {
                    source: self.source,
                    node,
                    key: format!("{}[{i}]", self.key),
                })
                .collect(),
            _ => {
                if !self.is_null() {
                    self.problem("must be a list");
                }
                Vec::new()
            }
        }
    }

    /// Reads a list of strings. Null is an empty one.
    pub(crate) fn strings(&self) -> Vec<String> {
        self.list().iter().filter_map(Value::string).collect()
    }

    pub(super) fn node(&self) -> &'a Node {
        self.node
    }

    /// Returns a cursor on a value in this one.
    pub(super) fn child(&self, node: &'a Node, name: &str) -> Self {
        let key =
            if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) };
        Self { source: self.source, node, key }
    }
}

/// Returns a finding at a position, with its key.
pub(super) fn finding(at: Position, key: &str, reason: impl fmt::Display) -> ConfigProblem {
    let message = if key.is_empty() { reason.to_string() } else { format!("{key}: {reason}") };
    ConfigProblem::new(Some(at), &message)
}
