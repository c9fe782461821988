//! Record types, identified by the first byte of a record.

use std::fmt;

/// Newest type that Prometheus 3.14 writes.
const NEWEST_KNOWN: u8 = 13;

/// Newest type that may come from a newer Prometheus, which adds one or two a year.
///
/// The margin is small on purpose. The type byte of a fragment has no checksum, so a flipped
/// compression bit makes compressed bytes look like a record. Their first byte is then the low part
/// of the decompressed length (snappy; above 127 for records of 128 bytes or more) or 0x28 (zstd).
/// Both are above the margin and count as corruption.
const NEWEST_PLAUSIBLE: u8 = 20;

/// Type of a record, which determines its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordType {
    /// Labels and references of new series.
    Series,
    /// Float samples without start timestamps.
    Samples,
    /// Deleted time ranges of series.
    Tombstones,
    /// Exemplars with references of their series.
    Exemplars,
    /// M-mapped chunks of out-of-order samples in `chunks_head/`; in the WBL only.
    MmapMarkers,
    /// Type, unit and help text of metrics, per series.
    Metadata,
    /// Integer histograms with exponential buckets.
    Histograms,
    /// Float histograms with exponential buckets.
    FloatHistograms,
    /// Integer histograms with custom buckets.
    CustomHistograms,
    /// Float histograms with custom buckets.
    CustomFloatHistograms,
    /// Float samples with start timestamps.
    SamplesV2,
    /// Integer histograms with any buckets and start timestamps.
    HistogramsV2,
    /// Float histograms with any buckets and start timestamps.
    FloatHistogramsV2,
    /// An unknown type, by its byte; see [`RecordType::is_plausibly_newer`].
    Unknown(u8),
}

impl RecordType {
    /// Returns the type of a record. An empty record is `Unknown(0)`.
    #[inline]
    #[must_use]
    pub fn from_record(record: &[u8]) -> Self {
        match record.first().copied().unwrap_or(0) {
            1 => Self::Series,
            2 => Self::Samples,
            3 => Self::Tombstones,
            4 => Self::Exemplars,
            5 => Self::MmapMarkers,
            6 => Self::Metadata,
            7 => Self::Histograms,
            8 => Self::FloatHistograms,
            9 => Self::CustomHistograms,
            10 => Self::CustomFloatHistograms,
            11 => Self::SamplesV2,
            12 => Self::HistogramsV2,
            13 => Self::FloatHistogramsV2,
            other => Self::Unknown(other),
        }
    }

    /// Returns the first byte of records of this type.
    #[must_use]
    pub fn as_byte(self) -> u8 {
        match self {
            Self::Series => 1,
            Self::Samples => 2,
            Self::Tombstones => 3,
            Self::Exemplars => 4,
            Self::MmapMarkers => 5,
            Self::Metadata => 6,
            Self::Histograms => 7,
            Self::FloatHistograms => 8,
            Self::CustomHistograms => 9,
            Self::CustomFloatHistograms => 10,
            Self::SamplesV2 => 11,
            Self::HistogramsV2 => 12,
            Self::FloatHistogramsV2 => 13,
            Self::Unknown(byte) => byte,
        }
    }

    /// Returns `true` if a newer Prometheus may have written this unknown type, so that the record
    /// is skipped and reported. All other unknown types are corruption. Prometheus skips both
    /// silently.
    #[must_use]
    pub fn is_plausibly_newer(self) -> bool {
        matches!(self, Self::Unknown(byte) if byte > NEWEST_KNOWN && byte <= NEWEST_PLAUSIBLE)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Series => "series",
            Self::Samples => "samples",
            Self::Tombstones => "tombstones",
            Self::Exemplars => "exemplars",
            Self::MmapMarkers => "mmap_markers",
            Self::Metadata => "metadata",
            Self::Histograms => "histograms",
            Self::FloatHistograms => "float_histograms",
            Self::CustomHistograms => "custom_histograms",
            Self::CustomFloatHistograms => "custom_float_histograms",
            Self::SamplesV2 => "samples_v2",
            Self::HistogramsV2 => "histograms_v2",
            Self::FloatHistogramsV2 => "float_histograms_v2",
            Self::Unknown(byte) => return write!(f, "unknown({byte})"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::RecordType;

    #[test]
    fn record_types_and_bytes_map_one_to_one() {
        for byte in 0..=255 {
            assert_eq!(RecordType::from_record(&[byte]).as_byte(), byte);
        }
    }

    #[test]
    fn only_next_few_types_are_plausibly_newer() {
        let newer: Vec<u8> = (0..=255)
            .filter(|&byte| RecordType::from_record(&[byte]).is_plausibly_newer())
            .collect();
        assert_eq!(newer, (14..=20).collect::<Vec<u8>>());
        assert!(!RecordType::from_record(&[]).is_plausibly_newer());
    }
}
