//! Tenant label, and its position among the labels of a series.
//!
//! Thanos stores tenants in separate databases and adds the tenant label to every series on
//! reading, where it replaces a label of the same name. Here the label is stored under the same
//! rule: the tenant label wins. Without a tenant or a label name, labels are unchanged.

use crate::remote::wire::protobuf::MessageCursor;
use crate::remote::write::v1::series_span::LABELS_KEY;

/// Keys of `name` and `value` of a label, as bytes.
const NAME_KEY: u8 = 0x0a;
const VALUE_KEY: u8 = 0x12;

/// Name of the label that stores tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantLabel {
    /// Label name; empty if tenants are not stored.
    name: String,
}

/// Name and value of a tenant label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TenantLabelPair<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
}

impl TenantLabel {
    /// Stores tenants in labels of this name, or not at all if it is empty.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// Returns the label of a tenant, or `None` if it is not stored.
    pub(crate) fn for_tenant<'a>(&'a self, tenant: &'a str) -> Option<TenantLabelPair<'a>> {
        let is_kept = !self.name.is_empty() && !tenant.is_empty();
        is_kept.then_some(TenantLabelPair { name: &self.name, value: tenant })
    }
}

impl TenantLabelPair<'_> {
    /// Writes `label_bytes` with this label inserted into `buffer`.
    ///
    /// `label_bytes` must be encoded as in [`crate::model::labels::Labels`]; otherwise it returns
    /// `false`. Unsorted labels stay unsorted.
    pub(crate) fn insert_sorted(&self, label_bytes: &[u8], buffer: &mut Vec<u8>) -> bool {
        let Some(ByteRange { start, end }) = self.insert_position(label_bytes) else {
            return false;
        };
        buffer.clear();
        buffer.extend_from_slice(&label_bytes[..start]);
        self.append_label(buffer);
        buffer.extend_from_slice(&label_bytes[end..]);
        true
    }

    /// Returns the range that this label replaces; empty if it is inserted.
    fn insert_position(&self, label_bytes: &[u8]) -> Option<ByteRange> {
        let mut labels = MessageCursor::new(label_bytes);
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
        Some(ByteRange { start: label_bytes.len(), end: label_bytes.len() })
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

/// Range of bytes that a label replaces.
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
    fn tenant_label_needs_tenant_and_name() {
        let tenants = TenantLabel::new("tenant_id");
        assert_eq!(
            tenants.for_tenant("a"),
            Some(TenantLabelPair { name: "tenant_id", value: "a" })
        );
        assert_eq!(tenants.for_tenant(""), None);
        assert_eq!(TenantLabel::new("").for_tenant("a"), None);
    }

    #[test]
    fn uncommon_label_encoding_is_not_spliced() {
        let label = TenantLabelPair { name: "t", value: "v" };
        let mut buffer = Vec::new();
        // Value before name; no name at all; another field.
        for label_bytes in [&b"\x0a\x06\x12\x01b\x0a\x01a"[..], b"\x0a\x03\x12\x01b", b"\x12\x00"] {
            assert!(!label.insert_sorted(label_bytes, &mut buffer), "{label_bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn insertion_keeps_labels_canonical(
            labels in prop::collection::btree_map(
                "[a-z_]{1,3}|[a-z]{120,140}|é{1,90}",
                "[a-z]{1,140}|é{1,9000}",
                0..8,
            ),
            name in "[a-z_]{1,3}|[a-z]{120,140}",
            value in "[a-z]{1,140}",
        ) {
            let build = |labels: &BTreeMap<String, String>| {
                let pairs = labels.iter().map(|(name, value)| (&**name, &**value));
                pairs.collect::<LabelsBuilder<'_>>().build()
            };
            let label_bytes =
                build(&labels).map_or_else(|_| Vec::new(), |labels| labels.as_bytes().to_vec());
            let mut buffer = b"of before".to_vec();
            let pair = TenantLabelPair { name: &name, value: &value };
            let inserted = pair.insert_sorted(&label_bytes, &mut buffer);
            prop_assert!(inserted);
            let mut with = labels.clone();
            with.insert(name.clone(), value.clone());
            let with = build(&with).unwrap();
            prop_assert_eq!(with.as_bytes(), &buffer[..]);
        }
    }
}
