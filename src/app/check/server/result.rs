//! Result of a check of a server.

/// Result of a check, with the text that is shown.
#[derive(Debug)]
pub(super) enum CheckResult {
    Passed(String),
    Failed(String),
}
