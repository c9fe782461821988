//! Label sets in the byte form of remote-write requests.
//!
//! # Format
//! The bytes of [`Labels`] are, for each label in ascending order of names, the field 1 (`labels`)
//! of `prometheus.TimeSeries`:
//!
//! ```text
//! ┌──────┬──────────────┬──────┬──────────────┬──────┬──────┬──────────────┬───────┐
//! │ 0x0a │ len (varint) │ 0x0a │ len (varint) │ name │ 0x12 │ len (varint) │ value │
//! └──────┴──────────────┴──────┴──────────────┴──────┴──────┴──────────────┴───────┘
//! ```
//!
//! So a known series is found by hashing and comparing the bytes of the request, without parsing,
//! sorting or copying.
//!
//! # Invariant
//! The form is canonical: names are unique, not empty and sorted by their bytes; values are not
//! empty (an empty value means an absent label); both are UTF-8; lengths are minimal varints. Two
//! label sets are equal exactly if their bytes are. Only [`LabelsBuilder`] creates label sets, so
//! bytes that equal those of a [`Labels`] need no validation.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Name of the label with the metric name.
pub const METRIC_NAME: &str = "__name__";

const TAG_LABEL: u8 = 0x0a;
const TAG_NAME: u8 = 0x0a;
const TAG_VALUE: u8 = 0x12;

/// Canonical label set; see the module documentation for its bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels {
    /// Shared, so that responses can name series without copying labels.
    bytes: Arc<[u8]>,
}

/// Error of building a label set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildLabelsError {
    /// No label has a value.
    #[error("no labels")]
    Empty,
    /// A label name is empty.
    #[error("empty label name")]
    EmptyName,
    /// A label name occurs twice.
    #[error("duplicate label name {name:?}")]
    DuplicateName {
        /// Name of the label.
        name: String,
    },
}

impl Labels {
    /// Builds the canonical set of pairs that are sorted by name; see [`LabelsBuilder::build`].
    pub(in crate::model) fn from_sorted_pairs(
        pairs: &[(&str, &str)],
    ) -> Result<Self, BuildLabelsError> {
        if pairs.first().is_some_and(|(name, _)| name.is_empty()) {
            return Err(BuildLabelsError::EmptyName);
        }
        if let Some(pair) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(BuildLabelsError::DuplicateName { name: pair[0].0.to_owned() });
        }
        let mut bytes = Vec::with_capacity(pairs.iter().map(|(n, v)| n.len() + v.len() + 6).sum());
        for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            let inner =
                2 + varint_len(name.len()) + name.len() + varint_len(value.len()) + value.len();
            bytes.push(TAG_LABEL);
            put_varint(&mut bytes, inner);
            bytes.push(TAG_NAME);
            put_varint(&mut bytes, name.len());
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(TAG_VALUE);
            put_varint(&mut bytes, value.len());
            bytes.extend_from_slice(value.as_bytes());
        }
        if bytes.is_empty() {
            return Err(BuildLabelsError::Empty);
        }
        Ok(Self { bytes: bytes.into() })
    }

    /// Returns the canonical bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Iterates over pairs of name and value, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        LabelPairs { rest: &self.bytes }.map(|(name, value)| (as_str(name), as_str(value)))
    }

    /// Returns the value of the label `name`, or `None` if the label is absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        LabelPairs { rest: &self.bytes }
            .find(|(candidate, _)| *candidate == name.as_bytes())
            .map(|(_, value)| as_str(value))
    }

    /// Number of labels. Linear in the number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        LabelPairs { rest: &self.bytes }.count()
    }

    /// Returns `true` if there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Order of Prometheus: label by label, name before value, a prefix before its extension.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        LabelPairs { rest: &self.bytes }.cmp(LabelPairs { rest: &other.bytes })
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Formats like Prometheus: `{__name__="up", job="node"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_labels(f, self.iter())
    }
}

/// Formats pairs of name and value like [`Labels`].
///
/// # Errors
/// The error of the formatter.
pub fn write_labels<'a>(
    f: &mut fmt::Formatter<'_>,
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> fmt::Result {
    f.write_str("{")?;
    for (i, (name, value)) in pairs.enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        if is_legacy_name(name) {
            write!(f, "{name}={value:?}")?;
        } else {
            write!(f, "{name:?}={value:?}")?;
        }
    }
    f.write_str("}")
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns `true` if a label name needs no quotes: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub(in crate::model) fn is_legacy_name(name: &str) -> bool {
    !name.is_empty()
        && !name.as_bytes()[0].is_ascii_digit()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Builder that sorts and validates labels.
#[derive(Default, Debug)]
pub struct LabelsBuilder<'a> {
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> LabelsBuilder<'a> {
    /// Returns a builder without labels.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a label. An empty value means an absent label.
    pub fn add(&mut self, name: &'a str, value: &'a str) {
        self.pairs.push((name, value));
    }

    /// Builds the canonical set, without labels whose value is empty.
    ///
    /// # Errors
    /// [`BuildLabelsError`] if a name is empty or occurs twice (even with an empty value), or if no
    /// label remains.
    pub fn build(&mut self) -> Result<Labels, BuildLabelsError> {
        self.pairs.sort_unstable_by_key(|(name, _)| *name);
        Labels::from_sorted_pairs(&self.pairs)
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for LabelsBuilder<'a> {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(pairs: T) -> Self {
        Self { pairs: pairs.into_iter().collect() }
    }
}

/// Iterator over the names and values in canonical bytes.
#[derive(Clone)]
struct LabelPairs<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for LabelPairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.get(1..)?;
        take_varint(&mut self.rest)?;
        let name = self.take_field()?;
        let value = self.take_field()?;
        Some((name, value))
    }
}

impl<'a> LabelPairs<'a> {
    fn take_field(&mut self) -> Option<&'a [u8]> {
        self.rest = self.rest.get(1..)?;
        let len = take_varint(&mut self.rest)?;
        let (field, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(field)
    }
}

/// Returns a name or value as a string; the builder has checked that it is UTF-8.
fn as_str(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn varint_len(n: usize) -> usize {
    (usize::BITS - (n | 1).leading_zeros()).div_ceil(7) as usize
}

fn put_varint(out: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<usize> {
    let mut n = 0;
    for (i, byte) in bytes.iter().enumerate().take(10) {
        n |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            *bytes = &bytes[i + 1..];
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{BuildLabelsError, LabelsBuilder};
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
    use std::collections::BTreeMap;

    fn build(pairs: &[(&str, &str)]) -> Result<super::Labels, BuildLabelsError> {
        pairs.iter().copied().collect::<LabelsBuilder<'_>>().build()
    }

    #[test]
    fn order_and_empty_values_do_not_matter() {
        let sorted = build(&[("__name__", "up"), ("job", "node")]).unwrap();
        let unsorted = build(&[("job", "node"), ("zone", ""), ("__name__", "up")]).unwrap();
        assert_eq!(sorted, unsorted);
        assert_eq!(
            sorted.as_bytes(),
            b"\x0a\x0e\x0a\x08__name__\x12\x02up\x0a\x0b\x0a\x03job\x12\x04node"
        );
    }

    #[test]
    fn invalid_names_are_rejected() {
        assert_eq!(build(&[("", "x")]), Err(BuildLabelsError::EmptyName));
        assert_eq!(
            build(&[("a", "x"), ("a", "y")]),
            Err(BuildLabelsError::DuplicateName { name: "a".into() })
        );
        assert_eq!(
            build(&[("a", "x"), ("a", "")]),
            Err(BuildLabelsError::DuplicateName { name: "a".into() })
        );
        assert_eq!(build(&[("a", "")]), Err(BuildLabelsError::Empty));
        assert_eq!(build(&[]), Err(BuildLabelsError::Empty));
    }

    #[test]
    fn labels_are_formatted_as_in_prometheus() {
        let set = build(&[("__name__", "a.b"), ("x.y", "1\n\"")]).unwrap();
        assert_eq!(set.to_string(), r#"{__name__="a.b", "x.y"="1\n\""}"#);
    }

    proptest! {
        #[test]
        fn labels_are_read_back_and_ordered_like_pairs(
            a in proptest::collection::btree_map(".{1,200}", ".{1,200}", 1..8),
            b in proptest::collection::btree_map("[ab]{1,2}", "[ab]{1,2}", 1..4),
            c in proptest::collection::btree_map("[ab]{1,2}", "[ab]{1,2}", 1..4),
        ) {
            let build_set = |map: &BTreeMap<String, String>| {
                let pairs = map.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                pairs.collect::<LabelsBuilder<'_>>().build().unwrap()
            };
            let built = build_set(&a);
            let read: Vec<_> = built.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(&read, &a.clone().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(built.len(), a.len());
            for (name, value) in &a {
                prop_assert_eq!(built.get(name), Some(value.as_str()));
            }
            let flat = |map: &BTreeMap<String, String>| {
                map.clone().into_iter().collect::<Vec<_>>()
            };
            prop_assert_eq!(build_set(&b).cmp(&build_set(&c)), flat(&b).cmp(&flat(&c)));
            prop_assert!(built.get("no such label").is_none());
        }
    }
}
