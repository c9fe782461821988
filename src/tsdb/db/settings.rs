//! Settings that can change while a database runs: set at startup and at each reload.
//!
//! Fixed options are in [`crate::tsdb::db::options`]. Maintenance and admin operations read a
//! setting when they need it (`DbShared::settings`). The head has copies, which
//! `Db::apply_settings` updates.

use crate::tsdb::chunk::float_chunk::FloatEncoding;
use crate::tsdb::head::exemplars::{DEFAULT_MAX_EXEMPLARS, ExemplarOptions};

/// Changeable settings of a database.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Limits of age and size.
    pub retention: RetentionSettings,
    /// Share of stale series in the head from which they are compacted early, 0 to 1; 0 disables
    /// it.
    pub stale_series_threshold: f64,
    /// Encoding of new float chunks.
    pub float_encoding: FloatEncoding,
    /// Out-of-order window, ms; 0 disables it.
    pub out_of_order_window_ms: i64,
    /// Maximum number of exemplars; 0 disables their storage.
    pub max_exemplars: usize,
}

impl Settings {
    /// Options of the exemplar storage.
    #[must_use]
    pub fn exemplars(&self) -> ExemplarOptions {
        ExemplarOptions {
            max: self.max_exemplars,
            out_of_order_window_ms: self.out_of_order_window_ms,
        }
    }
}

/// Retention limits. A limit of 0 is disabled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetentionSettings {
    /// Age of a block's end, relative to the newest data, from which the block is deleted, ms.
    pub time_ms: i64,
    /// Maximum total size, bytes. The oldest blocks are deleted first.
    pub bytes: u64,
    /// Maximum total size as a percentage of the file system, 0 to 100. Overrides `bytes` if set.
    pub percentage: f64,
    /// Whether the retention was configured.
    pub origin: RetentionOrigin,
}

/// Origin of the retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionOrigin {
    /// Neither a flag nor the configuration file sets it.
    Default,
    /// Set by a flag or the configuration file.
    Configured,
}

/// Default retention time: 15 days, in ms.
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
