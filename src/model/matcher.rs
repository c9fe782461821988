//! Matchers: conditions on one label's value.

/// A condition on one label.
#[derive(Debug, Clone)]
pub struct Matcher;
