//! Settings of a job, and what a change of them costs.

use crate::config::file::scrape::job::ScrapeJob;
use crate::config::file::scrape::protocol::ScrapeProtocol;
use crate::discovery::target_group::TargetGroup;
use crate::exposition::format::Format;
use crate::exposition::parser::ParserOptions;
use crate::model::histogram::limits::HistogramLimits;
use crate::model::label_editor::LabelEditor;
use crate::model::labels::{BuildLabelsError, Labels, LabelsBuilder};
use crate::model::relabel::rule::RelabelRule;
use crate::scrape::plan::offset::target_hash;
use crate::scrape::request::accept::accept_header;
use crate::scrape::request::fetch::{Exchange, ScrapeRequest};
use crate::scrape::target::defaults::TargetDefaults;
use crate::scrape::target::resolve::{Target, TargetOutcome, resolve};
use crate::scrape::unit::label_limits::SeriesLabelLimits;
use crate::scrape::unit::settings::{StartTimestamps, UnitSettings};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Dropped targets of a job that are kept if `keep_dropped_targets` is 0.
const DEFAULT_KEPT_DROPPED: usize = 1000;

/// Settings of a job that all its targets share. Labels of a target may override some of them.
#[derive(Clone)]
pub struct JobSettings {
    /// Name of the job.
    pub name: Arc<str>,
    /// Rules for the labels of each series.
    pub metric_relabeling: Arc<[RelabelRule]>,
    /// Use of start timestamps.
    pub start_timestamps: StartTimestamps,
    /// Value of `Accept`.
    pub accept: Arc<str>,
    /// Whether gzip is requested.
    pub enable_compression: bool,
    /// Decompressed size that a body must not reach, bytes; 0 = `--scrape.max-body-size`.
    pub body_size_limit: u64,
    /// Maximum number of targets; 0 = unlimited.
    pub target_limit: u64,
    /// Maximum number of dropped targets that are kept; 0 = 1,000.
    pub keep_dropped_targets: u64,
    /// File for failed exchanges.
    pub failure_log_file: Option<PathBuf>,
    /// Client of the job.
    pub exchange: Arc<dyn Exchange>,
    /// Settings from which the labels of its targets are made.
    pub targets: Arc<TargetDefaults>,
    /// Configuration of the job.
    pub config: Arc<ScrapeJob>,
}

/// Target of a job, after relabeling.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSpec {
    /// Hash of series labels, URL and unix socket, which identifies the target.
    pub hash: u64,
    /// Labels of its series.
    pub labels: Labels,
    /// Labels before relabeling, for the API.
    pub discovered: Arc<[(String, String)]>,
    /// URL to scrape.
    pub url: Arc<str>,
    /// Path of a unix socket to connect to.
    pub unix_socket: Option<Arc<str>>,
    /// Time between two scrapes.
    pub interval: Duration,
    /// Maximum duration of a scrape.
    pub timeout: Duration,
    /// Whether native histograms are read.
    pub scrape_native_histograms: bool,
    /// Whether classic histograms become native histograms with custom buckets.
    pub convert_classic_histograms: bool,
    /// Whether the classic form of a native histogram is stored, too.
    pub always_scrape_classic_histograms: bool,
}

/// Result of relabeling the targets of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetSet {
    /// Targets to scrape; equal ones may repeat.
    pub active: Vec<TargetSpec>,
    /// Discovered labels of dropped targets, at most as many as are kept.
    pub dropped: Vec<Arc<[(String, String)]>>,
    /// Number of all dropped targets.
    pub dropped_count: usize,
    /// Number of invalid targets.
    pub failed: usize,
    /// Error of the first invalid target.
    pub first_error: Option<String>,
}

impl TargetSet {
    /// Resolves the targets of all groups of a job. Invalid targets are counted; the others are not
    /// affected. At most `kept_dropped` dropped targets are kept.
    #[must_use]
    pub fn resolve<'a>(
        defaults: &TargetDefaults,
        groups: impl IntoIterator<Item = &'a TargetGroup>,
        kept_dropped: usize,
    ) -> Self {
        let mut set = Self::default();
        let mut labels = LabelEditor::new();
        for group in groups {
            for target in &group.targets {
                match resolve(defaults, &group.labels, target, &mut labels) {
                    Ok(TargetOutcome::Active(target)) => {
                        set.active.push(TargetSpec::new(*target));
                    }
                    Ok(TargetOutcome::Dropped { discovered }) => {
                        set.dropped_count += 1;
                        if set.dropped.len() < kept_dropped {
                            set.dropped.push(discovered);
                        }
                    }
                    Err(error) => {
                        set.failed += 1;
                        let source = &group.source;
                        set.first_error.get_or_insert_with(|| format!("{error} ({source})"));
                    }
                }
            }
        }
        set
    }
}

/// Work that a new configuration of a job causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobChange {
    /// Nothing.
    None,
    /// Loops continue with their caches: only interval, timeout, sample limit, or settings of the
    /// HTTP client differ.
    KeepCaches,
    /// Loops start again.
    Restart,
}

impl TargetSpec {
    /// Creates the target of a pool from a resolved one. Interval, timeout and other settings are
    /// not part of its identity, so a change of them keeps its cache.
    #[must_use]
    pub fn new(target: Target) -> Self {
        let identity = match &target.unix_socket {
            Some(socket) => format!("{} {socket}", target.url),
            None => target.url.clone(),
        };
        Self {
            hash: target_hash(&target.series_labels, &identity),
            labels: target.series_labels,
            discovered: target.discovered,
            url: target.url.into(),
            unix_socket: target.unix_socket.map(Into::into),
            interval: target.interval,
            timeout: target.timeout,
            scrape_native_histograms: target.scrape_native_histograms,
            convert_classic_histograms: target.convert_classic_histograms,
            always_scrape_classic_histograms: target.always_scrape_classic_histograms,
        }
    }

    /// Creates the target of a URL, with these labels on its series and the settings of `job`.
    ///
    /// # Errors
    /// The labels form no label set.
    pub fn of_url(
        url: &str,
        labels: &[(&str, &str)],
        job: &ScrapeJob,
    ) -> Result<Self, BuildLabelsError> {
        let labels = labels.iter().copied().collect::<LabelsBuilder<'_>>().build()?;
        Ok(Self {
            hash: target_hash(&labels, url),
            labels,
            discovered: Arc::new([]),
            url: url.into(),
            unix_socket: None,
            interval: job.interval,
            timeout: job.timeout,
            scrape_native_histograms: job.histograms.scrape_native,
            convert_classic_histograms: job.histograms.convert_classic,
            always_scrape_classic_histograms: job.histograms.always_scrape_classic,
        })
    }

    /// Returns `true` if the loop of the other target needs no change.
    pub(super) fn is_scraped_like(&self, other: &Self) -> bool {
        let comparable = Self { discovered: Arc::clone(&other.discovered), ..self.clone() };
        comparable == *other
    }
}

impl JobSettings {
    /// Creates the settings of a job that is scraped by `exchange`.
    #[must_use]
    pub fn new(
        config: Arc<ScrapeJob>,
        exchange: Arc<dyn Exchange>,
        start_timestamps: StartTimestamps,
    ) -> Self {
        let name: Arc<str> = config.name.as_str().into();
        Self {
            metric_relabeling: config.metric_relabel_rules.clone().into(),
            start_timestamps,
            accept: accept_header(&config.protocols, config.escaping).into(),
            enable_compression: config.enable_compression,
            body_size_limit: config.limits.body_size.0,
            target_limit: config.limits.targets,
            keep_dropped_targets: config.limits.keep_dropped_targets,
            failure_log_file: config.failure_log_file.clone(),
            exchange,
            targets: Arc::new(target_defaults(&config)),
            name,
            config,
        }
    }

    /// Compares with the settings that replace these.
    #[must_use]
    pub fn change_to(&self, new: &Self) -> JobChange {
        if self.config == new.config {
            JobChange::None
        } else if self.config.reads_series_like(&new.config) {
            JobChange::KeepCaches
        } else {
            JobChange::Restart
        }
    }

    /// Returns the maximum number of dropped targets that are kept.
    #[must_use]
    pub fn kept_dropped(&self) -> usize {
        match self.keep_dropped_targets {
            0 => DEFAULT_KEPT_DROPPED,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        }
    }

    /// Returns the request of a scrape.
    #[must_use]
    pub fn request(&self, target: &TargetSpec, accept_zstd: bool) -> ScrapeRequest {
        ScrapeRequest {
            url: Arc::clone(&target.url),
            unix_socket: target.unix_socket.clone(),
            accept: Arc::clone(&self.accept),
            accept_encoding: match (self.enable_compression, accept_zstd) {
                (false, _) => "identity",
                (true, false) => "gzip",
                (true, true) => "zstd, gzip",
            },
            timeout: target.timeout,
        }
    }

    /// Returns the decompressed size that a body must not reach, bytes: that of the job, or
    /// `default`.
    #[must_use]
    pub fn body_size(&self, default: usize) -> usize {
        match usize::try_from(self.body_size_limit) {
            Ok(0) => default,
            limit => limit.unwrap_or(usize::MAX),
        }
    }

    /// Returns the settings for storing the scrapes of a target.
    #[must_use]
    pub fn unit_settings(&self, target: &TargetSpec) -> UnitSettings {
        let job = &self.config;
        let (limits, histograms) = (&job.limits, &job.histograms);
        UnitSettings {
            target_labels: Arc::new(target.labels.clone()),
            honor_labels: job.honor_labels,
            honor_timestamps: job.honor_timestamps,
            track_timestamps_staleness: job.track_timestamps_staleness,
            metric_relabeling: Arc::clone(&self.metric_relabeling),
            validation: job.validation,
            label_limits: SeriesLabelLimits {
                count: limits.labels,
                name_length: limits.label_name_length,
                value_length: limits.label_value_length,
            },
            histogram_limits: HistogramLimits::new(
                histograms.min_bucket_factor,
                usize::try_from(histograms.bucket_limit).unwrap_or(usize::MAX),
            ),
            sample_limit: limits.samples,
            fallback_format: job.fallback_protocol.map(format_of),
            parser: ParserOptions {
                start_timestamps: self.start_timestamps != StartTimestamps::Ignore,
                ignore_native_histograms: !target.scrape_native_histograms,
                convert_classic_histograms: target.convert_classic_histograms,
                keep_classic_histograms: target.always_scrape_classic_histograms,
            },
            start_timestamps: self.start_timestamps,
            extra_metrics: job.extra_metrics,
            timeout: target.timeout,
        }
    }
}

fn target_defaults(job: &ScrapeJob) -> TargetDefaults {
    TargetDefaults {
        job: job.name.clone(),
        interval: job.interval,
        timeout: job.timeout,
        metrics_path: job.metrics_path.clone(),
        scheme: job.scheme.clone(),
        params: job.params.clone(),
        scrape_native_histograms: job.histograms.scrape_native,
        convert_classic_histograms: job.histograms.convert_classic,
        always_scrape_classic_histograms: job.histograms.always_scrape_classic,
        relabel_rules: job.relabel_rules.clone(),
    }
}

fn format_of(protocol: ScrapeProtocol) -> Format {
    match protocol {
        ScrapeProtocol::PrometheusProto => Format::Protobuf,
        ScrapeProtocol::OpenMetricsText1_0_0 | ScrapeProtocol::OpenMetricsText0_0_1 => {
            Format::OpenMetrics
        }
        ScrapeProtocol::PrometheusText1_0_0 | ScrapeProtocol::PrometheusText0_0_4 => Format::Text,
    }
}
