//! Keys of the section `global` that are defaults of the jobs.

use crate::config::file::options::FeatureDefaults;
use crate::config::file::scrape::limits::ScrapeLimits;
use crate::config::file::scrape::names;
use crate::config::file::scrape::names::EscapingScheme;
use crate::config::file::scrape::protocol;
use crate::config::file::scrape::protocol::ScrapeProtocol;
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::value::Value;
use crate::model::label_name::NameValidationScheme;
use std::path::PathBuf;
use std::time::Duration;

/// Default of `scrape_interval`.
pub const DEFAULT_SCRAPE_INTERVAL: Duration = Duration::from_secs(60);
/// Default of `scrape_timeout`, unless the interval is shorter.
pub const DEFAULT_SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

/// Defaults of all jobs, from the section `global`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalScrape {
    /// Time between two scrapes of a target, not zero.
    pub interval: Duration,
    /// Maximum duration of a scrape, at most the interval.
    pub timeout: Duration,
    /// Protocols in order of preference; `None` if the file sets none.
    pub protocols: Option<Vec<ScrapeProtocol>>,
    /// File for failures of scrapes.
    pub failure_log_file: Option<PathBuf>,
    /// Limits of every job that has none of its own.
    pub limits: ScrapeLimits,
    /// Scheme by which scraped names are valid.
    pub validation: NameValidationScheme,
    /// `None` if the file sets none: the default depends on the validation.
    pub escaping: Option<EscapingScheme>,
    /// Whether native histograms are requested and stored.
    pub native_histograms: bool,
    /// Whether classic histograms become native histograms with custom buckets.
    pub convert_classic_histograms: bool,
    /// Whether the classic form of a native histogram is stored, too.
    pub always_classic_histograms: bool,
    /// Whether the three additional series about each scrape are stored.
    pub extra_metrics: bool,
}

impl Default for GlobalScrape {
    fn default() -> Self {
        Self {
            interval: DEFAULT_SCRAPE_INTERVAL,
            timeout: DEFAULT_SCRAPE_TIMEOUT,
            protocols: None,
            failure_log_file: None,
            limits: ScrapeLimits::default(),
            validation: NameValidationScheme::Utf8,
            escaping: None,
            native_histograms: false,
            convert_classic_histograms: false,
            always_classic_histograms: false,
            extra_metrics: false,
        }
    }
}

impl GlobalScrape {
    /// Returns the defaults of a configuration without the section `global`.
    pub(crate) fn with(features: FeatureDefaults) -> Self {
        Self {
            protocols: features.protobuf_first.then(|| ScrapeProtocol::PROTO_FIRST.to_vec()),
            extra_metrics: features.extra_scrape_metrics,
            ..Self::default()
        }
    }

    /// Reads the keys of the section `global`; those that it omits are `unset`'s.
    pub(crate) fn read(global: &mut Mapping<'_>, unset: Self) -> Self {
        let (interval, timeout) =
            Times { interval: unset.interval, timeout: unset.timeout }.read(global);
        let validation = global.get("metric_name_validation_scheme");
        let validation =
            validation.and_then(|value| names::validation(&value)).unwrap_or(unset.validation);
        let escaping = global.get("metric_name_escaping_scheme");
        let scheme = escaping.as_ref().and_then(names::escaping);
        if let (Some(value), Some(scheme)) = (escaping, scheme) {
            names::check(&value, scheme, validation);
        }
        Self {
            interval,
            timeout,
            protocols: global
                .get("scrape_protocols")
                .and_then(|value| protocol::list(&value))
                .or(unset.protocols),
            failure_log_file: failure_log_file(global),
            limits: ScrapeLimits::read(global, &unset.limits),
            validation,
            escaping: scheme,
            native_histograms: global.boolean("scrape_native_histograms").unwrap_or(false),
            convert_classic_histograms: global
                .boolean("convert_classic_histograms_to_nhcb")
                .unwrap_or(false),
            always_classic_histograms: global
                .boolean("always_scrape_classic_histograms")
                .unwrap_or(false),
            extra_metrics: global.boolean("extra_scrape_metrics").unwrap_or(unset.extra_metrics),
        }
    }

    /// Returns the escaping of a job that sets neither escaping nor validation.
    #[must_use]
    pub fn escaping(&self) -> EscapingScheme {
        self.escaping.unwrap_or_else(|| EscapingScheme::default_of(self.validation))
    }
}

/// Inherited interval and timeout.
pub(super) struct Times {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

impl Times {
    /// Reads `scrape_interval` and `scrape_timeout`. A zero is the inherited value, and an
    /// inherited timeout is at most the interval.
    pub(super) fn read(&self, mapping: &mut Mapping<'_>) -> (Duration, Duration) {
        let positive = |value: &Option<Value<'_>>| {
            let duration = value.as_ref().and_then(Value::duration);
            duration.filter(|duration| !duration.is_zero())
        };
        let interval_value = mapping.get("scrape_interval");
        let timeout_value = mapping.get("scrape_timeout");
        let interval = positive(&interval_value).unwrap_or(self.interval);
        match (timeout_value.as_ref(), positive(&timeout_value)) {
            (Some(value), Some(timeout)) => {
                if timeout > interval {
                    let shown = crate::config::units::format_duration;
                    value.problem(format_args!(
                        "{} exceeds scrape_interval {}",
                        shown(timeout),
                        shown(interval)
                    ));
                }
                (interval, timeout.min(interval))
            }
            _ => (interval, self.timeout.min(interval)),
        }
    }
}

/// Reads `scrape_failure_log_file`; `None` if it is missing or empty.
pub(super) fn failure_log_file(mapping: &mut Mapping<'_>) -> Option<PathBuf> {
    mapping.get("scrape_failure_log_file")?.path()
}
