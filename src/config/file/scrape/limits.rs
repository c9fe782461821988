//! Limits of a scrape, in `global` and per job.

use crate::config::units::ByteSize;
use crate::config::yaml::mapping::Mapping;

/// Limits of a scrape. 0 = unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScrapeLimits {
    /// Maximum size of a decompressed response body.
    pub body_size: ByteSize,
    /// Maximum number of samples of a scrape after metric relabeling.
    pub samples: u64,
    /// Maximum number of targets of a job.
    pub targets: u64,
    /// Maximum number of labels of a series.
    pub labels: u64,
    /// Maximum length of a label name, bytes.
    pub label_name_length: u64,
    /// Maximum length of a label value, bytes.
    pub label_value_length: u64,
    /// Maximum number of dropped targets of a job that are kept for the targets API.
    pub keep_dropped_targets: u64,
}

impl ScrapeLimits {
    /// Reads the limits. A missing key and 0 are the limit of `inherited`: as in Prometheus, a job
    /// cannot remove a global limit.
    pub(super) fn read(mapping: &mut Mapping<'_>, inherited: &Self) -> Self {
        let body_size = mapping.size("body_size_limit").unwrap_or_default();
        let mut limit = |key, inherited| match mapping.unsigned(key) {
            None | Some(0) => inherited,
            Some(limit) => limit,
        };
        Self {
            body_size: if body_size.0 == 0 { inherited.body_size } else { body_size },
            samples: limit("sample_limit", inherited.samples),
            targets: limit("target_limit", inherited.targets),
            labels: limit("label_limit", inherited.labels),
            label_name_length: limit("label_name_length_limit", inherited.label_name_length),
            label_value_length: limit("label_value_length_limit", inherited.label_value_length),
            keep_dropped_targets: limit("keep_dropped_targets", inherited.keep_dropped_targets),
        }
    }
}
