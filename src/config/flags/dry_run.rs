//! Flags of limits in a dry run.

use clap::Args;

/// Flags of limits in a dry run.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Dry run of limits")]
pub struct DryRunFlags {
    /// Store samples over --storage.remote.write-max-future, up to a quarter of
    /// --storage.tsdb.min-block-duration, and count and report them.
    #[arg(id = "max_future_dry_run", long = "storage.remote.write-max-future-dry-run")]
    pub max_future: bool,
    /// Store series over --storage.remote.write-max-labels, and count and report their samples.
    #[arg(id = "max_labels_dry_run", long = "storage.remote.write-max-labels-dry-run")]
    pub max_labels: bool,
    /// Store series over --storage.remote.write-max-label-name-size, and count and report their
    /// samples.
    #[arg(
        id = "max_label_name_size_dry_run",
        long = "storage.remote.write-max-label-name-size-dry-run"
    )]
    pub max_label_name_size: bool,
    /// Store series and metadata over --storage.remote.write-max-label-value-size, and count and
    /// report their samples.
    #[arg(
        id = "max_label_value_size_dry_run",
        long = "storage.remote.write-max-label-value-size-dry-run"
    )]
    pub max_label_value_size: bool,
    /// Store metadata over --storage.remote.write-max-metadata-size, and count and report it.
    #[arg(
        id = "max_metadata_size_dry_run",
        long = "storage.remote.write-max-metadata-size-dry-run"
    )]
    pub max_metadata_size: bool,
    /// Store requests over --storage.remote.write-max-series, and count and report their samples.
    #[arg(id = "max_series_dry_run", long = "storage.remote.write-max-series-dry-run")]
    pub max_series: bool,
    /// Store requests over --storage.remote.write-max-samples, and count and report their samples.
    #[arg(id = "max_samples_dry_run", long = "storage.remote.write-max-samples-dry-run")]
    pub max_samples: bool,
    /// Create series over --storage.tsdb.max-active-series, and count and report their samples.
    /// Memory grows with the series.
    #[arg(id = "max_active_series_dry_run", long = "storage.tsdb.max-active-series-dry-run")]
    pub max_active_series: bool,
}
