//! Metadata of a metric family and its limits.

use crate::ingest::data_limit::{DataLimit, OverLimit};
use crate::model::metadata::{Metadata, MetadataRef, MetricType};

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

    /// Returns the limit that unit and help text exceed.
    pub(crate) fn exceeded_by(&self, metadata: &MetadataRef<'_>) -> Option<OverLimit> {
        let Err(MetadataError::LongText(value, max)) = self.check_size(metadata) else {
            return None;
        };
        let (value, max) = (value as u64, max as u64);
        Some(OverLimit { limit: DataLimit::MetadataSize, value, max })
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
    /// Returns the first limit that the entry exceeds.
    pub(crate) fn exceeded_limit(&self, limits: &MetadataLimits) -> Option<OverLimit> {
        let name_bytes = self.family.len();
        if name_bytes > limits.name_bytes {
            let (value, max) = (name_bytes as u64, limits.name_bytes as u64);
            return Some(OverLimit { limit: DataLimit::LabelValueSize, value, max });
        }
        let Self { metric_type, unit, help, .. } = *self;
        limits.exceeded_by(&MetadataRef { metric_type, unit, help })
    }

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
