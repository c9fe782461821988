//! Relabeling: rules that change or drop label sets, as in Prometheus 3.
//!
//! [`rule::RelabelRule::new`] validates and compiles a rule. [`apply()`] runs a list of rules over
//! a [`LabelEditor`](crate::model::label_editor::LabelEditor). A rule that does not match allocates
//! nothing.
//!
//! Expressions have the syntax of RE2, match whole values, and `.` matches newlines; see
//! [`matcher`](crate::model::matcher). Differences from Prometheus:
//! - `labelmap` to an empty name is an error; Prometheus creates a label without name.
//! - An expression that closes the group around it (`a)|(?:b`) is rejected.
//! - Expressions, groups and label sets have limits.
//!
//! | module | content |
//! |---|---|
//! | [`action`] | actions |
//! | `apply` | execution of rules |
//! | `case` | lower and upper case of Go |
//! | [`error`] | errors of creating and of applying rules |
//! | `groups` | expression with the groups that a rule reads |
//! | [`rule`] | keys of a rule, validated and compiled |
//! | `template` | templates with references to groups |
//!
//! Source: Prometheus's `model/relabel`.

pub mod action;
mod apply;
mod case;
pub mod error;
mod groups;
pub mod rule;
mod template;

pub use apply::{RelabelStep, Steps, Verdict, apply};

#[cfg(test)]
mod tests;
