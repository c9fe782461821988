//! Section `storage`: TSDB and exemplars.

use crate::config::units::ByteSize;
use crate::config::yaml::mapping::Mapping;
use crate::config::yaml::value::Value;
use crate::tsdb::db::FloatEncoding;
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

pub(super) fn parse(section: &Value<'_>) -> StorageSection {
    let Some(mut storage) = section.mapping() else { return StorageSection::default() };
    let tsdb = storage.mapping("tsdb").map(tsdb).unwrap_or_default();
    let max_exemplars = storage.mapping("exemplars").and_then(max_exemplars);
    storage.finish();
    StorageSection { tsdb, max_exemplars }
}

fn max_exemplars(mut exemplars: Mapping<'_>) -> Option<usize> {
    let max = exemplars.get("max_exemplars").filter(|max| !max.is_null());
    let max = max.and_then(|max| max.integer());
    exemplars.finish();
    // As in Prometheus, a negative number is 0.
    max.map(|max| usize::try_from(max.max(0)).unwrap_or(usize::MAX))
}

/// Converts the section with Prometheus's limits. In addition, a stale series threshold outside 0
/// to 1 is a problem.
fn tsdb(mut tsdb: Mapping<'_>) -> TsdbSection {
    let window = tsdb.get("out_of_order_time_window").filter(|window| !window.is_null());
    let section = TsdbSection {
        retention: tsdb.mapping("retention").map(retention),
        stale_series_threshold: ranged(tsdb.get("stale_series_compaction_threshold"), 1.0),
        float_encoding: tsdb.mapping("chunk_encoding").and_then(chunk_encoding),
        out_of_order_window: window.and_then(|window| window.duration()),
    };
    tsdb.finish();
    section
}

fn chunk_encoding(mut encodings: Mapping<'_>) -> Option<FloatEncoding> {
    let floats = encodings.get("floats").and_then(|value| float_encoding(&value));
    encodings.finish();
    floats
}

fn float_encoding(value: &Value<'_>) -> Option<FloatEncoding> {
    match value.string()?.as_str() {
        "" => None,
        "xor" => Some(FloatEncoding::Xor),
        "xor2" => Some(FloatEncoding::Xor2),
        other => {
            value.problem(format_args!("must be xor or xor2, not {other:?}"));
            None
        }
    }
}

fn retention(mut retention: Mapping<'_>) -> RetentionSection {
    let section = RetentionSection {
        time: retention.duration("time").unwrap_or_default(),
        size: retention.get("size").and_then(|size| retention_size(&size)).unwrap_or_default(),
        percentage: ranged(retention.get("percentage"), 100.0),
    };
    retention.finish();
    section
}

fn retention_size(size: &Value<'_>) -> Option<ByteSize> {
    if let Some(text) = size.string().filter(|text| text.starts_with('-')) {
        size.problem(format_args!("must be at least 0, not {text}"));
        return None;
    }
    size.size()
}

/// Returns a number from 0 to `max`; 0 if it is not set.
fn ranged(value: Option<Value<'_>>, max: f64) -> f64 {
    let Some(value) = value else { return 0.0 };
    match value.float() {
        Some(number) if !(0.0..=max).contains(&number) => {
            value.problem(format_args!("must be from 0 to {max}, not {number}"));
            0.0
        }
        number => number.unwrap_or(0.0),
    }
}
