//! Errors of one target. The other targets of the job are not affected.

use crate::model::label_editor::EditLabelsError;
use crate::model::relabel::error::RelabelError;

/// Error of the labels of a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Relabeling failed.
    #[error(transparent)]
    Relabel(#[from] RelabelError),
    /// The address is absent or empty.
    #[error("no address")]
    NoAddress,
    /// The address has a slash: it is a URL or has a path.
    #[error("{address:?} is not a valid hostname")]
    InvalidAddress {
        /// Value of `__address__`.
        address: String,
    },
    /// A duration is invalid.
    #[error("cannot parse {label}: not a valid duration string: {value:?}")]
    InvalidDuration {
        /// Name of the label.
        label: &'static str,
        /// Value of the label.
        value: String,
    },
    /// The interval or the timeout is 0.
    #[error("{label} cannot be 0")]
    ZeroDuration {
        /// Name of the label.
        label: &'static str,
    },
    /// The timeout exceeds the interval.
    #[error("scrape timeout cannot be greater than scrape interval ({timeout:?} > {interval:?})")]
    TimeoutAboveInterval {
        /// Value of `__scrape_timeout__`.
        timeout: String,
        /// Value of `__scrape_interval__`.
        interval: String,
    },
    /// A switch is neither true nor false.
    #[error("cannot parse {label}: invalid boolean {value:?}")]
    InvalidBoolean {
        /// Name of the label.
        label: &'static str,
        /// Value of the label.
        value: String,
    },
    /// The labels form no label set.
    #[error(transparent)]
    Labels(#[from] EditLabelsError),
}
