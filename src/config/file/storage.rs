//! Section `storage`: TSDB and exemplars.

use crate::config::units;
use crate::config::units::ByteSize;
use crate::config::yaml::document::{Section, invalid};
use crate::config::yaml::error::ConfigProblem;
use crate::tsdb::db::FloatEncoding;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::time::Duration;

/// Contents of the section `storage`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StorageSection {
    /// Key `tsdb`, or its defaults.
    pub tsdb: TsdbSection,
    /// `exemplars.max_exemplars`; `None` if not set, 0 = no exemplars.
    pub max_exemplars: Option<usize>,
}

/// Contents of `storage.tsdb`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TsdbSection {
    /// Replaces both retention flags if present.
    pub retention: Option<RetentionSection>,
    /// Ratio of stale series that triggers their compaction, 0 to 1; 0 = disabled.
    pub stale_series_threshold: f64,
    /// `None` if the file does not set it.
    pub float_encoding: Option<FloatEncoding>,
    /// Maximum age of a sample behind the newest one; zero = none, `None` if not set.
    pub out_of_order_window: Option<Duration>,
}

/// Contents of `storage.tsdb.retention`. Zero means unlimited.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RetentionSection {
    /// Maximum age of samples.
    pub time: Duration,
    /// Maximum size of the data directory.
    pub size: ByteSize,
    /// Maximum size of the data directory in percent of the file system, 0 to 100.
    pub percentage: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStorage {
    tsdb: Option<RawTsdb>,
    exemplars: Option<RawExemplars>,
}

/// Durations and sizes are strings even if YAML parses them as numbers, as in Prometheus.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTsdb {
    out_of_order_time_window: Option<Spanned<String>>,
    stale_series_compaction_threshold: Option<Spanned<f64>>,
    chunk_encoding: Option<RawChunkEncoding>,
    retention: Option<RawRetention>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRetention {
    time: Option<Spanned<String>>,
    size: Option<Spanned<String>>,
    percentage: Option<Spanned<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChunkEncoding {
    floats: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExemplars {
    max_exemplars: Option<i64>,
}

pub(super) fn parse(section: &Section<'_>) -> Result<StorageSection, ConfigProblem> {
    let raw: RawStorage = section.read()?.unwrap_or_default();
    let max_exemplars = raw.exemplars.and_then(|section| section.max_exemplars);
    Ok(StorageSection {
        tsdb: tsdb(raw.tsdb.unwrap_or_default())?,
        // As in Prometheus, a negative number is 0.
        max_exemplars: max_exemplars.map(|max| usize::try_from(max.max(0)).unwrap_or(usize::MAX)),
    })
}

/// Converts the section with Prometheus's limits. In addition, a stale series threshold outside 0
/// to 1 is an error.
fn tsdb(raw: RawTsdb) -> Result<TsdbSection, ConfigProblem> {
    let threshold = ranged(
        raw.stale_series_compaction_threshold,
        "storage.tsdb.stale_series_compaction_threshold",
        1.0,
    )?;
    let floats = raw.chunk_encoding.and_then(|encoding| encoding.floats);
    let float_encoding = floats.map(float_encoding).transpose()?.flatten();
    let window = raw.out_of_order_time_window;
    Ok(TsdbSection {
        retention: raw.retention.map(retention).transpose()?,
        stale_series_threshold: threshold,
        float_encoding,
        out_of_order_window: window
            .map(|window| duration(&window, "storage.tsdb.out_of_order_time_window"))
            .transpose()?,
    })
}

fn float_encoding(name: Spanned<String>) -> Result<Option<FloatEncoding>, ConfigProblem> {
    match name.value.as_str() {
        "" => Ok(None),
        "xor" => Ok(Some(FloatEncoding::Xor)),
        "xor2" => Ok(Some(FloatEncoding::Xor2)),
        other => {
            let key = "storage.tsdb.chunk_encoding.floats";
            Err(invalid(&name, format!("{key} must be xor or xor2, not {other:?}")))
        }
    }
}

fn retention(raw: RawRetention) -> Result<RetentionSection, ConfigProblem> {
    let time = raw.time.map(|time| duration(&time, "storage.tsdb.retention.time")).transpose()?;
    Ok(RetentionSection {
        time: time.unwrap_or_default(),
        size: raw.size.map(retention_size).transpose()?.unwrap_or_default(),
        percentage: ranged(raw.percentage, "storage.tsdb.retention.percentage", 100.0)?,
    })
}

fn retention_size(size: Spanned<String>) -> Result<ByteSize, ConfigProblem> {
    let key = "storage.tsdb.retention.size";
    if size.value.starts_with('-') {
        return Err(invalid(&size, format!("{key} must be at least 0, not {}", size.value)));
    }
    units::parse_bytes_with_unit(&size.value)
        .map_err(|error| invalid(&size, format!("{key} is invalid: {error}")))
}

fn duration(value: &Spanned<String>, key: &str) -> Result<Duration, ConfigProblem> {
    units::parse_duration(&value.value)
        .map_err(|error| invalid(value, format!("{key} is invalid: {error}")))
}

/// Returns a number from 0 to `max`; 0 if it is not set.
fn ranged(value: Option<Spanned<f64>>, key: &str, max: f64) -> Result<f64, ConfigProblem> {
    match value {
        Some(value) if !(0.0..=max).contains(&value.value) => {
            let message = format!("{key} must be from 0 to {max}, not {}", value.value);
            Err(invalid(&value, message))
        }
        value => Ok(value.map_or(0.0, |value| value.value)),
    }
}
