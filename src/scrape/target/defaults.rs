//! Settings of a job that labels of a target override.

use crate::model::relabel::rule::RelabelRule;
use std::collections::BTreeMap;
use std::time::Duration;

/// Settings of a job from which the labels of its targets are made.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetDefaults {
    /// Name of the job.
    pub job: String,
    /// Time between two scrapes.
    pub interval: Duration,
    /// Maximum duration of a scrape.
    pub timeout: Duration,
    /// Path of the URL.
    pub metrics_path: String,
    /// Scheme of the URL.
    pub scheme: String,
    /// Parameters of the URL. Labels have only the first value of each.
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether native histograms are read.
    pub scrape_native_histograms: bool,
    /// Whether classic histograms become native histograms with custom buckets.
    pub convert_classic_histograms: bool,
    /// Whether the classic form of a native histogram is stored, too.
    pub always_scrape_classic_histograms: bool,
    /// Rules for targets (`relabel_configs`).
    pub relabel_rules: Vec<RelabelRule>,
}
