//! Preview of a scrape: what it would store, without a database.
//!
//! The target counts as never scraped, so each of its series is new.

use crate::model::labels::Labels;
use crate::model::metadata::MetricType;
use crate::model::sample::{Sample, SampleValue};
use crate::scrape::cache::series::EntryId;
use crate::scrape::unit::error::ScrapeError;
use crate::scrape::unit::report::METRICS;
use crate::scrape::unit::settings::UnitSettings;
use crate::scrape::unit::staging::{ScrapeCounts, StagedScrape};
use crate::scrape::unit::store::{Scrape, ScrapeReport, TargetStore, report_values};
use std::collections::HashMap;
use std::time::Duration;

/// Samples that a scrape would store, and why it would store no others.
#[derive(Debug)]
pub struct Preview {
    /// Error that fails the scrape.
    pub error: Option<ScrapeError>,
    /// Counts of the scrape.
    pub counts: ScrapeCounts,
    /// Samples in the order of the body, those of the scraper last. After an error only these.
    pub samples: Vec<PreviewSample>,
    /// Series of samples that are rejected: the body repeats them, or the scraper has them itself.
    pub rejected: Vec<Labels>,
    /// Largest values that limits apply to.
    pub largest: LargestValues,
}

/// Sample that a scrape would store.
#[derive(Debug)]
pub struct PreviewSample {
    /// Labels under which it is stored.
    pub labels: Labels,
    /// Type of its metric.
    pub metric_type: MetricType,
    /// The sample.
    pub sample: Sample,
}

/// Largest values of the series of a scrape that limits apply to; 0 without series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LargestValues {
    /// Number of labels of a series.
    pub label_count: u64,
    /// Length of a label name, bytes.
    pub name_length: u64,
    /// Length of a label value, bytes.
    pub value_length: u64,
    /// Number of buckets of a native histogram.
    pub buckets: u64,
}

impl Preview {
    /// Checks a scrape as if it was the first one of the target. `duration` is the value of its
    /// series `scrape_duration_seconds`.
    #[must_use]
    pub fn new(scrape: Scrape<'_>, settings: &UnitSettings, duration: Duration) -> Self {
        let mut store = TargetStore::new(&settings.target_labels, settings.extra_metrics);
        let mut staged = StagedScrape::default();
        let error = store.begin_and_check(scrape, settings, &mut staged).err();
        let largest = LargestValues::of(&staged);
        let (mut samples, mut rejected) = (Vec::new(), Vec::new());
        if error.is_none() {
            samples = staged_samples(&store, &mut staged);
            let labels = |id| store.labels(id, &staged).cloned();
            rejected = staged.repeated.iter().filter_map(|sample| labels(sample.series)).collect();
        }
        let counts = staged.counts;
        let report = ScrapeReport::before_storage(error, counts, duration);
        let values = report_values(settings, &report, scrape);
        for (number, (value, _)) in values.into_iter().zip(METRICS).enumerate() {
            let Some(labels) = store.report_labels(number) else { break };
            samples.push(PreviewSample {
                labels: labels.clone(),
                metric_type: MetricType::Gauge,
                sample: Sample::new(scrape.timestamp_ms, SampleValue::Float(value)),
            });
        }
        Self { error: report.error, counts, samples, rejected, largest }
    }
}

fn staged_samples(store: &TargetStore, staged: &mut StagedScrape) -> Vec<PreviewSample> {
    let types = metric_types(store, staged);
    let mut next_start = 0;
    let mut samples = Vec::with_capacity(staged.samples.len());
    for position in 0..staged.samples.len() {
        let id = staged.samples[position].series;
        let sample = staged.take(position, &mut next_start);
        if let Some(labels) = store.labels(id, staged) {
            let metric_type = types.get(&id).copied().unwrap_or_default();
            samples.push(PreviewSample { labels: labels.clone(), metric_type, sample });
        }
    }
    samples
}

/// Returns the types of the series that have metadata.
fn metric_types(store: &TargetStore, staged: &StagedScrape) -> HashMap<EntryId, MetricType> {
    let metadata = store.metadata();
    let metadata = metadata.lock();
    let of_series = staged.metadata.iter().filter_map(|(id, position)| {
        let family = staged.families.get(*position as usize)?;
        Some((*id, metadata.get(family)?.metric_type))
    });
    of_series.collect()
}

impl LargestValues {
    fn of(staged: &StagedScrape) -> Self {
        let mut largest = Self::default();
        let length = |text: &str| text.len() as u64;
        for labels in &staged.new_series {
            largest.label_count = largest.label_count.max(labels.len() as u64);
            for (name, value) in labels.iter() {
                largest.name_length = largest.name_length.max(length(name));
                largest.value_length = largest.value_length.max(length(value));
            }
        }
        largest.buckets = staged.histograms().iter().map(bucket_count).max().unwrap_or(0);
        largest
    }
}

fn bucket_count(value: &SampleValue) -> u64 {
    let count = match value {
        SampleValue::Float(_) => 0,
        SampleValue::Histogram(histogram) => {
            histogram.positive_buckets.len() + histogram.negative_buckets.len()
        }
        SampleValue::FloatHistogram(histogram) => {
            histogram.positive_buckets.len() + histogram.negative_buckets.len()
        }
    };
    count as u64
}
