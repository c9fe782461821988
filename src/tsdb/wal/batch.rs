//! Log batch: the records that one request adds to the WAL or the WBL.
//!
//! Entries are encoded directly into their record. One record per type is open at a time. Records
//! that reach 1 MiB are finished, so a long batch becomes several records. [`LogBatch::seal`]
//! compresses finished records. Buffers are reused. The WAL and the WBL have batches of their own.
//!
//! # Ordering
//! - [`LogBatch::finish_records`] finishes all open records in this order: series, metadata,
//!   floats, histograms, float histograms, exemplars, tombstones, m-map markers.
//! - A series record precedes all entries that were pushed after it. Tombstones and m-map markers
//!   follow all entries that were pushed before them.
//! - Samples of one series keep their order if their records have the same type. A caller calls
//!   [`LogBatch::finish_records`] before the type changes.

use crate::model::exemplar::Exemplar;
#[cfg(any(test, feature = "testing"))]
use crate::model::float_sample::FloatSample;
use crate::model::labels::Labels;
use crate::model::metadata::Metadata;
use crate::model::refs::SeriesRef;
use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::tsdb::wal::compression::{Compressor, RecordCompression};
use crate::tsdb::wal::group::WriteGroup;
use crate::tsdb::wal::record::builder::{RecordBuilder, RecordVersion, record_type_for};
use crate::tsdb::wal::record::metadata::{begin_metadata, put_metadata};
use crate::tsdb::wal::record::mmap_markers::{RefMmapMarker, begin_mmap_markers, put_mmap_marker};
use crate::tsdb::wal::record::record_type::RecordType;
use crate::tsdb::wal::record::series::{begin_series, put_series};
use crate::tsdb::wal::record::tombstones::{RefTombstone, begin_tombstones, put_tombstone};

/// Size at which a record is finished, bytes.
const RECORD_BYTES: usize = 1 << 20;

/// Indexes of the open records, in the order in which they are finished.
const SERIES: usize = 0;
const METADATA: usize = 1;
const FLOATS: usize = 2;
const HISTOGRAMS: usize = 3;
const CUSTOM_HISTOGRAMS: usize = 4;
const FLOAT_HISTOGRAMS: usize = 5;
const CUSTOM_FLOAT_HISTOGRAMS: usize = 6;
const EXEMPLARS: usize = 7;
const TOMBSTONES: usize = 8;
const MARKERS: usize = 9;
const RECORDS: usize = 10;

/// Entries of one request, not yet in the commit queue.
#[derive(Debug, Default)]
pub struct LogBatch {
    open: [RecordBuilder; RECORDS],
    record_version: RecordVersion,
    /// Finished records, concatenated; `ends` has the end offset of each.
    ended: Vec<u8>,
    ends: Vec<usize>,
    compressor: Option<Compressor>,
    sealed: WriteGroup,
}

impl LogBatch {
    /// Returns `true` if no record is open or finished. Sealed records do not count.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ended.is_empty() && self.open.iter().all(RecordBuilder::is_empty)
    }

    /// Sets the version of the sample records that follow. A change finishes all open records.
    pub fn set_record_version(&mut self, record_version: RecordVersion) {
        if self.record_version != record_version {
            self.finish_records();
            self.record_version = record_version;
        }
    }

    /// Appends a series that is new to the log.
    pub fn push_series(&mut self, series_ref: SeriesRef, labels: &Labels) {
        put_series(self.open[SERIES].bytes(begin_series), series_ref, labels);
        self.finish_if_large(SERIES);
    }

    /// Appends metadata of a series that is in the log or in this batch.
    pub fn push_metadata(&mut self, series_ref: SeriesRef, metadata: &Metadata) {
        put_metadata(self.open[METADATA].bytes(begin_metadata), series_ref, metadata);
        self.finish_if_large(METADATA);
    }

    /// Appends a float sample of a series that is in the log or in this batch.
    #[inline]
    #[cfg(any(test, feature = "testing"))]
    pub fn push_float_sample(&mut self, series_ref: SeriesRef, sample: FloatSample) {
        self.push_sample(series_ref, &Sample::from(sample));
    }

    /// Returns the type of the record that takes `sample`.
    #[inline]
    #[must_use]
    pub fn record_type_for(&self, sample: &Sample) -> RecordType {
        record_type_for(&sample.value, self.record_version)
    }

    /// Appends a sample of a series that is in the log or in this batch.
    #[inline]
    pub fn push_sample(&mut self, series_ref: SeriesRef, sample: &Sample) {
        self.push_sample_as(self.record_type_for(sample), series_ref, sample);
    }

    /// Appends a sample whose `record_type` the caller already has from [`Self::record_type_for`].
    #[inline]
    pub fn push_sample_as(
        &mut self,
        record_type: RecordType,
        series_ref: SeriesRef,
        sample: &Sample,
    ) {
        let record = match record_type {
            RecordType::Histograms | RecordType::HistogramsV2 => HISTOGRAMS,
            RecordType::CustomHistograms => CUSTOM_HISTOGRAMS,
            RecordType::FloatHistograms | RecordType::FloatHistogramsV2 => FLOAT_HISTOGRAMS,
            RecordType::CustomFloatHistograms => CUSTOM_FLOAT_HISTOGRAMS,
            _ => FLOATS,
        };
        // A marker covers only the samples before it, so it must be logged before this sample.
        if !self.open[MARKERS].is_empty() {
            self.finish_records();
        }
        self.open[record].push_sample(record_type, series_ref, sample);
        self.finish_if_large(record);
    }

    /// Appends an exemplar of a series that is in the log or in this batch.
    pub fn push_exemplar(&mut self, series_ref: SeriesRef, exemplar: &Exemplar) {
        self.open[EXEMPLARS].push_exemplar(series_ref, exemplar);
        self.finish_if_large(EXEMPLARS);
    }

    /// Appends deleted time ranges of a series that is in the log or in this batch.
    pub fn push_tombstones(&mut self, series: SeriesRef, ranges: &[TimeRange]) {
        for &range in ranges {
            put_tombstone(
                self.open[TOMBSTONES].bytes(begin_tombstones),
                RefTombstone { series, range },
            );
            self.finish_if_large(TOMBSTONES);
        }
    }

    /// Appends an m-map marker: the samples of its series pushed so far are in a chunk of
    /// `chunks_head/`. WBL only.
    pub fn push_mmap_marker(&mut self, marker: RefMmapMarker) {
        put_mmap_marker(self.open[MARKERS].bytes(begin_mmap_markers), marker);
        self.finish_if_large(MARKERS);
    }

    /// Finishes and compresses all records and moves them to [`Self::sealed`].
    pub fn seal(&mut self, compression: RecordCompression) {
        self.finish_records();
        let compressor = self.compressor.get_or_insert_with(|| Compressor::new(compression));
        let mut start = 0;
        for end in self.ends.drain(..) {
            self.sealed.push(compressor, &self.ended[start..end]);
            start = end;
        }
        self.ended.clear();
    }

    /// Returns the allocated size of all buffers, bytes.
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        let open: usize = self.open.iter().map(RecordBuilder::allocated_bytes).sum();
        open + self.ended.capacity() + self.sealed.allocated_bytes()
    }

    /// Returns the sealed records; the commit queue drains them.
    pub fn sealed(&mut self) -> &mut WriteGroup {
        &mut self.sealed
    }

    /// Finishes all open records. Entries pushed later follow all entries pushed before.
    pub fn finish_records(&mut self) {
        for record in &mut self.open {
            if !record.is_empty() {
                record.finish_into(&mut self.ended);
                self.ends.push(self.ended.len());
            }
        }
    }

    #[inline]
    fn finish_if_large(&mut self, record: usize) {
        if self.open[record].len() >= RECORD_BYTES {
            self.finish_records();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LogBatch;
    use crate::model::exemplar::Exemplar;
    #[cfg(any(test, feature = "testing"))]
    use crate::model::float_sample::FloatSample;
    use crate::model::histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram};
    use crate::model::labels::LabelsBuilder;
    use crate::model::metadata::Metadata;
    use crate::model::refs::{HeadChunkRef, SeriesRef};
    use crate::model::sample::{Sample, SampleValue};
    use crate::model::time::TimeRange;
    use crate::tsdb::wal::compression::RecordCompression;
    use crate::tsdb::wal::record::builder::RecordVersion;
    use crate::tsdb::wal::record::exemplars::{RefExemplar, encode_exemplars};
    use crate::tsdb::wal::record::histogram_encoder::{
        HistogramLayout, encode_float_histograms, encode_histograms,
    };
    use crate::tsdb::wal::record::histograms::RefHistogram;
    use crate::tsdb::wal::record::mmap_markers::RefMmapMarker;
    use crate::tsdb::wal::record::record_type::RecordType;
    use crate::tsdb::wal::record::samples::{RefSample, encode_samples, encode_samples_v2};

    fn records(batch: &mut LogBatch) -> Vec<Vec<u8>> {
        batch.seal(RecordCompression::None);
        batch.sealed().unwritten().map(|record| record.data.to_vec()).collect()
    }

    fn kinds(batch: &mut LogBatch) -> Vec<u8> {
        records(batch).iter().map(|record| RecordType::from_record(record).as_byte()).collect()
    }

    fn histogram(schema: i32, count: u64) -> Histogram {
        Histogram { schema, count, sum: 1.5, ..Histogram::default() }
    }

    fn entry<H>(series: u64, start: i64, t: i64, histogram: H) -> RefHistogram<H> {
        RefHistogram { series: SeriesRef(series), start_timestamp: start, t, histogram }
    }

    #[test]
    fn batch_encodes_like_whole_record_encoders() {
        let mut batch = LogBatch::default();
        let mut expected = vec![Vec::new(); 5];
        let samples =
            [(SeriesRef(5), FloatSample::new(10, 1.0)), (SeriesRef(2), FloatSample::new(7, -0.0))];
        samples.into_iter().for_each(|(series, sample)| batch.push_float_sample(series, sample));
        encode_samples(&mut expected[0], samples);
        let exponential = [entry(1, 0, 10, histogram(3, 8)), entry(9, 0, 4, histogram(0, 2))];
        let custom = [entry(1, 0, 11, histogram(CUSTOM_BUCKETS_SCHEMA, 8))];
        for entry in exponential.iter().chain(&custom) {
            batch.push_sample(
                entry.series,
                &Sample::new(entry.t, SampleValue::Histogram(Box::new(entry.histogram.clone()))),
            );
        }
        encode_histograms(&mut expected[1], HistogramLayout::Exponential, &exponential);
        encode_histograms(&mut expected[2], HistogramLayout::Custom, &custom);
        let float = [entry(3, 0, 12, FloatHistogram { count: 0.5, ..FloatHistogram::default() })];
        let value = SampleValue::FloatHistogram(Box::new(float[0].histogram.clone()));
        batch.push_sample(SeriesRef(3), &Sample::new(12, value));
        encode_float_histograms(&mut expected[3], HistogramLayout::Exponential, &float);
        let labels = LabelsBuilder::from_iter([("trace", "x")]).build().ok();
        let exemplars = [(4, labels), (2, None)].map(|(series, labels)| RefExemplar {
            series: SeriesRef(series),
            exemplar: Exemplar { t: 5, v: 2.0, labels },
        });
        exemplars.iter().for_each(|entry| batch.push_exemplar(entry.series, &entry.exemplar));
        encode_exemplars(&mut expected[4], &exemplars);
        assert_eq!(records(&mut batch), expected);
        assert!(batch.is_empty());
    }

    #[test]
    fn batch_v2_encodes_like_whole_record_encoders() {
        let mut batch = LogBatch::default();
        batch.set_record_version(RecordVersion::V2);
        let samples =
            [(5, 0, 10), (5, 3, 11), (6, 3, 12), (6, 9, 13)].map(|(series, start, t)| RefSample {
                series: SeriesRef(series),
                start_timestamp: start,
                sample: FloatSample::new(t, t as f64),
            });
        let custom = [
            entry(7, 3, 10, histogram(CUSTOM_BUCKETS_SCHEMA, 8)),
            entry(7, 4, 11, histogram(3, 1)),
        ];
        // Twice: the second record must start afresh.
        for _ in 0..2 {
            for entry in &samples {
                let sample =
                    Sample { start_timestamp: entry.start_timestamp, ..Sample::from(entry.sample) };
                batch.push_sample(entry.series, &sample);
            }
            for entry in &custom {
                let value = SampleValue::Histogram(Box::new(entry.histogram.clone()));
                batch.push_sample(
                    entry.series,
                    &Sample { start_timestamp: entry.start_timestamp, t: entry.t, value },
                );
            }
            batch.finish_records();
        }
        let mut expected = vec![Vec::new(); 2];
        encode_samples_v2(&mut expected[0], samples);
        encode_histograms(&mut expected[1], HistogramLayout::WithSt, &custom);
        assert_eq!(records(&mut batch), [expected.clone(), expected].concat());
    }

    #[test]
    fn records_are_sealed_in_dependency_order() {
        let mut batch = LogBatch::default();
        let range = TimeRange::new(1, 2);
        batch.push_tombstones(SeriesRef(1), &[range]);
        batch.push_float_sample(SeriesRef(1), FloatSample::new(1, 1.0));
        batch.push_metadata(SeriesRef(1), &Metadata::default());
        batch.push_series(SeriesRef(1), &LabelsBuilder::from_iter([("a", "b")]).build().unwrap());
        assert_eq!(kinds(&mut batch), [1, 6, 2, 3]);
    }

    #[test]
    fn mmap_marker_separates_earlier_and_later_samples() {
        let mut batch = LogBatch::default();
        let marker =
            |series| RefMmapMarker { series: SeriesRef(series), chunk: HeadChunkRef::new(1, 8) };
        batch.push_float_sample(SeriesRef(1), FloatSample::new(1, 1.0));
        batch.push_mmap_marker(marker(1));
        batch.push_mmap_marker(marker(2));
        batch.push_float_sample(SeriesRef(1), FloatSample::new(2, 1.0));
        assert_eq!(kinds(&mut batch), [2, 5, 2]);
    }
}
