//! A record that grows by one entry at a time, for whoever does not have all entries at once.
//!
//! The bytes are at every moment a whole record, the same that the encoder of its kind makes of the entries together.

use crate::model::exemplar::Exemplar;
use crate::model::histogram::CUSTOM_BUCKETS_SCHEMA;
use crate::model::refs::SeriesRef;
use crate::model::sample::{Sample, SampleValue};
use crate::tsdb::encoding::byte_reader::{put_be_i64, put_be_u64, put_uvarint, put_varint};
use crate::tsdb::wal::record::histogram_encoder::{put_float_histogram, put_histogram};
use crate::tsdb::wal::record::label_set::put_labels;
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::record::samples::{EntryBase, EntryHeader};

/// Whether records of points have a place for start timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordVersion {
    /// They have none: types 2 and 7 to 10, which every Prometheus reads.
    #[default]
    V1,
    /// They have: types 11 to 13, for newer ones.
    V2,
}

/// A record being written.
#[derive(Debug, Default)]
pub struct RecordBuilder {
    bytes: Vec<u8>,
    /// What the entries of a V1 record are relative to.
    base_ref: u64,
    base_time: i64,
    /// The same of a V2 record.
    times: Option<EntryBase>,
}

/// The kind of record that a point goes into.
#[inline]
#[must_use]
pub fn record_type_for(value: &SampleValue, starts: RecordVersion) -> RecordType {
    match (value, starts) {
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
    /// Whether it has not begun.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How long it is, bytes.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// How much memory it keeps, bytes.
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The bytes, for entries that depend on nothing before them; `begin` writes what stands in front of the first.
    pub fn bytes(&mut self, begin: impl FnOnce(&mut Vec<u8>)) -> &mut Vec<u8> {
        if self.bytes.is_empty() {
            begin(&mut self.bytes);
        }
        &mut self.bytes
    }

    /// Appends a point to a record of this kind, the one that [`record_type_for`] says for it.
    #[inline]
    pub fn push_sample(&mut self, kind: RecordType, series: SeriesRef, point: &Sample) {
        match kind {
            RecordType::SamplesV2 | RecordType::HistogramsV2 | RecordType::FloatHistogramsV2 => {
                if self.bytes.is_empty() {
                    self.bytes.push(kind.as_byte());
                    self.times = None;
                }
                let entry =
                    EntryHeader { series, t: point.t, start_timestamp: point.start_timestamp };
                EntryBase::write(&mut self.times, &mut self.bytes, entry);
            }
            _ => self.push_entry_header(kind, series, point.t),
        }
        match &point.value {
            SampleValue::Float(v) => put_be_u64(&mut self.bytes, v.to_bits()),
            SampleValue::Histogram(histogram) => put_histogram(&mut self.bytes, histogram),
            SampleValue::FloatHistogram(histogram) => {
                put_float_histogram(&mut self.bytes, histogram)
            }
        }
    }

    /// Appends an exemplar to a record of exemplars.
    pub fn push_exemplar(&mut self, series: SeriesRef, exemplar: &Exemplar) {
        self.push_entry_header(RecordType::Exemplars, series, exemplar.t);
        put_be_u64(&mut self.bytes, exemplar.v.to_bits());
        match &exemplar.labels {
            Some(labels) => put_labels(&mut self.bytes, labels),
            None => put_uvarint(&mut self.bytes, 0),
        }
    }

    /// Moves its bytes behind those of `out`; it then begins anew.
    pub fn finish_into(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.bytes);
    }

    /// The head of an entry whose numbers are relative to the first one's.
    #[inline]
    fn push_entry_header(&mut self, kind: RecordType, series: SeriesRef, t: i64) {
        if self.bytes.is_empty() {
            self.bytes.push(kind.as_byte());
            put_be_u64(&mut self.bytes, series.0);
            put_be_i64(&mut self.bytes, t);
            (self.base_ref, self.base_time) = (series.0, t);
        }
        put_varint(&mut self.bytes, series.0.wrapping_sub(self.base_ref) as i64);
        put_varint(&mut self.bytes, t.wrapping_sub(self.base_time));
    }
}
