//! Record builder: a record that grows by one entry at a time.
//!
//! At any time the bytes are a complete record, equal to the output of the encoder of its type.

use crate::model::exemplar::Exemplar;
use crate::model::histogram::CUSTOM_BUCKETS_SCHEMA;
use crate::model::refs::SeriesRef;
use crate::model::sample::{Sample, SampleValue};
use crate::tsdb::encoding::byte_reader::{put_be_i64, put_be_u64, put_uvarint, put_varint};
use crate::tsdb::wal::record::histogram_encoder::{put_float_histogram, put_histogram};
use crate::tsdb::wal::record::label_set::put_labels;
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::record::samples::{EntryBase, EntryHeader};

/// Version of sample records: without or with start timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordVersion {
    /// Without start timestamps: types 2 and 7 to 10, which all versions of Prometheus read.
    #[default]
    V1,
    /// With start timestamps: types 11 to 13, which newer versions read.
    V2,
}

/// Buffer of a growing record.
#[derive(Debug, Default)]
pub struct RecordBuilder {
    bytes: Vec<u8>,
    /// Series reference that entries of a V1 record are relative to; `base_time` likewise, ms.
    base_ref: u64,
    base_time: i64,
    /// Base of the entries of a V2 record.
    times: Option<EntryBase>,
}

/// Returns the type of the record that takes a sample with this value.
#[inline]
#[must_use]
pub fn record_type_for(value: &SampleValue, version: RecordVersion) -> RecordType {
    match (value, version) {
        (SampleValue::Float(_), RecordVersion::V1) => RecordType::Samples,
        (SampleValue::Float(_), RecordVersion::V2) => RecordType::SamplesV2,
        (SampleValue::Histogram(_), RecordVersion::V2) => RecordType::HistogramsV2,
        (SampleValue::FloatHistogram(_), RecordVersion::V2) => RecordType::FloatHistogramsV2,
        (SampleValue::Histogram(histogram), RecordVersion::V1)
            if histogram.schema == CUSTOM_BUCKETS_SCHEMA =>
        {
            RecordType::CustomHistograms
        }
        (SampleValue::Histogram(_), RecordVersion::V1) => RecordType::Histograms,
        (SampleValue::FloatHistogram(histogram), RecordVersion::V1)
            if histogram.schema == CUSTOM_BUCKETS_SCHEMA =>
        {
            RecordType::CustomFloatHistograms
        }
        (SampleValue::FloatHistogram(_), RecordVersion::V1) => RecordType::FloatHistograms,
    }
}

impl RecordBuilder {
    /// Returns `true` if there are no bytes, not even the type byte.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the length of the record, bytes.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the allocated size, bytes.
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Returns the buffer, for entries that do not depend on earlier ones. `begin` writes the
    /// header of an empty record.
    pub fn bytes(&mut self, begin: impl FnOnce(&mut Vec<u8>)) -> &mut Vec<u8> {
        if self.bytes.is_empty() {
            begin(&mut self.bytes);
        }
        &mut self.bytes
    }

    /// Appends a sample to a record of this type, which must be the one that [`record_type_for`]
    /// returns.
    #[inline]
    pub fn push_sample(&mut self, record_type: RecordType, series: SeriesRef, sample: &Sample) {
        match record_type {
            RecordType::SamplesV2 | RecordType::HistogramsV2 | RecordType::FloatHistogramsV2 => {
                if self.bytes.is_empty() {
                    self.bytes.push(record_type.as_byte());
                    self.times = None;
                }
                let entry =
                    EntryHeader { series, t: sample.t, start_timestamp: sample.start_timestamp };
                EntryBase::write(&mut self.times, &mut self.bytes, entry);
            }
            _ => self.push_entry_header(record_type, series, sample.t),
        }
        match &sample.value {
            SampleValue::Float(v) => put_be_u64(&mut self.bytes, v.to_bits()),
            SampleValue::Histogram(histogram) => put_histogram(&mut self.bytes, histogram),
            SampleValue::FloatHistogram(histogram) => {
                put_float_histogram(&mut self.bytes, histogram)
            }
        }
    }

    /// Appends an exemplar. All entries of the record must be exemplars.
    pub fn push_exemplar(&mut self, series: SeriesRef, exemplar: &Exemplar) {
        self.push_entry_header(RecordType::Exemplars, series, exemplar.t);
        put_be_u64(&mut self.bytes, exemplar.v.to_bits());
        match &exemplar.labels {
            Some(labels) => put_labels(&mut self.bytes, labels),
            None => put_uvarint(&mut self.bytes, 0),
        }
    }

    /// Moves the bytes to the end of `out` and starts an empty record.
    pub fn finish_into(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.bytes);
    }

    /// Appends the header of an entry that is relative to the first one.
    #[inline]
    fn push_entry_header(&mut self, record_type: RecordType, series: SeriesRef, t: i64) {
        if self.bytes.is_empty() {
            self.bytes.push(record_type.as_byte());
            put_be_u64(&mut self.bytes, series.0);
            put_be_i64(&mut self.bytes, t);
            (self.base_ref, self.base_time) = (series.0, t);
        }
        put_varint(&mut self.bytes, series.0.wrapping_sub(self.base_ref) as i64);
        put_varint(&mut self.bytes, t.wrapping_sub(self.base_time));
    }
}
