//! Flags of scraping.

use crate::config::flags::values::message_size;
use crate::config::units;
use crate::config::units::ByteSize;
use clap::{ArgAction, Args};
use std::time::Duration;

/// Flags of scraping.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Scraping")]
pub struct ScrapeFlags {
    /// Whether scrapes that start almost on schedule get the scheduled timestamp, which compresses
    /// better.
    #[arg(
        long = "scrape.adjust-timestamps", value_name = "BOOL", default_value = "true",
        default_missing_value = "true", num_args = 0..=1, require_equals = true,
        action = ArgAction::Set, overrides_with = "no_adjust_timestamps"
    )]
    pub adjust_timestamps: bool,
    /// Negative form of --scrape.adjust-timestamps.
    #[arg(long = "no-scrape.adjust-timestamps", hide = true, overrides_with = "adjust_timestamps")]
    pub no_adjust_timestamps: bool,
    /// Maximum difference to the schedule of a scrape that gets the scheduled timestamp; at most a
    /// hundredth of the interval.
    #[arg(
        long = "scrape.timestamp-tolerance", value_name = "DURATION", default_value = "2ms",
        value_parser = units::parse_duration
    )]
    pub timestamp_tolerance: Duration,
    /// Maximum delay of an update of the targets. It grows while targets keep changing.
    #[arg(
        long = "scrape.discovery-reload-interval", value_name = "DURATION", default_value = "5s",
        value_parser = units::parse_duration
    )]
    pub discovery_reload_interval: Duration,
    /// Maximum size of a decompressed response of jobs without body_size_limit.
    #[arg(
        id = "scrape_max_body_size", long = "scrape.max-body-size", value_name = "SIZE",
        default_value = "256MB", value_parser = message_size
    )]
    pub max_body_size: ByteSize,
    /// Maximum size of the responses of all scrapes together. A scrape beyond it waits until its
    /// timeout.
    #[arg(
        id = "scrape_max_bytes_in_flight", long = "scrape.max-bytes-in-flight", value_name = "SIZE",
        default_value = "256MB", value_parser = message_size
    )]
    pub max_bytes_in_flight: ByteSize,
    /// Scrape the metrics of narthex itself, as job narthex. The first sample sets the time range
    /// that the head accepts, so leave it off while old samples are imported.
    #[arg(long = "self-scrape")]
    pub self_scrape: bool,
    /// Whether to accept responses that are compressed with zstd.
    #[arg(long = "scrape.accept-zstd")]
    pub accept_zstd: bool,
}

impl ScrapeFlags {
    /// Returns the difference to the schedule within which timestamps are adjusted; zero = never.
    #[must_use]
    pub fn tolerance(&self) -> Duration {
        if self.adjust_timestamps && !self.no_adjust_timestamps {
            self.timestamp_tolerance
        } else {
            Duration::ZERO
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ScrapeFlags;
    use clap::Parser;
    use std::time::Duration;

    #[derive(Debug, Parser)]
    struct TestCli {
        #[command(flatten)]
        scrape: ScrapeFlags,
    }

    fn parse(args: &[&str]) -> ScrapeFlags {
        let args = std::iter::once("narthex").chain(args.iter().copied());
        TestCli::try_parse_from(args).unwrap().scrape
    }

    #[test]
    fn defaults_are_those_of_prometheus() {
        let flags = parse(&[]);
        assert_eq!(flags.tolerance(), Duration::from_millis(2));
        assert_eq!(flags.discovery_reload_interval, Duration::from_secs(5));
        assert_eq!((flags.max_body_size.0, flags.max_bytes_in_flight.0), (256 << 20, 256 << 20));
        assert!(!flags.accept_zstd);
    }

    #[test]
    fn timestamps_can_be_left_alone() {
        for off in ["--scrape.adjust-timestamps=false", "--no-scrape.adjust-timestamps"] {
            assert_eq!(parse(&[off]).tolerance(), Duration::ZERO, "{off}");
        }
        assert!(parse(&["--scrape.adjust-timestamps"]).adjust_timestamps);
        let flags = parse(&["--scrape.timestamp-tolerance=10ms", "--scrape.accept-zstd"]);
        assert_eq!(flags.tolerance(), Duration::from_millis(10));
        assert!(flags.accept_zstd);
    }
}
