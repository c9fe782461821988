//! What one request adds to a log: new series, metadata, points, exemplars and deletions, encoded as they come, compressed when the batch
//! is sealed.
//!
//! Everything is encoded straight into its record, so nothing is kept twice. Of each kind one record is open; they are ended together,
//! in this order: series, metadata, floats, histograms, float histograms, exemplars, deletions, m-map markers. A long one becomes several
//! records. Buffers are kept when a batch is used again. The WAL and the WBL have batches of their own.
//!
//! Invariant: in the log, the series records of a batch stand before all of its entries that were pushed after them, and deletions and
//! markers behind all that was pushed before them. Points of one series stand in the order in which they were pushed as long as they go into
//! records of one kind; where that changes, [`LogBatch::finish_records`] comes in between.

use crate::model::exemplar::Exemplar;
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

/// A record is ended when it has reached this many bytes.
const RECORD_BYTES: usize = 1 << 20;

/// The open records, in the order in which they are ended.
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

/// Entries on their way to a log.
#[derive(Debug, Default)]
pub struct LogBatch {
    open: [RecordBuilder; RECORDS],
    starts: RecordVersion,
    /// Ended records, one after the other, and where each ends.
    ended: Vec<u8>,
    ends: Vec<usize>,
    compressor: Option<Compressor>,
    sealed: WriteGroup,
}

impl LogBatch {
    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ended.is_empty() && self.open.iter().all(RecordBuilder::is_empty)
    }

    /// Points go into such records from now on.
    pub fn set_record_version(&mut self, starts: RecordVersion) {
        if self.starts != starts {
            self.finish_records();
            self.starts = starts;
        }
    }

    /// Adds a series that is new to the log.
    pub fn push_series(&mut self, reference: SeriesRef, labels: &Labels) {
        put_series(self.open[SERIES].bytes(begin_series), reference, labels);
        self.finish_if_large(SERIES);
    }

    /// Adds the metadata of a series that is in the log or in this batch.
    pub fn push_metadata(&mut self, reference: SeriesRef, metadata: &Metadata) {
        put_metadata(self.open[METADATA].bytes(begin_metadata), reference, metadata);
        self.finish_if_large(METADATA);
    }

    /// Adds a float of a series that is in the log or in this batch.
    #[inline]
    pub fn push_float_sample(&mut self, reference: SeriesRef, sample: FloatSample) {
        self.push_sample(reference, &Sample::from(sample));
    }

    /// The kind of record that a point goes into.
    #[inline]
    #[must_use]
    pub fn record_type_for(&self, point: &Sample) -> RecordType {
        record_type_for(&point.value, self.starts)
    }

    /// Adds a point of a series that is in the log or in this batch.
    #[inline]
    pub fn push_sample(&mut self, reference: SeriesRef, point: &Sample) {
        self.push_sample_as(self.record_type_for(point), reference, point);
    }

    /// The same, where [`Self::record_type_for`] was asked before and said `record_type`.
    #[inline]
    pub fn push_sample_as(&mut self, kind: RecordType, reference: SeriesRef, point: &Sample) {
        let record = match kind {
            RecordType::Histograms | RecordType::HistogramsV2 => HISTOGRAMS,
            RecordType::CustomHistograms => CUSTOM_HISTOGRAMS,
            RecordType::FloatHistograms | RecordType::FloatHistogramsV2 => FLOAT_HISTOGRAMS,
            RecordType::CustomFloatHistograms => CUSTOM_FLOAT_HISTOGRAMS,
            _ => FLOATS,
        };
        if !self.open[MARKERS].is_empty() {
            self.finish_records();
        }
        self.open[record].push_sample(kind, reference, point);
        self.finish_if_large(record);
    }

    /// Adds an exemplar of a series that is in the log or in this batch.
    pub fn push_exemplar(&mut self, reference: SeriesRef, exemplar: &Exemplar) {
        self.open[EXEMPLARS].push_exemplar(reference, exemplar);
        self.finish_if_large(EXEMPLARS);
    }

    /// Adds times in which a series' samples are deleted; the series is in the log or in this batch.
    pub fn push_tombstones(&mut self, series: SeriesRef, ranges: &[TimeRange]) {
        for &range in ranges {
            put_tombstone(
                self.open[TOMBSTONES].bytes(begin_tombstones),
                RefTombstone { series, range },
            );
            self.finish_if_large(TOMBSTONES);
        }
    }

    /// Adds that the points of a series up to here stand in a chunk of `chunks_head/`; for the WBL.
    pub fn push_mmap_marker(&mut self, marker: RefMmapMarker) {
        put_mmap_marker(self.open[MARKERS].bytes(begin_mmap_markers), marker);
        self.finish_if_large(MARKERS);
    }

    /// Compresses what it holds; the records then stand in [`Self::sealed`].
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

    /// How much memory its buffers take, in bytes: what keeping it for another request costs.
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        let open: usize = self.open.iter().map(RecordBuilder::allocated_bytes).sum();
        open + self.ended.capacity() + self.sealed.allocated_bytes()
    }

    /// The records that are ready for the log, to be taken out of it.
    pub fn sealed(&mut self) -> &mut WriteGroup {
        &mut self.sealed
    }

    /// Ends the open records: what is pushed from now on stands behind all that was pushed before.
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
    fn records_that_grow_are_those_that_are_encoded_at_once() {
        let mut batch = LogBatch::default();
        let mut expected = vec![Vec::new(); 5];
        let samples =
            [(SeriesRef(5), FloatSample::new(10, 1.0)), (SeriesRef(2), FloatSample::new(7, -0.0))];
        samples.into_iter().for_each(|(series, sample)| batch.push_float_sample(series, sample));
        encode_samples(&mut expected[0], samples);
        let whole = [entry(1, 0, 10, histogram(3, 8)), entry(9, 0, 4, histogram(0, 2))];
        let custom = [entry(1, 0, 11, histogram(CUSTOM_BUCKETS_SCHEMA, 8))];
        for one in whole.iter().chain(&custom) {
            batch.push_sample(
                one.series,
                &Sample::new(one.t, SampleValue::Histogram(Box::new(one.histogram.clone()))),
            );
        }
        encode_histograms(&mut expected[1], HistogramLayout::Exponential, &whole);
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
        exemplars.iter().for_each(|one| batch.push_exemplar(one.series, &one.exemplar));
        encode_exemplars(&mut expected[4], &exemplars);
        assert_eq!(records(&mut batch), expected);
        assert!(batch.is_empty());
    }

    #[test]
    fn records_with_starts_are_those_that_are_encoded_at_once() {
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
        // Twice: the second record begins anew.
        for _ in 0..2 {
            for one in &samples {
                let point =
                    Sample { start_timestamp: one.start_timestamp, ..Sample::from(one.sample) };
                batch.push_sample(one.series, &point);
            }
            for one in &custom {
                let value = SampleValue::Histogram(Box::new(one.histogram.clone()));
                batch.push_sample(
                    one.series,
                    &Sample { start_timestamp: one.start_timestamp, t: one.t, value },
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
    fn what_must_stand_first_stands_first() {
        let mut batch = LogBatch::default();
        let range = TimeRange::new(1, 2);
        batch.push_tombstones(SeriesRef(1), &[range]);
        batch.push_float_sample(SeriesRef(1), FloatSample::new(1, 1.0));
        batch.push_metadata(SeriesRef(1), &Metadata::default());
        batch.push_series(SeriesRef(1), &LabelsBuilder::from_iter([("a", "b")]).build().unwrap());
        assert_eq!(kinds(&mut batch), [1, 6, 2, 3]);
    }

    #[test]
    fn a_marker_stands_between_the_points_before_and_behind_it() {
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
