//! Samples of a scrape before they are appended, in buffers that scrapes share.

use crate::ingest::reject_reason::ItemKind;
use crate::model::exemplar::Exemplar;
use crate::model::labels::Labels;
use crate::model::sample::{Sample, SampleValue};
use crate::scrape::cache::series::EntryId;
use parking_lot::Mutex;

/// Memory above which a buffer is not kept for the next scrape, bytes.
const MAX_KEPT_BYTES: usize = 4 << 20;

/// Staged scrape.
#[derive(Debug, Default)]
pub struct StagedScrape {
    pub(super) samples: Vec<StagedSample>,
    /// Histograms of the samples.
    histograms: Vec<SampleValue>,
    /// Start timestamps of the samples that have one, by position.
    starts: Vec<(u32, i64)>,
    /// Labels of pending series, by their number.
    pub(super) new_series: Vec<Labels>,
    /// Exemplars in the order of their samples, those of a sample in ascending order of time.
    pub(super) exemplars: Vec<StagedExemplar>,
    /// Samples of series that the body repeats, or that belong to the scraper.
    pub(super) repeated: Vec<RepeatedSample>,
    /// Families whose metadata must be stored.
    pub(super) families: Vec<String>,
    /// Series that get the metadata of a family, which is a position in `families`.
    pub(super) metadata: Vec<(EntryId, u32)>,
    pub(super) counts: ScrapeCounts,
}

/// Properties of a sample that its value does not have.
#[derive(Clone, Copy, Debug)]
pub(super) struct SampleFlags {
    /// Whether the series becomes stale when it vanishes.
    pub(super) tracks_staleness: bool,
    /// Whether a failed scrape has counted the series as new.
    pub(super) is_counted: bool,
}

/// Staged sample; 24 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct StagedSample {
    pub(super) series: EntryId,
    pub(super) flags: SampleFlags,
    is_histogram: bool,
    pub(super) t: i64,
    /// Bits of the float, or position of the histogram.
    bits: u64,
}

/// Staged exemplar.
#[derive(Debug)]
pub(super) struct StagedExemplar {
    /// Position of the sample.
    pub(super) position: u32,
    /// `false` if the timestamp is that of the sample.
    pub(super) is_timed: bool,
    pub(super) exemplar: Exemplar,
}

/// Sample that is rejected because its series already has one in this scrape.
#[derive(Clone, Copy, Debug)]
pub(super) struct RepeatedSample {
    pub(super) series: EntryId,
    pub(super) kind: ItemKind,
    pub(super) t: i64,
}

/// Counts of a scrape, for the series of the scraper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeCounts {
    /// Samples in the body.
    pub scraped: u64,
    /// Samples after metric relabeling, those rejected by storage included.
    pub post_relabeling: u64,
    /// Series that the cache did not know and storage accepted.
    pub added: u64,
}

impl StagedScrape {
    /// Empties the buffers and keeps their memory.
    pub(super) fn clear(&mut self) {
        self.samples.clear();
        self.histograms.clear();
        self.starts.clear();
        self.new_series.clear();
        self.exemplars.clear();
        self.repeated.clear();
        self.families.clear();
        self.metadata.clear();
        self.counts = ScrapeCounts::default();
    }

    /// Adds a sample.
    pub(super) fn push(&mut self, series: EntryId, sample: Sample, flags: SampleFlags) {
        if sample.start_timestamp != 0 {
            self.starts.push((self.samples.len() as u32, sample.start_timestamp));
        }
        let t = sample.t;
        let (is_histogram, bits) = match sample.value {
            SampleValue::Float(v) => (false, v.to_bits()),
            histogram => {
                self.histograms.push(histogram);
                (true, self.histograms.len() as u64 - 1)
            }
        };
        self.samples.push(StagedSample { series, flags, is_histogram, t, bits });
    }

    /// Moves out the sample at `position`. Each may be taken once, in ascending order.
    pub(super) fn take(&mut self, position: usize, next_start: &mut usize) -> Sample {
        let StagedSample { is_histogram, t, bits, .. } = self.samples[position];
        let start = self.starts.get(*next_start).filter(|(at, _)| *at as usize == position);
        *next_start += usize::from(start.is_some());
        let value = if is_histogram {
            let taken = SampleValue::Float(0.0);
            std::mem::replace(&mut self.histograms[bits as usize], taken)
        } else {
            SampleValue::Float(f64::from_bits(bits))
        };
        Sample { start_timestamp: start.map_or(0, |(_, start)| *start), t, value }
    }

    /// Returns the histograms of the samples that were not taken yet.
    pub(super) fn histograms(&self) -> &[SampleValue] {
        &self.histograms
    }

    /// Returns the memory of the buffers whose size depends on the body.
    fn kept_bytes(&self) -> usize {
        self.samples.capacity() * size_of::<StagedSample>()
            + self.histograms.capacity() * size_of::<SampleValue>()
            + self.starts.capacity() * size_of::<(u32, i64)>()
            + self.new_series.capacity() * size_of::<Labels>()
            + self.exemplars.capacity() * size_of::<StagedExemplar>()
            + self.repeated.capacity() * size_of::<RepeatedSample>()
            + self.metadata.capacity() * size_of::<(EntryId, u32)>()
            + self.families.capacity() * size_of::<String>()
    }
}

/// Buffers of scrapes that have ended.
#[derive(Debug)]
pub struct StagingPool {
    free: Mutex<Vec<StagedScrape>>,
    max: usize,
}

impl StagingPool {
    /// Creates a pool that keeps at most `max` buffers.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { free: Mutex::new(Vec::new()), max }
    }

    /// Returns an empty buffer.
    #[must_use]
    pub fn take(&self) -> StagedScrape {
        self.free.lock().pop().unwrap_or_default()
    }

    /// Gives a buffer back.
    pub fn give_back(&self, mut staged: StagedScrape) {
        staged.clear();
        let mut free = self.free.lock();
        if free.len() < self.max && staged.kept_bytes() <= MAX_KEPT_BYTES {
            free.push(staged);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StagedSample;

    #[test]
    fn staged_sample_is_small() {
        assert_eq!(size_of::<StagedSample>(), 24);
    }
}
