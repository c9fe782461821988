//! TSDB settings that result from flags and configuration file, by Prometheus's rules.
//!
//! # Rules
//! - A section `storage.tsdb.retention` in the file replaces both retention flags; a key that it
//!   omits is unlimited.
//! - Without the section, the flags apply. Without flags, the retention is 15 days and counts as
//!   not configured.
//! - A percentage disables the size.
//! - Without `chunk_encoding.floats`, the encoding of the start remains.
//! - Without `out_of_order_time_window`, the window is two hours (Prometheus: 0), because a backend
//!   of several senders usually has one that lags.

use crate::config::file::contents::ConfigFile;
use crate::config::flags::features::Feature;
use crate::config::flags::storage::StorageFlags;
use crate::tsdb::db::settings::{
    DEFAULT_RETENTION_MS, RetentionOrigin, RetentionSettings, Settings,
};
use crate::tsdb::db::{DEFAULT_MAX_EXEMPLARS, FloatEncoding};
use std::time::Duration;

/// Out-of-order window if the file sets none.
pub const DEFAULT_OUT_OF_ORDER_WINDOW: Duration = Duration::from_secs(2 * 3600);

/// Returns the settings for the start of the process.
#[must_use]
pub fn at_start(flags: &StorageFlags, file: &ConfigFile) -> Settings {
    let default_encoding = if flags.features.contains(&Feature::Xor2Encoding) {
        FloatEncoding::Xor2
    } else {
        FloatEncoding::Xor
    };
    at_reload(flags, file, default_encoding)
}

/// Returns the settings after a reload; `encoding` is the float encoding of the start.
#[must_use]
pub fn at_reload(flags: &StorageFlags, file: &ConfigFile, encoding: FloatEncoding) -> Settings {
    Settings {
        retention: resolve_retention(flags, file),
        stale_series_threshold: file.storage.tsdb.stale_series_threshold,
        float_encoding: file.storage.tsdb.float_encoding.unwrap_or(encoding),
        out_of_order_window_ms: millis(
            file.storage.tsdb.out_of_order_window.unwrap_or(DEFAULT_OUT_OF_ORDER_WINDOW),
        ),
        max_exemplars: file.storage.max_exemplars.unwrap_or(DEFAULT_MAX_EXEMPLARS),
    }
}

fn resolve_retention(flags: &StorageFlags, file: &ConfigFile) -> RetentionSettings {
    if let Some(section) = &file.storage.tsdb.retention {
        return RetentionSettings {
            time_ms: millis(section.time),
            bytes: section.size.0,
            percentage: section.percentage,
            origin: RetentionOrigin::Configured,
        };
    }
    let time_ms = flags.retention_time.map_or(0, millis);
    let bytes = flags.retention_size.map_or(0, |size| size.0);
    let (time_ms, origin) = match (time_ms, bytes) {
        (0, 0) => (DEFAULT_RETENTION_MS, RetentionOrigin::Default),
        _ => (time_ms, RetentionOrigin::Configured),
    };
    RetentionSettings { time_ms, bytes, percentage: 0.0, origin }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{at_reload, at_start};
    use crate::config::file;
    use crate::config::flags::storage::StorageFlags;
    use crate::config::flags::{Cli, Command};
    use crate::tsdb::db::FloatEncoding;
    use crate::tsdb::db::settings::{RetentionOrigin, RetentionSettings};
    use clap::Parser;

    const HOUR: i64 = 3_600_000;

    fn flags(given: &[&str]) -> StorageFlags {
        let Command::Serve(flags) =
            Cli::parse_from(["narthex", "serve"].iter().chain(given)).command
        else {
            unreachable!()
        };
        flags.storage
    }

    fn resolve_retention(given: &[&str], file: &str) -> RetentionSettings {
        at_start(&flags(given), &file::parse_for_tests(file)).retention
    }

    fn configured(time_ms: i64, bytes: u64, percentage: f64) -> RetentionSettings {
        RetentionSettings { time_ms, bytes, percentage, origin: RetentionOrigin::Configured }
    }

    #[test]
    fn default_retention_is_15d_and_not_configured() {
        let default = RetentionSettings {
            time_ms: 360 * HOUR,
            bytes: 0,
            percentage: 0.0,
            origin: RetentionOrigin::Default,
        };
        assert_eq!(resolve_retention(&[], ""), default);
        assert_eq!(
            resolve_retention(
                &["--storage.tsdb.retention.time=0"],
                "storage: {tsdb: {retention: }}"
            ),
            default
        );
    }

    #[test]
    fn size_flag_alone_sets_no_time_limit() {
        assert_eq!(
            resolve_retention(&["--storage.tsdb.retention.time=2d"], ""),
            configured(48 * HOUR, 0, 0.0)
        );
        assert_eq!(
            resolve_retention(&["--storage.tsdb.retention.size=1GB"], ""),
            configured(0, 1 << 30, 0.0)
        );
    }

    #[test]
    fn retention_section_replaces_flags() {
        let flags = ["--storage.tsdb.retention.time=2d", "--storage.tsdb.retention.size=1GB"];
        let file = |section: &str| {
            resolve_retention(&flags, &format!("storage:\n  tsdb:\n    retention: {section}\n"))
        };
        assert_eq!(file("{size: 5MB}"), configured(0, 5 << 20, 0.0));
        assert_eq!(file("{time: 1h, percentage: 12.5}"), configured(HOUR, 0, 12.5));
        assert_eq!(file("{}"), configured(0, 0, 0.0));
        assert_eq!(
            resolve_retention(&flags, "storage: {tsdb: {}}"),
            configured(48 * HOUR, 1 << 30, 0.0)
        );
    }

    #[test]
    fn out_of_order_window_defaults_to_two_hours() {
        let window =
            |file: &str| at_start(&flags(&[]), &file::parse_for_tests(file)).out_of_order_window_ms;
        assert_eq!(window(""), 2 * HOUR);
        assert_eq!(window("storage: {tsdb: {out_of_order_time_window: 30m}}"), HOUR / 2);
        assert_eq!(window("storage: {tsdb: {out_of_order_time_window: 0s}}"), 0);
    }

    #[test]
    fn max_exemplars_defaults_to_100000() {
        let max = |text: &str| at_start(&flags(&[]), &file::parse_for_tests(text)).max_exemplars;
        assert_eq!(max(""), 100_000);
        assert_eq!(max("storage: {exemplars: {max_exemplars: 0}}"), 0);
    }

    #[test]
    fn omitted_float_encoding_is_that_of_the_start() {
        let none = file::parse_for_tests("");
        let xor = file::parse_for_tests("storage: {tsdb: {chunk_encoding: {floats: xor}}}");
        let flags_xor2 = flags(&["--enable-feature=xor2-encoding"]);
        assert_eq!(at_start(&flags_xor2, &none).float_encoding, FloatEncoding::Xor2);
        assert_eq!(at_start(&flags_xor2, &xor).float_encoding, FloatEncoding::Xor);
        assert_eq!(
            at_reload(&flags(&[]), &none, FloatEncoding::Xor2).float_encoding,
            FloatEncoding::Xor2
        );
        assert_eq!(at_start(&flags(&[]), &none).float_encoding, FloatEncoding::Xor);
    }
}
