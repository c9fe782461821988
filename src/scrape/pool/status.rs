//! State of a target for the API.

use crate::model::labels::Labels;
use crate::scrape::cache::metadata::MetadataCache;
use crate::scrape::pool::job::TargetSpec;
use crate::scrape::unit::staging::ScrapeCounts;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Health of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetHealth {
    /// It was not scraped yet.
    #[default]
    Unknown,
    /// The last scrape succeeded.
    Up,
    /// The last scrape failed.
    Down,
}

impl TargetHealth {
    /// Returns the name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// Result of the last scrape of a target.
#[derive(Clone, Debug, Default)]
pub struct TargetStatus {
    /// Health of the target.
    pub health: TargetHealth,
    /// Error of the scrape, or of storage; empty if there is none.
    pub last_error: String,
    /// Samples that storage rejected, with the first series by name; empty if there are none.
    pub rejected: String,
    /// Timestamp of the scrape, ms since the Unix epoch; `None` before the first one.
    pub last_scrape_ms: Option<i64>,
    /// Duration of the scrape, appends included.
    pub last_duration: Duration,
    /// Size of the last decompressed body, bytes.
    pub body_bytes: usize,
    /// Size of the largest decompressed body, bytes.
    pub max_body_bytes: usize,
    /// Counts of the scrape.
    pub counts: ScrapeCounts,
    /// Share of `sample_limit` that the scrape uses; `None` without a limit.
    pub sample_limit_fill: Option<f64>,
    /// Memory of the caches of series and exemplars, bytes.
    pub cache_bytes: usize,
}

/// State of a target that its loop changes and the API reads.
#[derive(Debug)]
pub struct TargetState {
    status: Mutex<TargetStatus>,
    metadata: Arc<Mutex<MetadataCache>>,
}

impl TargetState {
    /// Creates the state of a target that was not scraped yet.
    pub(super) fn new(metadata: Arc<Mutex<MetadataCache>>) -> Self {
        Self { status: Mutex::default(), metadata }
    }

    /// Returns the result of the last scrape.
    #[must_use]
    pub fn status(&self) -> TargetStatus {
        self.status.lock().clone()
    }

    /// Returns the metadata that the target exposes.
    #[must_use]
    pub fn metadata(&self) -> &Mutex<MetadataCache> {
        &self.metadata
    }

    pub(super) fn set_status(&self, mut status: TargetStatus) {
        let mut own = self.status.lock();
        status.max_body_bytes = status.body_bytes.max(own.max_body_bytes);
        *own = status;
    }
}

/// Active target as the API shows it.
#[derive(Clone, Debug)]
pub struct ActiveTarget {
    /// Target after relabeling.
    pub spec: Arc<TargetSpec>,
    /// State of the target.
    pub state: Arc<TargetState>,
}

impl ActiveTarget {
    /// Returns the labels of its series.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.spec.labels
    }
}

/// Targets of a job as the API shows them.
#[derive(Clone, Debug)]
pub struct PoolSnapshot {
    /// Name of the job.
    pub job: Arc<str>,
    /// Active targets, sorted by URL and labels.
    pub active: Vec<ActiveTarget>,
    /// Discovered labels of dropped targets, at most as many as are kept.
    pub dropped: Vec<Arc<[(String, String)]>>,
    /// Number of all dropped targets.
    pub dropped_count: usize,
}
