//! The label that says whose a series is, and its place among the labels of the series.
//!
//! A Thanos that stores has a database for each tenant, and on reading adds the tenant's label to every series of it, in the place of
//! any label of that name that the series has. Here the label is stored, and the rule is the same: the tenant's label stands, whatever the
//! sender wrote. Without a tenant, or where tenants are not kept, labels stay as they are.

use crate::remote::protobuf::Cursor;
use crate::remote::series::LABELS_KEY;

/// The keys of `name` and `value` of a label, as bytes.
const NAME_KEY: u8 = 0x0a;
const VALUE_KEY: u8 = 0x12;

/// How tenants are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantLabel {
    /// Empty: not at all.
    name: String,
}

/// A label's name and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
}

impl TenantLabel {
    /// Keeps tenants in labels of this name, or not at all if it is empty.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// The label of all series of a tenant.
    pub(crate) fn of<'a>(&'a self, tenant: &'a str) -> Option<Label<'a>> {
        let is_kept = !self.name.is_empty() && !tenant.is_empty();
        is_kept.then_some(Label { name: &self.name, value: tenant })
    }
}

impl Label<'_> {
    /// Puts labels, which are packed as [`crate::model::labels::Labels`] keeps them, and this one in its place among them into the buffer;
    /// says no where they are packed in another way. Labels that are not sorted stay so.
    pub(crate) fn splice(&self, packed: &[u8], buffer: &mut Vec<u8>) -> bool {
        let Some(Place { start, end }) = self.place(packed) else { return false };
        buffer.clear();
        buffer.extend_from_slice(&packed[..start]);
        self.pack(buffer);
        buffer.extend_from_slice(&packed[end..]);
        true
    }

    /// Where this label belongs.
    fn place(&self, packed: &[u8]) -> Option<Place> {
        let mut labels = Cursor::new(packed);
        while !labels.is_at_end() {
            let start = labels.offset();
            let [LABELS_KEY, ..] = labels.rest() else { return None };
            labels.skip(1);
            let mut label = labels.message().ok()?;
            let [NAME_KEY, ..] = label.rest() else { return None };
            label.skip(1);
            match label.bytes().ok()?.cmp(self.name.as_bytes()) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Some(Place { start, end: labels.offset() }),
                std::cmp::Ordering::Greater => return Some(Place { start, end: start }),
            }
        }
        Some(Place { start: packed.len(), end: packed.len() })
    }

    fn pack(&self, buffer: &mut Vec<u8>) {
        use prost::encoding::{encode_varint, encoded_len_varint};
        let (name, value) = (self.name.as_bytes(), self.value.as_bytes());
        let field = |bytes: &[u8]| 1 + encoded_len_varint(bytes.len() as u64) + bytes.len();
        buffer.push(LABELS_KEY);
        encode_varint((field(name) + field(value)) as u64, buffer);
        for (key, bytes) in [(NAME_KEY, name), (VALUE_KEY, value)] {
            buffer.push(key);
            encode_varint(bytes.len() as u64, buffer);
            buffer.extend_from_slice(bytes);
        }
    }
}

/// The bytes in whose place a label goes.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
}

#[cfg(test)]
mod tests {
    use super::{Label, TenantLabel};
    use crate::model::labels::LabelsBuilder;
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};
    use std::collections::BTreeMap;

    #[test]
    fn tenants_are_kept_where_there_is_one_and_a_name_for_the_label() {
        let tenants = TenantLabel::new("tenant_id");
        assert_eq!(tenants.of("a"), Some(Label { name: "tenant_id", value: "a" }));
        assert_eq!(tenants.of(""), None);
        assert_eq!(TenantLabel::new("").of("a"), None);
    }

    #[test]
    fn labels_in_another_form_are_left_to_who_reads_them_one_by_one() {
        let label = Label { name: "t", value: "v" };
        let mut buffer = Vec::new();
        // Value before name; no name at all; another field.
        for packed in [&b"\x0a\x06\x12\x01b\x0a\x01a"[..], b"\x0a\x03\x12\x01b", b"\x12\x00"] {
            assert!(!label.splice(packed, &mut buffer), "{packed:02x?}");
        }
    }

    proptest! {
        #[test]
        fn spliced_labels_are_canonical_if_the_series_was(
            labels in prop::collection::btree_map("[a-z_]{1,3}|[a-z]{120,140}|é{1,90}", "[a-z]{1,140}|é{1,9000}", 0..8),
            name in "[a-z_]{1,3}|[a-z]{120,140}",
            value in "[a-z]{1,140}",
        ) {
            let build = |labels: &BTreeMap<String, String>| {
                labels.iter().map(|(name, value)| (&**name, &**value)).collect::<LabelsBuilder<'_>>().build()
            };
            let packed = build(&labels).map_or_else(|_| Vec::new(), |labels| labels.as_packed().to_vec());
            let mut buffer = b"of before".to_vec();
            let spliced = Label { name: &name, value: &value }.splice(&packed, &mut buffer);
            prop_assert!(spliced);
            let mut with = labels.clone();
            with.insert(name.clone(), value.clone());
            let with = build(&with).unwrap();
            prop_assert_eq!(with.as_packed(), &buffer[..]);
        }
    }
}
