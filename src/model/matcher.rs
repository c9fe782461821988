//! Matchers: conditions on one label's value.
