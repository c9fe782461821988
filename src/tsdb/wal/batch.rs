//! What one request adds to the log: new series, samples and deletions, encoded as they come, compressed when the batch is sealed.
//!
//! Samples are encoded straight into the record, so nothing is kept twice. A batch holds its series before its samples and those
//! before its deletions; a long one becomes several records. Buffers are kept when a batch is used again.
//!
//! Invariant: in the log, the series records of a batch stand before all of its samples that were pushed after them, and deletions
//! behind all that was pushed before them.

use crate::model::labels::Labels;
use crate::model::refs::SeriesRef;
use crate::model::sample::Sample;
use crate::model::time::TimeRange;
use crate::tsdb::wal::compression::{Compression, Compressor};
use crate::tsdb::wal::group::Group;
use crate::tsdb::wal::record::samples::{SampleBase, begin_samples, put_sample};
use crate::tsdb::wal::record::series::{begin_series, put_series};
use crate::tsdb::wal::record::tombstones::{RefTombstone, begin_tombstones, put_tombstone};

/// A record is ended when it has reached this many bytes.
const RECORD_BYTES: usize = 1 << 20;

/// Series and samples on their way to the log.
#[derive(Debug, Default)]
pub struct Batch {
    series: Vec<u8>,
    samples: Vec<u8>,
    tombstones: Vec<u8>,
    base: SampleBase,
    /// Ended records, one after the other, and where each ends.
    ended: Vec<u8>,
    ends: Vec<usize>,
    compressor: Option<Compressor>,
    sealed: Group,
}

impl Batch {
    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty() && self.samples.is_empty() && self.tombstones.is_empty() && self.ended.is_empty()
    }

    /// Adds a series that is new to the log.
    pub fn push_series(&mut self, reference: SeriesRef, labels: &Labels) {
        if self.series.is_empty() {
            begin_series(&mut self.series);
        }
        put_series(&mut self.series, reference, labels);
        if self.series.len() >= RECORD_BYTES {
            self.end_records();
        }
    }

    /// Adds a sample of a series that is in the log or in this batch.
    #[inline]
    pub fn push_sample(&mut self, reference: SeriesRef, sample: Sample) {
        if self.samples.is_empty() {
            self.base = begin_samples(&mut self.samples, reference, sample.t);
        }
        put_sample(&mut self.samples, self.base, reference, sample);
        if self.samples.len() >= RECORD_BYTES {
            self.end_records();
        }
    }

    /// Adds times in which a series' samples are deleted; the series is in the log or in this batch.
    pub fn push_tombstones(&mut self, series: SeriesRef, ranges: &[TimeRange]) {
        for &range in ranges {
            if self.tombstones.is_empty() {
                begin_tombstones(&mut self.tombstones);
            }
            put_tombstone(&mut self.tombstones, RefTombstone { series, range });
            if self.tombstones.len() >= RECORD_BYTES {
                self.end_records();
            }
        }
    }

    /// Compresses what it holds; the records then stand in [`Self::sealed`].
    pub fn seal(&mut self, compression: Compression) {
        self.end_records();
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
        let records = [&self.series, &self.samples, &self.tombstones, &self.ended];
        records.iter().map(|record| record.capacity()).sum::<usize>() + self.sealed.allocated_bytes()
    }

    /// The records that are ready for the log, to be taken out of it.
    pub fn sealed(&mut self) -> &mut Group {
        &mut self.sealed
    }

    fn end_records(&mut self) {
        for record in [&mut self.series, &mut self.samples, &mut self.tombstones] {
            if !record.is_empty() {
                self.ended.append(record);
                self.ends.push(self.ended.len());
            }
        }
    }
}
