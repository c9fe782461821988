//! What can be changed while a database runs: plain values, taken at the start and again at every reload.
//!
//! What is fixed for a database's life is in [`crate::tsdb::db::options`]. Whoever needs a setting asks for it when it is used
//! (`Db::settings`) and keeps no copy.

use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::head::exemplars::{DEFAULT_MAX_EXEMPLARS, ExemplarOptions};

/// The changeable settings of a database.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// How long and how much is kept.
    pub retention: RetentionSettings,
    /// Share of stale series in the head, 0 to 1, from which they are compacted early; 0 for never.
    pub stale_series_threshold: f64,
    /// In which encoding new chunks of floats are written.
    pub float_encoding: FloatEncoding,
    /// How far behind the newest sample of the head a sample may be that is older than the newest of its series, ms; 0 for none.
    pub out_of_order_window_ms: i64,
    /// How many exemplars are kept; 0: none.
    pub max_exemplars: usize,
}

impl Settings {
    /// How exemplars are kept.
    #[must_use]
    pub fn exemplars(&self) -> ExemplarOptions {
        ExemplarOptions {
            max: self.max_exemplars,
            out_of_order_window_ms: self.out_of_order_window_ms,
        }
    }
}

/// What is kept. A limit of 0 is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetentionSettings {
    /// A block goes once all of it lies that far behind the newest data, ms.
    pub time_ms: i64,
    /// The oldest blocks go where the directory is larger, bytes.
    pub bytes: u64,
    /// The same as a percentage of the file system, 0 to 100; where it is given, `bytes` means nothing.
    pub percentage: f64,
    /// Whether somebody chose it.
    pub origin: RetentionOrigin,
}

/// Where a retention comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionOrigin {
    /// Nobody said anything.
    Default,
    /// A flag or the configuration file.
    Configured,
}

/// 15 days.
pub const DEFAULT_RETENTION_MS: i64 = 15 * 24 * 3_600_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            retention: RetentionSettings::default(),
            stale_series_threshold: 0.0,
            float_encoding: FloatEncoding::Xor,
            out_of_order_window_ms: 0,
            max_exemplars: DEFAULT_MAX_EXEMPLARS,
        }
    }
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self {
            time_ms: DEFAULT_RETENTION_MS,
            bytes: 0,
            percentage: 0.0,
            origin: RetentionOrigin::Default,
        }
    }
}
