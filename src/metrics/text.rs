//! Exposition formats of the metrics, and their negotiation.

use std::fmt::Write as _;

/// Text format of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpositionFormat {
    /// OpenMetrics 1.0.0, served as `application/openmetrics-text`.
    OpenMetrics,
    /// Prometheus's text format 0.0.4, served as `text/plain`.
    Classic,
}

impl ExpositionFormat {
    /// Returns the format for an `Accept` header: OpenMetrics if it is named, else the classic
    /// format.
    #[must_use]
    pub fn from_accept_header(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    /// Returns the `Content-Type` of the format.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Converts OpenMetrics to the classic format, in which the comments of a counter include `_total`
/// and there are no units and no end mark.
///
/// Requires the order in which the encoder writes the comments of a family: help, type, unit.
pub(crate) fn to_classic(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ")
            && let Some(name) = lines.peek().and_then(|next| counter_of_type_line(next))
            && let Some(text) = help.strip_prefix(name)
        {
            let _ = writeln!(out, "# HELP {name}_total{text}");
        } else if let Some(name) = counter_of_type_line(line) {
            let _ = writeln!(out, "# TYPE {name}_total counter");
        } else if !line.starts_with("# UNIT ") && line != "# EOF" {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

/// Returns the name in `# TYPE name counter`.
fn counter_of_type_line(line: &str) -> Option<&str> {
    line.strip_prefix("# TYPE ")?.strip_suffix(" counter")
}
