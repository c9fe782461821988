//! Metadata of a remote write 1.0 request, decoded in place: one entry per metric family.
//!
//! A view exists only for a request that [`crate::remote::request_index_v1`] has checked, so
//! decoding cannot fail. Senders put either series or metadata into a request, so skipping the
//! series is cheap.

use crate::model::metadata::{Metadata, MetadataRef, MetricType};
use crate::remote::protobuf::{MAX_DEPTH, MessageCursor};

/// Field numbers of `prometheus.MetricMetadata`.
const TYPE: u32 = 1;
const FAMILY: u32 = 2;
const HELP: u32 = 4;
const UNIT: u32 = 5;

/// Maximum sizes of a metadata entry.
#[derive(Debug, Clone, Copy)]
pub struct MetadataLimits {
    /// Maximum size of the family name, bytes.
    pub name_bytes: usize,
    /// Maximum size of unit and help text together, bytes. The WAL stores both for each series of
    /// the family.
    pub text_bytes: usize,
}

impl MetadataLimits {
    /// Checks the size of unit and help text.
    pub(crate) fn check_size(&self, metadata: &MetadataRef<'_>) -> Result<(), MetadataError> {
        let bytes = metadata.unit.len() + metadata.help.len();
        if bytes > self.text_bytes {
            Err(MetadataError::LongText(bytes, self.text_bytes))
        } else {
            Ok(())
        }
    }
}

/// Error of a metadata entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// The family name is missing.
    #[error("metadata without a metric family name")]
    NoName,
    /// The family name exceeds the limit (size, limit; bytes).
    #[error("metric family name of {0} bytes, the limit is {1}")]
    LongName(usize, usize),
    /// Unit and help text exceed the limit (size, limit; bytes).
    #[error("unit and help text of {0} bytes, the limit is {1}")]
    LongText(usize, usize),
}

/// Metadata of a metric family in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FamilyMetadata<'a> {
    /// Name of the metric family.
    pub family: &'a str,
    /// Metric type; unknown numbers become `Unknown`.
    pub metric_type: MetricType,
    /// Help text; empty if there is none.
    pub help: &'a str,
    /// Unit; empty if there is none.
    pub unit: &'a str,
}

impl FamilyMetadata<'_> {
    /// Returns owned metadata.
    ///
    /// # Errors
    /// [`MetadataError`] if the entry is without a name or over a limit.
    pub(crate) fn to_metadata(self, limits: &MetadataLimits) -> Result<Metadata, MetadataError> {
        if self.family.is_empty() {
            return Err(MetadataError::NoName);
        }
        if self.family.len() > limits.name_bytes {
            return Err(MetadataError::LongName(self.family.len(), limits.name_bytes));
        }
        let Self { metric_type, unit, help, .. } = self;
        let metadata = MetadataRef { metric_type, unit, help };
        limits.check_size(&metadata)?;
        Ok(metadata.to_metadata())
    }
}

/// Returns the entries of a checked request in its order. `field` is their field number.
pub(crate) fn iter_families(body: &[u8], field: u32) -> impl Iterator<Item = FamilyMetadata<'_>> {
    let mut request = MessageCursor::new(body);
    std::iter::from_fn(move || {
        while !request.is_at_end() {
            let key = request.key().ok()?;
            if key.field == field {
                return request.message().ok().map(decode);
            }
            request.skip_value(key, MAX_DEPTH).ok()?;
        }
        None
    })
}

/// Decodes a checked entry; the last value of each field wins.
fn decode(mut message: MessageCursor<'_>) -> FamilyMetadata<'_> {
    let mut entry = FamilyMetadata::default();
    while !message.is_at_end() {
        if read_field(&mut message, &mut entry).is_none() {
            break;
        }
    }
    entry
}

fn read_field<'a>(message: &mut MessageCursor<'a>, entry: &mut FamilyMetadata<'a>) -> Option<()> {
    let key = message.key().ok()?;
    match key.field {
        TYPE => entry.metric_type = metric_type(message.varint().ok()?),
        FAMILY => entry.family = message.string().ok()?,
        HELP => entry.help = message.string().ok()?,
        UNIT => entry.unit = message.string().ok()?,
        _ => message.skip_value(key, MAX_DEPTH - 1).ok()?,
    }
    Some(())
}

/// Returns the type for a number of `prometheus.MetricMetadata.MetricType`.
///
/// Remote write 2.0 uses the same numbers. Only the lower 32 bits count.
pub(crate) fn metric_type(number: u64) -> MetricType {
    match number as u32 {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::Stateset,
        _ => MetricType::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::{FamilyMetadata, MetadataError, MetadataLimits};
    use crate::model::metadata::MetricType;

    #[test]
    fn entry_over_a_limit_is_rejected() {
        let limits = MetadataLimits { name_bytes: 3, text_bytes: 6 };
        let entry = FamilyMetadata {
            family: "abc",
            metric_type: MetricType::Info,
            help: "help",
            unit: "ms",
        };
        let kept = entry.to_metadata(&limits).unwrap();
        assert_eq!(
            (kept.metric_type, kept.unit.as_str(), kept.help.as_str()),
            (MetricType::Info, "ms", "help")
        );
        for (bad, error) in [
            (FamilyMetadata { family: "", ..entry }, MetadataError::NoName),
            (FamilyMetadata { family: "abcd", ..entry }, MetadataError::LongName(4, 3)),
            (FamilyMetadata { unit: "abc", ..entry }, MetadataError::LongText(7, 6)),
            (FamilyMetadata { help: "abcde", ..entry }, MetadataError::LongText(7, 6)),
        ] {
            assert_eq!(bad.to_metadata(&limits), Err(error));
        }
    }
}
