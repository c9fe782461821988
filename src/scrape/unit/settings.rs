//! Settings of a target that decide how its scrapes are stored.

use crate::exposition::format::Format;
use crate::exposition::parser::ParserOptions;
use crate::model::histogram::limits::HistogramLimits;
use crate::model::label_name::NameValidationScheme;
use crate::model::labels::Labels;
use crate::model::relabel::rule::RelabelRule;
use crate::scrape::unit::label_limits::SeriesLabelLimits;
use std::sync::Arc;
use std::time::Duration;

/// Settings of a target, from its job and its own labels.
#[derive(Clone, Debug)]
pub struct UnitSettings {
    /// Labels that every series of the target gets.
    pub target_labels: Arc<Labels>,
    /// Whether exposed labels win over those of the target.
    pub honor_labels: bool,
    /// Whether exposed timestamps are used.
    pub honor_timestamps: bool,
    /// Whether series with exposed timestamps become stale.
    pub track_timestamps_staleness: bool,
    /// Rules for the labels of each series.
    pub metric_relabeling: Arc<[RelabelRule]>,
    /// Characters that names may have.
    pub validation: NameValidationScheme,
    /// Limits of the labels of a series.
    pub label_limits: SeriesLabelLimits,
    /// Limits of native histograms.
    pub histogram_limits: HistogramLimits,
    /// Maximum number of samples after metric relabeling; 0 = unlimited.
    pub sample_limit: u64,
    /// Format of a body whose Content-Type names none.
    pub fallback_format: Option<Format>,
    /// Options of the parser.
    pub parser: ParserOptions,
    /// Use of start timestamps.
    pub start_timestamps: StartTimestamps,
    /// Whether the additional series of the scraper are stored.
    pub extra_metrics: bool,
    /// Timeout of a scrape, for a series of the scraper.
    pub timeout: Duration,
}

/// Use of the start timestamps in a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartTimestamps {
    /// They are ignored.
    #[default]
    Ignore,
    /// A zero is stored at the start timestamp (`created-timestamp-zero-ingestion`).
    StoreZero,
    /// They are stored with the samples (`st-storage`).
    Store,
}
