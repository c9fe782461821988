//! The metadata of a remote write 1.0 request, seen in place: one entry for each metric family.
//!
//! A view is only made of a request that [`crate::remote::request_index_v1`] has checked, so nothing here can fail: where it would, it ends.
//! Requests have either series or metadata, as senders write them, so passing over the series costs nothing.

use crate::model::metadata::{Metadata, MetadataRef, MetricType};
use crate::remote::protobuf::{MAX_DEPTH, MessageCursor};

/// Field numbers of `prometheus.MetricMetadata`.
const TYPE: u32 = 1;
const FAMILY: u32 = 2;
const HELP: u32 = 4;
const UNIT: u32 = 5;

/// How long the texts of an entry may be.
#[derive(Debug, Clone, Copy)]
pub struct MetadataLimits {
    /// Bytes of the family's name.
    pub name_bytes: usize,
    /// Bytes of unit and help text together: a copy of both goes to the log for each series of the family.
    pub text_bytes: usize,
}

impl MetadataLimits {
    /// Whether unit and help text may be stored.
    pub(crate) fn check_size(&self, metadata: &MetadataRef<'_>) -> Result<(), MetadataError> {
        let bytes = metadata.unit.len() + metadata.help.len();
        if bytes > self.text_bytes {
            Err(MetadataError::LongText(bytes, self.text_bytes))
        } else {
            Ok(())
        }
    }
}

/// Why an entry is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// No name.
    #[error("metadata without the name of a metric family")]
    NoName,
    /// A long name.
    #[error("metric family name of {0} bytes, the limit is {1}")]
    LongName(usize, usize),
    /// A long unit or help text.
    #[error("unit and help text of {0} bytes, the limit is {1}")]
    LongText(usize, usize),
}

/// What a request says of a metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FamilyMetadata<'a> {
    /// Its name.
    pub family: &'a str,
    /// Its type; one that is not known is `Unknown`.
    pub metric_type: MetricType,
    /// Its help text, or empty.
    pub help: &'a str,
    /// Its unit, or empty.
    pub unit: &'a str,
}

impl FamilyMetadata<'_> {
    /// The metadata, to be kept.
    ///
    /// # Errors
    /// [`MetadataError`] where the entry is over a limit.
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

/// The entries of a checked request, in its order; `field` is that of the entries.
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

/// A checked entry; the last value of each field wins.
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

/// By the numbers of `prometheus.MetricMetadata.MetricType`, which are those of 2.0 too, and of which only the lower 32 bits count.
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
    fn an_entry_over_a_limit_is_not_kept() {
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
