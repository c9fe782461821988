//! The two text formats in which metrics are served, and which of them a client wants.

use std::fmt::Write as _;

/// A text format for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpositionFormat {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Prometheus's text format 0.0.4.
    Classic,
}

impl ExpositionFormat {
    /// What an `Accept` header asks for; the classic format unless OpenMetrics is named.
    #[must_use]
    pub fn from_accept_header(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    /// The `Content-Type` of the format.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Rewrites OpenMetrics text as the classic format: there the comments of a counter name it with its `_total`, and
/// units and the end mark are unknown.
///
/// Relies on the order in which the encoder writes a family's comments: help, type, unit.
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

/// The name in `# TYPE name counter`.
fn counter_of_type_line(line: &str) -> Option<&str> {
    line.strip_prefix("# TYPE ")?.strip_suffix(" counter")
}
