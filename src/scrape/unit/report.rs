//! Series of the scraper itself, which describe each scrape of a target: `up` and others.
//!
//! They have the labels of the target and a fixed name, and are never relabeled. A target that
//! exposes a series with the same labels does not replace them.

use crate::model::label_editor::LabelEditor;
use crate::model::labels::Labels;
use crate::model::metadata::{MetadataRef, MetricType};
use crate::scrape::target::series_labels::report_labels;
use crate::tsdb::db::SeriesHandle;

/// Series of the scraper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportMetric {
    /// Metric name.
    pub name: &'static str,
    help: &'static str,
    unit: &'static str,
    /// Whether it is stored only with `extra_scrape_metrics`.
    is_extra: bool,
}

/// Values of the series of one scrape, in the order of [`METRICS`].
pub type ReportValues = [f64; METRICS.len()];

/// All series of the scraper. Help texts and units are those of Prometheus.
pub const METRICS: [ReportMetric; 8] = [
    ReportMetric {
        name: "up",
        help: "Health of the scrape target. 1 means the target is healthy, 0 if the scrape failed.",
        unit: "targets",
        is_extra: false,
    },
    ReportMetric {
        name: "scrape_duration_seconds",
        help: "Duration of the last scrape in seconds.",
        unit: "seconds",
        is_extra: false,
    },
    ReportMetric {
        name: "scrape_samples_scraped",
        help: "Number of samples last scraped.",
        unit: "samples",
        is_extra: false,
    },
    ReportMetric {
        name: "scrape_samples_post_metric_relabeling",
        help: "Number of samples remaining after metric relabeling was applied.",
        unit: "samples",
        is_extra: false,
    },
    ReportMetric {
        name: "scrape_series_added",
        help: "Number of series in the last scrape.",
        unit: "series",
        is_extra: false,
    },
    ReportMetric {
        name: "scrape_timeout_seconds",
        help: "The configured scrape timeout for a target.",
        unit: "seconds",
        is_extra: true,
    },
    ReportMetric {
        name: "scrape_sample_limit",
        help: "The configured sample limit for a target. Returns zero if there is no limit \
               configured.",
        unit: "samples",
        is_extra: true,
    },
    ReportMetric {
        name: "scrape_body_size_bytes",
        help: "The uncompressed size of the last scrape response, if successful. Scrapes failing \
               because body_size_limit is exceeded report -1, other scrape failures report 0.",
        unit: "bytes",
        is_extra: true,
    },
];

impl ReportMetric {
    /// Returns the metadata of the series.
    #[must_use]
    pub fn metadata(&self) -> MetadataRef<'static> {
        MetadataRef { metric_type: MetricType::Gauge, unit: self.unit, help: self.help }
    }
}

/// Series of the scraper for one target.
#[derive(Debug)]
pub struct ReportSeries {
    /// Number of series in use; extra ones come last.
    len: usize,
    /// Labels of the series in use.
    labels: Vec<Labels>,
    /// Series that were stored at least once.
    handles: [Option<SeriesHandle>; METRICS.len()],
}

impl ReportSeries {
    /// Creates the series of a target.
    #[must_use]
    pub fn new(target_labels: &Labels, extra_metrics: bool) -> Self {
        let metrics = METRICS.iter().filter(|metric| extra_metrics || !metric.is_extra);
        let mut editor = LabelEditor::new();
        let labels: Vec<Labels> = metrics
            .filter_map(|metric| {
                report_labels(&mut editor, metric.name, target_labels);
                // The labels of a target are a label set, so this succeeds.
                editor.build().ok()
            })
            .collect();
        Self { len: labels.len(), labels, handles: Default::default() }
    }

    /// Returns the number of the series with these labels.
    pub(super) fn position(&self, labels: &Labels) -> Option<u32> {
        let at = self.labels.iter().position(|own| own == labels)?;
        u32::try_from(at).ok()
    }

    pub(super) fn labels(&self, number: usize) -> Option<&Labels> {
        self.labels.get(number)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn handle(&self, number: usize) -> Option<&SeriesHandle> {
        self.handles.get(number)?.as_ref()
    }

    pub(super) fn set_handle(&mut self, number: usize, handle: SeriesHandle) {
        self.handles[number] = Some(handle);
    }
}
