//! Entries of `scrape_configs`: one job each, with all defaults resolved.

use crate::config::file::discovery::{DiscoveryConfig, registry};
use crate::config::file::http_client::settings::HttpClientConfig;
use crate::config::file::scrape::defaults::{GlobalScrape, Times, failure_log_file};
use crate::config::file::scrape::limits::ScrapeLimits;
use crate::config::file::scrape::names;
use crate::config::file::scrape::names::EscapingScheme;
use crate::config::file::scrape::protocol;
use crate::config::file::scrape::protocol::ScrapeProtocol;
use crate::config::file::scrape::relabel;
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::value::Value;
use crate::model::label_name::NameValidationScheme;
use crate::model::relabel::rule::RelabelRule;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Job: how to find its targets, how to scrape them and what to do with the samples.
///
/// Every value is resolved: a key that the job omits has the value of `global` or the default. Two
/// jobs are equal if a reload has nothing to change.
#[derive(Debug, Clone, PartialEq)]
pub struct ScrapeJob {
    /// Unique name, the default of the label `job`.
    pub name: String,
    /// Time between two scrapes of a target, not zero.
    pub interval: Duration,
    /// Maximum duration of a scrape, at most the interval.
    pub timeout: Duration,
    /// Default of the label `__metrics_path__`.
    pub metrics_path: String,
    /// Default of the label `__scheme__`.
    pub scheme: String,
    /// URL parameters. The first value of each is the default of a label `__param_<name>`.
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether labels of the target win over those of the job.
    pub honor_labels: bool,
    /// Whether the timestamps in the response are used.
    pub honor_timestamps: bool,
    /// Whether series with timestamps in the response get stale markers.
    pub track_timestamps_staleness: bool,
    /// Whether gzip is requested.
    pub enable_compression: bool,
    /// Protocols in order of preference, at least one.
    pub protocols: Vec<ScrapeProtocol>,
    /// Protocol of a response whose Content-Type is missing or unknown.
    pub fallback_protocol: Option<ScrapeProtocol>,
    /// Limits of the job.
    pub limits: ScrapeLimits,
    /// Settings of histograms.
    pub histograms: HistogramSettings,
    /// Whether the three additional series about each scrape are stored.
    pub extra_metrics: bool,
    /// Scheme by which scraped names are valid.
    pub validation: NameValidationScheme,
    /// Escaping that a scrape requests.
    pub escaping: EscapingScheme,
    /// File for failures of scrapes.
    pub failure_log_file: Option<PathBuf>,
    /// HTTP client of the scrapes.
    pub http_client: HttpClientConfig,
    /// Rules that make labels of a target from its discovered labels.
    pub relabel_rules: Vec<RelabelRule>,
    /// Rules for the series of a response.
    pub metric_relabel_rules: Vec<RelabelRule>,
    /// Sources of targets: static groups first, then one element per entry of a section.
    pub discoveries: Vec<DiscoveryConfig>,
}

/// Settings of the histograms of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HistogramSettings {
    /// Whether native histograms are requested and stored.
    pub scrape_native: bool,
    /// Whether classic histograms become native histograms with custom buckets.
    pub convert_classic: bool,
    /// Whether the classic form of a native histogram is stored, too.
    pub always_scrape_classic: bool,
    /// Maximum number of buckets; the resolution is reduced until they fit. 0 = unlimited.
    pub bucket_limit: u64,
    /// Minimum growth factor of buckets; the resolution is reduced to it. Up to 1 = no limit.
    pub min_bucket_factor: f64,
}

impl ScrapeJob {
    /// Returns a job without keys of its own and without targets.
    #[must_use]
    pub fn new(name: &str, global: &GlobalScrape) -> Self {
        Self {
            name: name.to_owned(),
            interval: global.interval,
            timeout: global.timeout,
            metrics_path: "/metrics".to_owned(),
            scheme: "http".to_owned(),
            params: BTreeMap::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            enable_compression: true,
            protocols: default_protocols(global, global.native_histograms),
            fallback_protocol: None,
            limits: global.limits,
            histograms: HistogramSettings {
                scrape_native: global.native_histograms,
                convert_classic: global.convert_classic_histograms,
                always_scrape_classic: global.always_classic_histograms,
                ..HistogramSettings::default()
            },
            extra_metrics: global.extra_metrics,
            validation: global.validation,
            escaping: global.escaping(),
            failure_log_file: global.failure_log_file.clone(),
            relabel_rules: Vec::new(),
            metric_relabel_rules: Vec::new(),
            http_client: HttpClientConfig::default(),
            discoveries: Vec::new(),
        }
    }

    /// Returns `true` if both jobs read the same series from an unchanged target: they differ at
    /// most in interval, timeout, `sample_limit`, settings of the HTTP client and sources of
    /// targets.
    #[must_use]
    pub fn reads_series_like(&self, other: &Self) -> bool {
        let comparable = Self {
            interval: other.interval,
            timeout: other.timeout,
            limits: ScrapeLimits { samples: other.limits.samples, ..self.limits },
            http_client: other.http_client.clone(),
            discoveries: other.discoveries.clone(),
            ..self.clone()
        };
        comparable == *other
    }

    /// Returns the settings of all HTTP clients: that of the scrapes, then those of discoveries.
    pub fn http_clients(&self) -> impl Iterator<Item = &HttpClientConfig> {
        let discoveries = self.discoveries.iter().filter_map(DiscoveryConfig::http_client);
        std::iter::once(&self.http_client).chain(discoveries)
    }
}

/// Reads a job; `None` if it has no name.
pub(super) fn parse(mut job: Mapping<'_>, global: &GlobalScrape) -> Option<ScrapeJob> {
    let name = name(&mut job);
    let (interval, timeout) =
        Times { interval: global.interval, timeout: global.timeout }.read(&mut job);
    let histograms = histograms(&mut job, global);
    let protocols = job.get("scrape_protocols").and_then(|value| protocol::list(&value));
    let (validation, escaping) = schemes(&mut job, global);
    let relabel_rules = job.list("relabel_configs");
    let parsed = ScrapeJob {
        name: name.clone().unwrap_or_default(),
        interval,
        timeout,
        metrics_path: job.string("metrics_path").unwrap_or_else(|| "/metrics".to_owned()),
        scheme: scheme(&mut job),
        params: params(&mut job),
        honor_labels: job.boolean("honor_labels").unwrap_or(false),
        honor_timestamps: job.boolean("honor_timestamps").unwrap_or(true),
        track_timestamps_staleness: job.boolean("track_timestamps_staleness").unwrap_or(false),
        enable_compression: job.boolean("enable_compression").unwrap_or(true),
        protocols: protocols.unwrap_or_else(|| default_protocols(global, histograms.scrape_native)),
        fallback_protocol: job
            .get("fallback_scrape_protocol")
            .and_then(|value| protocol::fallback(&value)),
        limits: ScrapeLimits::read(&mut job, &global.limits),
        histograms,
        extra_metrics: job.boolean("extra_scrape_metrics").unwrap_or(global.extra_metrics),
        validation,
        escaping,
        failure_log_file: failure_log_file(&mut job).or_else(|| global.failure_log_file.clone()),
        http_client: HttpClientConfig::read(&mut job),
        relabel_rules: relabel::rules(&relabel_rules, validation),
        metric_relabel_rules: relabel::rules(&job.list("metric_relabel_configs"), validation),
        discoveries: registry::parse(&mut job, !relabel_rules.is_empty()),
    };
    job.finish_except(registry::report_unsupported);
    name.map(|_| parsed)
}

fn default_protocols(global: &GlobalScrape, scrape_native: bool) -> Vec<ScrapeProtocol> {
    global.protocols.clone().unwrap_or_else(|| {
        if scrape_native {
            ScrapeProtocol::PROTO_FIRST.to_vec()
        } else {
            ScrapeProtocol::DEFAULT.to_vec()
        }
    })
}

fn name(job: &mut Mapping<'_>) -> Option<String> {
    let value = job.get("job_name");
    let name = value.as_ref().and_then(Value::string).filter(|name| !name.is_empty());
    if name.is_none() {
        value.as_ref().unwrap_or(job.value()).problem("job_name must not be empty");
    }
    name
}

fn scheme(job: &mut Mapping<'_>) -> String {
    let Some(value) = job.get("scheme") else { return "http".to_owned() };
    let scheme = value.string().unwrap_or_default();
    if !matches!(scheme.as_str(), "http" | "https") {
        value
            .warning(format_args!("targets can be scraped by http and https only, not {scheme:?}"));
    }
    scheme
}

fn params(job: &mut Mapping<'_>) -> BTreeMap<String, Vec<String>> {
    let Some(params) = job.mapping("params") else { return BTreeMap::new() };
    params.entries().map(|(name, values)| (name.name.to_owned(), values.strings())).collect()
}

fn histograms(job: &mut Mapping<'_>, global: &GlobalScrape) -> HistogramSettings {
    let mut switch = |key, inherited| job.boolean(key).unwrap_or(inherited);
    HistogramSettings {
        scrape_native: switch("scrape_native_histograms", global.native_histograms),
        convert_classic: switch(
            "convert_classic_histograms_to_nhcb",
            global.convert_classic_histograms,
        ),
        always_scrape_classic: switch(
            "always_scrape_classic_histograms",
            global.always_classic_histograms,
        ),
        bucket_limit: job.unsigned("native_histogram_bucket_limit").unwrap_or(0),
        min_bucket_factor: job
            .get("native_histogram_min_bucket_factor")
            .and_then(|value| value.float())
            .unwrap_or(0.0),
    }
}

/// Reads validation and escaping. A job that sets only the validation has the escaping of that
/// validation, not the global one.
fn schemes(job: &mut Mapping<'_>, global: &GlobalScrape) -> (NameValidationScheme, EscapingScheme) {
    let own_validation =
        job.get("metric_name_validation_scheme").and_then(|value| names::validation(&value));
    let validation = own_validation.unwrap_or(global.validation);
    let escaping_value = job.get("metric_name_escaping_scheme");
    let escaping = escaping_value.as_ref().and_then(names::escaping);
    if let (Some(value), Some(escaping)) = (&escaping_value, escaping) {
        names::check(value, escaping, validation);
    }
    let escaping = escaping.unwrap_or_else(|| match own_validation {
        Some(validation) => EscapingScheme::default_of(validation),
        None => global.escaping(),
    });
    (validation, escaping)
}
