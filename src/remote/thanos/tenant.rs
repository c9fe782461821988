//! The label that says whose a series is, and its place among the labels of the series.
//!
//! A Thanos that stores has a database for each tenant, and on reading adds the tenant's label to every series of it, in the place of
//! any label of that name that the series has. Here the label is stored, and the rule is the same: the tenant's label stands, whatever the
//! sender wrote. Without a tenant, or where tenants are not kept, labels stay as they are.

use crate::remote::protobuf::MessageCursor;
use crate::remote::series_v1::LABELS_KEY;

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
pub(crate) struct TenantLabelPair<'a> {
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
    pub(crate) fn for_tenant<'a>(&'a self, tenant: &'a str) -> Option<TenantLabelPair<'a>> {
        let is_kept = !self.name.is_empty() && !tenant.is_empty();
        is_kept.then_some(TenantLabelPair { name: &self.name, value: tenant })
    }
}

impl TenantLabelPair<'_> {
    /// Puts labels, which are packed as [`crate::model::labels::Labels`] keeps them, and this one in its place among them into the buffer;
    /// says no where they are packed in another way. Labels that are not sorted stay so.
    pub(crate) fn insert_sorted(&self, packed: &[u8], buffer: &mut Vec<u8>) -> bool {
        let Some(ByteRange { start, end }) = self.insert_position(packed) else { return false };
        buffer.clear();
        buffer.extend_from_slice(&packed[..start]);
        self.append_label(buffer);
        buffer.extend_from_slice(&packed[end..]);
        true
    }

    /// Where this label belongs.
    fn insert_position(&self, packed: &[u8]) -> Option<ByteRange> {
        let mut labels = MessageCursor::new(packed);
        while !labels.is_at_end() {
            let start = labels.offset();
            let [LABELS_KEY, ..] = labels.rest() else { return None };
            labels.skip(1);
            let mut label = labels.message().ok()?;
            let [NAME_KEY, ..] = label.rest() else { return None };
            label.skip(1);
            match label.bytes().ok()?.cmp(self.name.as_bytes()) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => {
                    return Some(ByteRange { start, end: labels.offset() });
                }
                std::cmp::Ordering::Greater => return Some(ByteRange { start, end: start }),
            }
        }
        Some(ByteRange { start: packed.len(), end: packed.len() })
    }

    fn append_label(&self, buffer: &mut Vec<u8>) {
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
struct ByteRange {
    start: usize,
    end: usize,
}

#[cfg(test)]
mod tests {
    use super::{TenantLabel, TenantLabelPair};
    use crate::model::labels::LabelsBuilder;
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};
    use std::collections::BTreeMap;

    #[test]
    fn tenants_are_kept_where_there_is_one_and_a_name_for_the_label() {
        let tenants = TenantLabel::new("tenant_id");
        assert_eq!(
            tenants.for_tenant("a"),
            Some(TenantLabelPair { name: "tenant_id", value: "a" })
        );
        assert_eq!(tenants.for_tenant(""), None);
        assert_eq!(TenantLabel::new("").for_tenant("a"), None);
    }

    #[test]
    fn labels_in_another_form_are_left_to_who_reads_them_one_by_one() {
        let label = TenantLabelPair { name: "t", value: "v" };
        let mut buffer = Vec::new();
        // Value before name; no name at all; another field.
        for packed in [&b"\x0a\x06\x12\x01b\x0a\x01a"[..], b"\x0a\x03\x12\x01b", b"\x12\x00"] {
            assert!(!label.insert_sorted(packed, &mut buffer), "{packed:02x?}");
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
            let packed = build(&labels).map_or_else(|_| Vec::new(), |labels| labels.as_bytes().to_vec());
            let mut buffer = b"of before".to_vec();
            let spliced = TenantLabelPair { name: &name, value: &value }.insert_sorted(&packed, &mut buffer);
            prop_assert!(spliced);
            let mut with = labels.clone();
            with.insert(name.clone(), value.clone());
            let with = build(&with).unwrap();
            prop_assert_eq!(with.as_bytes(), &buffer[..]);
        }
    }
}
