//! Entries of the log of rejections.

use crate::ingest::named_series::truncate;
use std::net::IpAddr;
use std::sync::Arc;

/// Protocol and sender of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestOrigin {
    /// Name of the protocol.
    pub protocol: &'static str,
    /// Sender of the data.
    pub sender: DataSender,
    /// Name of the user whose password was checked; `None` without one.
    pub user: Option<Arc<str>>,
}

/// Sender of data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DataSender {
    /// A request without a connection.
    Unknown,
    /// Client with this address.
    Client(IpAddr),
    /// Scraped target with this URL.
    Target(Arc<str>),
}

impl RequestOrigin {
    /// Returns the address of the client or the URL of the target; empty if it is unknown.
    pub(crate) fn display_sender(&self) -> String {
        match &self.sender {
            DataSender::Unknown => String::new(),
            DataSender::Client(address) => address.to_string(),
            DataSender::Target(url) => url.to_string(),
        }
    }

    /// Returns the name of the user for a log line, truncated.
    pub(super) fn display_user(&self) -> Option<&str> {
        self.user.as_deref().map(truncate)
    }
}

/// Reason for the rejection of a whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestRejection {
    /// The request cannot be decoded.
    Malformed,
    /// The content type, message or encoding is not supported.
    Unsupported,
    /// The request exceeds a limit.
    TooLarge,
}

impl RequestRejection {
    /// Returns the reason as it is shown.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::TooLarge => "too_large",
        }
    }
}

/// Rejection of a request that is recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rejection<'a> {
    pub(super) reason: &'static str,
    /// Flag of the limit in a dry run; `None` if the data was rejected.
    pub(super) limit: Option<&'static str>,
    pub(super) series: &'a str,
    pub(super) detail: &'a str,
    /// Number of items, or 1 for a whole request.
    pub(super) count: u64,
}

/// Rejections of one sender for one reason within a short time.
#[derive(Clone, Debug)]
pub struct RejectionEntry {
    /// Time of the first request, ms since the Unix epoch.
    pub first_ms: i64,
    /// Time of the last request, ms since the Unix epoch.
    pub last_ms: i64,
    /// Protocol and sender.
    pub origin: RequestOrigin,
    /// Reason, as in metrics.
    pub reason: &'static str,
    /// Flag of the limit in a dry run; `None` if the data was rejected.
    pub limit: Option<&'static str>,
    /// Labels of a series, truncated; empty for a whole request.
    pub series: Arc<str>,
    /// Description of the rejection, truncated; empty if only another reason of the series has one.
    pub detail: Arc<str>,
    /// Number of items; of requests if they were rejected as a whole.
    pub count: u64,
    /// Number of requests.
    pub requests: u64,
}

/// Newest entries.
#[derive(Clone, Debug)]
pub struct RecentRejections {
    /// Entries, newest first.
    pub entries: Vec<RejectionEntry>,
    /// Number of older entries that were dropped since the start.
    pub dropped_entries: u64,
    /// Sum of the counts of the dropped entries.
    pub dropped_count: u64,
}
