//! narthex's own metrics: the primitives that every layer counts with, and their text.
//!
//! Thin on purpose: a name, a help text and a number. Which metrics exist is said where they are counted; nothing here
//! knows the domain. Names are Prometheus's own wherever it has one.

pub mod process;
pub mod quantiles;
pub mod registry;
pub mod text;
